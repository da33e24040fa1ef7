"""`headwind explain FILE...`: read any load tool's output, judge it, report it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

from headwind.analysis import context, gates
from headwind.analysis.lateness import with_late_threshold
from headwind.commands.inputs import STDIN, Input, duration, objectives_file, open_input
from headwind.errors import UsageError
from headwind.formats.source import is_file, is_folder, refused
from headwind.formats.text import decode
from headwind.report import document
from headwind.run import Run

if TYPE_CHECKING:
    from headwind.report.stream import Part

RAW_LIMIT_BYTES = 200_000
LARGE = 2**23  # bytes; below it starting processes costs more than they save
# Each but json is a module of headwind.report with `render(document) -> str`, imported only when asked for.
_RENDERERS = {"text": "text", "md": "markdown", "html": "html", "csv": "csv", "junit": "junit"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind explain`."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a tool's output, a run's folder, or - for stdin"
    )
    parser.add_argument("--format", choices=["text", "json", *list(_RENDERERS)[1:]], default="text")
    parser.add_argument("-o", "--output", metavar="OUT", help="write there instead of to stdout")
    parser.add_argument("--tool", help="read the text as this tool's (default: recognised from the text)")
    parser.add_argument(
        "--timeout", metavar="2s", help="the --timeout that wrk ran with, which it prints nowhere"
    )
    parser.add_argument("--late", metavar="2s", help="an answer is late above this (default: wrk's timeout)")
    parser.add_argument(
        "--hdr",
        metavar="OUT",
        help="also write the exact histograms for HdrHistogram's tools: OUT.hgrm for its plotter, OUT.hlog as a log",
    )
    add_gates(parser)


def add_gates(parser: argparse.ArgumentParser) -> None:
    """Add the options that state what a run must hold."""
    parser.add_argument(
        "--target", type=int, metavar="N", help="at least so many requests answered without an error"
    )
    parser.add_argument(
        "--slo",
        action="append",
        default=[],
        metavar="'p99<250ms'",
        help="an objective; may be given several times",
    )
    parser.add_argument(
        "--gates", metavar="FILE", help="a YAML file with `target:` and a list of objectives `slo:`"
    )


def execute(options: argparse.Namespace) -> int:
    """Explain every run of every file in one document; the exit code is the gates'."""
    target, objectives = asked_gates(options)
    timeout_s = duration(options.timeout) if options.timeout else None
    late_s = duration(options.late) if options.late else None
    if options.format == "json":
        code = _judged_in_parts(options, target, objectives, timeout_s)
        if code is not None:
            return code
    inputs = [open_input(name, tool=options.tool, timeout_s=timeout_s) for name in options.files]
    named = ((one.source, run) for one in inputs for run in _runs(one, late_s))
    first = list(islice(named, document.COMPARED_RUNS + 1))
    if len(first) > document.COMPARED_RUNS:
        return _explain_many(options, inputs, chain(first, named), target, objectives)
    built = document.build(
        [run for _, run in first],
        source=_source(inputs),
        sources=[source for source, _ in first] if len(inputs) > 1 else None,
        samples=inputs[0].samples if len(inputs) == 1 else (),
        environment=inputs[0].environment if len(inputs) == 1 else None,
        target=target,
        slos=objectives,
    )
    extras = _extras(inputs[0], options.files[0]) if len(inputs) == 1 else {}
    if options.hdr:
        _write_hdr([run for _, run in first], options.hdr)
    _report(built, options, extras)
    return document.exit_code(built)


def _write_hdr(runs: Sequence[Run], output: str) -> None:
    """The merged histogram of all runs as a percentile distribution, or a log of each; the name's ending says which."""
    from headwind.report import hdr

    merged = hdr.merged(runs)
    if merged is None:
        raise UsageError(
            "--hdr needs an exact histogram, which wrk's text does not have; give a run's folder, "
            "or load with wrk/observe.lua."
        )
    if not output.endswith((".hgrm", ".hlog")):
        raise UsageError(
            f"--hdr {output} says no format; end the name in .hgrm (for the plotter) or .hlog (a log)."
        )
    write(hdr.log(runs) if output.endswith(".hlog") else hdr.percentiles(merged), output)


def _explain_many(
    options: argparse.Namespace,
    inputs: Sequence[Input],
    named: Iterator[tuple[str, Run]],
    target: int | None,
    objectives: Sequence[gates.Objective],
) -> int:
    """More runs than are compared with one another: JSON of all as they come, other formats of the first ones."""
    if options.format == "json":
        from headwind.report.stream import Judge

        judge = Judge(document.objectives(target, objectives), target, several=len(inputs) > 1)
        return _write_parts(judge.parts(named), options.output, _source(inputs), target)
    shown = [run for _, run in islice(named, document.COMPARED_RUNS)]
    built = document.build(shown, source=_source(inputs), target=target, slos=objectives)
    asked = document.objectives(target, objectives)
    outcomes, more = {gate["outcome"] for gate in built["gates"]}, 0
    for source, run in named:
        outcomes |= {gate.outcome for gate in gates.judge(context.of(run, source, target=target), asked)}
        more += 1
    print(
        f"headwind: the report shows the first {len(shown):,} of {len(shown) + more:,} runs; the gates judged all of "
        "them, and --format json writes all of them.",
        file=sys.stderr,
    )
    _report(built, options, {})
    return int(gates.exit_code(outcomes))


