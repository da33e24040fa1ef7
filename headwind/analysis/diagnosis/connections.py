"""Rules about connections: how they are taken, kept and ended, and how many there may be."""

from __future__ import annotations

from headwind.analysis.diagnosis.computing import opens_per_request
from headwind.analysis.diagnosis.environment import evidence
from headwind.analysis.diagnosis.facts import Facts
from headwind.analysis.diagnosis.gains import gain
from headwind.analysis.diagnosis.model import Cause

CONNECTION_COST_S = 0.0002  # CPU to accept, set up and close one connection in the common Python servers


def fd_limit(facts: Facts) -> Cause | None:
    """A worker holds as many descriptors as it may."""
    full = [
        (process.fds_max, process.fds_limit)
        for load in facts.loads
        for process in load.counters.processes
        if process.fds_max
        and process.fds_limit
        and process.fds_max >= min(process.fds_limit - 3, 0.98 * process.fds_limit)
    ]
    if not full:
        return None
    used, limit = full[0]
    return Cause(
        "fd_limit",
        "proved",
        f"A worker has {used} of {limit} file descriptors open: it cannot take another connection.",
        (
            evidence("descriptors open", used, "1", "/proc/<pid>/fd"),
            evidence("limit", limit, "1", "prlimit, RLIMIT_NOFILE"),
            evidence("connections", facts.full.connections, "1", "load"),
        ),
        "Raise `ulimit -n` (LimitNOFILE= in systemd) to several times the connections expected.",
        "all connections are served",
    )


def slow_connects(facts: Facts) -> tuple[int, int]:
    """(connects of the independent stream that took 0.9 s and more, all of them): the first retry comes after 1 s."""
    connects = [row.connect_s for load in facts.loads for row in load.answers if row.connect_s is not None]
    return sum(value > 0.9 for value in connects), len(connects)


def waits_to_connect(facts: Facts) -> bool:
    """Whether clients under load wait longer for their connection than for the answer afterwards, in the mean."""
    rows = [
        (row.connect_s, row.latency_s - row.connect_s)
        for row in (facts.full.answers if facts.seen.full is not None else ())
        if row.connect_s is not None and row.latency_s is not None
    ]
    return len(rows) >= 20 and sum(row[0] for row in rows) > sum(row[1] for row in rows)


def accept_queue_overflow(facts: Facts) -> Cause | None:
    """Connections refused by a full listen queue: again and again, or only at the start, when they all come at once.

    A few drops mean nothing (the kernel counts others with them); many do, unless the independent stream connected
    again and again and never had to repeat it.
    """
    late = sum(load.counters.accept_overflows_late or 0 for load in facts.loads)
    early = sum(load.counters.accept_overflows or 0 for load in facts.loads) - late
    slow, connects = slow_connects(facts)
    lasting = (late >= 20 and (slow >= 1 or connects < 20)) or (late >= 3 and slow >= 2)
    if not lasting and early + late < 0.2 * facts.full.connections:
        return None
    title = (
        f"The queue of new connections overflowed {late} times after the first second: clients wait "
        "a second and more to connect."
        if lasting
        else f"The queue of new connections overflowed {early + late} times when the load began: many "
        "clients at once have to wait a second and more to connect."
    )
    return Cause(
        "accept_queue_overflow",
        "proved" if lasting else "likely",
        title,
        (
            evidence("overflows", early + late, "1", "drops of the listening socket, sock_diag"),
            evidence("of them after the first second", late, "1", "drops of the listening socket, sock_diag"),
            evidence("connects of 0.9 s and more", slow, "1", f"independent stream, {connects} connects"),
            evidence("mean queue", facts.counters.accept_queue_mean, "1", "/proc/net/tcp"),
        ),
        "Give the server a longer backlog (and raise net.core.somaxconn), or accept faster; keep "
        "connections alive.",
        "no more connects of 1 or 3 s",
    )


def closed_share(facts: Facts) -> float | None:
    """Share of the answers alone after which the server ended the connection."""
    rows = [row for row in facts.seen.unloaded.endpoint if row.done_s is not None]
    return sum(row.closed for row in rows) / len(rows) if rows else None


def cost_of_connecting(facts: Facts) -> float | None:
    """Share of a request's cost that its connection has; a 404, which needs one as well, costs no less than that."""
    cost = facts.cpu_per_request_s if facts.cpu_limited else facts.service_s
    if not cost:
        return None
    missing = facts.missing_cpu_s if facts.missing_is_404 else None
    return min(CONNECTION_COST_S, missing or CONNECTION_COST_S) / cost


def no_keepalive(facts: Facts) -> Cause | None:
    """The server ends each connection, and that is a good part of what a request costs: 10 %; `proved` from 30 %."""
    share, part = closed_share(facts), cost_of_connecting(facts)
    if share is None or share < 0.5 or part is None or part < 0.1:
        return None
    opens = facts.counters.passive_opens
    kept = facts.intervention("keepalive")
    return Cause(
        "no_keepalive",
        "proved" if part >= 0.3 else "likely",
        f"The server ends the connection after {100 * share:.0f} % of its answers: every request "
        "pays for a new one.",
        (
            evidence("answers that end the connection", share, "1", "probe 1"),
            evidence(
                "connections per request", opens / facts.full.requests if opens else None, "1", "PassiveOpens"
            ),
            evidence("CPU per request", facts.cpu_per_request_s, "s", "/proc, full load"),
            evidence(
                "share of it for the connection", part, "1", "0.2 ms, or what a 404 costs if that is less"
            ),
            *((evidence("gain when asked to keep them", gain(kept), "1", "intervention"),) if kept else ()),
        ),
        "Serve HTTP/1.1 with keep-alive (gunicorn: gthread or an ASGI worker instead of sync; no "
        "`Connection: close`).",
        f"about {1e3 * CONNECTION_COST_S:.1f} ms less CPU per request, and no ports left in TIME_WAIT",
    )


def proxy_no_keepalive(facts: Facts) -> Cause | None:
    """Requests on kept connections, the certain 404 included, open new connections behind the server's port."""
    opened = opens_per_request(facts)
    if opened is None or (closed_share(facts) or 0.0) > 0.5 or min(opened) < 0.8:
        return None
    return Cause(
        "proxy_no_keepalive",
        "proved",
        f"What listens here is a proxy that opens {opened[0]:.1f} new connections to the server "
        "behind it per request, a 404 included.",
        (
            evidence("connections opened per request", opened[0], "1", "ActiveOpens less ours, probe 1"),
            evidence("connections opened per 404", opened[1], "1", "ActiveOpens less ours, probe 1"),
        ),
        "nginx: `keepalive 64;` in the upstream block, `proxy_http_version 1.1;` and "
        '`proxy_set_header Connection "";`.',
        "less CPU in proxy and server, no ports left in TIME_WAIT",
    )
