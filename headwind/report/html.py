"""The report as one HTML file: self-contained, offline, light and dark, for a screen, a phone and paper."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup

from headwind import __version__, words
from headwind.report import reading
from headwind.report.charts.figure import NARROW, WHOLE, WIDE, Figure, style_sheet
from headwind.report.figures import figures_of
from headwind.report.plain import pieces, typeset
from headwind.report.tables import Table
from headwind.samples import Sample

_OPTION = re.compile(r"((?<!\S)\(?--[a-z][a-z-]*)")


def render(
    document: Mapping[str, Any],
    *,
    samples: Sequence[Sample] = (),
    environment: Mapping[str, Any] | None = None,
    raw_text: str | None = None,
) -> str:
    """The page of a document; `samples`, `environment` and `raw_text` are the run folder's, where it has them.

    Every text of the document is escaped; the page's own policy forbids it to load or run anything else. Raises
    UnreadableError where the document's schema is none of ours.
    """
    read = reading.of(document, samples=samples, environment=environment, raw_text=raw_text)
    return page(
        "report.html",
        read.said.title,
        kind=read.kind,
        said=read.said,
        figures=figures_of(read),
        several=len(read.runs) > 1,
        notes_first=read.kind == "comparison",
        table_groups=table_groups(read.said.numbers),
    )


_NARROW = 3  # columns that a third of the page has room for


def table_groups(tables: Sequence[Table]) -> list[tuple[bool, list[Table]]]:
    """Neighbouring tables of the same kind: (True, those that stand side by side) or (False, wide or single ones)."""
    groups = [
        (narrow, list(group)) for narrow, group in groupby(tables, lambda one: len(one.columns) <= _NARROW)
    ]
    return [(narrow and len(group) > 1, group) for narrow, group in groups]


def page(template: str, title: str, **values: Any) -> str:
    """One of our pages in the common frame."""
    script = _source("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    light, dark, rules = style_sheet()
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            version=__version__,
            style=Markup(_source("page.css")),  # our own file
            chart_light=Markup(light),
            chart_dark=Markup(dark),
            chart_rules=Markup(rules),
            script=Markup(script),
            script_hash=digest,
            **values,
        )
    )


def drawings(figure: Figure) -> list[dict[str, Any]]:
    """The figure's panels, each drawn for every width at which it is shown: {"label", "drawn": {class: SVG}}."""
    widths = {"at-whole": WHOLE} if figure.whole else {}
    widths |= {"at-wide": WIDE, "at-narrow": NARROW}
    # Vega escapes every text it draws, and nothing else of the document reaches a drawing.
    drawn = {name: map(Markup, figure.svgs(width)) for name, width in widths.items()}
    return [
        {"label": panel.label, "drawn": dict(zip(drawn, svgs, strict=True))}
        for panel, svgs in zip(figure.panels, zip(*drawn.values(), strict=True), strict=True)
    ]


def prose(sentence: str) -> Markup:
    """A sentence for a page: escaped, what stands between backticks as code, an option's name on one line."""
    code, option, plain = Markup("<code>{}</code>"), Markup('<span class="nb">{}</span>'), Markup("{}")
    told = Markup()
    for is_code, text in pieces(sentence):
        if is_code:
            told += code.format(text)
            continue
        for place, part in enumerate(_OPTION.split(typeset(text))):
            told += (option if place % 2 else plain).format(part)
    return told


def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("headwind.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    environment.filters["measured"] = words.measured
    environment.globals["drawings"] = drawings
    return environment
