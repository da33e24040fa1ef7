"""Frozen values that are cheap to make, for what is made by the hundred thousand."""

from __future__ import annotations

from dataclasses import field, fields, make_dataclass
from typing import TypeVar

Value = TypeVar("Value")


def quick(frozen: type[Value]) -> type[Value]:
    """A frozen dataclass whose values are made in a quarter of the time (measured: 0.6 instead of 2.6 us).

    Where orjson writes the values, leave slots out: it takes a third of the time for a `__dict__` (measured: 1.1
    instead of 3.3 us for a run).

    The guard that dataclasses put on a frozen class turns each assignment of `__init__` into a call. Here the type
    checker alone keeps the values frozen: it sees the dataclass as it is written, and refuses any assignment.
    """
    rows = [
        (one.name, one.type, field(default=one.default, default_factory=one.default_factory))
        for one in fields(frozen)  # type: ignore[arg-type]
    ]
    type.__setattr__(frozen, "__init__", vars(make_dataclass(frozen.__name__, rows))["__init__"])
    del frozen.__setattr__, frozen.__delattr__
    return frozen
