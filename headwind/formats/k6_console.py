"""k6's end-of-test summary on the console: one list of metrics before v1, TOTAL RESULTS and sections since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from headwind.formats import k6_metrics as k6
from headwind.formats.documents import amount, whole
from headwind.formats.fields import Field, fields, labels, plain
from headwind.formats.golang import duration
from headwind.run import Run

# The tick, the cross, the block and the arrow of UTF-8, also read as code page 437 and 1252 (PowerShell), or lost.
_HELD = r"(?:\u2713|\u0393\u00a3\u00f4|\u00e2\u0153\u201c|\u221a)"
_CROSSED = r"(?:\u2717|\u0393\u00a3\u00f9|\u00e2\u0153\u2014|\u00d7|x)"
_MARK = rf"(?:{_HELD}|{_CROSSED}|[?\ufffd]{{1,3}})"
_BLOCK = re.compile(r"(?:\u2588|\u0393\u00fb\u00ea|\u00e2\u2013\u02c6|\u00e2|[?\ufffd]{1,3})\s*$")
_ARROW = re.compile(r"(?:\u21b3|\u0393\u00e5\u2502|\u00e2\u2020?\u00b3)\s*$")
_LABELS = labels(
    {
        "start": r"execution: (?=local|cloud)",
        "thresholds": r"THRESHOLDS",
        "totals": r"TOTAL RESULTS",
        "group": r"GROUP:",
        "scenario": r"SCENARIO:",
        "crossed": r"\u2717 '(?=[^'\n]{1,200}' )",
        "crossed_437": r"\u0393\u00a3\u00f9 '(?=[^'\n]{1,200}' )",
        "crossed_1252": r"\u00e2\u0153\u2014 '(?=[^'\n]{1,200}' )",
        "running": r"running \((?=[0-9hms.]{2,20}\), )",
        "stopped": r"level=error msg=\"test run was aborted",
        "stopped_on_terminal": r"ERRO\[[0-9]{4,9}\] test run was aborted",
        "metric": r"\.\.\.:(?=\s)",
        "early": r"(?<=[a-z]):(?= avg=[0-9][^\s,]{0,20}, m[a-z]{2}=)",
        "early_count": r"(?<=http_reqs):(?= [0-9]{1,15}[ \t]*[\n\x0b])",
    }
)
_METRICS = ("metric", "early", "early_count")
_SECTIONS = ("thresholds", "totals", "group", "scenario")
_METRIC = re.compile(rf"(?:({_MARK}) )?([a-z][a-z_0-9]{{1,80}})\.*$")
_TAGGED = re.compile(r"\{ ?([^{}\n]{1,200})\}\.*$")
_STAT = re.compile(r"(avg|min|med|max|p(?:[0-9]{1,2}|\([0-9.]{1,12}\)))=\s?(\S+)")
_OUT_OF = re.compile(r"\s*([0-9.]+)%\s+([0-9]{1,18}) out of ([0-9]{1,18})(?=\s|\\|$)")
_TWO_COUNTS = re.compile(r"\s*([0-9.]+)%\s+\S{1,4}\s*([0-9]{1,18})\s+\S{1,4}\s*([0-9]{1,18})(?=\s|\\|$)")
_COUNT_AND_RATE = re.compile(r"\s*([0-9]{1,18})(?:\s+\(?([0-9.]+)/s|\s*$)")
_BYTES = re.compile(r"\s*([0-9.]+) (B|kB|MB|GB|TB)\b")
_SI = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_QUOTES = "\\\"',`"
_RUNNING_AFTER = 20  # lines after the summary where its own last progress line may stand


def recognises(text: str) -> bool:
    """Metrics that only k6 has, with their dots; the first versions had none."""
    return (
        re.search(
            r"(?:http_reqs|http_req_duration|iteration_duration|iterations)\.{3,}:|http_req_duration: avg=[0-9]",
            text,
        )
        is not None
    )


@dataclass(slots=True)
class _State:
    """One summary while it is read."""

    summary: k6.Summary = field(default_factory=k6.Summary)
    first: int = 0
    last: int = 0
    section: str = k6.TOTAL
    seen: set[str] = field(default_factory=set)  # metrics of the whole test, and sections
    ended: bool = False  # its own last progress line was there
    tagged: str = ""  # the metric that lines with { tags } belong to


def read(text: str) -> list[Run]:
    """The runs of k6's console output in the text."""
    if not recognises(plain(text)):
        return []
    return [
        k6.run_of(state.summary, (state.first, state.last))
        for state in _states(plain(text))
        if not state.summary.parts[k6.TOTAL].empty or state.summary.iterations is not None
    ]


def _states(text: str) -> Iterator[_State]:
    state = _State()
    for item in fields(text, _LABELS, framed=False):
        if not _belongs(item):
            continue
        if _begins(item, state):
            yield state
            state = _State()
        state.first = state.first or item.line
        state.last = item.line
        _take(item, state)
    yield state


def _belongs(item: Field) -> bool:
    """Whether what stands before a label is what k6 prints there: a block or an arrow, or a metric's name."""
    if item.name in _SECTIONS:
        return bool(_BLOCK.search(item.prefix) or _ARROW.search(item.prefix))
    return item.name not in _METRICS or bool(_METRIC.search(item.prefix) or _TAGGED.search(item.prefix))


