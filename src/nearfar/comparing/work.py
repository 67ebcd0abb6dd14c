"""Doing one cell: training if it is a recipe, measuring in any case."""

from dataclasses import replace
from pathlib import Path

from nearfar.comparing.cells import Cell, CellCost, Measured
from nearfar.comparing.material import Material
from nearfar.comparing.meter import counted, memory_watched, timed
from nearfar.config.run import RunConfig
from nearfar.encoders.locate import locate
from nearfar.engine.embed import resolve_precision
from nearfar.evaluation.evaluate import Evaluation, Task, evaluate_bm25, evaluate_encoder
from nearfar.events import Sink
from nearfar.training.encoder import check_encoder, check_fits
from nearfar.training.folder import RunFolder
from nearfar.training.job import Run, Trainable, fit


def do_cell(cell: Cell, material: Material, folder: Path, sink: Sink) -> tuple[Measured, Trainable | None]:
    """Train and measure; gives what came out, and the model.

    Args:
        cell: what is to be done.
        material: data and models.
        folder: of the training, from whose checkpoints it goes on where there are any. What an interrupted training
            has cost is not known.
        sink: takes events.

    Raises:
        Stopped: when training was interrupted; it can go on.
        NearfarError: when it has failed.
    """
    task, options = material.task(cell.arm), cell.arm.seeded(cell.seed)
    with memory_watched() as peak:
        if cell.arm.model is None:
            with timed() as searching:
                found = evaluate_bm25(task, sink)
            return _measured(
                task,
                found,
                CellCost(train_seconds=0.0, cpu_seconds=0.0, peak_memory=peak(), encode_seconds=searching.seconds),
            ), None
        encoder = material.opening.encoder(locate(cell.arm.model), options)
        cost = CellCost(train_seconds=0.0, cpu_seconds=0.0, texts=0.0, tokens=0.0)
        if cell.arm.kind == "recipe":
            cost = _train(cell, material, encoder, options, folder, sink)
            encoder.precision = resolve_precision(options.evaluation.precision, encoder.device)
        with timed() as searching:
            found = evaluate_encoder(encoder, task, sink)
        assert found.found.documents is not None  # an encoder's
        cost = replace(
            cost,
            peak_memory=peak(),
            parameters=float(sum(parameter.numel() for parameter in encoder.parameters())),
            dimensions=float(found.found.documents.shape[1]),
            encode_seconds=searching.seconds,
        )
        return _measured(task, found, cost), encoder


def _train(
    cell: Cell, material: Material, encoder: Trainable, options: RunConfig, folder: Path, sink: Sink
) -> CellCost:
    """Train the encoder in place; gives what that has cost, where all of it was seen."""
    dataset, run = material.dataset(cell.arm), RunFolder(folder)
    check_encoder(encoder, options)
    check_fits(encoder, dataset, options)
    begun = run.checkpoints.is_dir() or run.model.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with timed() as training, counted(encoder) as passed:
        fit(Run(dataset=dataset, encoder=encoder, config=options, folder=run, sink=sink))
    if begun:
        return CellCost()
    return CellCost(
        train_seconds=training.seconds,
        cpu_seconds=training.cpu_seconds,
        texts=float(passed.texts),
        tokens=float(passed.tokens) or None,
    )


def _measured(task: Task, found: Evaluation, cost: CellCost) -> Measured:
    queries, documents = task.dataset.queries, task.dataset.documents
    tops = found.found.hits.documents[:, 0].tolist() if found.found.hits.depth else [-1] * len(task.queries)
    return Measured(
        queries=tuple(queries.id(row) for row in task.queries.tolist()),
        measures=found.scores.measures,
        values=found.scores.values,
        first=tuple(documents.id(row) if row >= 0 else "" for row in tops),
        cost=cost,
    )
