"""Locust's `--json`: a list of entries, each with counts, sums and rounded response times in milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from headwind.formats.documents import Document, amount, documents, entire, whole
from headwind.formats.locust_rows import Row, percentile_s, run_of
from headwind.histogram import percentile_key
from headwind.run import Run
from headwind.samples import Timeline

_SHARES = (0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0)  # what Locust itself prints
_LONGEST_S = 7 * 24 * 3600  # a time line of seconds above this says that the time stamps are broken


def recognises(text: str) -> bool:
    """The two keys that only Locust's entries have together."""
    return "num_requests" in text and "total_response_time" in text


def read(text: str) -> list[Run]:
    """The runs of Locust's JSON in the text."""
    return [_run(document) for document in documents(text, _is_list)]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _is_entry(value[0])


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and "num_requests" in value and "total_response_time" in value


def _run(document: Document) -> Run:
    entries = [entry for entry in document.value if _is_entry(entry)]
    begins = [at for entry in entries if (at := amount(entry.get("start_time")))]
    ends = [at for entry in entries if (at := amount(entry.get("last_request_timestamp")))]
    lasted = max(ends) - min(begins) if begins and ends and max(ends) > min(begins) else None
    rows = [_row(entry) for entry in entries]
    total = _total(entries, lasted) if document.complete else None
    run = run_of(
        rows,
        total,
        document.lines,
        duration_s=None if lasted is None or total is None else round(lasted, 6),
        started_at=_moment(min(begins)) if begins else None,
        timeline=_timeline(entries) if document.complete else None,
    )
    if run.requests_per_s is not None:
        run = run.warn(
            "rate_computed",
            "Locust's JSON has no rate: it is requests over the time from the first entry's start to the last answer, "
            "as Locust takes it.",
        )
    return run


def _row(entry: Mapping[str, Any]) -> Row:
    times = _times(entry)
    requests = whole(entry.get("num_requests"))
    measured = None if requests is None else requests - (whole(entry.get("num_none_requests")) or 0)
    spent, size = amount(entry.get("total_response_time")), amount(entry.get("total_content_length"))
    begin, end = amount(entry.get("start_time")), amount(entry.get("last_request_timestamp"))
    return Row(
        name=str(entry.get("name") or ""),
        method=str(entry.get("method") or ""),
        requests=requests,
        failures=whole(entry.get("num_failures")),
        requests_per_s=requests / (end - begin) if requests and begin and end and end > begin else None,
        mean_s=spent / measured / 1e3 if spent is not None and measured and measured > 0 else None,
        min_s=_milliseconds(entry.get("min_response_time")),
        max_s=_milliseconds(entry.get("max_response_time")),
        bytes_each=size / requests if size is not None and requests else None,
        percentiles_s=_percentiles(times),
    )


def _milliseconds(value: Any) -> float | None:
    found = amount(value)
    return None if found is None else round(found / 1e3, 12)


def _times(entry: Mapping[str, Any]) -> Counter[float]:
    found: Counter[float] = Counter()
    for key, raw in (entire(entry.get("response_times")) or {}).items():
        milliseconds, count = amount(key), whole(raw)
        if milliseconds is not None and count is not None:
            found[milliseconds] += count
    return found


def _percentiles(times: Mapping[float, int]) -> dict[str, float]:
    measured = sum(times.values())
    if not measured:
        return {}
    return {percentile_key(share * 100): percentile_s(times, measured, share) for share in _SHARES}


def _total(entries: Sequence[Mapping[str, Any]], lasted: float | None) -> Row:
    """Locust's Aggregated row, from what its entries add up to. None stays None: a missing count is no 0."""
    rows = [_row(entry) for entry in entries]
    requests = _sum(row.requests for row in rows)
    times: Counter[float] = Counter()
    for entry in entries:
        times.update(_times(entry))
    spent = _sum_of_numbers(amount(entry.get("total_response_time")) for entry in entries)
    measured = (requests or 0) - sum(whole(entry.get("num_none_requests")) or 0 for entry in entries)
    size = _sum_of_numbers(amount(entry.get("total_content_length")) for entry in entries)
    smallest = [row.min_s for row in rows if row.min_s is not None]
    largest = [row.max_s for row in rows if row.max_s is not None]
    return Row(
        name="Aggregated",
        requests=requests,
        failures=_sum(row.failures for row in rows),
        requests_per_s=requests / lasted if requests is not None and lasted else None,
        mean_s=spent / measured / 1e3 if spent is not None and measured > 0 else None,
        min_s=min(smallest, default=None),
        max_s=max(largest, default=None),
        bytes_each=size / requests if size is not None and requests else None,
        percentiles_s=_percentiles(times),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    found = list(values)
    return None if None in found else sum(value for value in found if value is not None)


def _sum_of_numbers(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if None in found else sum(value for value in found if value is not None)


def _moment(timestamp: float) -> str | None:
    try:
        return datetime.fromtimestamp(timestamp, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def _timeline(entries: Sequence[Mapping[str, Any]]) -> Timeline | None:
    responses, errors = _per_second(entries, "num_reqs_per_sec"), _per_second(entries, "num_fail_per_sec")
    seconds = responses.keys() | errors.keys()
    if not seconds or max(seconds) - min(seconds) > _LONGEST_S:
        return None
    whole_time = range(min(seconds), max(seconds) + 1)
    return Timeline(
        1.0, tuple(responses[second] for second in whole_time), tuple(errors[second] for second in whole_time)
    )


def _per_second(entries: Sequence[Mapping[str, Any]], name: str) -> Counter[int]:
    found: Counter[int] = Counter()
    for entry in entries:
        for key, raw in (entire(entry.get(name)) or {}).items():
            second, count = whole(key), whole(raw)
            if second is not None and count is not None:
                found[second] += count
    return found
