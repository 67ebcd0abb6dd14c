"""A diagnosis in the terminal: what was named, with numbers and advice, and what has changed."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nearfar.diagnosing.cause import NAMED, NOT_FOUND, NOT_MEASURED, Sign
from nearfar.diagnosing.diagnosis import Changes, Diagnosis

_SHOWN = 12
"""Measurements that changed."""


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """The verdicts as a table, the named ones in words, and what is different from the other run."""
    console = Console(highlight=False)
    table = Table(
        box=box.SIMPLE_HEAD, title=str(diagnosis.run.get("name", "")), title_justify="left", title_style="bold"
    )
    for name in ("cause", "", "measured", "usual", "named from"):
        table.add_column(name, justify="right" if name in ("measured", "usual", "named from") else "left")
    for verdict in diagnosis.verdicts:
        style = {NAMED: "bold", NOT_FOUND: "", NOT_MEASURED: "dim"}[verdict.state]
        numbers = _numbers(verdict.signs[0]) if verdict.signs else ("", "", "")
        table.add_row(verdict.cause.name, verdict.state, *numbers, style=style)
    console.print(table)
    for verdict in diagnosis.named:
        console.print(Text(verdict.cause.title, style="bold"))
        console.print(Text(f"  {verdict.signs[0].sentence}"))
        if verdict.behind:
            console.print(Text(f"  Probably a consequence of {verdict.behind}, which is named as well."))
        console.print(Text(f"  {verdict.cause.advice}"))
        console.print(Text(f"  {verdict.cause.page}", style="dim"))
    if not diagnosis.named:
        console.print("No cause was found. That is no proof that there is none: see what was not measured.")
    for verdict in diagnosis.of(NOT_MEASURED):
        console.print(Text(f"Not measured, {verdict.cause.name}: {verdict.why}", style="dim"))
    for note in diagnosis.notes:
        console.print(Text(note))
    if diagnosis.changes is not None:
        _print_changes(console, diagnosis.changes)


def _print_changes(console: Console, changes: Changes) -> None:
    console.print(Text(f"\nAgainst {changes.run}", style="bold"))
    if changes.difference is not None:
        it = changes.difference
        console.print(f"{changes.measure}: {it.mean:+.4f} ({it.low:+.4f} to {it.high:+.4f}) over {it.n:,} queries")
    else:
        console.print("The two were not measured on the same queries, so their scores are not compared.")
    for title, listed in (("setting", changes.settings), ("measurement", changes.measurements[:_SHOWN])):
        table = Table(box=box.SIMPLE_HEAD)
        for name in (title, "before", "now"):
            table.add_column(name, overflow="fold")
        for change in listed:
            table.add_row(change.name, _shown(change.before), _shown(change.now))
        if listed:
            console.print(table)
        else:
            console.print(f"No {title} differs.")


def _numbers(sign: Sign) -> tuple[str, str, str]:
    value = _shown(sign.value)
    if sign.low is not None and sign.high is not None:
        value += f" ({_shown(sign.low)} to {_shown(sign.high)})"
    return value, _shown(sign.usual), _shown(sign.limit)


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "none" if value is None else str(value)
