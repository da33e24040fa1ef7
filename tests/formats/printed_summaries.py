"""The formats of oha and k6."""

from __future__ import annotations

import json
import math
import random

from tests.formats.printed_values import Printed, latencies

_OHA_PERCENTILES = (10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)


def _oha(rng: random.Random) -> tuple[list[int], int, dict[str, int], dict[str, int], int]:
    lat = sorted(latencies(rng) + latencies(rng))[:12]
    total = rng.randint(10**8, 10**11)
    codes = {"200": rng.randint(1, 10**6), "503": rng.randint(1, 10**4)}
    aborted = rng.choice((0, rng.randint(1, 200)))
    errors = {"aborted due to deadline": aborted} if aborted else {}
    if rng.random() < 0.5:
        errors["connection error: Connection refused (os error 111)"] = rng.randint(1, 99)
    return lat, total, codes, errors, rng.randint(0, 2**40)


def oha_text(rng: random.Random) -> Printed:
    """src/printer.rs: one unit for all times of a summary, four decimals."""
    lat, total, codes, errors, body = _oha(rng)
    unit, size = rng.choice((("ms", 1e6), ("sec", 1e9), ("us", 1e3), ("secs", 1e9)))
    everything = sum(codes.values()) + sum(errors.values())

    def show(value: float) -> str:
        return f"{value / size:.4f} {unit}"

    scale, name = next(
        (s, n) for s, n in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")) if body >= s or s == 1
    )
    text = (
        f"Summary:\n  Success rate:\t98.76%\n  Total:\t{show(total)}\n  Slowest:\t{show(lat[-1])}\n"
        f"  Fastest:\t{show(lat[0])}\n  Average:\t{show(lat[1])}\n  Requests/sec:\t{everything / total * 1e9:.4f}\n\n"
        f"  Total data:\t{body / scale:.2f} {name}\n  Size/request:\t1 B\n  Size/sec:\t1.00 KiB\n\n"
        f"Response time histogram:\n  {lat[0] / size:.3f} {unit} [1] |\n"
        f"  {lat[-1] / size:.3f} {unit} [2] |\u25a0\u25a0\n\nResponse time distribution:\n"
    )
    text += "".join(f"  {p:.2f}% in {show(v)}\n" for p, v in zip(_OHA_PERCENTILES, lat[2:11], strict=True))
    text += (
        f"\n\nDetails (average, fastest, slowest):\n  DNS+dialup:\t{show(1)}, {show(1)}, {show(1)}\n"
        f"  DNS-lookup:\t{show(1)}, {show(1)}, {show(1)}\n\nStatus code distribution:\n"
    )
    text += "".join(f"  [{code}] {count} responses\n" for code, count in codes.items())
    if errors:
        text += "\nError distribution:\n" + "".join(f"  [{count}] {name}\n" for name, count in errors.items())
    digit = size / 1e9 * 1e-4
    return Printed(
        text,
        {
            "requests": (sum(codes.values()), 0),
            "requests_per_s": (everything / total * 1e9, 1e-4),
            "duration_s": (total / 1e9, digit),
            "bytes_read": (body, scale * 0.01),
        },
        {"min_s": (lat[0] / 1e9, digit), "mean_s": (lat[1] / 1e9, digit), "max_s": (lat[-1] / 1e9, digit)},
        {f"{p:g}": (v / 1e9, digit) for p, v in zip(_OHA_PERCENTILES, lat[2:11], strict=True)},
        {
            "status": codes["503"],
            "connect": sum(v for k, v in errors.items() if "refused" in k),
            "timeout": 0,
        },
        codes,
        {"aborted_at_deadline"} if "aborted due to deadline" in errors else set(),
    )


