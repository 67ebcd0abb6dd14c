"""Finding negatives: ``mine``."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nearfar.api.opening import name_of, read_data
from nearfar.config.mining import MineConfig
from nearfar.config.read import override, read_options, write_yaml
from nearfar.console import shown
from nearfar.data.split import split as split_data
from nearfar.data.tables import Dataset
from nearfar.encoders.locate import locate
from nearfar.errors import ConfigError
from nearfar.events import Message, Sink
from nearfar.training.folder import FINISHED, MINE, RunFolder, check_run, open_run
from nearfar.training.lock import locked

ENGINES = ("local", "ray")

_WORTH_IT = 20_000
"""Texts from which on several processes are started: each of them takes some seconds to begin."""


@dataclass(frozen=True)
class MineResult:
    """What mining gave.

    Attributes:
        folder: of the job; ``train`` takes it as data.
        account: what ``account.json`` holds: how many candidates there were, what dropped them, how many are left.
    """

    folder: Path
    account: dict[str, Any]

    @property
    def negatives(self) -> Path:
        """The negatives."""
        return self.folder / "negatives.parquet"

    @property
    def candidates(self) -> Path:
        """Every candidate, with the reason of those that were dropped."""
        return self.folder / "candidates.parquet"

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"


def mine(
    data: Dataset | Path | str,
    *,
    model: Any,
    out: Path | str,
    config: MineConfig | Path | str | None = None,
    settings: Sequence[str] = (),
    resume: bool = False,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    cache: Path | str | None = None,
    judge_url: str | None = None,
    judge_requests: int | None = None,
    judge_tokens: int | None = None,
    sink: Sink | None = None,
) -> MineResult:
    """Mine negatives for the training queries of data.

    Args:
        data: a path, a hub name, or tables.
        model: a name as in ``nearfar.encoders.locate``, or an encoder of your own.
        out: the folder of the job; must be new or empty unless ``resume``.
        config: the settings.
        settings: overrides, such as ``["mining.filters=Margin(margin=0.1)"]``.
        resume: go on with the job that is in ``out``.
        engine: ``local`` computes here, ``ray`` on the cluster that RAY_ADDRESS names, or one that it starts here.
        workers: processes that encode and search. None takes one for each core, or one alone for an encoder in memory
            and for few texts.
        cache: a folder of vectors that several jobs share; None keeps them in ``out``.
        judge_url: of a server that speaks the OpenAI protocol, for language models that name none. Its key comes from
            the environment: NEARFAR_API_KEY, else OPENAI_API_KEY.
        judge_requests: how many may be sent to it until the job pauses; None for no limit.
        judge_tokens: how many may be used by it until the job pauses; None for no limit.
        sink: takes events; None shows bars when a terminal is watching.

    Raises:
        NearfarError: for data, settings or folders that will not do, or a server that has to be waited for.
    """
    options, out = _options(config, settings), Path(out)
    if engine not in ENGINES:
        raise ConfigError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}.")
    named = isinstance(model, str | Path)
    if named:
        locate(str(model))
    inputs = {"data": data.name if isinstance(data, Dataset) else str(data), "model": name_of(model)}
    text = write_yaml(options)
    check_run(out, text, inputs, resume)
    if RunFolder(out).read_record().get("state") == FINISHED:
        return MineResult(out, _read_account(out))
    with shown(sink) as watched:
        from nearfar.negatives.plan import Plan

        Plan.of(options.mining).check()
        dataset = split_data(read_data(data, options.data, watched), options.data)
        for note in dataset.facts.notes:
            watched.emit(Message(text=note))
        with locked(out):
            folder = open_run(out, text, inputs, resume)
            folder.update_record(job=MINE)
            size = len(dataset.queries) + len(dataset.documents)
            with _engine(engine, _workers(workers, engine, named, size)) as computing:
                place = _place(folder, options, computing, cache)
                place = replace(place, url=judge_url, requests=judge_requests, tokens=judge_tokens)
                return _run(dataset, model, named, options, folder, place, watched)


def _place(folder: RunFolder, options: MineConfig, engine: Any, cache: Path | str | None) -> Any:
    """Where and by whom the job is done."""
    from nearfar.negatives.job import Workplace
    from nearfar.negatives.vectors import ModelName

    return Workplace(
        folder=folder.path,
        cache=None if cache is None else Path(cache).expanduser(),
        engine=engine,
        others=ModelName(name="", precision=options.mining.precision, device=options.model.device),
        device=options.model.device,
    )


def _run(
    dataset: Dataset,
    model: Any,
    named: bool,
    options: MineConfig,
    folder: RunFolder,
    place: Any,
    sink: Sink,
) -> MineResult:
    """Do the job, and write its record and its page."""
    from nearfar.negatives.job import run_job
    from nearfar.negatives.output import write_record
    from nearfar.reports.mining import write_mining_report
    from nearfar.training.environment import environment

    start, record = time.perf_counter(), folder.read_record()
    opened = _model_name(model, options) if named else model
    account = run_job(dataset, opened, options.mining, place, sink)
    stamp = account.pop("stamp")
    write_record(
        folder.path,
        record["data"],
        options.data.model_dump(mode="json"),
        stamp["data"],
        model=record["model"],
        model_hash=stamp["model"],
        mining=options.mining.model_dump(mode="json"),
    )
    folder.update_record(environment=environment(), seconds={"total": time.perf_counter() - start})
    write_mining_report(folder.path)
    folder.update_record(state=FINISHED)
    return MineResult(folder.path, account)


def _model_name(model: Path | str, options: MineConfig) -> Any:
    from nearfar.negatives.vectors import ModelName

    chosen = options.model
    return ModelName(
        name=str(model),
        prompts=tuple(sorted(chosen.prompts.items())),
        max_length=chosen.max_length,
        similarity=chosen.similarity,
        precision=options.mining.precision,
        device=chosen.device,
        seed=options.mining.seed,
    )


def _engine(name: str, workers: int) -> Any:
    """What computes."""
    from nearfar.negatives.engines import local

    if name == "local":
        return local(workers)
    from nearfar.negatives.ray_engine import Ray

    return Ray(workers)


def _workers(workers: int | None, engine: str, named: bool, texts: int) -> int:
    """How many processes compute: as many as asked for, else one for each core, if there is enough to do for them."""
    if workers is not None:
        return workers
    several = engine == "ray" or (named and texts >= _WORTH_IT)
    return (os.cpu_count() or 1) if several else 1


def _options(config: MineConfig | Path | str | None, settings: Sequence[str]) -> MineConfig:
    return override(config, settings) if isinstance(config, MineConfig) else read_options(MineConfig, config, settings)


def _read_account(out: Path) -> dict[str, Any]:
    account: dict[str, Any] = json.loads((out / "account.json").read_text(encoding="utf-8"))
    return account
