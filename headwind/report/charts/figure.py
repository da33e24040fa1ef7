"""A figure: one specification by Altair, drawn by vl-convert as SVG (HTML) or PNG (Markdown), with its numbers.

Charts are drawn once, in the colours of the light page. The page's style sheet maps each of these few colours to a
variable (`svg [stroke="#2457a6"] { stroke: var(--measured) }`), so one drawing serves light, dark and paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from headwind.report.tables import Table

# The palette: name -> (light, dark). `style_sheet` turns it into the page's variables and the mapping of drawings.
PALETTE: dict[str, tuple[str, str]] = {
    "chart-paper": ("#fefefe", "#0f1419"),
    "chart-ink": ("#24292f", "#dfe4e9"),
    "chart-muted": ("#59636e", "#9aa6b2"),
    "chart-grid": ("#e4e8ec", "#2b333c"),
    "measured": ("#2457a6", "#7db2ff"),
    "measured-soft": ("#c9d8ee", "#24416b"),
    "corrected": ("#b4540a", "#f5a25d"),
    "memory": ("#6a4c9c", "#bda4f2"),
    "failed": ("#b3261e", "#ff8f86"),
    "better": ("#1a7341", "#68d391"),
    "unknown": ("#8b949e", "#7d8894"),
    "unknown-soft": ("#eceef1", "#20272e"),
}

# A chart of Altair, whose methods are annotated too loosely to say more.
Drawing: TypeAlias = Any

# Drawn at these widths, so that text keeps its size: the page's whole width, half of it, and a phone.
WHOLE = 1035
WIDE = 490
NARROW = 330


def colour(name: str) -> str:
    """The light colour by its name in the palette."""
    return PALETTE[name][0]


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing of a figure: `draw(width)` gives a chart whose total width is `width` pixels.

    Where a figure has several panels each has a `label`, and a `summary` of its own.
    """

    draw: Callable[[int], Drawing]
    label: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with everything one who cannot see it needs: `summary` tells it, `rows` hold its numbers."""

    slug: str
    title: str
    summary: str
    panels: tuple[Panel, ...]
    note: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default_factory=tuple)
    whole: bool = False  # takes the page's whole width instead of half

    @property
    def table(self) -> Table:
        """The picture's numbers."""
        return Table(self.title, self.columns, self.rows)

    def svgs(self, width: int) -> list[str]:
        """The panels as SVG fragments to inline; no ids, no style, no script."""
        return [_inline(vl_convert.vegalite_to_svg(_spec(panel, width))) for panel in self.panels]

    def pngs(self, width: int = 660) -> list[bytes]:
        """The panels as PNG at twice the pixels, for Markdown; each under its title, for it may be seen alone."""
        drawn = []
        for panel in self.panels:
            spec = _spec(panel, width)
            spec["title"] = panel.label or self.title
            spec["padding"] = 14
            drawn.append(vl_convert.vegalite_to_png(spec, scale=2))
        return drawn


def _spec(panel: Panel, width: int) -> dict[str, Any]:
    # Altair checks every object against its schema while it is built: most of the time of a chart, and our charts
    # are checked in the tests.
    with debug_mode(False):
        spec: dict[str, Any] = panel.draw(width).to_dict(validate=False)
    spec["config"] = CONFIG
    spec["background"] = colour("chart-paper")
    return spec


def _inline(svg: str) -> str:
    """The SVG for a page: the figure's own label speaks for it, so its marks are hidden from screen readers."""
    head, rest = svg.split(">", 1)
    viewbox = re.search(r'viewBox="[^"]*"', head)
    if viewbox is None:
        raise ValueError("the drawing has no viewBox")
    # Vega labels every group for assistive technology; inside one image of one figure that is only noise.
    rest = re.sub(r"^<rect [^>]*/>", "", rest)  # the paper: the page has its own
    rest = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", rest)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {viewbox[0]} aria-hidden="true" focusable="false">{rest}'


CONFIG: dict[str, Any] = {
    "font": "Liberation Sans, Helvetica, Arial, sans-serif",
    "autosize": {"type": "fit-x", "contains": "padding"},
    "padding": {"left": 0, "right": 12, "top": 6, "bottom": 0},
    "view": {"stroke": None},
    "title": {"anchor": "start", "color": colour("chart-ink"), "fontSize": 14, "offset": 10},
    "axis": {
        "domain": False,
        "ticks": False,
        "grid": True,
        "gridColor": colour("chart-grid"),
        "labelColor": colour("chart-muted"),
        "labelFontSize": 12,
        "labelPadding": 7,
        "titleColor": colour("chart-muted"),
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 9,
    },
    "axisX": {"grid": False, "domain": True, "domainColor": colour("chart-muted"), "labelFlush": False},
    "axisY": {
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "end",
        "titleBaseline": "bottom",
        "titlePadding": 0,
    },
    "legend": {
        "labelColor": colour("chart-ink"),
        "labelFontSize": 12,
        "symbolStrokeWidth": 2.5,
        "symbolSize": 160,
        "padding": 0,
        "offset": 8,
    },
    "text": {"fontSize": 12, "color": colour("chart-ink")},
    "line": {"strokeWidth": 2, "strokeCap": "round", "strokeJoin": "round"},
}


def data(rows: Sequence[dict[str, Any]]) -> alt.InlineData:
    """Rows as inline data; Altair's own frames would need pandas, which is not a dependency."""
    return alt.InlineData(values=list(rows))


def style_sheet() -> tuple[str, str, str]:
    """(light variables, dark variables, rules that map the drawings' colours to them) as CSS text."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in PALETTE.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in PALETTE.items())
    rules = "".join(
        f'svg [{paint}="{pair[0]}"]{{{paint}:var(--{name})}}'
        for name, pair in PALETTE.items()
        for paint in ("fill", "stroke")
    )
    return light, dark, rules


def log_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Round values (1, 2, 5 times a power of ten) from `low` to `high`; powers of ten alone where that is enough."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in ((1, 2, 5), (1,)):
        ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
        ticks = [tick for tick in ticks if low <= tick * 1.0001 and tick <= high * 1.0001]
        if len(ticks) <= most:
            break
    return ticks


# Percentiles stretched by their tail, x = 1 / (1 - p): the Vega expression that labels a tick, and where ticks lie.
TAIL_LABEL = "'p' + format(100 - 100 / datum.value, '.6~g')"


def tail_ticks(right: float) -> list[float]:
    """p50, p90, p99, ... as far as the axis goes."""
    return [tick for tick in (2, 10, 100, 1e3, 1e4, 1e5, 1e6) if tick <= right * 1.0001]


def duration_axis(expression: str = "datum.value") -> str:
    """A Vega expression that labels seconds as us, ms or s."""
    return (
        f"{expression} >= 0.9995 ? format({expression}, ',.3~g') + ' s' : "
        f"{expression} >= 0.0009995 ? format({expression} * 1e3, ',.3~g') + ' ms' : "
        f"format({expression} * 1e6, ',.3~g') + ' µs'"
    )
