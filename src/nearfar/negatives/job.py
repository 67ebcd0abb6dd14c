"""A mining job as a whole: from tables and a model to the files of a folder.

``candidates.parquet`` has every candidate with its reason, ``negatives.parquet`` what came out, ``account.json`` the
sums. The same inputs give the same bytes, on any engine and after any interruption.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar.config.mining import MiningOptions
from nearfar.data.content import data_hash
from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Encoder
from nearfar.events import Message, Silent, Sink
from nearfar.files import write_json
from nearfar.negatives.account import account, examples, write_candidates
from nearfar.negatives.calibrate import check_not_empty, doubts
from nearfar.negatives.closure import Closure
from nearfar.negatives.engines import Engine, Inline
from nearfar.negatives.material import Material
from nearfar.negatives.output import write_output
from nearfar.negatives.plan import Plan
from nearfar.negatives.services import Services
from nearfar.negatives.stages import chosen_queries, mine
from nearfar.negatives.store import KeptVectors
from nearfar.negatives.suspects import suspects
from nearfar.negatives.vectors import ModelName

ACCOUNT, EXAMPLES, CANDIDATES = "account.json", "examples.json", "candidates.parquet"


@dataclass(frozen=True, eq=False, kw_only=True)
class Workplace:
    """Where and by whom a job is done. Nothing of it changes what comes out.

    Attributes:
        folder: of the job.
        cache: where vectors and hits are kept; several jobs may share it.
        engine: who computes.
        others: how models that parts name are opened.
        threads: of a task.
        url: of a server that speaks the OpenAI protocol, for parts that name none.
        requests, tokens: how many may be spent on it; None for no limit.
        device: of cross-encoders.
    """

    folder: Path
    cache: Path | None = None
    engine: Engine = field(default_factory=Inline)
    others: ModelName = field(default_factory=lambda: ModelName(name=""))
    threads: int = 1
    url: str | None = None
    requests: int | None = None
    tokens: int | None = None
    device: str | None = None


def mine_into(
    folder: Path, dataset: Dataset, encoder: Encoder, options: MiningOptions, sink: Sink = Silent()
) -> dict[str, Any]:
    """Mine with a model in memory; gives the account. For training, which mines with the model as it is."""
    place = Workplace(folder=folder, threads=torch.get_num_threads())
    return run_job(dataset, encoder, options, place, sink)


def run_job(
    dataset: Dataset, model: ModelName | Encoder, options: MiningOptions, place: Workplace, sink: Sink = Silent()
) -> dict[str, Any]:
    """Mine negatives for the training queries of a data set, and write them with their account, which it gives.

    Args:
        dataset: the tables, with a split for training.
        model: that is mined for; a name where other processes are to open it.
        options: the settings.
        place: where it is done and by whom.
        sink: takes progress.

    Raises:
        ConfigError: when a part is unknown or wrong.
        DataError: when there is nothing to mine for, or no query keeps a negative.
        ResourceError: when something cannot be written, a worker dies again and again, or a server has to be waited
            for; what is done is kept.
    """
    plan, closure = Plan.of(options), Closure(dataset)
    queries = chosen_queries(closure, dataset, options)
    store = KeptVectors(
        dataset,
        queries,
        model,
        place.cache or place.folder / "vectors",
        place.engine,
        others=place.others,
        threads=place.threads,
        searched=np.arange(len(dataset.documents)),
    )
    stamp = {"data": data_hash(dataset), "model": store.fingerprint(), "settings": _hash(options)}
    services = Services(
        place.folder,
        url=place.url,
        requests=place.requests,
        tokens=place.tokens,
        seed=options.seed,
        device=place.device,
    )
    material = Material(
        dataset=dataset, queries=queries, closure=closure, store=store, seed=options.seed, services=services
    )
    result = mine(material, plan, options, place.folder, f"{stamp['data']} {stamp['model']}", sink)
    plan = result.plan
    check_not_empty(result.candidates, plan.filters, result.material)
    if doubt := doubts(result.candidates, plan.filters, result.material):
        sink.emit(Message(text=doubt, level="warning"))
    sources, by = [str(source) for source in plan.sources], next(iter(plan.selection.asks), None)
    with ThreadPoolExecutor(1) as beside:  # the longest file
        written = beside.submit(write_candidates, place.folder / CANDIDATES, result, stamp)
        told = account(result, options, sink)
        write_output(
            place.folder,
            dataset,
            result.candidates,
            sources,
            made=result.material.made,
            by=by,
            group=plan.selection.groups(result.candidates, result.material),
            suspects=suspects(result.candidates, plan.filters, options.suspects_per_list, by)
            if options.suspects == "ignore"
            else None,
        )
        write_json(place.folder / EXAMPLES, {"examples": examples(result)})
        written.result()
    write_json(place.folder / ACCOUNT, told)
    return {**told, "stamp": stamp}


def _hash(options: MiningOptions) -> str:
    return hashlib.blake2b(options.model_dump_json().encode(), digest_size=16).hexdigest()
