"""Whether the load was what was asked for, and whether the generator itself was the limit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from headwind.analysis import usage
from headwind.analysis.context import Context, again, quoted
from headwind.analysis.finding import Certainty, Evidence, Finding
from headwind.run import Run, answered_in_time
from headwind.words import number, rate, share

# A thread at this share of a core has no time left; CPU clocks of short samples are that coarse.
FULL_CORE = 0.95
# What a wrk thread manages at best, by its cost per request: some 110,000 plain answers, 35,000 with a response() hook.
NEAR_LIMIT_PER_THREAD = 60_000
DELIVERED = 0.98
# Connections opened by other programs of the machine are few beside half the answers of a load.
OPENED_SHARE = 0.5
_LOOPBACK = frozenset({"localhost", "::1", "0.0.0.0"})


def connections_rounded(context: Context) -> Iterable[Finding]:
    """Speaks when threads do not divide connections: wrk opens threads x floor(connections / threads)."""
    asked, real = context.run.connections, context.connections
    if not context.wrk or asked is None or real is None or real == asked:
        return
    threads = context.run.threads or 1
    yield Finding(
        "connections_rounded",
        "info",
        "proved",
        f"wrk opened {number(real)} connections, not {number(asked)}: each of its {threads} threads gets "
        f"{real // threads}",
        (
            context.read("connections asked for", asked, "1", "'threads and connections' line"),
            context.read("threads", threads, "1", "'threads and connections' line"),
            Evidence("connections really open", real, "1", "threads x floor(connections / threads)"),
        ),
        f"Ask for a multiple of the threads, such as {threads * max(1, round(asked / threads))}.",
        "As many connections are open as were asked for.",
        again(context, connections=threads * max(1, round(asked / threads))),
        (context.index,),
    )


def sent_late(context: Context) -> Iterable[Finding]:
    """Speaks when a scheduled generator sent behind its schedule while a connection was free."""
    if not context.generator_late:
        return
    told = next(one.message for one in context.run.warnings if one.code == "generator_late")
    yield Finding(
        "generator_late",
        "warning",
        "proved",
        "The generator itself sent late with connections free, so these latencies are not the server's alone",
        (context.read("the reader's warning", told, "", "the schedule's times of every request"),),
        "Measure again from a quiet machine, or at a lower rate. Until then take a latency as an upper bound of the "
        "server's.",
        "Every request is then sent within 3 ms of the time it is due.",
        again(context),
        (context.index,),
    )


def not_delivered(context: Context) -> Iterable[Finding]:
    """Speaks when a scheduled rate was not reached."""
    got, (wanted, words, source) = context.rate_per_s, _wanted(context.run)
    if not wanted or got is None or context.run.interrupted:
        return
    if got >= DELIVERED * wanted - _by_chance_per_s(context.run):
        return
    yield Finding(
        "load_not_delivered",
        "warning",
        "proved",
        f"Only {rate(got)} of the {rate(wanted)} {words} were answered ({share(got / wanted)})",
        (
            context.read("rate asked for", wanted, "1/s", source),
            context.read("rate reached", got, "1/s", "'Requests/sec' line"),
        ),
        "Do not read the latency as that of the rate asked for: requests queue without end above the capacity, and a "
        "longer run would show a higher latency. See whether the generator or the server was full, and lower the "
        "rate.",
        f"At a rate that the server holds, the rate reached agrees within {1 - DELIVERED:.0%}.",
        f"headwind run --url {quoted(context.run.url)} --rate {int(0.8 * got) or 1}",
        (context.index,),
    )


def _wanted(run: Run) -> tuple[float | None, str, str]:
    """The rate that should have been answered, in words, and where it was read: what a schedule drew, where every
    request of it is known, else what was asked for."""
    if answered_in_time(run) is None or run.histogram is None or not run.requests or not run.duration_s:
        return run.rate_target_per_s, "asked for", "-R"
    due = run.requests + run.histogram.late
    return due / run.duration_s, "that were due", "the schedule's times of every request"


def _by_chance_per_s(run: Run) -> float:
    """How much less than asked a random schedule of ours draws by chance where only its rate is known: three standard
    deviations of a Poisson count, per second."""
    if (
        run.tool != "wrk"
        or answered_in_time(run) is not None
        or not run.rate_target_per_s
        or not run.duration_s
    ):
        return 0.0
    return 3 * math.sqrt(run.rate_target_per_s / run.duration_s)


def same_host(context: Context) -> Iterable[Finding]:
    """Speaks when the URL is of this machine: generator and server take CPU from each other."""
    url = context.run.url
    if not url or not context.requests or not on_loopback(url):
        return
    evidence = [context.read("URL", url, "", "'Running' line")]
    told = ""
    certainty: Certainty = "likely"  # the loopback can be a tunnel or a forwarded port
    seen = usage.of(context.samples, context.run.duration_s)
    if seen is not None and seen.role("generator"):
        cores = sum(one.cores for one in seen.role("generator"))
        evidence.append(Evidence("CPU of the generator", cores, "cores", "monitor's samples"))
        evidence.append(Evidence("cores of the machine", seen.cpus, "cores", "monitor's samples"))
        certainty = "proved"
        told = f"; the generator took {number(cores)} of {seen.cpus} cores"
    yield Finding(
        "same_host",
        "info",
        certainty,
        f"Generator and server {'ran' if told else 'likely ran'} on one machine, and there is no network between "
        f"them{told}",
        tuple(evidence),
        "Read the throughput as that of the cores the generator left over, and the latency as one without a network. "
        "For an absolute figure, load from another machine.",
        "From another machine a CPU-bound server gains about the share that the generator took here.",
        f"headwind run --url {quoted(url)}   # from another machine, with that machine's view of the URL",
        (context.index,),
    )


@lru_cache(maxsize=1024)
def on_loopback(url: str) -> bool:
    """Whether the URL's host is this machine's loopback."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host in _LOOPBACK or host.startswith("127.") or host.endswith(".localhost")


