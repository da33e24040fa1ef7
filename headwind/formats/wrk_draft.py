"""A run while its lines come in: which line belongs to it, and what was printed, still as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from headwind.formats.wrk_lines import Item
from headwind.formats.wrk_totals import fits, groups_before

# Lines between two lines of one report, once its statistics began: annotations and blank lines fit.
MAX_GAP = 15
MAX_GAP_OF_ALL = 20 * MAX_GAP  # the same, where lines of other sources stand between
MAX_SKIPPED = 4  # the same for wrk's last lines where statistics and totals are missing
_AFTER_TOTALS = frozenset({"socket", "status", "per_second", "transfer"})
_LAST = _AFTER_TOTALS | {"requests"}
STATS_COLUMNS = ("Avg", "Stdev", "Max", "+/-")


@dataclass(slots=True)
class Target:
    """A `Running ... @ URL` with its threads line; DeathStarBench's wrk2 prints one for each URL of a run."""

    url: str | None
    threads: str | None = None
    connections: str | None = None


@dataclass(slots=True)
class Draft:
    """Printed text of one run. A field is None until its line came; later lines of the same kind are not the run's."""

    first_line: int
    last_line: int
    place: int = 0  # of the last line, counted in lines of its own source
    planned: str | None = None
    making: str | None = None
    url: str | None = None
    threads: str | None = None
    connections: str | None = None
    has_header: bool = False
    header_alone: bool = False  # nothing else stands on the header's line
    header_line: int = 0
    header_text: str = ""  # the whole line it stands on
    header_unclear: bool = (
        False  # the report is one of several that were under way, and the text does not say which
    )
    rivals: list[Draft] = field(default_factory=list)  # their headers, the one before the report among them
    over: bool = False  # the load of a header without a report has ended, as something behind it says
    mixed: bool = False  # lines of another report stand among those of this one
    loose_threads: list[tuple[str | None, str | None]] = field(default_factory=list)
    has_threads: bool = False
    has_stats: bool = False
    columns: tuple[str, ...] = STATS_COLUMNS
    calibrations: int = 0
    latency: list[str] | None = None
    rate: list[str] | None = None
    distributions: dict[str, dict[str, str]] = field(default_factory=dict)  # "recorded", "uncorrected"
    summaries: dict[str, str] = field(default_factory=dict)
    open_distribution: str | None = None
    distribution_place: int = 0
    hdr: bool = False
    requests: str | None = None
    groups: str | None = None  # digits before those of the requests that may be their first ones
    runtime: str | None = None
    read: str | None = None
    has_totals: bool = False
    socket: str | None = None
    socket_cut: bool = False
    status: str | None = None
    has_status: bool = False
    per_second: str | None = None
    has_per_second: bool = False
    transfer: str | None = None
    exact: str | None = None
    command: str | None = None  # wrk's arguments, where the command line stands before the report
    foreign: bool = False
    excerpt: bool = False  # lines may have been left out anywhere, as a diff does with those that are alike
    totals_first: bool = False  # the totals came before the statistics: others behind these are wrk's
    script_counts: bool = False  # a script prints lines like wrk's last ones while the load runs
    interrupted: bool = False
    several_urls: bool = False
    targets: list[Target] = field(default_factory=list)

    @property
    def has_results(self) -> bool:
        """Anything that wrk prints after the load."""
        return (
            self.has_stats
            or self.latency is not None
            or self.rate is not None
            or self.has_totals
            or self.has_per_second
            or bool(self.distributions)
        )

    @property
    def finished(self) -> bool:
        """Statistics and wrk's last two lines came: what follows is printed by Lua or by others."""
        ended = self.has_per_second and self.transfer is not None and not self.totals_first
        return ended and self.latency is not None

    @property
    def in_table(self) -> bool:
        """Rows of a latency distribution or of its spectrum may come."""
        return self.open_distribution is not None or (bool(self.distributions) and not self.has_totals)


def is_near(draft: Draft, line: int, place: int) -> bool:
    """Whether a line is close enough to the last one of the draft to belong to it."""
    return place - draft.place <= MAX_GAP and line - draft.last_line <= MAX_GAP_OF_ALL


