"""``nearfar export``."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "export"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of nearfar mine.")],
    format: Annotated[
        str,
        typer.Option(
            "--format", help="triplet, tuple, labelled or labelled-list (sentence-transformers), or flagembedding."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="A new file that ends in .jsonl or .parquet.")],
    negatives: Annotated[
        int | None, typer.Option("--negatives", help="Of each row, at most; for tuple exactly so many.")
    ] = None,
    pad: Annotated[
        bool, typer.Option("--pad", help="Fill up shorter rows of tuple with random documents that are not relevant.")
    ] = False,
    score: Annotated[
        str, typer.Option("--score", help="The score that rows of flagembedding have, if every text has it.")
    ] = "teacher",
    seed: Annotated[int, typer.Option("--seed", help="Decides what is filled up with.")] = 0,
) -> None:
    """Write mined negatives in a form that other trainers read."""
    from nearfar import api

    done = api.export_negatives(run, format, out, negatives=negatives, pad=pad, score=score, seed=seed)
    short = f", {done.short} left out for want of negatives" if done.short else ""
    typer.echo(f"{done.rows} rows{short}, written to {done.path}")
