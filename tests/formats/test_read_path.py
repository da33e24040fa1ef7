"""Whatever a path leads to: runs, or one sentence that says what is wrong with it."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headwind import formats
from headwind.cli import main
from headwind.errors import Exit, UnreadableError, UsageError
from headwind.formats import HELD_AT_ONCE, read_path, read_text
from tests.formats.test_wrk import SATURATED


def sentence(path: Path | str, **options: str) -> str:
    """The message that reading raises: one line that ends as a sentence does."""
    with pytest.raises(UnreadableError) as caught:
        list(read_path(path, **options))  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", ").", "`."))
    assert "Error" not in message
    return message


def written(folder: Path, data: bytes) -> Path:
    path = folder / "output.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [b"", b"\n\n  \n", "\ufeff\n".encode()])
def test_an_empty_file(tmp_path: Path, data: bytes) -> None:
    assert "is empty" in sentence(written(tmp_path, data))


def test_a_binary_file(tmp_path: Path) -> None:
    assert "binary" in sentence(written(tmp_path, b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 40))
    assert sentence(written(tmp_path, random.Random(1).randbytes(300_000)))


def test_text_without_a_run(tmp_path: Path) -> None:
    assert "holds no output of a load tool" in sentence(written(tmp_path, b"Hello, world.\n"))


def test_ten_megabytes_on_one_line(tmp_path: Path) -> None:
    assert sentence(written(tmp_path, b"Latency 1 % " * 900_000))


def test_ten_megabytes_of_runs_on_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"log": "' + SATURATED.replace("\n", "\\n").encode() * 2000 + b'"}')
    assert len(list(read_path(path))) == 2000


def test_a_missing_file(tmp_path: Path) -> None:
    assert "is not there" in sentence(tmp_path / "nowhere.txt")


def test_a_path_no_system_takes() -> None:
    assert sentence("a\0b")
    assert sentence("x" * 5000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = written(tmp_path, b"x")
    path.chmod(0)
    assert "no permission" in sentence(path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A run's folder that everybody may enter; pytest's own are closed to the user whom `powerless` becomes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "wrk.txt").write_text(SATURATED)
        for beside in ("samples.jsonl", "environment.json", "exact.jsonl"):
            (folder / beside).write_text("{}")
        yield folder
        folder.chmod(0o755)


@contextmanager
def powerless() -> Iterator[None]:
    """Whoever runs the tests as a user whom files can be kept from: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("command", ["explain", "diff"])
@pytest.mark.parametrize(
    "closed", [".", "wrk.txt", "run.json", "samples.jsonl", "environment.json", "exact.jsonl"]
)
def test_a_folder_or_a_file_in_it_without_permission(
    open_folder: Path, capsys: pytest.CaptureFixture[str], command: str, closed: str
) -> None:
    if closed == "run.json":
        (open_folder / "wrk.txt").rename(open_folder / closed)
    else:
        (open_folder / "samples.jsonl").write_text("")
    arguments = [command, str(open_folder), str(open_folder)]
    main(arguments)  # whatever is imported late is imported by a user who may read it
    capsys.readouterr()
    (open_folder / closed).chmod(0)
    with powerless():
        code = main(arguments)
    assert code == Exit.UNREADABLE
    said = capsys.readouterr().err
    assert said == f"headwind: {open_folder / closed} cannot be read: this user has no permission.\n"


