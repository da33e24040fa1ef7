"""One image and one engine for all container tests; skipped where no engine answers."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def docker(*arguments: str, timeout_s: float = 300, check: bool = True) -> str:
    """stdout of a docker command run in the repository's root; fails the test with what it printed."""
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)
    if check and done.returncode != 0:
        pytest.fail(f"docker {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout.strip()


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips unless a Docker engine answers."""
    try:
        answer = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"no Docker engine answers here: {error}")
    if answer.returncode != 0:
        pytest.skip(f"no Docker engine answers here: {answer.stderr.strip()[-200:]}")


@pytest.fixture(scope="session")
def image(engine: None) -> Iterator[str]:
    """The service's image, built from this checkout."""
    tag = f"flight-delay-test:{uuid.uuid4().hex[:8]}"
    docker("build", "-q", "-t", tag, ".", timeout_s=600)
    yield tag
    docker("rmi", "-f", tag, check=False)


@pytest.fixture
def container_name() -> Iterator[str]:
    """A name nobody else uses; whatever runs under it is removed afterwards."""
    name = f"flight-delay-test-{uuid.uuid4().hex[:8]}"
    yield name
    docker("rm", "-f", name, check=False)
