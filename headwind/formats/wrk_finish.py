"""From the printed text of one run to the Run, with a warning for everything that a reader should know."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from headwind.formats import units
from headwind.formats.text import safe_url
from headwind.formats.wrk_command import understood
from headwind.formats.wrk_draft import Draft
from headwind.formats.wrk_totals import totals_agree, whole_count
from headwind.run import WRK_DEFAULT_TIMEOUT_S, Errors, Latency, ReadWarning, Run, ThreadRate

SLOWEST_IN_DEFAULT_TIMEOUT_S = WRK_DEFAULT_TIMEOUT_S + 0.005  # Max is printed with two decimals
IMPOSSIBLE_S = 1e9  # some 30 years: a clock that stepped back during the run prints 2**64 microseconds
_CUT_MEAN = re.compile(r"[0-9]{4}\.[0-9]{2}m")
_RATE = re.compile(r"[0-9]{1,18}\.[0-9]{2}")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKMGTP]?)B")
_URL_END = "\"'`,\\>$"  # $: `cat -A` ends lines with it
_MICRO = re.compile(r"(?:Â[µ]|Î¼|┬╡|╬╝|[?\ufffd])s$")
_KINDS = ("connect", "read", "write", "timeout")
_KIND = re.compile(r"\b(connect|read|write|timeout)[ \t]+(-?[0-9]+)")


@dataclass(slots=True)
class Notes:
    """The warnings of a run while it is put together; one of each code."""

    warnings: list[ReadWarning] = field(default_factory=list)

    def __call__(self, code: str, message: str) -> None:
        if all(warning.code != code for warning in self.warnings):
            self.warnings.append(ReadWarning(code, message))


def finish(draft: Draft) -> Run:
    """The Run of a draft; the exact object a script printed is not joined here (`headwind.formats.exact`)."""
    note = Notes()
    planned_s, rounded = planned_duration(draft.planned) if draft.planned else (None, None)
    if rounded:
        note.warnings.append(rounded)
    command = understood(draft)
    is_wrk2 = command.rate_per_s is not None or _is_wrk2(draft)
    latency = _latency(draft, note)
    duration_s = _duration(draft.runtime, latency.max_s if latency else None, note)
    clock_broke = any(warning.code == "impossible_duration" for warning in note.warnings)
    rate_printed = draft.per_second is not None and _RATE.fullmatch(draft.per_second) is not None
    requests = _requests(draft, duration_s, float(draft.per_second or 0) if rate_printed else None)
    complete = (
        requests is not None and draft.has_per_second and (rate_printed or draft.per_second in _NOT_FINITE)
    )
    errors = _errors(draft, complete, note)
    run = Run(
        tool="wrk2" if is_wrk2 else "wrk",
        url=clean_url(draft.url) if draft.url else None,
        lines=(draft.first_line, draft.last_line),
        complete=complete,
        interrupted=interrupted(draft.planned, duration_s, seen=draft.interrupted),
        planned_duration_s=planned_s,
        threads=units.whole(draft.threads) if draft.threads else None,
        connections=units.whole(draft.connections) if draft.connections else None,
        rate_target_per_s=command.rate_per_s,
        timeout_s=command.timeout_s,
        requests=requests,
        duration_s=duration_s,
        bytes_read=_size(draft.read),
        requests_per_s=float(draft.per_second or 0) if rate_printed and not clock_broke else None,
        bytes_per_s=_size(draft.transfer) if not clock_broke else None,
        latency=latency,
        latency_from_send=_from_send(draft, note),
        thread_requests_per_s=_thread_rate(draft, note),
        errors=errors,
    )
    if not is_wrk2 and draft.making is None and draft.latency is not None:
        run = _with_late(run, note)
    _note_what_is_missing(draft, run, note)
    _note_what_disagrees(run, note)
    _note_other_kinds(draft, run, note)
    return replace(run, warnings=tuple(note.warnings))


def _requests(draft: Draft, duration_s: float | None, per_second: float | None) -> int | None:
    figure = draft.requests
    if figure and draft.groups:
        figure = whole_count(draft.groups, figure, duration_s, per_second)
    return units.whole(figure) if figure else None


_NOT_FINITE = ("nan", "-nan", "inf", "-inf")


def _is_wrk2(draft: Draft) -> bool:
    # wrk2 prints nan in its Req/Sec row when no thread sampled a rate, in runs under some ten seconds.
    unsampled = draft.rate is not None and draft.rate[:2] == ["-nan", "-nan"]
    return draft.calibrations > 0 or draft.hdr or draft.several_urls or unsampled


def clean_url(printed: str) -> str | None:
    """The URL of a header without what the text around it glued on, and without secrets; None where nothing is left."""
    return safe_url(printed.partition("](")[0].rstrip(_URL_END)) or None


def planned_duration(token: str) -> tuple[float | None, ReadWarning | None]:
    """The header's duration in seconds, and the warning that it is rounded where it is."""
    if token.endswith("s"):
        return units.seconds(token), None
    return units.seconds(token), ReadWarning(
        "header_rounded",
        f"The header's {token} is rounded: wrk prints 51 s and more in whole minutes, so a minute stands for 51 to"
        " 89 s, two for 90 to 150 s.",
    )


