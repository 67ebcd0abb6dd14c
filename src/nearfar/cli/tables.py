"""Tables for the terminal, on the output stream."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nearfar.api import SearchHit

_SHOWN_CHARACTERS = 240


def print_scores(scores: Mapping[str, Any]) -> None:
    """Means of each system, and below them the differences with their intervals."""
    console = Console(highlight=False)
    measures = list(next(iter(scores["systems"].values())))
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    table.title = f"{scores['split']}: {scores['queries']:,} queries, {scores['documents']:,} documents"
    table.add_column("system")
    for measure in measures:
        table.add_column(measure, justify="right")
    for system, means in scores["systems"].items():
        table.add_row(system, *(f"{means[measure]:.4f}" for measure in measures))
    for name, compared in _by_pair(scores["comparisons"]).items():
        table.add_section()
        table.add_row(name, *(f"{compared[measure]['mean']:+.4f}" for measure in measures))
        interval = f"{scores['confidence']:.0%} interval"
        table.add_row(interval, *(_interval(compared[measure]) for measure in measures), style="dim")
    console.print(table)


def print_hits(hits: "Mapping[str, Sequence[SearchHit]]") -> None:
    """Rankings of several systems side by side."""
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, expand=True)
    table.add_column("", justify="right", width=2)
    for system in hits:
        table.add_column(system, ratio=1)
    for rank, row in enumerate(zip(*hits.values(), strict=True), start=1):
        table.add_row(str(rank), *(_cell(hit) for hit in row))
    console.print(table)


def _by_pair(comparisons: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    grouped: dict[str, dict[str, Mapping[str, Any]]] = {}
    for comparison in comparisons:
        name = f"{comparison['treatment']} - {comparison['control']}"
        grouped.setdefault(name, {})[comparison["measure"]] = comparison
    return grouped


def _interval(comparison: Mapping[str, Any]) -> str:
    return f"{comparison['low']:+.3f} {comparison['high']:+.3f}"


def _cell(hit: "SearchHit") -> Text:
    text = hit.text if len(hit.text) <= _SHOWN_CHARACTERS else hit.text[: _SHOWN_CHARACTERS - 1] + "…"
    return Text.assemble((f"{hit.score:.3f}  {hit.id}\n", "bold"), text)
