"""``nearfar search``."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "search"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    query: Annotated[str, typer.Argument(metavar="WORDS", help="What to search for.")],
    k: Annotated[int, typer.Option("-k", help="How many documents to show.")] = 5,
) -> None:
    """Search the documents of a run: base and tuned side by side."""
    from nearfar import api
    from nearfar.cli.tables import print_hits

    print_hits(api.search(run, query, k=k))