def interrupted(planned: str | None, duration_s: float | None, *, seen: bool = False) -> bool:
    """Whether the run ended before its time; `seen` where a ^C stands in the text and no figure tells otherwise."""
    shortest_s = shortest_planned_s(planned) if planned else None
    if shortest_s is None or duration_s is None:
        return seen
    return duration_s < shortest_s


def shortest_planned_s(planned: str) -> float | None:
    """The shortest run time of a run that was not interrupted.

    -d is in whole seconds and minutes are rounded half to even; wrk ends at the first 100-ms tick after its time, and
    wrk2's clock may be some per mille early.
    """
    planned_s = units.seconds(planned)
    if planned_s is None:
        return None
    if not planned.endswith("s"):
        planned_s = 51.0 if planned_s <= 60 else planned_s - 30.0
    return 0.98 * planned_s - 0.1


def _seconds(token: str, note: Notes, *, is_mean: bool = False) -> float | None:
    """A latency column. The mean's has eight characters, so that 999.999 ms stands there as "1000.00m"."""
    if is_mean and _CUT_MEAN.fullmatch(token):
        note("mean_cut", f"The mean {token} lost its last letter to wrk's column: it is {token}s.")
        token += "s"
    if _MICRO.search(token):
        note("unit_mangled", f"The micro sign of {token} was lost in a wrong encoding; it is read as us.")
        token = _MICRO.sub("us", token)
    value = units.seconds(token)
    if value is not None and value > IMPOSSIBLE_S:
        note("impossible_value", f"A latency of {token} is impossible (the clock stepped) and left out.")
        return None
    return value


def _duration(token: str | None, slowest_s: float | None, note: Notes) -> float | None:
    if token is None:
        return None
    duration_s = units.seconds(token)
    if duration_s is not None and duration_s > IMPOSSIBLE_S:
        note(
            "impossible_duration",
            f"The run time of {token} is impossible: the clock stepped back during the run, so its rates mean nothing"
            " and are left out.",
        )
        return None
    if duration_s is not None and slowest_s is not None and slowest_s > 1.02 * duration_s + 0.2:
        note(
            "slower_than_run",
            f"An answer took {slowest_s:g} s, longer than the run time of {token}: the clock was set during the run, or"
            " the text was changed.",
        )
    return duration_s


def _is_nothing(tokens: Sequence[str]) -> bool:
    """Zeros and nan only: wrk's way to print that it recorded nothing."""
    return bool(tokens) and all("nan" in token or not token.strip("0.usmh%-") for token in tokens)


