"""Pictures as values: a `Figure` knows its title, its words and its numbers, and draws itself at any width."""

from headwind.report.charts.figure import Figure, Panel

__all__ = ["Figure", "Panel"]
