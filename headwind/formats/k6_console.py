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

# The tick, the cross and the block of UTF-8, also read as code page 437 and 1252 (PowerShell), or lost.
_HELD = r"(?:\u2713|\u0393\u00a3\u00f4|\u00e2\u0153\u201c|\u221a)"
_CROSSED = r"(?:\u2717|\u0393\u00a3\u00f9|\u00e2\u0153\u2014|\u00d7|x)"
_MARK = rf"(?:{_HELD}|{_CROSSED}|[?\ufffd]{{1,3}})"
_BLOCK = r"(?:\u2588|\u0393\u00fb\u00ea|\u00e2\u2013\u02c6|[?\ufffd]{1,3})"
_ARROW = r"(?:\u21b3|\u0393\u00e5\u2502|\u00e2\u2020\u00b3)"
_LABELS = labels(
    {
        "start": r"execution: (?=local|cloud)",
        "section": rf"(?:{_BLOCK}|{_ARROW}) (?=TOTAL RESULTS|THRESHOLDS|GROUP:|SCENARIO:)",
        "rule": rf"{_MARK} '(?=[^'\n]{{1,200}}' )",
        "running": r"running \((?=[0-9hms.]{2,20}\), )",
        "stopped": r"level=error msg=\"test run was aborted",
        "metric": rf"(?:{_MARK} )?[a-z][a-z_0-9]{{1,80}}\.{{1,200}}:(?=\s)",
        "tagged": rf"(?:{_MARK} )?\{{ ?[^{{}}\n]{{1,200}}\}}\.{{1,200}}:(?=\s)",
    }
)
_METRIC = re.compile(rf"(?:({_MARK}) )?([a-z][a-z_0-9]*)\.+:")
_STAT = re.compile(r"(avg|min|med|max|p\([0-9.]{1,12}\))=\s?(\S+)")
_OUT_OF = re.compile(r"\s*([0-9.]+)%\s+([0-9]{1,18}) out of ([0-9]{1,18})(?=\s|\\|$)")
_TWO_COUNTS = re.compile(r"\s*([0-9.]+)%\s+\S{1,4}\s*([0-9]{1,18})\s+\S{1,4}\s*([0-9]{1,18})(?=\s|\\|$)")
_COUNT_AND_RATE = re.compile(r"\s*([0-9]{1,18})\s+([0-9.]+)/s")
_BYTES = re.compile(r"\s*([0-9.]+) (B|kB|MB|GB|TB)\b")
_SI = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_RUNNING_AFTER = 20  # lines after the summary where its own last progress line may stand


def recognises(text: str) -> bool:
    """Metrics that only k6 has, with their dots."""
    return (
        re.search(r"(?:http_reqs|http_req_duration|iteration_duration|iterations)\.{3,}:", text) is not None
    )


@dataclass(slots=True)
class _State:
    """One summary while it is read."""

    summary: k6.Summary = field(default_factory=k6.Summary)
    first: int = 0
    last: int = 0
    section: str = k6.TOTAL
    seen: set[str] = field(default_factory=set)  # metrics of the whole test, and sections
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
    for item in fields(text, _LABELS):
        if _begins(item, state):
            yield state
            state = _State()
        state.first = state.first or item.line
        # A progress line long after the summary is another run's.
        state.last = item.line
        _take(item, state)
    yield state


def _begins(item: Field, state: _State) -> bool:
    """Whether a line belongs to the next run already."""
    if not state.seen:
        return False
    if item.name == "start":
        return True
    if item.name == "section":
        return _title(item) in state.seen and not re.match(_ARROW, item.label)
    if item.name == "running":
        return item.line - state.last > _RUNNING_AFTER
    if item.name == "metric" and state.section == k6.TOTAL:
        return _name(item) in state.seen
    return False


def _title(item: Field) -> str:
    return item.rest.strip().rstrip("\\\"',`").strip()


def _name(item: Field) -> str:
    match = _METRIC.match(item.label)
    return match[2] if match else ""


def _take(item: Field, state: _State) -> None:
    if item.name == "section":
        title = _title(item)
        nested = re.match(_ARROW, item.label) is not None
        if not nested:
            state.seen.add(title)
        if title in ("TOTAL RESULTS", "THRESHOLDS"):
            state.section = k6.TOTAL
        else:
            kind, _, name = title.partition(":")
            outer = state.section.split(" group:")[0] + " " if nested and state.section else ""
            state.section = f"{outer}{kind.lower()}:{name.strip()}"
        state.tagged = ""
    elif item.name == "running":
        state.summary.duration_s = duration(item.rest.split(")")[0])
    elif item.name == "stopped":
        state.summary.interrupted = True
    elif item.name == "rule":
        if re.match(_CROSSED, item.label):
            state.summary.crossed.append(item.rest.split("'")[0])
    elif item.name == "metric":
        _metric(item, state)
    elif item.name == "tagged" and state.tagged == k6.DURATION:
        state.summary.part(_tags(item, state)).times_s = _times(item)
    elif item.name == "tagged":
        _tagged(item, state)


def _metric(item: Field, state: _State) -> None:
    match = _METRIC.match(item.label)
    if match is None:
        return
    mark, name = match[1], match[2]
    state.tagged = name
    if state.section == k6.TOTAL:
        state.seen.add(name)
        if mark and re.match(_CROSSED, mark):
            state.summary.crossed.append(name)
    _value(item, state.summary, name, state.section)


def _tagged(item: Field, state: _State) -> None:
    """A sub-metric: http_reqs and its line { scenario:a }."""
    if state.tagged in (k6.REQUESTS, k6.FAILED):
        _value(item, state.summary, state.tagged, _tags(item, state))


def _tags(item: Field, state: _State) -> str:
    tags = item.label[item.label.index("{") + 1 : item.label.rindex("}")].strip()
    return tags if state.section == k6.TOTAL else f"{state.section} {tags}"


def _value(item: Field, summary: k6.Summary, name: str, part_name: str) -> None:
    rest = item.rest if not item.cut else " ".join(item.words)
    whole_test = part_name == k6.TOTAL
    if name == k6.REQUESTS:
        match = _COUNT_AND_RATE.match(rest)
        if match:
            part = summary.part(part_name)
            part.requests, part.requests_per_s = whole(match[1]), amount(match[2])
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
        stat: seconds
        for stat, token in _STAT.findall(words)
        if (seconds := duration(_bare(token))) is not None
    }


def _bare(token: str) -> str:
    return token.strip("`\"',\\")


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