def _latency(draft: Draft, note: Notes) -> Latency | None:
    rows = _percentiles(draft.distributions.get("recorded", {}), note)
    tokens = dict(zip(draft.columns, draft.latency or (), strict=False))
    share = tokens.pop("+/-", None)
    if (
        len(draft.latency or ()) < len(draft.columns)
        and tokens
        and next(reversed(tokens.values())).endswith("m")
    ):
        tokens.popitem()  # the line ends in the row: "10.00m" may have been "10.00ms"
    if draft.latency and _is_nothing(list(tokens.values())):
        if len(tokens) >= 3:
            note(
                "nothing_recorded",
                "The latency row says that nothing was recorded (every answer was late, or none came): its zeros are no"
                " latencies.",
            )
        return None  # a shorter row was cut: its zeros may be the beginning of such a row
    if draft.latency is None and draft.has_header:
        # A row that somebody left out. Where the text begins behind it, one does not know of which table they are.
        told = _summary(draft, "recorded", rows)
        return None if told == Latency() else told
    if not tokens and not rows:
        return None
    for column, token in tokens.items():
        value = _seconds(token, note) if column.endswith("%") else None
        if value is not None:
            rows = {column.removesuffix("%"): value, **rows}
            note("percentile_column", f"The row's third column is the {column} percentile, not the maximum.")
    mean = tokens.get("Avg")
    return Latency(
        mean_s=_seconds(mean, note, is_mean=True) if mean else None,
        stdev_s=_column(tokens, "Stdev", note),
        max_s=_column(tokens, "Max", note),
        min_s=_column(tokens, "Min", note),
        within_stdev=_share(share),
        percentiles_s=rows,
    )


def _column(tokens: Mapping[str, str], name: str, note: Notes) -> float | None:
    token = tokens.get(name)
    return _seconds(token, note) if token else None


def _percentiles(rows: Mapping[str, str], note: Notes) -> dict[str, float]:
    if _is_nothing(list(rows.values())):
        return {}
    found: dict[str, float] = {}
    for key, token in rows.items():
        value = _seconds(token, note)
        if value == 0 and found and max(found.values()) > 0:
            # wrk answers 0 for a rank beyond its samples; percentiles never fall.
            note(
                "percentile_not_recorded",
                f"The {key} % percentile is printed as 0 above others: wrk had none.",
            )
        elif value is not None:
            found[key] = value
    return found


def _from_send(draft: Draft, note: Notes) -> Latency | None:
    """wrk2's uncorrected table: latency from the actual send. Its `#[Mean` lines are in milliseconds."""
    rows = _percentiles(draft.distributions.get("uncorrected", {}), note)
    return _summary(draft, "uncorrected", rows) if rows else None


def _summary(draft: Draft, table: str, rows: Mapping[str, float]) -> Latency:
    """The percentiles of one of wrk2's tables with the figures that stand below its spectrum, in milliseconds."""
    numbers = {
        name: [
            round(float(number) / 1e3, 9)
            for number in re.findall(
                r"= *([0-9]+\.[0-9]{3})(?![0-9])", draft.summaries.get(f"{table} {name}", "")
            )
        ]
        for name in ("Mean", "Max")
    }
    mean = numbers["Mean"]
    recorded = any(rows.values()) or any(mean)
    return Latency(
        mean_s=mean[0] if len(mean) == 2 and recorded else None,
        stdev_s=mean[1] if len(mean) == 2 and recorded else None,
        max_s=numbers["Max"][0] if numbers["Max"] and recorded else None,
        percentiles_s=rows,
    )


def _thread_rate(draft: Draft, note: Notes) -> ThreadRate | None:
    tokens = dict(zip(draft.columns, draft.rate or (), strict=False))
    share = tokens.pop("+/-", None)
    if not tokens:
        return None
    if len(tokens) >= 3 and _is_nothing(list(tokens.values())):
        note(
            "no_thread_rate",
            "The Req/Sec row says that no thread's rate was sampled: its zeros are no rates.",
        )
        return None
    values = {column: units.count(token) for column, token in tokens.items()}
    return ThreadRate(values.get("Avg"), values.get("Stdev"), values.get("Max"), _share(share))


def _share(token: str | None) -> float | None:
    if token is None:
        return None
    return units.share(
        token if token.endswith("%") else token + "%"
    )  # Hyperfoil's imitation leaves the sign out


def _size(token: str | None) -> float | None:
    match = _SIZE.fullmatch(token) if token else None
    return units.size(f"{match[1]}{match[2].upper()}B") if match else None