def accepts(draft: Draft, item: Item) -> bool:
    """Whether the item belongs to the run, by what came before and how far away it was."""
    if item.kind in ("stats", "calibration"):
        return _accepts_beginning(draft, item)
    if draft.has_results and not is_near(draft, item.line, item.place):
        return False
    if draft.finished:
        return item.kind == "exact"
    after_nothing = not (draft.has_totals or draft.has_stats or draft.latency is not None)
    if draft.script_counts and after_nothing and item.kind in _LAST:
        return False
    if item.kind in _AFTER_TOTALS and after_nothing and item.place - draft.place > MAX_SKIPPED:
        # A script may print the same words while the load runs; wrk's own come close behind what they belong to.
        return False
    match item.kind:
        case "threads":
            return not (draft.has_threads or draft.has_results or draft.calibrations)
        case "latency":
            return draft.latency is None and not (draft.rate is not None and draft.has_totals)
        case "rate":
            return draft.rate is None
        case "requests":
            return draft.totals_first or (not draft.has_totals and not draft.has_per_second)
        case "socket":
            return draft.socket is None and not draft.has_per_second
        case "status":
            return not draft.has_status and not draft.has_per_second
        case "per_second":
            return not draft.has_per_second
        case "transfer":
            return draft.transfer is None
    return True


def _accepts_beginning(draft: Draft, item: Item) -> bool:
    """Whether the statistics' first line, or a calibration's, is the run's: wrk prints every other figure behind it, so
    that all before it are a script's, or else those of another report, whose statistics were left out."""
    if draft.has_stats or draft.finished:
        return False
    if not draft.has_results:
        return True
    if not (draft.has_header or draft.has_threads or draft.calibrations):
        return False
    has_row = draft.latency is not None or draft.rate is not None
    if is_near(draft, item.line, item.place):
        return not (has_row and draft.has_totals)
    return draft.has_header and draft.has_threads and not (has_row or _is_whole_end(draft))


def _is_whole_end(draft: Draft) -> bool:
    """Whether totals came as they stand at the end of a load that lasted as long as its header says."""
    return draft.has_totals and draft.has_per_second and fits(draft.planned, draft.runtime)


def note_again(draft: Draft, item: Item) -> None:
    """Leave out wrk's last lines if another one of a kind, not accepted, shows that a script prints them while the load
    runs: no statistics came, and no load ends twice."""
    waits = draft.has_header and draft.has_threads and not (draft.has_stats or draft.latency or draft.rate)
    if not waits or draft.script_counts or not is_near(draft, item.line, item.place) or _is_whole_end(draft):
        return
    again = {"requests": draft.requests, "per_second": draft.per_second, "transfer": draft.transfer}
    before = again.get(item.kind)
    if before is not None and item.match[item.kind].replace(",", "") != before:
        _forget_figures(draft)
        draft.script_counts = True


def _forget_figures(draft: Draft) -> None:
    """Leave out what came before the statistics, other than totals that may be of a fork which prints them first."""
    draft.latency = draft.rate = draft.open_distribution = None
    draft.distributions, draft.summaries, draft.hdr = {}, {}, False
    draft.totals_first = _is_whole_end(draft)
    if not draft.totals_first:
        _forget_totals(draft)


def _forget_totals(draft: Draft) -> None:
    draft.requests = draft.groups = draft.runtime = draft.read = None
    draft.socket = draft.status = draft.per_second = draft.transfer = None
    draft.has_totals = draft.socket_cut = draft.has_status = draft.has_per_second = False


def add(draft: Draft, item: Item) -> bool:
    """Put an accepted item into the draft; False where on a second look it is none of wrk's."""
    taken = _ADD[item.kind](draft, item)
    if taken:
        draft.last_line, draft.place = item.line, item.place
    return taken


def _threads(draft: Draft, item: Item) -> bool:
    draft.has_threads = True
    # At the very beginning of a text a number may lack its first digits.
    draft.threads = None if item.line == 1 and item.match.start() == 0 else item.text("threads")
    draft.connections = item.text("connections")
    return True


def _calibration(draft: Draft, item: Item) -> bool:
    _forget_figures(draft)
    draft.calibrations += 1
    return True


def _stats(draft: Draft, item: Item) -> bool:
    _forget_figures(draft)
    draft.has_stats = True
    words = item.match["columns"].replace("+/-", " +/- ").split()
    columns = tuple(_without_share(words))
    if len(columns) >= 4:
        draft.columns = columns
    return True


def _without_share(words: list[str]) -> list[str]:
    """["Avg", "Stdev", "Max", "+/-"]: the word after "+/-" is part of that column's name."""
    return [word for index, word in enumerate(words) if index == 0 or words[index - 1] != "+/-"]


def _latency(draft: Draft, item: Item) -> bool:
    tokens = item.tokens()
    if not _is_row(draft, item, tokens):
        return False
    draft.latency = tokens
    return True


def _is_row(draft: Draft, item: Item, tokens: list[str]) -> bool:
    """Prose says "Latency 771.93us"; wrk's row has all its columns, the last of them maybe wrapped to another line,
    unless the text ends in it."""
    if not draft.has_stats:
        # Other tools print four durations in a row (plow: min, mean, deviation, max); wrk's last column is a share.
        last = len(draft.columns) - 1
        if len(tokens) <= last or not tokens[last].endswith("%"):
            return False
        return draft.has_header or _is_of_wrk(item, tokens)
    return len(tokens) >= len(draft.columns) - 1 or item.cut_at is not None


