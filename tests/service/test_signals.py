"""Signals under load, judged by request ids: the short form of `python -m bench standing`."""

import pytest

from bench.standing import overload, signals

pytestmark = [pytest.mark.load, pytest.mark.timeout(240)]


def test_only_a_killed_workers_requests_fail_and_reload_and_stop_lose_none() -> None:
    rows, bars = signals(3)
    assert all(bars.values()), rows
    assert all(int(str(row["answered"])) > 500 for row in rows)
    reload = next(row for row in rows if row["signal"] == "SIGHUP")
    assert int(str(reload["answered"])) > 0.99 * int(str(reload["requests"]))


def test_five_times_the_capacity_leaves_the_goodput_and_is_refused_at_once() -> None:
    rows, bars = overload(3, others=2)
    assert bars["then serves as before"], rows
    assert float(str(rows[1]["answered 503/s"])) > float(str(rows[1]["answered 200/s"]))
    # The bars themselves are measured by the benchmark: in a test suite others may use the machine.
    assert float(str(rows[1]["answered 200/s"])) > 0.6 * float(str(rows[0]["answered 200/s"]))
