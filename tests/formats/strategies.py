"""Random reports of wrk, and the noise that people's logs wrap around them."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.formats.printer import Report, Report2, Row

MICROSECONDS = st.one_of(
    st.floats(0.01, 1000), st.floats(100, 1e6), st.floats(8e5, 2e6), st.floats(1e6, 1e8), st.just(999_999.0)
)
RATES = st.one_of(st.floats(0.01, 900), st.floats(800, 900_000), st.floats(8e5, 5e7))
COUNTS = st.one_of(st.just(0), st.integers(1, 100), st.integers(1, 2**31 - 1))
URLS = st.sampled_from(
    [
        "http://localhost:8000/v1/prediction",
        "https://[::1]:8443/",
        "http://h/a?x=1&y=2",
        "http://example.com/a|b;c#d",
        "http://h/Latency",
        "www.bing.com",
        "http://h/%7Euser/test@home",
    ]
)
SHARES = st.floats(0.01, 100)


@st.composite
def rows(draw: st.DrawFn, values: st.SearchStrategy[float]) -> Row:
    return Row(draw(values), draw(values), draw(values), draw(SHARES))


def _common(draw: st.DrawFn) -> dict[str, object]:
    duration_s = draw(st.integers(1, 3600))
    return {
        "url": draw(URLS),
        "duration_s": duration_s,
        "threads": draw(st.integers(1, 64)),
        "connections": draw(st.integers(1, 20_000)),
        "latency": draw(rows(MICROSECONDS)),
        "rate": draw(rows(RATES)),
        "requests": draw(st.integers(1, 10**9)),
        "runtime_us": draw(st.integers(duration_s * 10**6, duration_s * 10**6 + 150_000)),
        "bytes_read": draw(st.integers(0, 10**13)),
        "errors": draw(st.one_of(st.just((0, 0, 0, 0)), st.tuples(COUNTS, COUNTS, COUNTS, COUNTS))),
        "status": draw(COUNTS),
    }


def _ascending(draw: st.DrawFn, count: int) -> list[float]:
    return sorted(draw(st.lists(MICROSECONDS, min_size=count, max_size=count)))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    ranks = (50, 75, 90, 99) if draw(st.booleans()) else ()
    percentiles = dict(zip(ranks, _ascending(draw, len(ranks)), strict=True))
    return Report(**_common(draw), percentiles_us=percentiles)  # type: ignore[arg-type]


@st.composite
def reports2(draw: st.DrawFn) -> Report2:
    ranks = (50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 99.999, 100.0)
    tables = draw(st.integers(0, 2))
    corrected, uncorrected = (
        dict(zip(ranks, _ascending(draw, 8), strict=True)) if tables > table else {} for table in (0, 1)
    )
    calibrations = draw(st.integers(0 if corrected else 1, 5))
    common = _common(draw)
    return Report2(**common, calibrations=calibrations, ranks_us=corrected, uncorrected_us=uncorrected)  # type: ignore[arg-type]


NOISE_LINES = st.sampled_from(
    [
        "",
        "   ",
        "$ wrk -t4 -c200 -d45s --latency http://localhost:8000/",
        "$ wrk --timeout 9s",
        "Completed 100 requests",
        "Average latency: 512985.55882353ms",
        "Requests/sec: 92.259061981615",
        "Requests/sec:\t6839.3829",
        "we saw about 4 threads and 200 connections, Latency 771.93us and 50% less",
        "| Latency | 1.46s | 309.13ms | 2.00s | 71.26% |",
        "│ Latency │ 0 ms │ 1 ms │ 0.02 ms │ 16.45 ms │",
        "54k requests in 10.02s, 8.5 MB read",
        "Total: 8724498 Req/Sec: 436208.29",
        "    0.24ms   0.08ms   0.07ms   9.81ms",
        "  50% in 0.0348 secs",
        "---------------------------------------------------------",
        "```",
        "```sh",
        '{{% alert title="Warning" %}}',
        "100.00    0.782733           4    185536         2 total",
        "Thread-12 finished the test @ noon; Running late",
        "测试 (平均值) — Ωµ",
    ]
)
NOISE = st.lists(NOISE_LINES, max_size=12).map(lambda lines: "".join(line + "\n" for line in lines))
