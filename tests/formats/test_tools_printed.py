"""What an independent printer of a tool's format prints, the reader gives back within its printed precision."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.printed import PRINTERS
from tests.formats.printed_values import Expected
from tests.formats.tool_text import close, codes, only_run

_CASES = [
    pytest.param(tool, index, id=printer.__name__)
    for tool, printers in PRINTERS.items()
    for index, printer in enumerate(printers)
]


@pytest.mark.parametrize(("tool", "index"), _CASES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_printed_value_comes_back_within_its_precision(tool: str, index: int, seed: int) -> None:
    printed = PRINTERS[tool][index](random.Random(seed))
    run = only_run(printed.text, tool)
    assert run.complete
    _check({name: getattr(run, name) for name in printed.run}, printed.run)
    assert run.latency is not None
    _check({name: getattr(run.latency, name) for name in printed.latency}, printed.latency)
    _check(dict(run.latency.percentiles_s), printed.percentiles)
    assert {name: getattr(run.errors, name) for name in printed.errors} == printed.errors
    assert run.status_codes == printed.codes
    assert printed.warnings <= codes(run)


def _check(found: dict[str, float | None], expected: Expected) -> None:
    for name, (value, digit) in expected.items():
        if value is None:
            assert found[name] is None, name
        else:
            assert close(found.get(name), value, digit), f"{name}: {found.get(name)} instead of {value}"
