"""The account of a mining job in the terminal: what became of the candidates, and how many negatives that left."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from rich import box
from rich.console import Console
from rich.table import Table

from nearfar.negatives.candidates import Reason
from nearfar.negatives.reasons import REASONS, title
from nearfar.reports import mining_words
from nearfar.reports.mining_contents import Account
from nearfar.reports.words import count

_BESIDE = 3
"""Up to so many sources have columns of their own; of more, only all together are shown."""
_WIDE = 100
"""Characters from which on there is room for what a reason means."""


def print_account(account: Mapping[str, Any]) -> None:
    """A row for each reason that candidates have, and sentences about lists, indexes and the estimate.

    Args:
        account: what ``account.json`` holds.
    """
    read = TypeAdapter(Account).validate_python(account)
    console = Console(highlight=False)
    console.print(_table(read, console.width >= _WIDE))
    about = (
        mining_words.lists(read),
        *mining_words.settled(read),
        *mining_words.looked(read),
        *mining_words.made(read),
        *mining_words.refused(read),
        *mining_words.unanswered(read),
        *mining_words.recall(read),
    )
    for sentence in (*about, f"{mining_words.estimate(read)} {mining_words.judged(read)}".strip()):
        if sentence:
            console.print(sentence, markup=False)


def _table(account: Account, wide: bool) -> Table:
    """Reasons by row, sources by column when there are a few, and what each reason means if there is room."""
    total, heading = account.total, mining_words.headline(account)
    table = Table(box=box.SIMPLE_HEAD, title=heading, title_justify="left", title_style="bold", expand=wide)
    beside = account.funnel if 1 < len(account.funnel) <= _BESIDE else ()
    table.add_column("reason", no_wrap=True)
    for name in ("candidates", "share", *(row.source.partition("(")[0] for row in beside)):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("meaning", ratio=1, no_wrap=True, overflow="ellipsis", style="dim")

    def add(name: str, numbers: list[int], meaning: str, style: str = "") -> None:
        cells = (count(numbers[0]), mining_words.share(numbers[0], account.candidates), *map(count, numbers[1:]))
        table.add_row(name, *cells, *([meaning] if wide else []), style=style)

    add("proposed", [account.candidates, *(row.proposed for row in beside)], "")
    for reason in (*(reason for reason in Reason if reason), Reason.KEPT):
        numbers = [total.count(reason), *(row.count(reason) for row in beside)]
        if numbers[0] or reason == Reason.KEPT:
            add(title(reason), numbers, REASONS[reason], "bold" if reason == Reason.KEPT else "")
    return table