def _judged_in_parts(
    options: argparse.Namespace,
    target: int | None,
    objectives: Sequence[gates.Objective],
    timeout_s: float | None,
) -> int | None:
    """The exit code after a large file of nothing but wrk reports was judged by several processes; None for others."""
    name = options.files[0]
    plain = (
        len(options.files) == 1
        and name != STDIN
        and options.late is None
        and options.hdr is None
        and options.tool in (None, "wrk")
    )
    if not plain or not is_file(name) or Path(name).stat().st_size < LARGE:
        return None
    from headwind.commands import parts
    from headwind.report.stream import Judge

    cut = parts.pieces(Path(name))
    if cut is None:
        return None
    judge = Judge(document.objectives(target, objectives), target)
    with TemporaryDirectory() as folder:
        judged = parts.judged(Path(name), name, cut, judge, timeout_s, Path(folder))
        return _write_parts(judged, options.output, name, target)


def _write_parts(judged: Iterable[Part], output: str | None, source: str, target: int | None) -> int:
    from headwind.report import stream

    with opened(output) as out, TemporaryFile() as findings, TemporaryFile() as gate_rows:
        tally = stream.write_json(judged, out, (findings, gate_rows), source=source, target=target)
    return int(gates.exit_code(tally.outcomes))


def _source(inputs: Sequence[Input]) -> str:
    return ", ".join(one.source for one in inputs)


def _report(built: dict[str, Any], options: argparse.Namespace, extras: dict[str, Any]) -> None:
    """Write the document in the format asked for; Markdown in a file has its pictures beside it."""
    if options.format == "md" and options.output:
        from headwind.report import markdown

        markdown.write(built, Path(options.output), **extras)
    else:
        write(rendered(built, options.format, to_terminal=not options.output, **extras), options.output)


def asked_gates(options: argparse.Namespace) -> tuple[int | None, list[gates.Objective]]:
    """The target and the objectives of the options and of the file they name; raises UsageError."""
    if options.target is not None and options.target <= 0:
        raise UsageError("--target takes a number of requests above 0.")
    files = [text for text in options.slo if text.lower().endswith((".yaml", ".yml", ".json"))]
    if files:
        raise UsageError(
            f"{files[0]!r} is a file, and --slo takes one objective; give it as --gates {files[0]}."
        )
    objectives = [gates.parse(text) for text in options.slo]
    target: int | None = options.target
    if options.gates:
        for objective in objectives_file(options.gates):
            if objective.metric == "requests" and objective.text.startswith("target"):
                target = target if target is not None else int(objective.threshold)
            else:
                objectives.append(objective)
    return target, objectives


def _extras(one: Input, name: str) -> dict[str, Any]:
    """What lies beside the one run that is explained, for the reports that show it."""
    path = Path(name)
    raw = path / "wrk.txt" if is_folder(path) else path
    text = None
    try:
        # A log of many megabytes is no help on a page, and stdin is read already.
        if is_file(raw) and raw.stat().st_size <= RAW_LIMIT_BYTES:
            text = decode(raw.read_bytes())
    except OSError as error:
        raise refused(raw, error) from None
    return {"samples": one.samples, "environment": one.environment, "raw_text": text}


def rendered(built: dict[str, Any], form: str, *, to_terminal: bool, **extras: Any) -> str:
    """The document in one of the formats of `--format`; `extras` are what HTML and Markdown show beside it."""
    if form == "json":
        return as_json(built)
    if form == "text":
        from headwind.report import text

        tty = to_terminal and sys.stdout.isatty()
        columns = os.get_terminal_size().columns if tty else 80
        return text.render(
            built, colour=tty and not os.environ.get("NO_COLOR"), width=max(40, min(columns, 100))
        )
    module = importlib.import_module(f"headwind.report.{_RENDERERS[form]}")
    return str(module.render(built, **(extras if form in ("html", "md") else {})))


def as_json(built: dict[str, Any]) -> str:
    """Indented JSON that ends with a newline."""
    import orjson

    return orjson.dumps(built, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


@contextmanager
def opened(output: str | None) -> Iterator[BinaryIO]:
    """A file, or stdout, to write bytes to; raises UsageError where the file cannot be written."""
    if output is None or output == "-":
        yield sys.stdout.buffer
        return
    try:
        with Path(output).open("wb") as file:
            yield file
    except OSError as error:
        raise UsageError(
            f"{output} cannot be written ({error.strerror}); give another path with -o."
        ) from None


def write(text: str, output: str | None) -> None:
    """To a file, or to stdout; raises UsageError where the file cannot be written."""
    if output is None or output == "-":
        sys.stdout.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{output} cannot be written ({error.strerror}); give another path with -o."
        ) from None


def _runs(one: Input, late_s: float | None) -> Iterator[Run]:
    if late_s is None:
        return one.runs
    return (with_late_threshold(run, late_s) for run in chain(one.runs))
