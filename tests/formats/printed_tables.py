"""The formats of ab, h2load, Locust and autocannon."""

from __future__ import annotations

import csv
import io
import random

from tests.formats.printed_values import Printed, last_digit, latencies

AB_PERCENTS = (50, 66, 75, 80, 90, 95, 98, 99)
AB_BANNER = (
    "This is ApacheBench, Version 2.3 <$Revision: 1903618 $>\nCopyright 1996 Adam Twiss, Zeus Technology Ltd, "
    "http://www.zeustech.net/\nLicensed to The Apache Software Foundation, http://www.apache.org/\n\n"
    "Benchmarking localhost (be patient)\nCompleted 100 requests\nFinished 100 requests\n\n\n"
    "Server Software:        \nServer Hostname:        localhost\n"
)


def ab_text(rng: random.Random) -> Printed:
    """output_results of support/ab.c."""
    lat = sorted(rng.randint(0, 10 ** rng.randint(1, 5)) for _ in range(10))
    done, connections = rng.randint(1, 10**7), rng.randint(1, 2000)
    taken = rng.uniform(0.01, 5000)
    connect, receive, length, other = (rng.choice((0, rng.randint(1, 99))) for _ in range(4))
    failed, non_2xx = connect + receive + length + other, rng.choice((0, rng.randint(1, done)))
    total, rate = done * 137, done / taken
    text = (
        f"{AB_BANNER}Server Port:            {rng.choice((80, 8080))}\n\n"
        "Document Path:          /a?b=c\nDocument Length:        100 bytes\n\n"
        f"Concurrency Level:      {connections}\nTime taken for tests:   {taken:.3f} seconds\n"
        f"Complete requests:      {done}\nFailed requests:        {failed}\n"
    )
    if failed:
        text += f"   (Connect: {connect}, Receive: {receive}, Length: {length}, Exceptions: {other})\n"
    if non_2xx:
        text += f"Non-2xx responses:      {non_2xx}\n"
    text += (
        f"Total transferred:      {total} bytes\nHTML transferred:       {total // 2} bytes\n"
        f"Requests per second:    {rate:.2f} [#/sec] (mean)\nTime per request:       {1e3 / rate:.3f} [ms] (mean)\n"
        f"Time per request:       {1e3 / rate:.3f} [ms] (mean, across all concurrent requests)\n"
        f"Transfer rate:          {total / 1024 / taken:.2f} [Kbytes/sec] received\n\n"
    )
    percentiles = dict(zip(AB_PERCENTS, (lat[3], *lat[3:9], lat[8]), strict=True))
    text += _ab_times(lat, percentiles)
    return Printed(
        text,
        {
            "requests": (max(0, done - receive), 0),
            "requests_per_s": (rate, 0.01),
            "duration_s": (taken, 0.001),
            "connections": (connections, 0),
            "bytes_read": (total, 0),
            "bytes_per_s": (total / taken, 10.24),
        },
        {
            "min_s": (lat[0] / 1e3, 0),
            "mean_s": (lat[4] / 1e3, 0),
            "stdev_s": (lat[4] / 3e3, 1e-4),
            "max_s": (lat[9] / 1e3, 0),
        },
        {str(p): (v / 1e3, 0) for p, v in percentiles.items()},
        {"connect": connect, "read": max(receive, other), "status": non_2xx, "timeout": 0, "write": 0},
        None,
        {"whole_milliseconds"}
        | ({"length_differs"} if length else set())
        | ({"non_2xx_includes_redirects"} if non_2xx else set()),
    )


def _ab_times(lat: list[int], percentiles: dict[int, int]) -> str:
    """The connection times and the percentiles, in milliseconds."""
    text = "Connection Times (ms)\n              min  mean[+/-sd] median   max\n"
    for name, row in (
        ("Connect", (0, 0, 0.1, 0, 1)),
        ("Total", (lat[0], lat[4], lat[4] / 3, lat[3], lat[9])),
    ):
        text += f"{name + ':':<11} {row[0]:5d} {row[1]:4d} {row[2]:5.1f} {row[3]:6d} {row[4]:7d}\n"
    text += "\nPercentage of the requests served within a certain time (ms)\n"
    text += "".join(f"  {percent}%  {value:5d}\n" for percent, value in percentiles.items())
    return text + f" 100%  {lat[9]:5d} (longest request)\n"


def _h2load_unit(microseconds: int) -> str:
    if microseconds >= 10**6:
        return f"{microseconds / 1e6:.2f}s"
    return f"{microseconds / 1e3:.2f}ms" if microseconds >= 1000 else f"{microseconds}us"


H2LOAD_REST = (
    "connect     :     11us     11us     11us     11us     11us     11us     11us    87.50%\n"
    "req/s       :     1.00     1.00     1.00     1.00     1.00     1.00     1.00    87.50%\n"
)


