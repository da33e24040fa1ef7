"""The registry of rules: each is one function from a context to findings, and silent where it has no evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headwind.analysis import latency, saturation, target
from headwind.analysis.context import Context
from headwind.analysis.finding import Finding

Rule = Callable[[Context], Iterable[Finding]]

# In the order in which findings of equal severity are told: what invalidates the run, what was asked, what users
# feel, what limits, how well it was measured.
RULES: tuple[Rule, ...] = (
    target.target,
    latency.late_answers,
    saturation.saturation,
    latency.mean_beside_little,
)

SEVERITY_RANK = {"critical": 0, "warning": 1, "info": 2}

# A finding on the left says what the ones on the right would only repeat.
_SAYS_ALREADY: dict[str, frozenset[str]] = {}


def judge(context: Context) -> list[Finding]:
    """All findings about one run, what matters most first; one that only follows from another is left out."""
    found: list[Finding] = []
    for rule in RULES:
        found.extend(rule(context))
    if len(found) < 2:
        return found
    if _SAYS_ALREADY:
        said = set[str]().union(*(_SAYS_ALREADY.get(finding.code, ()) for finding in found))
        found = [finding for finding in found if finding.code not in said]
    found.sort(key=lambda finding: SEVERITY_RANK[finding.severity])
    return found
