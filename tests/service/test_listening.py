"""Which worker takes a connection, without sockets."""

import time

import pytest

from service.listening import FREE_S, LEAVE_S, SharedListener
from service.metrics import Metrics


class Listener:
    """Always has a connection."""

    name = "listener"

    def accept(self) -> str:
        return "accepted"


def two_workers() -> Metrics:
    metrics = Metrics(4)
    metrics.begin()
    metrics.enter(1)
    metrics.begin()
    return metrics


def test_a_worker_with_more_connections_leaves_the_next_to_the_other_but_not_for_long() -> None:
    metrics = two_workers()
    shared = SharedListener(Listener(), metrics)
    assert shared.accept() == "accepted"
    with pytest.raises(BlockingIOError):
        shared.accept()
    time.sleep(LEAVE_S * 1.5)
    assert shared.accept() == "accepted", "nobody took it"
    assert shared.accept() == "accepted", "the other is busy: what comes now is not left to it"
    time.sleep(FREE_S * 1.1)
    with pytest.raises(BlockingIOError):
        shared.accept()
    metrics.connected(-3)
    assert shared.accept() == "accepted"
    assert shared.name == "listener"


def test_a_worker_alone_takes_everything() -> None:
    metrics = Metrics(4)
    metrics.begin()
    shared = SharedListener(Listener(), metrics)
    assert [shared.accept() for _ in range(10)] == ["accepted"] * 10


def test_a_worker_that_is_gone_is_not_waited_for() -> None:
    metrics = two_workers()
    metrics.vacate(0)
    shared = SharedListener(Listener(), metrics)
    assert [shared.accept() for _ in range(3)] == ["accepted"] * 3