def _begins(item: Field, state: _State) -> bool:
    """Whether a line belongs to the next run already."""
    if not state.seen:
        return False
    if item.name == "start":
        return True
    if item.name in _SECTIONS:
        return _title(item) in state.seen and not _ARROW.search(item.prefix)
    if item.name == "running":
        return item.line - state.last > _RUNNING_AFTER or _runs_again(item, state)
    match = _METRIC.search(item.prefix) if item.name in _METRICS and state.section == k6.TOTAL else None
    return match is not None and match[2] in state.seen


def _runs_again(item: Field, state: _State) -> bool:
    """Whether a progress line behind a summary is another run's: k6 prints one there, and its time only grows."""
    known, now = state.summary.duration_s, duration(item.rest.split(")")[0])
    total = state.summary.part(k6.TOTAL)
    if state.ended or now is None:
        return state.ended
    if known is not None and now < known:
        return True
    lasted = total.requests / total.requests_per_s if total.requests and total.requests_per_s else now
    return abs(now - lasted) > 2 + 0.1 * lasted  # k6 takes its rates over that very time


def _title(item: Field) -> str:
    """ "TOTAL RESULTS", "scenario:name"."""
    if item.name in ("totals", "thresholds"):
        return item.label
    return f"{item.name}:{item.rest.strip().rstrip(_QUOTES).strip()}"


def _take(item: Field, state: _State) -> None:
    if item.name in _SECTIONS:
        _enter(item, state)
    elif item.name == "running":
        state.summary.duration_s = duration(item.rest.split(")")[0])
        state.ended = bool(state.seen)
    elif item.name.startswith("stopped"):
        state.summary.interrupted = True
    elif item.name.startswith("crossed"):
        state.summary.crossed.append(item.rest.split("'")[0])
    elif item.name in _METRICS:
        metric, tagged = _METRIC.search(item.prefix), _TAGGED.search(item.prefix)
        if metric:
            _metric(item, metric, state)
        elif tagged:
            tags = tagged[1].strip()
            part = tags if state.section == k6.TOTAL else f"{state.section} {tags}"
            _value(item, state.summary, state.tagged, part)


def _enter(item: Field, state: _State) -> None:
    title, nested = _title(item), _ARROW.search(item.prefix) is not None
    if not nested:
        state.seen.add(title)
    state.tagged = ""
    if item.name in ("totals", "thresholds"):
        state.section = k6.TOTAL
    elif nested and state.section:
        state.section = f"{state.section.split(' group:')[0]} {title}"
    else:
        state.section = title


def _metric(item: Field, match: re.Match[str], state: _State) -> None:
    mark, name = match[1], match[2]
    state.tagged = name
    if state.section == k6.TOTAL:
        state.seen.add(name)
        if mark and re.fullmatch(_CROSSED, mark):
            state.summary.crossed.append(name)
    _value(item, state.summary, name, state.section)


def _value(item: Field, summary: k6.Summary, name: str, part_name: str) -> None:
    rest = item.rest if not item.cut else " ".join(item.words)
    whole_test = part_name == k6.TOTAL
    if name == k6.REQUESTS:
        match = _COUNT_AND_RATE.match(rest)
        if match:
            part = summary.part(part_name)
            part.requests = whole(match[1])
            part.requests_per_s = amount(match[2]) if match[2] else None
    elif name == k6.DURATION:
        summary.part(part_name).times_s = _times(item)
    elif name == k6.FAILED:
        failed, contradiction = _failed(rest)
        summary.part(part_name).failed = failed
        if contradiction:
            summary.contradictions.append(contradiction)
    elif name == k6.RECEIVED and whole_test:
        match = _BYTES.match(rest)
        summary.bytes_read = (
            float(match[1]) * _SI[match[2]] if match and amount(match[1]) is not None else None
        )
    elif name == "iterations" and whole_test:
        match = _COUNT_AND_RATE.match(rest)
        summary.iterations = whole(match[1]) if match else None
    elif name in ("checks", "checks_failed") and whole_test:
        summary.checks = _checks(name, rest) or summary.checks


def _times(item: Field) -> dict[str, float]:
    words = " ".join(item.words) if item.cut else item.rest
    return {
        stat if stat[0] != "p" or "(" in stat else f"p({stat[1:]})": seconds
        for stat, token in _STAT.findall(words)
        if (seconds := duration(_bare(token))) is not None
    }


def _bare(token: str) -> str:
    return token.strip(_QUOTES)


def _failed(rest: str) -> tuple[int | None, str | None]:
    match = _OUT_OF.match(rest)
    if match:
        failed, of = int(match[2]), int(match[3])
        return k6.failed_of((failed, max(of - failed, 0)), _share(match[1]), None)
    match = _TWO_COUNTS.match(rest)
    return k6.failed_of((int(match[2]), int(match[3])), _share(match[1]), None) if match else (None, None)


def _share(text: str) -> float | None:
    percent = amount(text)
    return None if percent is None else percent / 100


def _checks(name: str, rest: str) -> tuple[int, int] | None:
    """(passed, failed): "99.00% \u2713 99 \u2717 1" before v1, "checks_failed: 1.00% 1 out of 100" since."""
    match = _OUT_OF.match(rest)
    if match:
        failed = int(match[2]) if name == "checks_failed" else int(match[3]) - int(match[2])
        return int(match[3]) - failed, failed
    match = _TWO_COUNTS.match(rest)
    return (int(match[2]), int(match[3])) if match else None