def oha_json(rng: random.Random) -> Printed:
    """print_json of src/printer.rs: seconds, and every digit."""
    lat, total, codes, errors, body = _oha(rng)
    rate = (sum(codes.values()) + sum(errors.values())) / total * 1e9
    document = {
        "summary": {
            "successRate": 0.99,
            "total": total / 1e9,
            "slowest": lat[-1] / 1e9,
            "fastest": lat[0] / 1e9,
            "average": lat[1] / 1e9,
            "requestsPerSec": rate,
            "totalData": body,
            "sizePerRequest": 3,
            "sizePerSec": body / total * 1e9,
        },
        "responseTimeHistogram": {"0.1": 3},
        "latencyPercentiles": {f"p{p:g}": v / 1e9 for p, v in zip(_OHA_PERCENTILES, lat[2:11], strict=True)},
        "rps": {"mean": 3.0, "stddev": None, "max": 3.0, "min": 3.0, "percentiles": {"p50": 3.0}},
        "details": {"DNSDialup": {"average": 0.1, "fastest": 0.1, "slowest": 0.1}},
        "statusCodeDistribution": codes,
        "errorDistribution": errors,
    }
    return Printed(
        json.dumps(document, indent=2) + "\n",
        {
            "requests": (sum(codes.values()), 0),
            "requests_per_s": (rate, 0),
            "duration_s": (total / 1e9, 0),
            "bytes_read": (body, 0),
            "bytes_per_s": (body / total * 1e9, 0),
        },
        {"min_s": (lat[0] / 1e9, 0), "mean_s": (lat[1] / 1e9, 0), "max_s": (lat[-1] / 1e9, 0)},
        {f"{p:g}": (v / 1e9, 0) for p, v in zip(_OHA_PERCENTILES, lat[2:11], strict=True)},
        {
            "status": codes["503"],
            "connect": sum(v for k, v in errors.items() if "refused" in k),
            "timeout": 0,
        },
        codes,
    )


def _k6_duration(seconds: float) -> tuple[str, float]:
    """humanizeDuration of the old summary, cut (not rounded) to two decimals; and the size of what was cut."""
    for limit, unit, size in (
        (1e-6, "ns", 1e-9),
        (1e-3, "\u00b5s", 1e-6),
        (1.0, "ms", 1e-3),
        (60.0, "s", 1.0),
    ):
        if seconds < limit or unit == "s":
            value = math.floor(seconds / size * 100 + 1e-9) / 100
            return f"{value:.2f}".rstrip("0").rstrip(".") + unit, size * 0.01
    raise AssertionError


def k6_console(rng: random.Random) -> Printed:
    """The end-of-test summary before v1: one list of metrics by name, ticks before the counts."""
    lat = [min(value / 1e9, 59.0) for value in latencies(rng)]
    requests, seconds = rng.randint(2, 10**7), rng.uniform(1, 3000)
    failed = rng.randint(0, requests)
    shown = [_k6_duration(value) for value in lat]
    stats = ("avg", "min", "med", "max", "p(90)", "p(95)", "p(99.9)")
    order = (4, 0, 2, 8, 5, 6, 7)
    trend = " ".join(f"{name}={shown[i][0]}" for name, i in zip(stats, order, strict=True))
    minutes, rest = divmod(seconds, 60)
    marks = rng.choice((("\u2713", "\u2717"), ("\u0393\u00a3\u00f4", "\u0393\u00a3\u00f9"), ("?", "?")))
    text = (
        "  execution: local\n     script: test.js\n     output: -\n\n"
        f"running ({minutes:.0f}m{rest:04.1f}s), 00/20 VUs, {requests} complete and 0 interrupted iterations\n"
        f"default {marks[0]} [======================================] 20 VUs  10s\n\n     {marks[0]} status is 200\n\n"
        f"     checks.........................: 90.00% {marks[0]} 9        {marks[1]} 1\n"
        "     data_received..................: 264 MB 3.8 MB/s\n     data_sent......................: 63 MB  898 kB/s\n"
        f"     http_req_blocked...............: {trend}\n     http_req_connecting............: {trend}\n"
        f"     http_req_duration..............: {trend}\n       {{ expected_response:true }}...: {trend}\n"
        f"     http_req_failed................: {math.floor(failed / requests * 1e4) / 100:.2f}%  "
        f"{marks[0]} {failed}     {marks[1]} {requests - failed}\n"
        f"     http_reqs......................: {requests}   {requests / seconds:.6f}/s\n"
        f"     iteration_duration.............: {trend}\n"
        f"     iterations.....................: {requests}   {requests / seconds:.6f}/s\n"
        "     vus............................: 20     min=20       max=20\n"
        "     vus_max........................: 20     min=20       max=20\n"
    )

    def at(index: int) -> tuple[float, float]:
        return lat[index], shown[index][1] * 2  # cut: up to a whole last digit off

    return Printed(
        text,
        {
            "requests": (requests, 0),
            "requests_per_s": (requests / seconds, 1e-6),
            "duration_s": (seconds, 0.11),
            "bytes_read": (264e6, 0),
        },
        {"mean_s": at(4), "min_s": at(0), "max_s": at(8)},
        {"50": at(2), "90": at(5), "95": at(6), "99.9": at(7)},
        {"status": failed},
        None,
        {"checks_failed", "excludes_connecting"} | ({"errors_not_split"} if failed else set()),
    )
