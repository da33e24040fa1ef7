"""wrk2 where it is installed: told apart from wrk by its usage, given the rate, refused where it cannot do the task.

wrk2 is in no Debian release, so a stand-in with wrk2's usage records how it is called.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from headwind.errors import UsageError
from headwind.stress import generator
from headwind.stress.generator import Load, Wrk
from headwind.stress.plan import Traffic
from headwind.stress.schedule import Schedule, wrk2_rate


def program(folder: Path, usage: str) -> str:
    path = folder / "some-wrk"
    path.write_text(
        f"#!/bin/sh\necho 'wrk 4.0.0 [epoll] Copyright (C) 2012 Will Glozer'\necho '{usage}'\nexit 1\n"
    )
    path.chmod(0o755)
    return str(path)


def test_wrk2_is_known_by_the_rate_in_its_usage(tmp_path: Path) -> None:
    assert generator.find(program(tmp_path, "    -R, --rate        <T>  work rate")).is_wrk2
    assert not generator.find(program(tmp_path, "    -d, --duration    <T>  Duration of test")).is_wrk2


def test_wrk2_gets_the_rate() -> None:
    load = Load("http://h/", 2, 10, 5, 30, Traffic(), None, rate_per_s=250.0)
    assert "-R250" in generator.command(Wrk("local", "wrk2", "4.0.0", True), load)[0]


def test_wrk_is_never_given_a_rate_option() -> None:
    load = Load("http://h/", 2, 10, 5, 30, Traffic(), None)
    assert not any(word.startswith("-R") for word in generator.command(Wrk("local", "wrk", "4.1.0"), load)[0])


def test_what_wrk2_cannot_do_is_refused() -> None:
    assert wrk2_rate(Schedule(100, "constant")) == 100
    with pytest.raises(UsageError, match="equal gaps only"):
        wrk2_rate(Schedule(100))
    with pytest.raises(UsageError, match="add --rate"):
        wrk2_rate(None)
