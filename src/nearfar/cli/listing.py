"""The catalogue in the terminal. Imported only when it is shown: it loads all objectives."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nearfar.errors import ConfigError, did_you_mean
from nearfar.objectives.registry import catalogue
from nearfar.reports.described import Described, describe


def print_objectives(words: Sequence[str]) -> None:
    """A table of the named objectives by family; with words, of those whose name, family or summary has all of them.

    Raises:
        ConfigError: when none has.
    """
    known = [describe(entry()) for entry in catalogue()]
    chosen = [
        about
        for about in known
        if all(word.lower() in f"{about.name} {about.family} {about.summary}".lower() for word in words)
    ]
    if not chosen:
        hint = did_you_mean(words[0], [name for about in known for name in (about.name, about.family)])
        raise ConfigError(f"No objective has {' and '.join(map(repr, words))} in name, family or summary.{hint}")
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False, expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for family in dict.fromkeys(about.family for about in chosen):
        table.add_row(Text(family, style="bold"), "")
        for about in (each for each in chosen if each.family == family):
            table.add_row(Text(f"  {about.name}"), _told(about))
    console.print(table)
    count = f"{len(chosen)} objectives" if len(chosen) > 1 else "1 objective"
    console.print(f"{count}. nearfar explain NAME shows what one does.", style="dim")


def _told(about: Described) -> Text:
    """The summary, and behind it what must be there, what is kept, and where it comes from."""
    facts = [
        f"needs {about.needed}" if about.needs else "",
        about.keeps,
        "one number of the batch" if about.scope == "batch" else "",
        "a reconstruction" if about.verified is False else "",
        f"arXiv {about.arxiv}" if about.arxiv else "",
    ]
    return Text.assemble(about.summary, (f"  {'; '.join(filter(None, facts))}", "dim"))
