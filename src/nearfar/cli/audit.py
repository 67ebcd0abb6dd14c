"""``nearfar audit``."""

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.arguments import Config, Data, Settings

NAME = "audit"


def command(
    data: Data,
    model: Annotated[
        str | None, typer.Option("--model", help="What doubts judgements: a model as in train --model; BM25 if none.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="DATA", help="Another training set, to compare dev and test of DATA with."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new folder for the page, the table of findings and the counts.")
    ] = None,
    similarity: Annotated[
        float, typer.Option("--similarity", help="From which share of equal words on texts are nearly equal.")
    ] = 0.7,
    depth: Annotated[
        int, typer.Option("--depth", help="A relevant document below so many places counts as not found.")
    ] = 100,
    queries: Annotated[
        int, typer.Option("--queries", help="Of each split, how many queries are ranked at most.")
    ] = 10_000,
    config: Config = None,
    settings: Settings = None,
) -> None:
    """Look for duplicates, leaks between splits, doubtful judgements and odd texts in data."""
    from nearfar import api
    from nearfar.cli.findings import print_findings
    from nearfar.config.auditing import AuditOptions

    options = AuditOptions(similarity=similarity, depth=depth, queries=queries)
    result = api.audit(
        data, model=model, against=against, out=out, options=options, config=config, settings=settings or ()
    )
    print_findings(result)
    if result.folder is not None:
        typer.echo(f"written to {result.folder}")
