"""The formats of vegeta, hey, bombardier and fortio."""

from __future__ import annotations

import json
import math
import random

from tests.formats.printed_values import Printed, go_duration, last_digit, latencies


def vegeta_text(rng: random.Random) -> Printed:
    """lib/reporters.go since 12: a tab writer makes columns of headings and values."""
    lat = latencies(rng)
    requests, attack, wait = rng.randint(1, 10**6), rng.randint(10**8, 4 * 10**12), rng.randint(10**3, 10**10)
    failed, lost = rng.randint(0, requests // 3), rng.choice((0, rng.randint(0, requests // 3)))
    codes = {"0": lost} if lost else {}
    codes |= {"200": requests - failed - lost} | ({"500": failed} if failed else {})
    rate, throughput = requests / attack * 1e9, (requests - failed - lost) / (attack + wait) * 1e9
    body = rng.randint(0, 10**9)
    pad = rng.choice((33, 26))
    names = ["min", "mean", "50", "90", "95", "99", "max"]
    errors = ["500 Internal Server Error"] if failed else []
    if lost:
        errors.append('Get "http://localhost:1/": dial tcp 127.0.0.1:1: connect: connection refused')
    rows = [
        ("Requests", "[total, rate, throughput]", f"{requests}, {rate:.2f}, {throughput:.2f}"),
        ("Duration", "[total, attack, wait]", ", ".join(map(go_duration, (attack + wait, attack, wait)))),
        ("Latencies", f"[{', '.join(names)}]", ", ".join(map(go_duration, lat[:7]))),
        ("Bytes In", "[total, mean]", f"{body}, {body / requests:.2f}"),
        ("Bytes Out", "[total, mean]", "0, 0.00"),
        ("Success", "[ratio]", f"{(requests - failed - lost) / requests:.2%}"),
        (
            "Status Codes",
            "[code:count]",
            "  ".join(f"{code}:{count}" for code, count in codes.items()) + "  ",
        ),
    ]
    lines = [f"{name:<14}{heading:<{pad}}{values}" for name, heading, values in rows]
    text = "\n".join([*lines, "Error Set:", *errors]) + "\n"
    return Printed(
        text,
        {
            "requests": (requests, 0),
            "requests_per_s": (rate, 0.01),
            "duration_s": ((attack + wait) / 1e9, 1e-9),
            "bytes_read": (body, 0),
        },
        {"min_s": (lat[0] / 1e9, 1e-9), "mean_s": (lat[1] / 1e9, 1e-9), "max_s": (lat[6] / 1e9, 1e-9)},
        {name: (value / 1e9, 1e-9) for name, value in zip(("50", "90", "95", "99"), lat[2:6], strict=True)},
        {"status": failed, "connect": lost, "read": 0, "timeout": 0},
        {code: count for code, count in codes.items() if code != "0"},
    )


def vegeta_json(rng: random.Random) -> Printed:
    """lib/metrics.go: nanoseconds, and one object on one line."""
    lat = latencies(rng)
    requests, attack, wait = rng.randint(1, 10**6), rng.randint(10**8, 4 * 10**12), rng.randint(10**3, 10**10)
    refused = rng.randint(0, requests)
    rate, body = requests / attack * 1e9, rng.randint(0, 10**9)
    keys = ("min", "mean", "50th", "90th", "95th", "99th", "max")
    document = {
        "latencies": {"total": lat[1] * requests, **dict(zip(keys, lat, strict=False))},
        "buckets": {"0": requests},
        "bytes_in": {"total": body, "mean": body / requests},
        "bytes_out": {"total": 0, "mean": 0},
        "earliest": "2024-02-05T10:11:12.123456789+01:00",
        "latest": "2024-02-05T10:11:22.1+01:00",
        "end": "2024-02-05T10:11:22.2+01:00",
        "duration": attack,
        "wait": wait,
        "requests": requests,
        "rate": rate,
        "throughput": rate * 0.9,
        "success": 1 - refused / requests,
        "status_codes": {"429": refused, "200": requests - refused},
        "errors": ["429 Too Many Requests"],
    }
    return Printed(
        json.dumps(document, separators=(",", ":")) + "\n",
        {
            "requests": (requests, 0),
            "requests_per_s": (rate, 0),
            "duration_s": ((attack + wait) / 1e9, 1e-9),
            "bytes_read": (body, 0),
        },
        {"min_s": (lat[0] / 1e9, 0), "mean_s": (lat[1] / 1e9, 0), "max_s": (lat[6] / 1e9, 0)},
        {name: (value / 1e9, 0) for name, value in zip(("50", "90", "95", "99"), lat[2:6], strict=True)},
        {"status": refused, "connect": 0, "read": 0, "timeout": 0},
        {"429": refused, "200": requests - refused},
        {"rate_is_sending_rate"},
    )


def hey_text(rng: random.Random) -> Printed:
    """requester/print.go: seconds with four decimals, tabs, and one section after the other."""
    lat = [value / 1e9 for value in latencies(rng)]
    codes = {"200": rng.randint(1, 900_000), "404": rng.randint(1, 9_000)}
    errors = {
        'Get "http://h/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)': 7
    }
    errors |= {'Post "http://h/": dial tcp [::1]:80: connect: connection refused': rng.randint(1, 99)}
    errors = errors if rng.random() < 0.5 else {}
    total = rng.uniform(0.5, 300)
    rate = (sum(codes.values()) + sum(errors.values())) / total
    body = rng.randint(1, 10**10)
    text = (
        f"\nSummary:\n  Total:\t{total:4.4f} secs\n  Slowest:\t{lat[8]:4.4f} secs\n  Fastest:\t{lat[0]:4.4f} secs\n"
        f"  Average:\t{lat[1]:4.4f} secs\n  Requests/sec:\t{rate:4.4f}\n  \n  Total data:\t{body} bytes\n"
        f"  Size/request:\t{body // 7} bytes\n\nResponse time histogram:\n  {lat[0]:4.3f} [1]\t|\n"
        f"  {lat[8]:4.3f} [9]\t|\u25a0\u25a0\n\n\nLatency distribution:\n"
    )
    shares = (10, 25, 50, 75, 90, 95, 99)
    text += "".join(f"  {p}% in {v:4.4f} secs\n" for p, v in zip(shares, lat[1:8], strict=True))
    text += "\nDetails (average, fastest, slowest):\n"
    text += "".join(
        f"  {name}:\t{lat[0]:4.4f} secs, {lat[0]:4.4f} secs, {lat[1]:4.4f} secs\n"
        for name in ("DNS+dialup", "DNS-lookup", "req write", "resp wait", "resp read")
    )
    text += (
        "\nStatus code distribution:\n"
        + "".join(f"  [{c}]\t{n} responses\n" for c, n in codes.items())
        + "\n"
    )
    if errors:
        text += "Error distribution:\n" + "".join(f"  [{n}]\t{message}\n" for message, n in errors.items())
    return Printed(
        text + "\n\n",
        {
            "requests": (sum(codes.values()), 0),
            "requests_per_s": (rate, 1e-4),
            "duration_s": (total, 1e-4),
            "bytes_read": (body, 0),
        },
        {"min_s": (lat[0], 1e-4), "mean_s": (lat[1], 1e-4), "max_s": (lat[8], 1e-4)},
        {str(p): (v, 1e-4) for p, v in zip(shares, lat[1:8], strict=True)},
        {"status": codes["404"], "timeout": 7 if errors else 0, "read": 0},
        codes,
        {"rounded"},
    )


def _bombardier_unit(microseconds: float) -> str:
    """formatTimeUs of format.go: the next unit begins at 0.85 of it."""
    value, unit, units, scale = microseconds, "us", ["ms", "s"], 1000.0
    if microseconds >= 1e6:
        value, unit, units, scale = microseconds / 1e6, "s", ["m", "h"], 60.0
    for name in units:
        if value < scale * 0.85:
            break
        value, unit = value / scale, name
    return f"{value:.2f}{unit}"


def bombardier_text(rng: random.Random) -> Printed:
    """plainTextTemplate of templates.go."""
    lat = [value / 1e3 for value in latencies(rng)]
    classes = [0, rng.randint(1, 10**8), rng.randint(0, 99), rng.randint(0, 99), rng.randint(0, 99)]
    refused, slow = rng.choice((0, rng.randint(1, 500))), rng.choice((0, rng.randint(1, 500)))
    rate, connections = rng.uniform(1, 3e5), rng.randint(1, 10_000)
    messages = {"dial tcp 127.0.0.1:1: connect: connection refused": refused, "timeout": slow}
    shown = [_bombardier_unit(value) for value in lat]
    text = (
        f"Bombarding http://localhost:8080/x for 1m30s using {connections} connection(s)\n"
        f"[{'=' * 60}] 1m30s\nDone!\n{'Statistics':>10} {'Avg':>10} {'Stdev':>10} {'Max':>10}\n"
        f"  {'Reqs/sec':<10} {rate:10.2f} {rate / 3:10.2f} {rate * 2:10.2f}\n"
        f"  {'Latency':<10} {shown[1]:>10} {shown[0]:>10} {shown[8]:>10}\n  Latency Distribution\n"
    )
    text += "".join(f"     {p}% {shown[i]:>10}\n" for i, p in enumerate((50, 75, 90, 95, 99), 2))
    text += "  HTTP codes:\n    " + ", ".join(f"{i}xx - {n}" for i, n in enumerate(classes, 1))
    text += f"\n    others - {refused + slow}\n"
    if refused or slow:
        text += "  Errors:\n" + "".join(f"    {m:>10} - {n}\n" for m, n in messages.items() if n)
    text += f"  {'Throughput:':<10} {'1.24MB':>10}/s\n"
    return Printed(
        text,
        {
            "requests": (sum(classes), 0),
            "requests_per_s": (rate, 0.01),
            "connections": (connections, 0),
            "planned_duration_s": (90, 0),
            "bytes_per_s": (None, 0),
        },
        {
            "mean_s": (lat[1] / 1e6, last_digit(shown[1])),
            "stdev_s": (lat[0] / 1e6, last_digit(shown[0])),
            "max_s": (lat[8] / 1e6, last_digit(shown[8])),
        },
        {str(p): (lat[i] / 1e6, last_digit(shown[i])) for i, p in enumerate((50, 75, 90, 95, 99), 2)},
        {"connect": refused, "timeout": slow, "status": classes[3] + classes[4], "read": 0},
        None,
        {"rate_is_mean_of_samples", "throughput_both_ways", "stdev_unweighted"},
    )


BOMBARDIER_SPEC = {
    "numberOfConnections": 125,
    "testType": "timed",
    "testDurationSeconds": 10,
    "method": "GET",
    "url": "http://localhost:8080/",
    "body": "",
    "stream": False,
    "timeoutSeconds": 2,
    "client": "fasthttp",
    "rate": 500,
}


def bombardier_json(rng: random.Random) -> Printed:
    """jsonTemplate of templates.go: microseconds, one line."""
    lat = [value / 1e3 for value in latencies(rng)]
    ok, bad, seconds = rng.randint(1, 10**8), rng.randint(0, 99), rng.uniform(1, 600)
    document = {
        "spec": BOMBARDIER_SPEC,
        "result": {
            "bytesRead": ok * 3,
            "bytesWritten": ok,
            "timeTakenSeconds": seconds,
            **{f"req{i}xx": n for i, n in enumerate((0, ok, 0, 0, bad), 1)},
            "others": 4,
            "errors": [{"description": "timeout", "count": 3}],
            "latency": {
                "mean": lat[1],
                "stddev": lat[0],
                "max": round(lat[8]),
                "percentiles": {str(p): round(lat[i]) for i, p in enumerate((50, 75, 90, 95, 99), 2)},
            },
            "rps": {"mean": ok / seconds, "stddev": 3.0, "max": 9.0, "percentiles": {"50": 3.0}},
        },
    }
    return Printed(
        json.dumps(document, separators=(",", ":")),
        {
            "requests": (ok + bad, 0),
            "duration_s": (seconds, 0),
            "requests_per_s": (ok / seconds, 0),
            "bytes_read": (ok * 3, 0),
            "connections": (125, 0),
            "rate_target_per_s": (500, 0),
            "timeout_s": (2, 0),
        },
        {"mean_s": (lat[1] / 1e6, 1e-12), "max_s": (round(lat[8]) / 1e6, 0)},
        {str(p): (round(lat[i]) / 1e6, 0) for i, p in enumerate((50, 75, 90, 95, 99), 2)},
        {"timeout": 3, "read": 1, "status": bad, "connect": 0},
        None,
        {"errors_unclassified"},
    )


def fortio_text(rng: random.Random) -> Printed:
    """Run of periodic/periodic.go and of fhttp/httprunner.go."""
    lat = [value / 1e9 for value in latencies(rng)]
    calls, taken, threads = rng.randint(10, 10**7), rng.randint(10**8, 10**12), rng.randint(1, 64)
    unanswered = rng.choice((0, 3))
    codes = {"-1": unanswered, "200": calls - 20 - unanswered, "503": 20}
    qps = calls / taken * 1e9
    text = (
        f"Fortio 1.60.3 running at 100 queries per second, 4->4 procs, for 1m0s: http://localhost:8080/echo\n"
        "20:27:53 I httprunner.go:121> Starting http test for http://localhost:8080/echo with 4 threads at 100.0 qps\n"
        f"Starting at 100 qps with {threads} thread(s) [gomax 4] for 1m0s : 10 calls each (total {calls})\n"
        f"20:28:53 I periodic.go:851> T000 ended after 1m0s : 10 calls. qps=1\n"
        f"Ended after {go_duration(taken)} : {calls} calls. qps={qps:.5g}\n"
        "Sleep times : count 36 avg 0.49 +/- 0.007 min 0.46 max 0.50 sum 17.7\n# target 50% 0.99\n"
        f"Aggregated Function Time : count {calls} avg {lat[2]:.8g} +/- {lat[1]:.4g} min {lat[0]:.9g} max {lat[8]:.9g} "
        f"sum {lat[2] * calls:.9g}\n# range, mid point, percentile, count\n"
        f">= {lat[0]:.6g} <= {lat[8]:.6g} , 0.1 , 100.00, {calls}\n"
    )
    shares = ("50", "75", "90", "99", "99.9")
    text += "".join(f"# target {p}% {v:.6g}\n" for p, v in zip(shares, lat[3:8], strict=True))
    text += "Error cases : count 20 avg 0.001 +/- 0.1 min 0.1 max 0.2 sum 1\n# target 50% 0.77\n"
    text += f"Sockets used: {threads} (for perfect keepalive, would be {threads})\nUniform: false, Jitter: false\n"
    text += "".join(f"Code {c:>3} : {n} ({n / calls * 100:.1f} %)\n" for c, n in codes.items() if n)
    text += (
        f"Response Header Sizes : count {calls} avg 1 +/- 0 min 1 max 1 sum 1\n"
        f"Response Body/Total Sizes : count {calls} avg 2 +/- 0 min 2 max 2 sum {calls * 2}\n"
        f"All done {calls} calls (plus {threads} warmup) {lat[2] * 1e3:.3f} ms avg, {qps:.1f} qps\n"
    )

    def g(value: float, digits: int) -> tuple[float, float]:
        return value, 10.0 ** (math.floor(math.log10(value)) - digits + 1)

    return Printed(
        text,
        {
            "requests": (calls, 0),
            "requests_per_s": g(qps, 5),
            "duration_s": (taken / 1e9, 1e-9),
            "planned_duration_s": (60, 0),
            "rate_target_per_s": (100, 0),
            "threads": (threads, 0),
            "bytes_read": (calls * 2, 0),
        },
        {"mean_s": g(lat[2], 8), "stdev_s": g(lat[1], 4), "min_s": g(lat[0], 9), "max_s": g(lat[8], 9)},
        {p: g(v, 6) for p, v in zip(shares, lat[3:8], strict=True)},
        {"status": 20, "read": unanswered, "connect": None if unanswered else 0},
        {c: n for c, n in codes.items() if c != "-1"},
        {"percentiles_interpolated"} | ({"errors_not_split"} if unanswered else set()),
    )


def fortio_json(rng: random.Random) -> Printed:
    """HTTPRunnerResults as JSON; nighthawk writes the counts as strings."""
    lat = [value / 1e9 for value in latencies(rng)]
    calls, taken = rng.randint(10, 10**7), rng.randint(10**8, 10**12)
    as_string = rng.random() < 0.5
    count = str(calls) if as_string else calls
    document = {
        "RunType": "HTTP",
        "Labels": "",
        "StartTime": "2022-03-19T15:34:23.279389-07:00",
        "RequestedQPS": 40 if as_string else "40",
        "RequestedDuration": "1m40s",
        "ActualQPS": calls / taken * 1e9,
        "ActualDuration": taken,
        "NumThreads": 2,
        "DurationHistogram": {
            "Count": count,
            "Min": lat[0],
            "Max": lat[8],
            "Sum": lat[1] * calls,
            "Avg": lat[1],
            "StdDev": lat[0],
            "Data": [{"Start": lat[0], "End": lat[8], "Percent": 100, "Count": count}],
            "Percentiles": [
                {"Percentile": p, "Value": v} for p, v in zip((50, 90, 99.9), lat[2:5], strict=True)
            ],
        },
        "RetCodes": {"200": count},
        "URL": "http://user:secret@localhost:8080/",
        "Sizes": {"Count": count, "Sum": calls * 3},
    }
    return Printed(
        json.dumps(document, indent=2),
        {
            "requests": (calls, 0),
            "requests_per_s": (calls / taken * 1e9, 0),
            "duration_s": (taken / 1e9, 1e-9),
            "rate_target_per_s": (40, 0),
            "planned_duration_s": (100, 0),
            "connections": (2, 0),
            "bytes_read": (calls * 3, 0),
        },
        {"mean_s": (lat[1], 0), "stdev_s": (lat[0], 0), "min_s": (lat[0], 0), "max_s": (lat[8], 0)},
        {p: (v, 0) for p, v in zip(("50", "90", "99.9"), lat[2:5], strict=True)},
        {"status": 0, "connect": 0, "read": 0, "timeout": 0},
        {"200": calls},
        {"percentiles_interpolated"},
    )
