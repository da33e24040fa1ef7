"""The committed sample is a real run that still renders, and the docs' pictures are there and small."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from headwind.report import folder

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "reports" / "sample"


def test_the_sample_renders_again_from_its_folder(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "sample")
    written = folder.render(tmp_path / "sample")
    assert {path.name for path in written} <= {path.name for path in SAMPLE.iterdir()}
    page = (tmp_path / "sample" / "report.html").read_text()
    answer = folder.read(SAMPLE).document["answer"]
    assert answer.split()[0] in page


def test_the_sample_names_no_folder_of_a_machine_or_its_user() -> None:
    for name in ("environment.json", "report.html", "report.md", "wrk.txt"):
        assert not re.search(r"/(?:home|root|Users|tmp|work|srv)/", (SAMPLE / name).read_text()), name


@pytest.mark.parametrize("page", ["README.md", "docs/reading-a-report.md"])
def test_pictures_of_the_docs_exist_and_are_small(page: str) -> None:
    path = ROOT / page
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", path.read_text()):
        picture = path.parent / name
        assert picture.is_file(), f"{page} shows {name}, which is missing: run docs/screenshots.py"
        assert picture.stat().st_size <= 300_000