def h2load_text(rng: random.Random) -> Printed:
    """main of src/h2load.cc with the columns of 1.66, which adds median, p95 and p99."""
    lat = [value // 1000 for value in latencies(rng)]
    done, server, lost = rng.randint(1, 10**7), rng.randint(0, 500), rng.choice((0, rng.randint(1, 99)))
    late = rng.randint(0, lost)
    seconds, clients, body = rng.uniform(1, 500), rng.randint(2, 1000), rng.randint(1, 10**12)
    shown = [_h2load_unit(value) for value in lat]
    columns = ("min", "max", "median", "p95", "p99", "mean", "sd")
    cells = dict(zip(columns, (0, 8, 3, 5, 6, 4, 1), strict=True))
    text = (
        f"starting benchmark...\nspawning thread #0: {clients - 1} total client(s). {done} total requests\n"
        f"spawning thread #1: 1 total client(s). {done} total requests\nApplication protocol: h2c\n"
        "progress: 50% done\nprogress: 100% done\n\n"
        f"finished in {seconds:.2f}s, {done / seconds:.2f} req/s, 12.34MB/s\n"
        f"requests: {done + lost} total, {done + lost} started, {done} done, {done - server} succeeded, "
        f"{server + lost} failed, {lost} errored, {late} timeout\n"
        f"status codes: {done - server} 2xx, 0 3xx, 0 4xx, {server} 5xx\n"
        f"traffic: 1.23GB ({body}) total, 3.45MB (3617587) headers (space savings 12.34%), 1.00GB (1073741824) data\n"
        f"                     {' '.join(f'{name:>11}' for name in columns)}        +/- sd\n"
        f"request     : {' '.join(f'{shown[cells[name]]:>11}' for name in columns)}    87.50%\n" + H2LOAD_REST
    )
    digits = [last_digit(cell) if not cell.endswith("us") else 1e-6 for cell in shown]

    def at(name: str) -> tuple[float, float]:
        return lat[cells[name]] / 1e6, digits[cells[name]]

    unanswered = lost - late
    return Printed(
        text,
        {
            "requests": (done, 0),
            "requests_per_s": (done / seconds, 0.01),
            "duration_s": (seconds, 0.01),
            "bytes_read": (body, 0),
            "threads": (2, 0),
            "connections": (clients, 0),
        },
        {
            "min_s": at("min"),
            "max_s": at("max"),
            "mean_s": at("mean"),
            "stdev_s": at("sd"),
            "within_stdev": (0.875, 0),
        },
        {"50": at("median"), "95": at("p95"), "99": at("p99")},
        {"status": server, "timeout": late, "read": unanswered, "connect": None if unanswered else 0},
        None,
        {"errors_not_split"} if unanswered else set(),
    )


# Name, requests, failures, latencies in ms, requests a second.
LocustRow = tuple[str, int, int, list[int], float]


def _locust_stats(row: LocustRow) -> str:
    name, requests, failed, lat, rate = row
    share = f"{failed}({failed / requests:.2%})"
    times = f"{lat[5]:>7} {lat[0]:>7} {lat[11]:>7}  | {lat[1]:>7}"
    return f" {name:<60} {requests:>7} {share:>12} {times} {rate:>7.2f}\n"


def _locust_percents(row: LocustRow) -> str:
    name, requests, _, lat, _ = row
    return f" {name:<60} {requests:>8} " + " ".join(f"{value:>6}" for value in lat[1:12]) + "\n"


def locust_console(rng: random.Random) -> Printed:
    """get_stats_summary and get_percentile_stats_summary of locust/stats.py, before 0.14: no failures/s."""
    rows = []
    for name in ("GET /a b", "POST /c"):
        lat = sorted(rng.randint(0, 60_000) for _ in range(12))
        requests = rng.randint(1, 10**6)
        rows.append((name, requests, rng.randint(0, requests), lat, rng.uniform(0.01, 9999)))
    total = (
        "Aggregated",
        sum(row[1] for row in rows),
        sum(row[2] for row in rows),
        sorted(rng.randint(0, 60_000) for _ in range(12)),
        rng.uniform(0.01, 9999),
    )

    rule = "-" * 129 + "\n"
    shares = ("50", "66", "75", "80", "90", "95", "98", "99", "99.9", "99.99", "100")
    head = f" {'Name':<60} {'# reqs':>7} {'# fails':>12} {'Avg':>7} {'Min':>7} {'Max':>7}"
    head += f"  | {'Median':>7} {'req/s':>7}\n"
    text = (
        head
        + rule
        + f" Aggregated {0:>56} 0(0.00%) {0:>7} {0:>7} {0:>7}  | {0:>7} {0:>7.2f}\n\n"
        + head
        + rule
        + "".join(map(_locust_stats, rows))
        + rule
        + _locust_stats(total)
        + "\nResponse time percentiles (approximated)\n"
        + f" {'Name':<60} {'# reqs':>8} "
        + " ".join(f"{p + '%':>6}" for p in shares)
        + "\n"
        + rule
        + "".join(map(_locust_percents, rows))
        + rule
        + _locust_percents(total)
        + "\n"
    )
    return Printed(
        text,
        {"requests": (total[1], 0), "requests_per_s": (total[4], 0.01)},
        {"mean_s": (total[3][5] / 1e3, 0), "min_s": (total[3][0] / 1e3, 0), "max_s": (total[3][11] / 1e3, 0)},
        {p: (v / 1e3, 0) for p, v in zip(shares, total[3][1:], strict=True)},
        {"status": total[2]},
        None,
        {"percentiles_two_digits", "whole_milliseconds"},
    )


def locust_csv(rng: random.Random) -> Printed:
    """StatsCSV.requests_csv of locust/stats.py with custom percentiles."""
    shares = rng.choice((("50", "66", "75", "99", "99.9", "100"), ("50", "60", "95", "99", "100"), ("95",)))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            *(
                "Type",
                "Name",
                "Request Count",
                "Failure Count",
                "Median Response Time",
                "Average Response Time",
            ),
            *("Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s"),
            *(f"{share}%" for share in shares),
        ]
    )
    names = [("GET", '/a,"b"'), ("POST", "/c"), ("", "Aggregated")]
    for method, name in names:
        lat = sorted(rng.uniform(0, 90_000) for _ in range(3))
        requests, failed, rate = rng.randint(1, 10**6), rng.randint(0, 5), rng.uniform(0.01, 9999)
        rounded = sorted(round(rng.uniform(1, 99)) * 100 for _ in shares)
        writer.writerow(
            [method, name, requests, failed, 90.0, lat[1], lat[0], lat[2], 38.5, rate, 0.0, *rounded]
        )
    return Printed(
        out.getvalue(),
        {"requests": (requests, 0), "requests_per_s": (rate, 0), "bytes_read": (requests * 38.5, 1e-3)},
        {"mean_s": (lat[1] / 1e3, 1e-12), "min_s": (lat[0] / 1e3, 1e-12), "max_s": (lat[2] / 1e3, 1e-12)},
        {share: (value / 1e3, 0) for share, value in zip(shares, rounded, strict=True)},
        {"status": failed},
        None,
        {"percentiles_two_digits"},
    )


