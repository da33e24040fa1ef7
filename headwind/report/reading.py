"""A document of any of our schemas, read for a report: its runs, and its words as `Content`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwind.errors import UnreadableError
from headwind.report import content, experiments
from headwind.report.content import Content
from headwind.report.plain import clean, visible
from headwind.run import SCHEMA, Run
from headwind.samples import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """What a report is laid out from. `document` is cleaned of characters that steer terminals or hide."""

    document: Mapping[str, Any]
    runs: tuple[Run, ...]
    samples: tuple[Sample, ...]
    said: Content

    @property
    def kind(self) -> str:
        """What the page calls itself."""
        kinds = {
            experiments.EXPERIMENT: "experiment",
            experiments.DIAGNOSIS: "diagnosis",
            experiments.DIFFERENCE: "comparison",
        }
        default = "comparison" if len(self.runs) > 1 else "stress report"
        return kinds.get(str(self.document["schema"]), default)


def of(
    document: Mapping[str, Any],
    *,
    samples: Sequence[Sample] = (),
    environment: Mapping[str, Any] | None = None,
    raw_text: str | None = None,
) -> Reading:
    """Read a document; raises UnreadableError where its schema is none of ours."""
    document, environment = clean(document), clean(environment)
    schema = document.get("schema")
    runs: tuple[Run, ...] = ()
    if schema == SCHEMA:
        runs = tuple(Run.from_json(row) for row in document["runs"])
        raw_text = visible(raw_text) if raw_text else None
        said = content.build(document, runs, samples=samples, environment=environment, raw_text=raw_text)
    elif schema == experiments.EXPERIMENT:
        said = experiments.experiment(document, environment)
    elif schema == experiments.DIAGNOSIS:
        said = experiments.diagnosis(document, environment)
    elif schema == experiments.DIFFERENCE:
        said = experiments.difference(document)
    else:
        raise UnreadableError(
            f"the document says schema {schema!r}, which this Headwind does not render; use the one that wrote it."
        )
    return Reading(document, runs, tuple(samples), said)
