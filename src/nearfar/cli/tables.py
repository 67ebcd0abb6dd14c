"""Tables for the terminal, on the output stream."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nearfar.api import SearchHit

_SHOWN_CHARACTERS = 240
_PLURALS = {"query": "queries"}


def print_scores(scores: Mapping[str, Any]) -> None:
    """The means of each system, and the differences between systems with their intervals."""
    console = Console(highlight=False)
    measures = list(next(iter(scores["systems"].values())))
    means = _table(f"{scores['split']}: {scores['queries']:,} queries, {scores['documents']:,} documents")
    means.add_column("system")
    for measure in measures:
        means.add_column(measure, justify="right")
    for system, values in scores["systems"].items():
        means.add_row(system, *(f"{values[measure]:.4f}" for measure in measures))
    console.print(means)
    compared = _by_pair(scores["comparisons"])
    if not compared:
        return
    differences = _table(f"differences, with {scores['confidence']:.0%} intervals over the queries")
    differences.add_column("measure")
    for name in compared:
        differences.add_column(name, justify="right")
    for measure in measures:
        differences.add_row(measure, *(_difference(found[measure]) for found in compared.values()))
    console.print(differences)


def print_task_scores(scores: Mapping[str, Any]) -> None:
    """For each task its measures with their intervals, one column for each system, and what the task has to say."""
    console = Console(highlight=False)
    found = {(row["task"], row["measure"], row["system"]): row for row in scores["results"]}
    systems = list(dict.fromkeys(row["system"] for row in scores["results"]))
    alone = f"{systems[0]} on " if len(systems) == 1 else ""
    about = f"{alone}{scores['split']}: {scores['kind']}, with {scores['confidence']:.0%} intervals"
    console.print(about, style="bold", markup=False)
    for task in dict.fromkeys(row["task"] for row in scores["results"]):
        measures = list(dict.fromkeys(row["measure"] for row in scores["results"] if row["task"] == task))
        first = found[task, measures[0], systems[0]]
        table = _table(f"{task} over {first['n']:,} {_PLURALS.get(first['unit'], first['unit'] + 's')}")
        table.add_column("measure")
        for system in systems:
            table.add_column("value" if alone else system, justify="right", overflow="fold")
        for measure in measures:
            table.add_row(measure, *(_interval(found[task, measure, system]) for system in systems))
        console.print(table)
        for note in scores["notes"].get(task, ()):
            console.print(note, markup=False)


def print_hits(hits: Mapping[str, Sequence[SearchHit]]) -> None:
    """Rankings of several systems side by side."""
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, expand=True)
    table.add_column("", justify="right", width=2)
    for system in hits:
        table.add_column(system, ratio=1)
    for rank, row in enumerate(zip(*hits.values(), strict=True), start=1):
        table.add_row(str(rank), *(_cell(hit) for hit in row))
    console.print(table)


def _table(title: str) -> Table:
    return Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")


def _by_pair(comparisons: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Comparisons by measure, of the pairs that have the tuned model in them."""
    grouped: dict[str, dict[str, Mapping[str, Any]]] = {}
    for comparison in comparisons:
        if comparison["treatment"] == "tuned":
            name = f"tuned - {comparison['control']}"
            grouped.setdefault(name, {})[comparison["measure"]] = comparison
    return grouped


def _interval(score: Mapping[str, Any]) -> str:
    return f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def _difference(comparison: Mapping[str, Any]) -> str:
    return f"{comparison['mean']:+.4f} ({comparison['low']:+.4f} to {comparison['high']:+.4f})"


def _cell(hit: SearchHit) -> Text:
    text = hit.text if len(hit.text) <= _SHOWN_CHARACTERS else hit.text[: _SHOWN_CHARACTERS - 1] + "…"
    return Text.assemble((f"{hit.score:.3f}  {hit.id}\n", "bold"), text)
