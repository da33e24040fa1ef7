"""Lines of wrk and wrk2 in, runs out: where a run begins and ends, which runs are one and which are none.

A run begins at its header or, where that is missing, at the first line that only wrk prints, and takes the lines that
can follow in one report. What stands between, before and after is not wrk's and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from headwind.formats.exact import attach_exact, parse_line
from headwind.formats.wrk_draft import (
    MAX_GAP,
    STATS_COLUMNS,
    Draft,
    Target,
    accepts,
    add,
    is_near,
    note_again,
)
from headwind.formats.wrk_finish import finish
from headwind.formats.wrk_lines import Item, is_fence, items, service
from headwind.formats.wrk_together import (
    Together,
    is_job,
    is_over,
    is_waiting,
    note_command,
    note_end,
    without_echo,
)
from headwind.run import Run

_BEGINS_RUN = frozenset({"threads", "calibration", "stats", "latency", "distribution", "summary"})
_MAX_SERVICES = 64  # compose services kept apart; a log of more prefixes is not compose's
_PATIENCE = 10_000  # lines looked at one by one after a header that nothing follows
_URL_ALONE = re.compile(
    r"(?:\W*|.{0,60}[|>\])] *)(https?://[^\s\"`\\]+)\s*"
)  # an editor wrapped the header before it
_HUNK = re.compile(r"[0-9]{1,9}(?:,[0-9]{1,9})?[acd][0-9]{1,9}(?:,[0-9]{1,9})?")
_SIDES = ("< ", "> ")
# What go-wrk and autocannon print behind a header like wrk's, where the text ends: "10 gorout", "100 conn".
_OTHER_COUNT = re.compile(r"^(?!.*thread).*[0-9] +[gc][a-z]*(?:\(s?\)?)?(?: [a-z]*)?$")
_ECHO_WIDTH = 80  # characters: a terminal's line
_REMEMBERED = 4096  # reports kept to recognise a repetition in prose


class Assembler:
    """Lines in, runs out; compose services whose lines alternate are kept apart."""

    def __init__(self) -> None:
        self._threads: dict[str | None, _Thread] = {}
        self._fed = 0
        self._in_diff = False  # whether the line before was one of a `diff`

    def feed(self, number: int, line: str, *, cut: bool = False) -> list[Run]:
        """The runs that this line shows to be over."""
        thread = self._thread(self._side(line) or service(line))
        self._fed += 1
        thread.fed += 1
        thread.line(number, number - self._fed + thread.fed, line, cut=cut)
        return thread.take()

    def _thread(self, source: str | None) -> _Thread:
        thread = self._threads.get(source)
        if thread is None:
            if len(self._threads) >= _MAX_SERVICES:
                source = None
            thread = self._threads.setdefault(source, _Thread(excerpt=source in _SIDES))
        return thread

    def _side(self, line: str) -> str | None:
        """The side of a `diff` of two texts that a line is from; its lines alternate where the texts differ."""
        if self._in_diff and line[:2] in _SIDES:
            return line[:2]
        if line[:1].isdigit() or self._in_diff:
            self._in_diff = _HUNK.fullmatch(line) is not None or (
                self._in_diff and (line == "---" or line.startswith("\\ No newline"))
            )
        return None

    def idle(self, number: int) -> bool:
        """Whether no line from `number` on can belong to a report that is open now, whatever it says."""
        return all(thread.idle(number, number - self._fed + thread.fed) for thread in self._threads.values())

    def pass_report(self, keys: Iterable[tuple[str, ...]], lines: int, source: str | None) -> list[Run]:
        """A report of so many lines of a source was read elsewhere: what its header closes; its figures are
        remembered."""
        thread = self._thread(source)
        self._fed += lines
        thread.fed += lines
        thread.pass_report(keys)
        return thread.take()

    def waits(self, source: str | None) -> bool:
        """Whether a header of a source has no report yet, so that the next report may be its."""
        thread = self._threads.get(source)
        return thread is not None and thread.waits()

    def command_before(self, number: int, source: str | None) -> str | None:
        """The arguments of a command line that a report of a source with its header on line `number` would take."""
        thread = self._threads.get(source)
        return thread.command_before(number - self._fed + thread.fed) if thread else None

    def close(self, last_line: int) -> list[Run]:
        """The runs that were still open at the end of the text, whose last line had that number."""
        runs: list[Run] = []
        for thread in self._threads.values():
            thread.end(last_line, last_line - self._fed + thread.fed)
            runs += thread.take()
        return runs


def _after_ctrl_c(item: Item) -> bool:
    """Whether a terminal echoed Ctrl-C close before the item; a line may hold many reports, so only close by."""
    start = item.match.start()
    return item.match.string.rfind("^C", max(0, start - _ECHO_WIDTH), start) >= 0


class _Thread:
    """The reports of one source of lines."""

    def __init__(self, *, excerpt: bool = False) -> None:
        self.fed = 0  # lines that came to this source
        self._excerpt = excerpt  # whether lines may be missing anywhere
        self._draft: Draft | None = None
        self._command: tuple[int, str] | None = None  # the last command line, and where it stood
        self._held: list[Draft] = []  # headers with nothing behind: cut runs, or the several URLs of one run
        self._together = Together()
        self._done: list[Run] = []
        self._seen: dict[tuple[str, ...], None] = {}
        self._last_content = 0

    def line(self, number: int, place: int, line: str, *, cut: bool) -> None:
        draft = self._draft
        taken = False
        for item in items(line, number, place, cut=cut, in_table=draft is not None and draft.in_table):
            self._item(item)
            taken = True
        if taken or not line or line.isspace():
            return
        if not cut or _OTHER_COUNT.search(line[-_ECHO_WIDTH:]):
            self._last_content = number
        if draft is None:
            return
        if is_waiting(draft):
            note_end(draft, line)
        if draft.url == "" and not draft.has_threads and (wrapped := _URL_ALONE.fullmatch(line)):
            draft.url, draft.place, draft.last_line = wrapped[1], place, number
        elif is_fence(line) and (draft.has_results or draft.has_threads):
            self._finish()
        elif line.lstrip().startswith("^C") and draft.has_header and not draft.has_totals:
            draft.interrupted = True

    def end(self, last_line: int, place: int) -> None:
        draft = self._draft
        near = draft is not None and is_near(draft, last_line, place)
        if (
            draft
            and near
            and draft.header_alone
            and not draft.has_threads
            and self._last_content <= draft.last_line
        ):
            draft.has_threads = True  # the text ends right behind the header: a run that was cut there
        self._finish()
        self._flush_held()
        self._close_together()

    def idle(self, number: int, place: int) -> bool:
        draft = self._draft
        if draft is None:
            return True
        if _is_only_header(draft):
            # A script may print any number of lines before the statistics; after so many they are only searched for.
            return place - draft.place > _PATIENCE
        return not is_near(draft, number, place)

    def pass_report(self, keys: Iterable[tuple[str, ...]]) -> None:
        if self._draft or self._held:
            self._finish()
            self._flush_held()
        self._command = None
        self._remember(keys)

    def waits(self) -> bool:
        return bool(self._held or self._together.left) or is_waiting(self._draft)

    def take(self) -> list[Run]:
        done, self._done = self._done, []
        return done

    def _item(self, item: Item) -> None:
        kind = item.kind
        if kind in ("header", "making"):
            self._begin_with_header(item)
        elif kind in ("part", "overall"):
            self._begin_part(item)
        elif kind == "command":
            self._command_line(item)
        elif kind == "foreign":
            if self._draft and not self._draft.has_threads:
                self._draft.foreign = True
        else:
            self._body(item)
        if self._draft and not self._draft.finished and _after_ctrl_c(item):
            self._draft.interrupted = True

    def _command_line(self, item: Item) -> None:
        if is_job(item.match.string):
            return
        if self._draft and is_waiting(self._draft):
            note_command(self._draft, item.match.string)
        self._command = (item.place, item.match["arguments"])

    def _body(self, item: Item) -> None:
        draft = self._draft
        if draft and self._expired(draft, item):
            self._finish()
            draft = None
        if draft and (
            self._together.mixes(draft, item) or self._together.takes_threads(self._held, draft, item)
        ):
            return
        if draft and (draft.foreign or (accepts(draft, item) and add(draft, item))):
            if draft.has_results and self._held:
                over = self._together.begin(self._held, draft)
                self._held = []
                self._done += map(finish, over)
            return
        if draft:
            note_again(draft, item)
        if item.kind not in _BEGINS_RUN or (draft and accepts(draft, item)):
            return
        if item.kind == "latency" and len(item.tokens()) < len(STATS_COLUMNS):
            return  # prose, and most often so: not worth a draft
        fresh = Draft(item.line, item.line, item.place, excerpt=self._excerpt)
        if add(fresh, item):
            self._finish()
            self._draft = fresh
            fresh.command = self._take_command(item.place)
            self._together.adopt(fresh, item)

    def _begin_with_header(self, item: Item) -> None:
        if item.kind == "making" and not _is_alone(item):
            return  # other tools make requests, too
        self._hold_or_finish(item.place)
        self._held += self._together.outlasting()
        self._close_together()
        self._draft = Draft(item.line, item.line, item.place, has_header=True, url=item.text("url"))
        self._draft.header_line, self._draft.header_text = item.line, item.match.string
        self._draft.excerpt = self._excerpt
        self._draft.command = self._take_command(item.place)
        self._draft.header_alone = _is_alone(item)
        if item.kind == "header":
            self._draft.planned = item.match["planned"]
        else:
            self._draft.making = item.match["making"]
        self._held = without_echo(self._held, self._draft)

    def _take_command(self, place: int) -> str | None:
        """The arguments of a command line close before a report that begins; each belongs to one report."""
        arguments, self._command = self.command_before(place), None
        return arguments

    def command_before(self, place: int) -> str | None:
        command = self._command
        return command[1] if command and place - command[0] <= MAX_GAP else None

    def _hold_or_finish(self, place: int) -> None:
        """A header came. One before it that has nothing behind may be one of several URLs of the same run, or of a load
        that is still under way."""
        draft = self._draft
        if draft and is_waiting(draft) and not draft.foreign:
            draft.over = is_over(draft, place)
            self._held.append(draft)
            self._draft = None
        elif draft and _is_only_header(draft):
            self._draft = None
        self._finish()

    def _begin_part(self, item: Item) -> None:
        """DeathStarBench's wrk2: `Test Results @ URL` and `Overall Statistics` of several URLs in one run."""
        before = self._draft
        headers = [*(header for header in self._held if header.has_threads), *([before] if before else [])]
        self._held = []
        first = headers[0] if headers else None
        part = Draft(
            item.line, item.line, planned=first.planned if first else None, has_header=first is not None
        )
        part.several_urls = True
        targets = before.targets if before and before.targets else [_target(draft) for draft in headers]
        part.targets = targets
        part.calibrations = max((draft.calibrations for draft in headers), default=0)
        part.url = item.text("url") if item.kind == "part" else None
        part.has_threads = bool(targets)
        chosen = [target for target in targets if part.url in (None, target.url)]
        part.threads = _sum(target.threads for target in chosen)
        part.connections = _sum(target.connections for target in chosen)
        if before and before.has_results:
            self._finish()
        elif first:
            part.first_line = first.first_line
        self._draft = part

    def _expired(self, draft: Draft, item: Item) -> bool:
        """A threads line or a header in prose, with nothing of wrk's behind, belongs to nothing that comes later."""
        alone = (
            not (draft.has_header and draft.has_threads) and not draft.has_results and not draft.calibrations
        )
        return alone and not draft.foreign and not is_near(draft, item.line, item.place)

    def _finish(self) -> None:
        draft, self._draft = self._draft, None
        if draft is None or draft.foreign or not _is_run(draft) or self._repeats(draft):
            if draft and draft.rivals:
                self._together.give_back(draft)
            return
        self._flush_held()
        if draft.rivals:
            self._together.settle(draft)
        run = finish(draft)
        exact = parse_line(draft.exact) if draft.exact else None
        self._done.append(attach_exact(run, exact) if exact else run)

    def _flush_held(self) -> None:
        held, self._held = self._held, []
        self._done += [finish(header) for header in held if _is_run(header)]

    def _close_together(self) -> None:
        """The headers whose reports did not come are runs that were cut."""
        self._done += [finish(header) for header in self._together.close() if _is_run(header)]

    def _repeats(self, draft: Draft) -> bool:
        """A fragment without a header whose every figure an earlier report has: prose that repeats it."""
        keys = [tuple(key) for key in (draft.latency, _totals(draft)) if key]
        known = bool(keys) and all(key in self._seen for key in keys)
        self._remember(keys)
        return known and not (draft.has_header or draft.has_threads)

    def _remember(self, keys: Iterable[tuple[str, ...]]) -> None:
        for key in keys:
            self._seen[key] = None
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]