def _is_of_wrk(item: Item, tokens: Sequence[str]) -> bool:
    """Whether a row stands for itself, as wrk prints it: no words of a sentence around it, two decimals in it."""
    text, start = item.match.string, item.match.start()
    in_words = re.search(r"[A-Za-z] $", text[max(0, start - 2) : start])
    return not in_words and all(
        "nan" in token or re.search(r"\.[0-9]{2}(?![0-9])", token) for token in tokens
    )


def _rate(draft: Draft, item: Item) -> bool:
    tokens = item.tokens()
    if not _is_row(draft, item, tokens):
        return False
    draft.rate = tokens
    return True


def _distribution(draft: Draft, item: Item) -> bool:
    name = "uncorrected" if "Uncorrected" in item.match["table"] else "recorded"
    if "Hdr" in item.match["table"]:
        draft.hdr = True
    draft.open_distribution = None if name in draft.distributions else name
    draft.distribution_place = item.place
    draft.distributions.setdefault(name, {})
    return True


def _percent(draft: Draft, item: Item) -> bool:
    name = draft.open_distribution
    if name is None or item.place - draft.distribution_place > MAX_GAP:
        return False
    rows = draft.distributions[name]
    key = f"{float(item.match['percent']):.6f}".rstrip("0").rstrip(".")
    if rows and float(key) <= float(next(reversed(rows))):
        draft.open_distribution = None  # ranks ascend: this belongs to another table
        return False
    value = item.text("value")
    # "1.35m" at the very end of the text may be the beginning of "1.35ms".
    if value is None and item.match["value"].endswith("s"):
        value = item.match["value"]
    if value is not None:
        rows[key] = value
    draft.distribution_place = item.place
    return True


def _requests(draft: Draft, item: Item) -> bool:
    runtime = item.match["runtime"]
    decimals = runtime.rstrip("smhu").partition(".")[2]
    # wrk has two decimals, Hyperfoil three; go-wrk prints Go's durations (59.679437388s).
    in_report = item.cut_at is not None or draft.has_stats or draft.latency is not None
    if len(decimals) > 3 or (item.match["read"] is None and not in_report):
        return False
    if draft.totals_first:
        _forget_totals(draft)
        draft.totals_first = False
    draft.has_totals = True
    requests = item.text("requests")
    draft.requests = requests and requests.replace(",", "")
    draft.groups = groups_before(item.match.string, item.match.start(), item.match["requests"])
    draft.runtime = runtime if runtime.endswith("s") else item.text("runtime")
    draft.read = item.match["bytes"]
    return True


def _socket(draft: Draft, item: Item) -> bool:
    if item.cut_at is None and not re.search(r"connect|read|write|timeout", item.match["socket"]):
        return False  # a script's "Socket errors: none"
    draft.socket = item.match["socket"]
    draft.socket_cut = item.cut_at is not None
    return True


def _status(draft: Draft, item: Item) -> bool:
    draft.has_status = True
    draft.status = item.text("status")
    return True


def _per_second(draft: Draft, item: Item) -> bool:
    figure = item.match["per_second"].replace(",", "")
    if len(figure.partition(".")[2]) > 2:
        return False  # a script's own summary; wrk prints two decimals
    draft.has_per_second = True
    draft.per_second = figure
    return True


def _transfer(draft: Draft, item: Item) -> bool:
    draft.transfer = item.match["transfer"]
    return True


def _summary(draft: Draft, item: Item) -> bool:
    draft.hdr = True
    table = "uncorrected" if "uncorrected" in draft.distributions else "recorded"
    if item.match["name"] != "Buckets":
        draft.summaries.setdefault(f"{table} {item.match['name']}", item.match["figures"])
    draft.open_distribution = None
    return True


def _spectrum(draft: Draft, item: Item) -> bool:
    draft.hdr = True
    draft.open_distribution = None
    return True


def _exact(draft: Draft, item: Item) -> bool:
    draft.exact = draft.exact or item.match["exact"]
    return True


_ADD = {
    "threads": _threads,
    "calibration": _calibration,
    "stats": _stats,
    "latency": _latency,
    "rate": _rate,
    "distribution": _distribution,
    "percent": _percent,
    "requests": _requests,
    "socket": _socket,
    "status": _status,
    "per_second": _per_second,
    "transfer": _transfer,
    "summary": _summary,
    "spectrum": _spectrum,
    "exact": _exact,
}