def _boxed(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) + 2 for i in range(len(rows[0]))]
    edge = ["\u2500" * width for width in widths]
    cells = [[f" {cell:<{width - 1}}" for cell, width in zip(row, widths, strict=True)] for row in rows]
    middle = "\n\u251c" + "\u253c".join(edge) + "\u2524\n"
    inner = middle.join("\u2502" + "\u2502".join(row) + "\u2502" for row in cells)
    top, bottom = "\u252c".join(edge), "\u2534".join(edge)
    return f"\u250c{top}\u2510\n{inner}\n\u2514{bottom}\u2518\n"


def autocannon_table(rng: random.Random) -> Printed:
    """lib/printResult.js: boxes by cli-table3, numbers by toLocaleString, bytes in thousands by pretty-bytes."""
    lat = sorted(rng.randint(0, 9000) for _ in range(6))
    mean, rate, body = rng.randint(0, 10**6) / 100, rng.randint(1, 10**8) / 100, rng.randint(1, 999)
    sent, errors = rng.randint(1, 999), rng.choice((0, 30))

    text = (
        f"Running 20s test @ http://localhost:3000/graphql\n{body} connections with 4 pipelining factor\n\n\n"
        + _boxed(
            [
                ["Stat", "2.5%", "50%", "97.5%", "99%", "Avg", "Stdev", "Max"],
                ["Latency", *(f"{v} ms" for v in lat[:4]), f"{mean} ms", "2.5 ms", f"{lat[5]} ms"],
            ]
        )
        + _boxed(
            [
                ["Stat", "1%", "2.5%", "50%", "97.5%", "Avg", "Stdev", "Min"],
                ["Req/Sec", "1", "1", "1", "1", f"{rate:,.10g}", "0", "1"],
                ["Bytes/Sec", "1 B", "1 B", "1 B", "1 B", f"{body} kB", "0 B", "1 B"],
            ]
        )
        + f"\nReq/Bytes counts sampled once per second.\n# of samples: 20\n\n7 2xx responses, 4 non 2xx responses\n"
        f"{sent} requests in 20.08s, {body} MB read\n"
        + (f"{errors} errors (13 timeouts)\n" if errors else "")
        + "\n"
    )
    return Printed(
        text,
        {
            "requests": (11, 0),
            "requests_per_s": (rate, 0),
            "duration_s": (20.08, 0),
            "planned_duration_s": (20, 0),
            "connections": (body, 0),
            "pipeline": (4, 0),
            "bytes_read": (body * 1e6, 1e-3),
            "bytes_per_s": (body * 1e3, 1e-3),
        },
        {"mean_s": (mean / 1e3, 1e-9), "stdev_s": (0.0025, 0), "max_s": (lat[5] / 1e3, 0)},
        {p: (v / 1e3, 0) for p, v in zip(("2.5", "50", "97.5", "99"), lat[:4], strict=True)},
        {"status": 4, "timeout": 13 if errors else 0, "read": 17 if errors else 0},
        None,
        {"non_2xx_includes_redirects", "whole_milliseconds"} | ({"errors_not_split"} if errors else set()),
    )
