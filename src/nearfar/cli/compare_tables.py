"""A comparison in the terminal: the table over all data sets, the one of each data set, and what to know about them."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from nearfar.console import duration
from nearfar.evaluation.comparison import Comparison, Cost, Table, Versus
from nearfar.reports.words import count


def print_comparison(comparison: Comparison) -> None:
    """The table that answers the question, means by data set, and the sentences that belong to them."""
    console = Console(highlight=False)
    main = comparison.main
    if main is None:
        console.print("Nothing is finished that could be compared.")
    else:
        console.print(_main(comparison, main))
        if len(comparison.tables) > 1:
            console.print(_by_data_set(comparison))
        console.print(_reading(comparison), markup=False)
        console.print(main.covers, markup=False)
        if (seen := _detectable(main.versus)) is not None:
            console.print(seen, markup=False)
    for note in comparison.notes:
        console.print(note, style="yellow", markup=False)
    if comparison.go_on:
        console.print(comparison.go_on, markup=False)


def print_plan(planned: Sequence[Any]) -> None:
    """The runs of a comparison and how long they take, as far as that is known.

    Args:
        planned: ``comparing.job.Planned``, in their order.
    """
    console = Console(highlight=False)
    table = _table(f"{count(len(planned))} runs, in this order")
    for name in ("system", "data set", "seed", "state", "time"):
        table.add_column(name, justify="right" if name in ("seed", "time") else "left")
    for each in planned:
        system, data_set, seed = each.cell.key
        time = "" if each.seconds is None else ("" if each.state != "to do" else "about ") + duration(each.seconds)
        table.add_row(system, data_set, "" if seed is None else str(seed), each.state, time)
    console.print(table)
    left = [each.seconds for each in planned if each.state != "finished"]
    known = [seconds for seconds in left if seconds is not None]
    if not left:
        console.print("All are finished.")
    elif known:
        unknown = f", and {len(left) - len(known)} runs of which nothing is known" if len(known) < len(left) else ""
        console.print(f"About {duration(sum(known))} to go{unknown}.")
    else:
        console.print("How long they take is not known before the first is finished.")


def _main(comparison: Comparison, main: Table) -> RichTable:
    costs = {cost.system: cost for cost in comparison.costs}
    seeds = sorted({len(seeds) for seeds in main.seeds.values()})
    over = f"{count(main.queries)} queries" + (f", {seeds[0]} seed{'s'[: seeds[0] > 1]}" if seeds else "")
    where = main.name if len(main.data_sets) > 1 else main.data_sets[0]
    table = _table(f"{comparison.measure} on {where}: {over}; ± is half of the {comparison.confidence:.0%} interval")
    against = {each.treatment: each for each in main.versus} if comparison.baseline is not None else None
    heads = ("group", "mean") if against is None else ("mean", f"minus {comparison.baseline}", "p", "verdict")
    table.add_column("system", overflow="fold")
    for head in (*heads, "seconds", "weights"):
        table.add_column(head, justify="left" if head in ("group", "verdict") else "right", no_wrap=True)
    for standing in main.standings:
        mean = f"{standing.mean:.4f}"
        if against is None:
            margin = max(standing.high - standing.mean, standing.mean - standing.low)
            cells: tuple[str, ...] = (standing.letters, f"{mean} ± {margin:.4f}")
        else:
            cells = (mean, *_compared(against.get(standing.system)))
        bold = "bold" if standing.leader else ""
        table.add_row(standing.system, *cells, *_cost(costs.get(standing.system)), style=bold)
    return table


def _by_data_set(comparison: Comparison) -> RichTable:
    """Means by system and data set; what is not finished is empty."""
    means = {(table.name, one.system): one.mean for table in comparison.tables for one in table.standings}
    order = [one.system for one in comparison.main.standings] if comparison.main is not None else []
    rest = [system.name for system in comparison.systems if system.name not in order]
    table = _table(f"{comparison.measure} by data set")
    table.add_column("system", overflow="fold")
    for each in comparison.tables:
        table.add_column(each.name, justify="right", overflow="fold")
    for system in (*order, *rest):
        values = [means.get((each.name, system)) for each in comparison.tables]
        table.add_row(system, *("" if value is None else f"{value:.4f}" for value in values))
    return table


def _compared(versus: Versus | None) -> tuple[str, str, str]:
    if versus is None:
        return "", "", ""
    difference = f"{versus.difference:+.4f} ± {(versus.high - versus.low) / 2:.4f}"
    return difference, "<0.0001" if versus.adjusted < 0.0001 else f"{versus.adjusted:.4f}", versus.verdict


def _cost(cost: Cost | None) -> tuple[str, str]:
    if cost is None:
        return "", ""
    seconds = "" if cost.train_seconds is None else f"{cost.train_seconds:.1f}"
    return seconds, "" if cost.parameters is None else _short(cost.parameters)


def _short(number: float) -> str:
    """``1.2k``, ``22.7M``."""
    for unit in ("", "k", "M"):
        if number < 1000:
            return f"{number:.1f}{unit}" if unit else f"{number:.0f}"
        number /= 1000
    return f"{number:.1f}G"


def _reading(comparison: Comparison) -> str:
    """How the last columns of the table are read."""
    if comparison.baseline is None:
        return "Systems that share a letter could not be told apart, which does not say that they are equal."
    return f"open: not told apart from {comparison.baseline}, which does not say that they are equal."


def _detectable(versus: Sequence[Versus]) -> str | None:
    """What these comparisons could have seen."""
    seen = [each.detectable for each in versus if each.detectable is not None]
    if not seen:
        return None
    low, high = min(seen), max(seen)
    span = f"{low:.4f}" if f"{low:.4f}" == f"{high:.4f}" else f"{low:.4f} to {high:.4f}, depending on the pair,"
    return f"A true difference of {span} would have been found in 4 of 5 such comparisons; smaller ones may be missed."


def _table(title: str) -> RichTable:
    return RichTable(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