def test_a_file_in_a_folder_that_may_not_be_entered(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = open_folder / "wrk.txt"
    open_folder.chmod(0o644)
    with powerless():
        assert main(["explain", str(inside)]) == Exit.UNREADABLE
        assert main(["diff", f"new={inside}", str(inside)]) == Exit.UNREADABLE
    assert capsys.readouterr().err.count("no permission") == 2


def test_a_report_of_a_folder_without_permission(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (open_folder / "wrk.txt").unlink()
    main(["report", str(open_folder)])
    capsys.readouterr()
    open_folder.chmod(0)
    with powerless():
        assert main(["report", str(open_folder)]) == Exit.UNREADABLE
    assert "this user has no permission" in capsys.readouterr().err


def test_a_file_that_refuses_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "no permission" in sentence(tmp_path / "x")


def test_a_folder_that_is_no_runs(tmp_path: Path) -> None:
    assert "folder without wrk.txt" in sentence(tmp_path)


def test_a_run_folder_whose_report_is_empty(tmp_path: Path) -> None:
    (tmp_path / "wrk.txt").write_text("")
    assert "is empty" in sentence(tmp_path)


def test_a_named_tool_that_is_not_in_the_text(tmp_path: Path) -> None:
    assert "holds no output of wrk" in sentence(written(tmp_path, b"Hello\n"), tool="wrk")


def test_a_tool_that_nobody_reads() -> None:
    with pytest.raises(UsageError, match="no reader for the tool 'siege'"):
        read_text("", "text", tool="siege")


def test_a_file_that_grows_is_read_as_far_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, SATURATED.encode())
    runs = read_path(path)
    with path.open("a") as growing:
        growing.write("x" * 100)
        growing.flush()
        assert next(runs).requests == 2788


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SATURATED.encode("utf-16"))))
    assert [run.requests for run in read_path("-")] == [2788]


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        ("- <&-", Exit.UNREADABLE, "headwind: nothing is piped in: give a file, "),
        (
            "wrk.txt >/dev/full",
            Exit.USAGE,
            "headwind: the output cannot be written (No space left on device); ",
        ),
        ("wrk.txt --format json >/dev/full", Exit.USAGE, "headwind: the output cannot be written "),
        ("wrk.txt >&-", Exit.DONE, ""),
        ("nowhere.txt 2>&-", Exit.UNREADABLE, ""),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_streams_that_are_closed_or_full(tmp_path: Path, redirected: str, code: Exit, said: str) -> None:
    (tmp_path / "wrk.txt").write_text(SATURATED)
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m headwind explain {redirected}', sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == bool(said)


def test_a_file_larger_than_is_held_at_once_gives_the_same(tmp_path: Path) -> None:
    noise = "2026-11-20 step 17 of 99: Latency is fine, thread pool too, user@host test\n" * 1500
    text = (noise + SATURATED + noise + SATURATED.replace("\n", "\r\n")) * 90
    assert len(text) > 2 * HELD_AT_ONCE
    runs = list(read_path(written(tmp_path, text.encode())))
    assert [run.requests for run in runs] == [2788] * 180
    lines = text.splitlines()
    assert all(lines[run.lines[0] - 1].startswith("Running") for run in runs if run.lines)


def test_nothing_of_the_input_can_speak_to_a_terminal() -> None:
    text = SATURATED.replace("http://localhost", "http://us\x1b[31mer:pa\x07ss@local\x9b2Jhost\u202e")
    (run,) = read_text(text, "text")
    assert run.url == "http://localhost:8000/v1/prediction"


def test_an_endless_binary_source_is_refused_at_once() -> None:
    assert "binary" in sentence("/dev/zero")


def test_a_long_text_says_how_much_of_it_was_searched_for_other_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "HELD_AT_ONCE", 10_000)
    monkeypatch.setattr(formats, "REREAD_AT_MOST", 2_000_000)
    summary = (
        "Summary:\n  Total:\t2.0000 secs\n  Average:\t0.0100 secs\n  Requests/sec:\t50.0000\n\n"
        "Status code distribution:\n  [200]\t100 responses\n"
    )
    noise = "step 17 of 99 is done\n"
    behind = sentence(written(tmp_path, (noise * 100_000 + summary).encode()))
    assert "none in its first 2 MB" in behind
    (run,) = read_path(written(tmp_path, (noise * 1000 + summary).encode()))
    assert (run.tool, run.requests) == ("hey", 100)
    assert "that Headwind reads" in sentence(written(tmp_path, (noise * 1000).encode()))
