"""The tool's own errors and exit codes; every other exception that reaches a user is a bug.

    HeadwindError
    +-- UsageError           2  the command line or a file given on it is wrong
    +-- GateNotJudgedError   4  a gate was asked for that this run cannot decide
    +-- UnreadableError      5  no run in the input, or it cannot be read
    +-- MissingError         6  something needed is not on this machine

A message is one sentence that says what happened and what to do next.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `headwind` and `python -m parser`."""

    DONE = 0
    USAGE = 2
    GATE_FAILED = 3
    GATE_NOT_JUDGED = 4
    UNREADABLE = 5
    MISSING = 6
    INTERRUPTED = 130


class HeadwindError(Exception):
    """Base of all errors that are shown as one sentence; `exit_code` is what the process ends with."""

    exit_code = Exit.USAGE


class UsageError(HeadwindError):
    """The command line, or a file given on it, asks for something that makes no sense."""


class GateNotJudgedError(HeadwindError):
    """The run is invalid or was interrupted, or the figure a gate needs is not in the source."""

    exit_code = Exit.GATE_NOT_JUDGED


class UnreadableError(HeadwindError):
    """The input holds no run, or cannot be read."""

    exit_code = Exit.UNREADABLE


class MissingError(HeadwindError):
    """A program or facility that is needed is not on this machine."""

    exit_code = Exit.MISSING
