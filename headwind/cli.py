"""`headwind`: one command, thin subcommands. Only the module of the subcommand asked for is imported."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from headwind import __version__
from headwind.errors import Exit, HeadwindError

# name: one line of help. `headwind.commands.<name>` has `configure(parser)` and `execute(args) -> int`.
COMMANDS: dict[str, str] = {
    "explain": "read any load tool's output, judge it, report it",
    "diff": "put runs already measured side by side",
    "run": "load a server once and report what it took",
    "diagnose": "find out what limits a server, by probing it for a minute",
    "compare": "worker counts, settings or servers against each other, with verdicts",
    "capacity": "the highest rate that holds an objective, and how users fare below it",
    "tune": "try settings that may help a server, and say what each bought",
    "doctor": "say what this machine lacks for a load test, and the command that mends it",
    "report": "render runs again from their folders; list all of them",
}


# argparse names Python's types.
_NUMBERS = {"int": "whole number", "float": "number"}
_OF_NO_TYPE = re.compile(r"invalid (int|float) value: (.*)")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Parser(argparse.ArgumentParser):
    """argparse, but a wrong command line is one sentence and says where help is."""

    def error(self, message: str) -> NoReturn:
        message = _OF_NO_TYPE.sub(lambda found: f"{found[2]} is no {_NUMBERS[found[1]]}", message)
        message = message.removeprefix("argument ")
        self.exit(Exit.USAGE, f"headwind: {message}; `{self.prog} --help` lists what can be given.\n")


def parser(chosen: str | None) -> argparse.ArgumentParser:
    """The whole command line; only the subcommand `chosen` has its options."""
    whole = _Parser(
        prog="headwind",
        description="How much load does this API take, what limits it, and what should change?",
    )
    whole.add_argument("--version", action="version", version=f"headwind {__version__}")
    subparsers = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_line in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_line, description=help_line)
        if name == chosen:
            importlib.import_module(f"headwind.commands.{name}").configure(subparser)
    return whole


def _shown(message: str) -> str:
    """A message without control characters: the name of a file may hold a terminal's escapes."""
    return "".join(sign for sign in message if sign.isprintable() or sign in "\n\t")


def _silence_stdout() -> None:
    """What waits to be written is dropped: Python would try it once more at its end, and fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused(error: OSError) -> int:
    """A full disk, or a place that this user may not use, as one sentence; raises what is neither of them."""
    if isinstance(error, PermissionError) and error.filename is not None:
        print(
            f"headwind: {_shown(str(error.filename))}: this user has no permission; give a place that is open to it.",
            file=sys.stderr,
        )
        return Exit.UNREADABLE
    if error.errno not in _FULL:
        raise error
    place = "the output" if error.filename is None else _shown(str(error.filename))
    print(
        f"headwind: {place} cannot be written ({error.strerror}); make room, or write elsewhere.",
        file=sys.stderr,
    )
    _silence_stdout()
    return Exit.USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns its exit code. Every expected failure is one sentence on stderr."""
    # Python has None for a stream that the caller closed; what would go there is wanted by nobody.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end, as a stream is
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    try:
        options = parser(chosen).parse_args(arguments)
        options.argv = arguments
        code: int = importlib.import_module(f"headwind.commands.{options.command}").execute(options)
        sys.stdout.flush()
        return code
    except HeadwindError as error:
        print(f"headwind: {_shown(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("headwind: interrupted.", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`headwind explain x | head`): stop silently, as other tools do.
        _silence_stdout()
        return 128 + signal.SIGPIPE
    except OSError as error:
        return _refused(error)


if __name__ == "__main__":
    sys.exit(main())
