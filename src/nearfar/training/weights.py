"""Weighing the pairs of a run's training batches: what objectives would do with them."""

from collections.abc import Sequence

import torch

from nearfar.batches.sample import RandomBatches
from nearfar.config.run import RunConfig
from nearfar.data.content import data_hash
from nearfar.data.tables import Dataset
from nearfar.encoders.load import load
from nearfar.encoders.protocol import Role
from nearfar.engine.embed import encode
from nearfar.engine.step import SUPPLIED
from nearfar.engine.teachers import taught
from nearfar.errors import ConfigError
from nearfar.events import Sink, track
from nearfar.objectives.explain import PairWeights, weights
from nearfar.objectives.objective import Objective
from nearfar.training.folder import RunFolder
from nearfar.training.pairs import training_pairs
from nearfar.training.teacher import stored_teacher

BATCHES = 4


def weigh_run(
    folder: RunFolder, dataset: Dataset, options: RunConfig, objectives: Sequence[Objective], sink: Sink
) -> tuple[list[PairWeights], int]:
    """The weights of the pairs in the first training batches of a run, for each objective, and how many batches.

    Texts are embedded by the run's tuned model, without gradient and without dropout. Batches are those of the first
    epoch. Guides are the vectors of the run's teacher; the moving average of the encoder, which is not kept, is taken
    to be where the encoder is.

    Raises:
        ConfigError: the data has changed since the run.
    """
    if data_hash(dataset) != folder.read_record()["data_hash"]:
        raise ConfigError(f"The data in {folder.read_record()['data']} has changed since the run in {folder.path}.")
    encoder = load(str(folder.model), device=options.model.device)
    pairs = training_pairs(dataset, options)
    teacher = None if options.teacher.model is None else stored_teacher(folder.teacher, dataset, options)
    order = list(RandomBatches(len(pairs), options.batches.size, options.training.seed))[:BATCHES]
    found: list[list[PairWeights]] = [[] for _ in objectives]
    for keys in track(order, "Weighing pairs", sink, len(order)):
        batch = pairs(keys)
        anchors = torch.from_numpy(encode(encoder, batch.anchors, Role.QUERY, sink))
        candidates = torch.from_numpy(encode(encoder, batch.candidates, Role.DOCUMENT, sink))
        beside = {name: getattr(batch, name) for name in SUPPLIED} | {"origin": batch.relation.origins}
        beside |= {} if teacher is None else teacher.of(batch)
        followed = {"guide_anchors": anchors, "guide_candidates": candidates}
        for weighed, objective in zip(found, objectives, strict=True):
            inputs = taught(objective.needs, beside, {} if options.training.momentum is None else followed)
            weighed.append(weights(objective, anchors, candidates, batch.relation, **inputs))
    return [joined(each) for each in found], len(order)


def joined(weighed: Sequence[PairWeights]) -> PairWeights:
    """The pairs of several batches as one."""
    columns = {
        name: torch.cat([getattr(each, name) for each in weighed])
        for name in ("similarity", "weight", "positive", "origin")
    }
    return PairWeights(**columns, kind=weighed[0].kind)
