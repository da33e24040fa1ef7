"""What the tests of `headwind run` share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stress.tool import Headwind, ours, until


@pytest.fixture
def headwind(tmp_path: Path) -> Iterator[Headwind]:
    """Afterwards nothing of what was started may live."""
    tool = Headwind(tmp_path)
    yield tool
    tool.end()
    assert until(lambda: not ours(tmp_path)), f"left behind: {ours(tmp_path)}"