def _errors(draft: Draft, complete: bool, note: Notes) -> Errors:
    """Counts as printed; a kind is 0 where its line is missing and would have come before a line that is there."""
    complete = complete and not draft.excerpt
    socket_zero = 0 if complete or (draft.has_totals and draft.has_status and not draft.excerpt) else None
    counts: dict[str, int | None] = dict.fromkeys(_KINDS, socket_zero if draft.socket is None else None)
    told: dict[str, re.Match[str]] = {}
    for match in _KIND.finditer(draft.socket or ""):
        told.setdefault(match[1], match)
    for kind, match in told.items():
        if not (draft.socket_cut and match.end() == len(match.string)):
            counts[kind] = _count(match[2], note)
    status = _count(draft.status, note) if draft.status else None
    if not draft.has_status and complete:
        status = 0
    return Errors(counts["connect"], counts["read"], counts["write"], counts["timeout"], status)


def _count(token: str, note: Notes) -> int | None:
    if token.startswith("-"):
        note("impossible_value", f"An error count of {token} overflowed in wrk and is left out.")
        return None
    return units.whole(token)


def _with_late(run: Run, note: Notes) -> Run:
    """Timeouts are answers that came late, above a limit that wrk prints nowhere: its default, unless Max is higher."""
    slowest = run.latency.max_s if run.latency else None
    if run.timeout_s is not None:
        if slowest is None or slowest <= run.timeout_s + (
            SLOWEST_IN_DEFAULT_TIMEOUT_S - WRK_DEFAULT_TIMEOUT_S
        ):
            return replace(run, late_threshold_s=run.timeout_s, late=run.errors.timeout)
        run = replace(run, timeout_s=None)  # the command line is another run's
    if slowest is not None and slowest > SLOWEST_IN_DEFAULT_TIMEOUT_S:
        note(
            "timeout_not_default",
            f"The slowest recorded answer took {slowest:.2f} s, so wrk ran with a --timeout above its default of 2 s,"
            " which wrk does not print; how many answers came after 2 s is unknown. --timeout tells it.",
        )
        return run
    return replace(run, late_threshold_s=WRK_DEFAULT_TIMEOUT_S, late=run.errors.timeout)


def _note_what_is_missing(draft: Draft, run: Run, note: Notes) -> None:
    if draft.header_unclear:
        note(
            "header_unclear",
            "Several loads were under way at once, and the text does not say whose report this is: what their headers"
            " say differently is left out.",
        )
    if draft.mixed:
        note(
            "lines_mixed",
            "Lines of several reports stand among one another, and the text does not say which is whose: figures from"
            " the first of them on are left out.",
        )
    if not draft.has_header:
        note("header_missing", "The text has no header of this run: URL and planned duration are unknown.")
    parts = {
        "threads and connections": run.connections is not None and run.threads is not None,
        "the latency row": draft.latency is not None and len(draft.latency) >= len(draft.columns),
        "the totals": run.requests is not None and run.bytes_read is not None,
        "Requests/sec": draft.has_per_second and draft.per_second is not None,
        "Transfer/sec": _size(draft.transfer) is not None
        or (draft.transfer or "") in ("nanB", "-nanB", "infB"),
    }
    if not draft.has_header or draft.header_unclear:
        del parts["threads and connections"]
    missing = [name for name, there in parts.items() if not there]
    if missing:
        note("cut", f"The text is cut: {', '.join(missing)} missing or not whole.")


def _note_what_disagrees(run: Run, note: Notes) -> None:
    if run.requests is None or not run.duration_s or run.requests_per_s is None:
        return
    if not totals_agree(run.requests, run.duration_s, run.requests_per_s):
        note(
            "totals_disagree",
            f"{run.requests} requests in {run.duration_s:g} s are not {run.requests_per_s:g} per second: the text was"
            " edited, or lines of different runs stand together.",
        )


def _note_other_kinds(draft: Draft, run: Run, note: Notes) -> None:
    if draft.making is not None:
        note(
            "old_wrk",
            "wrk 1.x (a fixed number of requests): its timeouts are counted per connection, not per answer.",
        )
    if draft.several_urls:
        note("several_urls", "One wrk2 loaded several URLs at once; this is one of its tables.")
    if run.tool != "wrk2":
        return
    if draft.calibrations:
        note(
            "calibration_excluded",
            "wrk2 leaves its calibration of about 10 s out of the latency but not out of requests and Requests/sec.",
        )
    if run.errors.timeout:
        note(
            "wrk2_timeouts",
            "wrk2 counts a timeout per connection every 2 s, idle ones included: no count of answers.",
        )
