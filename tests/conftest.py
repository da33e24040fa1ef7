"""What all tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A slow moment of a shared machine is no failure of what a property states.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# Tests that drive real processes for seconds compare what two of them saw while a third may have the cores. Such a
# test is tried again, and shown as RERUN; one that fails three times in a row has failed.
DRIVES_PROCESSES = ("load", "containers", "browser")
FOLDERS = ("diagnose", "experiments", "stress", "lua")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        driven = any(item.get_closest_marker(name) for name in DRIVES_PROCESSES)
        if driven or item.path.parent.name in FOLDERS:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
