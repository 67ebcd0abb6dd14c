"""``nearfar evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.arguments import Config, Settings

NAME = "evaluate"


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model as in train --model, a run folder, or bm25.")],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A file, a folder, owner/name of a set on the Hugging Face hub, or mteb:NAME, a task of the installed "
            "mteb, which brings its data.",
        ),
    ],
    split: Annotated[str | None, typer.Option("--split", help="Which queries: test, else dev, else all.")] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="What to measure instead of what suits the data: Retrieval, STS, PairClassification, Triplets, "
            "Reranking, Clustering, KNN, Probe, FewShot, MultiLabel, Bitext, or one with settings, such as "
            "'FewShot(shots=1)'; may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new folder for scores, per-query values and the TREC run.")
    ] = None,
    config: Config = None,
    settings: Settings = None,
) -> None:
    """Measure how well a model finds the relevant documents, or what else the data asks for."""
    from nearfar import api
    from nearfar.cli.tables import print_scores, print_task_scores

    result = api.evaluate(model, data, split=split, task=task, out=out, config=config, settings=settings or ())
    if "results" in result.scores:
        print_task_scores(result.scores)
    else:
        print_scores(result.scores)
    if result.folder is not None:
        typer.echo(f"written to {result.folder}")
