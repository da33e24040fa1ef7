"""What all tests share."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

pytest_plugins = ("tests.leftovers",)

# A shell starts what it puts in the background with SIGINT ignored, and so would be every process that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow moment of a shared machine is no failure of what a property states.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# Tests that drive real processes for seconds compare what two of them saw while a third may have the cores. Such a
# test is tried again, and named under RERUN at the end; one that fails three times in a row has failed. All others
# have one try.
DRIVES_PROCESSES = ("load", "containers", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.get_closest_marker(name) for name in DRIVES_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