def _is_alone(item: Item) -> bool:
    """Whether a header with an address is all that its line says, behind a prefix or a quotation mark or before the
    line that wrk prints next; in a sentence or a script it is not."""
    text, start, end = item.match.string, item.match.start(), item.match.end()
    after = text[end : end + _ECHO_WIDTH]
    # Another header there is that of a report beside this one.
    goes_on = re.search(r"[A-Za-z]", after) and not re.match(
        r"\W*(?:[0-9]+ threads? and|Running [0-9]+[smh] test @)", after
    )
    in_words = re.search(r"[a-z,] $", text[max(0, start - 2) : start])  # "INFO " is a logger's
    return not in_words and not goes_on and re.match(r"[\w\[*]+[\w.\-]*[:./]", item.match["url"]) is not None


def _is_run(draft: Draft) -> bool:
    """Whether enough came to be a report of wrk, and not a sentence that mentions one of its lines."""
    if draft.has_header and draft.has_threads and (draft.has_results or draft.header_alone):
        return True
    # A table of latencies stands alone where somebody writes about one; totals alone other tools and scripts print too.
    if draft.has_totals and draft.has_per_second and (any(draft.distributions.values()) or draft.summaries):
        return True
    return bool(draft.calibrations or draft.latency or draft.rate)


def _is_only_header(draft: Draft) -> bool:
    return draft.has_header and draft.has_threads and not draft.has_results and not draft.calibrations


def _totals(draft: Draft) -> tuple[str, ...] | None:
    if not draft.has_totals:
        return None
    return (draft.requests or "", draft.runtime or "", draft.read or "")


def _target(draft: Draft) -> Target:
    return Target(draft.url, draft.threads, draft.connections)


def _sum(counts: Iterable[str | None]) -> str | None:
    whole = [int(count) for count in counts if count and len(count) < 10]
    return str(sum(whole)) if whole else None
