"""Errors by kind, and what each kind really means: error answers, broken connections, no answers at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headwind.analysis.context import Context, again, quoted
from headwind.analysis.finding import Certainty, Evidence, Finding, Severity
from headwind.words import counted, number, rate, share

# A share of errors from which they are the first thing to mend: one request in a hundred.
CRITICAL_SHARE = 0.01
# wrk's loop of reconnecting to a server that is gone fails tens of thousands of times a second (114,949 in 2 s with
# 2 connections); single connections closed under way come nowhere near.
SPINNING_PER_S = 1000
# What an API answers to a request that it does not expect there: not found, wrong method, body not understood.
_NOT_EXPECTED = frozenset({"404", "405", "415", "422"})
_MEANING = {
    "401": "credentials are missing",
    "403": "the caller is not allowed",
    "404": "the path does not exist",
    "405": "the method is wrong",
    "413": "the body is too large",
    "415": "the content type is wrong",
    "422": "the body is not what the API expects",
    "429": "a rate limit refused them",
    "500": "the server's code failed",
    "502": "the proxy got no good answer from the server behind it",
    "503": "the server is over its capacity or not ready",
    "504": "the proxy waited too long for the server behind it",
}


def no_answers(context: Context) -> Iterable[Finding]:
    """Speaks when a whole run has not one answered request; a hung server prints no error either."""
    run = context.run
    if run.requests != 0 or not run.complete:
        return
    errors = {kind: count for kind, count in run.errors.to_json().items() if count}
    told = ", ".join(f"{kind} {number(count)}" for kind, count in errors.items())
    yield Finding(
        "no_answers",
        "critical",
        "proved",
        f"Not one request was answered{f' ({told})' if told else ', and no error is printed either'}",
        (context.read("answered requests", 0, "1", "'requests in' line"), *_counts(context, errors)),
        "See first that one request is answered: the server may be down, hung, or at another address or port.",
        "One request by hand is answered within a second; then the load test has something to measure.",
        f"curl -i --max-time 10 {quoted(run.url)}",
        (context.index,),
    )


def error_answers(context: Context) -> Iterable[Finding]:
    """Speaks when wrk counted answers with a status above 399; tells all of them from some of them."""
    if not context.status_errors or not context.requests or not context.wrk:
        return
    if context.status_errors >= context.requests:
        yield _every_answer(context)
        return
    wrong = context.status_errors / context.requests
    good = context.good or (0, 0)
    pace = ""
    if context.runtime_s:
        pace = f"; good answers came at {_between(good, context.runtime_s)}"
    yield Finding(
        "error_answers",
        "critical" if wrong >= CRITICAL_SHARE else "warning",
        "proved",
        f"{share(wrong)} of the answers ({number(context.status_errors)}) were errors{_codes(context)}{pace}",
        (
            context.read(
                "answers with an error status", context.status_errors, "1", "'Non-2xx or 3xx responses' line"
            ),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            Evidence("good answers, at least", good[0], "1", "requests - status - timeout"),
            Evidence("good answers, at most", good[1], "1", "requests - max(status, timeout)"),
            *_code_evidence(context),
            *_when(context),
        ),
        "Read the server's log for these errors and mend them first. Requests/sec and the latency figures include the "
        "error pages, which are often quicker to make than an answer.",
        "Without errors Requests/sec is the rate of good answers, and the latency is that of real work.",
        again(context),
        (context.index,),
    )


def _every_answer(context: Context) -> Finding:
    codes = context.run.status_codes
    refused = codes is not None and set(codes) <= _NOT_EXPECTED
    certainty: Certainty = "likely" if refused else "proved"
    code = "script_did_not_run" if refused else "every_answer_failed"
    meant = (
        "the API did not expect these requests: the script likely did not run (wrk then sends plain GETs and "
        "only says "
        "so on stderr), or its method, path or body is wrong"
        if refused
        else "Requests/sec and latency are those of error pages"
    )
    return Finding(
        code,
        "critical",
        certainty,
        f"Every one of the {number(context.requests)} answers was an error{_codes(context)}: {meant}",
        (
            context.read(
                "answers with an error status", context.status_errors, "1", "'Non-2xx or 3xx responses' line"
            ),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            *_code_evidence(context),
        ),
        "Send one request by hand and read what the server answers. If it answers well, the load was another request: "
        "look in wrk's stderr for a script that could not be loaded (wrk goes on without it and sends GETs).",
        "After mending it no line 'Non-2xx or 3xx responses' is printed.",
        f"curl -i {quoted(context.run.url)}",
        (context.index,),
    )


def read_errors(context: Context) -> Iterable[Finding]:
    """Speaks when connections broke before a whole answer had come."""
    read = context.run.errors.read
    if not read or not context.wrk or not context.requests:
        return
    lost = read / (context.requests + read)
    every = 0.9 <= read / context.requests <= 1.1
    meaning = (
        "about once for every answer, so the server likely closes each connection without saying so in its answer"
        if every
        else "the server, or something before it, closed, reset or refused them, or sent what is no HTTP"
    )
    closing = (
        "See whether the server closes each connection after its answer: let it answer `Connection: close` where it "
        "means to, or switch keep-alive on. "
        if every
        else ""
    )
    yield Finding(
        "read_errors",
        _severity(lost),
        "likely" if every else "proved",
        f"{number(read)} times a connection broke before a whole answer had come ({share(lost)} of the tries): "
        f"{meaning}",
        (
            context.read("read errors", read, "1", "'Socket errors' line, read"),
            Evidence("share of the tries", lost, "share", "read / (requests + read)"),
        ),
        f"{closing}Look for crashes and restarts in the server's log, for a full accept queue, and for a limit on "
        "connections or "
        "a short keep-alive timeout in the proxy. A refused connection shows here too, not under connect.",
        "Without broken connections every request sent is answered, and the figures cover all of them.",
        again(context),
        (context.index,),
    )


def connect_errors(context: Context) -> Iterable[Finding]:
    """Speaks when connections could not be opened: the load came from fewer than asked for."""
    connect = context.run.errors.connect
    if not connect or not context.wrk:
        return
    asked = context.connections
    fewer = f", so the load came from fewer than {number(asked)} connections" if asked else ""
    yield Finding(
        "connect_errors",
        _severity(connect / asked if asked else 1.0),
        "proved",
        f"{number(connect)} connections could not be opened{fewer}",
        (context.read("connect errors", connect, "1", "'Socket errors' line, connect"),),
        "Raise the limit of open files on the generator (ulimit -n above the connections), and see that ports "
        "are left "
        "and, with https, that the TLS handshake succeeds. wrk never tries such a connection again.",
        "With every connection open the load is what was asked for.",
        f"ulimit -n 65535 && {again(context)}",
        (context.index,),
    )


def write_errors(context: Context) -> Iterable[Finding]:
    """Speaks when writes failed: attempts of a loop that reconnects to a server that is gone, not requests."""
    write = context.run.errors.write
    if not write or not context.wrk:
        return
    pace = f", {rate(write / context.runtime_s)}" if context.runtime_s else ""
    spinning = not context.runtime_s or write > SPINNING_PER_S * context.runtime_s
    meant = (
        "the server went away, and wrk tried to reconnect as fast as it could"
        if spinning
        else "connections were closed before wrk could send the next request"
    )
    yield Finding(
        "write_errors",
        "critical" if write > context.requests else "warning",
        "likely",
        f"{counted(write, 'failed write')}{pace}: {meant}",
        (context.read("write errors", write, "1", "'Socket errors' line, write"),),
        f"See in the server's log when and why it {'stopped' if spinning else 'closed them'}. These are attempts, not "
        "requests: do not count them in a rate of errors.",
        "A server that stays up gives no write errors.",
        again(context),
        (context.index,),
    )


def failed_requests(context: Context) -> Iterable[Finding]:
    """Speaks when another tool than wrk counted failures, of whatever kinds it tells apart."""
    if context.wrk or not context.requests:
        return
    kinds = {kind: count for kind, count in context.run.errors.to_json().items() if count}
    if context.run.tool == "wrk2":
        # wrk2 looks every 2 s for waiting connections, idle ones included, and counts attempts to write.
        kinds = {kind: count for kind, count in kinds.items() if kind not in ("timeout", "write")}
    failed = sum(kinds.values())
    if not failed:
        return
    tried = context.run.tried() or context.requests
    wrong = min(1.0, failed / tried)
    only_status = set(kinds) == {"status"}
    if context.failures == "failed requests" and only_status:
        kinds = {"of all kinds": failed}  # the tool has one number for error answers and requests without one
    told = ", ".join(f"{kind} {number(count)}" for kind, count in kinds.items())
    pace = ""
    if (
        context.run.unanswered() == 0
        and context.failed == failed
        and context.good
        and context.runtime_s
        and failed < context.requests
    ):
        pace = f"; good answers came at {_between(context.good, context.runtime_s)}"
    yield Finding(
        "every_request_failed" if failed >= tried else "requests_failed",
        _severity(wrong),
        "proved",
        f"{share(wrong)} of the requests failed ({told}){_codes(context)}{pace}",
        (
            context.read("requests", context.requests, "1", ""),
            *_counts(context, kinds),
            *_code_evidence(context),
        ),
        "Read the server's log for these failures and mend them first; rate and latency include what failed quickly.",
        "Without failures rate and latency are those of real work.",
        again(context),
        (context.index,),
    )


def _severity(wrong: float) -> Severity:
    return "critical" if wrong >= CRITICAL_SHARE else "warning"


def _counts(context: Context, counts: Mapping[str, int]) -> tuple[Evidence, ...]:
    return tuple(
        context.read(f"{kind} errors", count, "1", "'Socket errors' line") for kind, count in counts.items()
    )


def _between(good: tuple[int, int], runtime_s: float) -> str:
    low, high = rate(good[0] / runtime_s), rate(good[1] / runtime_s)
    return low if low == high else f"{low} to {high}"


def _codes(context: Context) -> str:
    """The most frequent error codes in words: " (503 4,012: over capacity; 500 3: ...)"."""
    found = _error_codes(context)
    told = [
        f"{code} {number(count)} times{f': {_MEANING[code]}' if code in _MEANING else ''}"
        for code, count in found[:3]
    ]
    return f" ({'; '.join(told)})" if told else ""


def _code_evidence(context: Context) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(f"status {code}", count, "1", "status codes") for code, count in _error_codes(context)[:5]
    )


def _error_codes(context: Context) -> list[tuple[str, int]]:
    codes = context.run.status_codes or {}
    errors = [(code, count) for code, count in codes.items() if count and code[:1] in "45" and len(code) == 3]
    return sorted(errors, key=lambda pair: -pair[1])


def _when(context: Context) -> tuple[Evidence, ...]:
    """Where the errors stand in the time line, if they fill only a part of it."""
    timeline = context.run.timeline
    if timeline is None or not any(timeline.errors):
        return ()
    slots = [index for index, count in enumerate(timeline.errors) if count]
    return (
        Evidence("first error at", slots[0] * timeline.slot_s, "s", "time line"),
        Evidence("last error at", (slots[-1] + 1) * timeline.slot_s, "s", "time line"),
    )