def no_keepalive(context: Context) -> Iterable[Finding]:
    """Speaks when the runner counted about one opened connection for every answer: none of them is used again."""
    opened, asked = context.environment.get("connections_opened"), context.connections
    if not isinstance(opened, int) or not asked or not context.requests:
        return
    if opened < OPENED_SHARE * context.requests or opened < 10 * asked:
        return
    yield Finding(
        "no_keepalive",
        "warning",
        "likely",
        f"{number(opened)} connections were opened for {number(context.requests)} answers: the server closes each "
        "after "
        "an answer or a few (keep-alive is off)",
        (
            Evidence(
                "connections opened", opened, "1", "ActiveOpens of this machine, before and after the load"
            ),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            context.read(
                "connections asked for", context.run.connections, "1", "'threads and connections' line"
            ),
        ),
        "Switch keep-alive on in the server and in every proxy before it, and look for `Connection: close` or "
        "HTTP/1.0 in "
        "an answer. Opening a connection costs a round trip and CPU on both sides, and is in no latency that wrk "
        "prints.",
        "With keep-alive only as many connections are opened as were asked for, and throughput rises where "
        "answers are quick.",
        f"curl -sv -o /dev/null -o /dev/null {quoted(context.run.url)} {quoted(context.run.url)}",
        (context.index,),
    )


def cached(context: Context) -> Iterable[Finding]:
    """Speaks when the server itself said before the load that it may answer from memory."""
    if not context.environment.get("cached"):
        return
    yield Finding(
        "cached_answers",
        "warning",
        "proved",
        "The server's cache is on: a request that came before is answered from memory, so this run says less of the "
        "work behind it",
        (Evidence("cache", "on", "", "the server's answer to GET /ready before the load"),),
        "Switch the cache off to measure the work (CACHE_ENTRIES=0 for the service of this repository), or say beside "
        "every figure that it is on, and send as many different requests as users would.",
        "Without it every request costs the server its full time, and fewer are answered where requests repeat.",
        again(context),
        (context.index,),
    )


def generator_full(context: Context) -> Iterable[Finding]:
    """Speaks when a thread of the generator had no CPU time left, or (from the text alone) is near wrk's own limit."""
    seen = usage.of(context.samples, context.run.duration_s)
    if seen is not None:
        full = [one for one in seen.role("generator") if _full(one, context.run.threads)]
        if full:
            yield _full_generator(context, full[0])
        return
    threads, pace = context.run.threads, context.rate_per_s
    if (
        not context.wrk
        or not threads
        or pace is None
        or pace < NEAR_LIMIT_PER_THREAD * threads
        or context.pipelined
    ):
        return
    yield Finding(
        "generator_near_limit",
        "info",
        "possible",
        f"Each wrk thread handled {rate(pace / threads)}: near what one can, so the server may be able to do more",
        (
            context.read("throughput", pace, "1/s", "'Requests/sec' line"),
            context.read("threads", threads, "1", "'threads and connections' line"),
        ),
        "Watch wrk's CPU while it runs; with a thread at a full core, give wrk more threads or load from two "
        "machines.",
        "If wrk was the limit, throughput rises with its threads; else it stays.",
        again(context, threads=2 * threads),
        (context.index,),
    )


def _full(one: usage.ProcessUsage, threads: int | None) -> bool:
    if one.busiest_thread_cores is not None:
        return one.busiest_thread_cores >= FULL_CORE
    return threads is not None and one.cores >= FULL_CORE * threads


def _full_generator(context: Context, one: usage.ProcessUsage) -> Finding:
    return Finding(
        "generator_limited",
        "warning",
        "proved" if one.busiest_thread_cores is not None else "likely",
        f"The load generator was full: its busiest thread used {share(one.busiest_thread_cores or 1.0)} of a "
        "core, so the "
        "server may be able to do more",
        (
            Evidence(
                "busiest thread of the generator", one.busiest_thread_cores, "cores", "monitor's samples"
            ),
            Evidence("CPU of the generator", one.cores, "cores", "monitor's samples"),
            context.read("throughput", context.rate_per_s, "1/s", "'Requests/sec' line"),
        ),
        "Give the generator more threads or another machine, or a lighter script (no response() hook), before "
        "anything "
        "is said about the server's limit.",
        "If the generator was the limit, throughput rises; else it stays, and the limit is the server's.",
        again(context, threads=2 * (context.run.threads or 2)),
        (context.index,),
    )


def threads_above_cores(context: Context) -> Iterable[Finding]:
    """Speaks when wrk has more threads than the machine has cores: they take turns.

    Silent of a schedule's run, whose threads sleep until a request is due, and whose lag is measured.
    """
    threads = context.run.threads
    cpus = context.samples[0].cpus if context.samples else None
    if not threads or cpus is None or threads <= cpus or not context.wrk:
        return
    if context.run.latency_from_send is not None:
        return
    yield Finding(
        "generator_threads_above_cores",
        "info",
        "proved",
        f"wrk ran {threads} threads on {cpus} cores: they take turns, and an answer can wait for its thread",
        (
            context.read("threads", threads, "1", "'threads and connections' line"),
            Evidence("cores of the machine", cpus, "cores", "monitor's samples"),
        ),
        f"Use at most {cpus} threads where latencies below a few milliseconds matter.",
        "Latencies of a few milliseconds become a little shorter; throughput hardly changes.",
        again(context, threads=cpus),
        (context.index,),
    )
