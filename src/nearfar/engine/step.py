"""One training step as a module: texts in, loss out.

The encoder and the objective are its children, so whatever either of them trains or remembers is in the optimiser and
in every checkpoint, and a data-parallel wrapper sees one forward.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.engine.embed import embed
from nearfar.engine.microbatch import MicroBatch, prepare
from nearfar.objectives.objective import Objective
from nearfar.types import Batch, Relation

SUPPLIED = ("index", "labels")
"""The keyword inputs of an objective that a batch has."""


@dataclass(frozen=True, eq=False, kw_only=True)
class StepInput:
    """A batch that is ready for the encoder.

    Attributes:
        micro_batches: the distinct texts of the step, prepared.
        anchors: where each anchor stands among the embedded texts.
        candidates: where each candidate stands among them.
        relation: who belongs to whom.
        inputs: what else the objective may want, by name: ``index``, ``labels``.
    """

    micro_batches: list[MicroBatch]
    anchors: Int64[np.ndarray, " anchor"]
    candidates: Int64[np.ndarray, " candidate"]
    relation: Relation
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "StepInput":
        """The same input with its relation on ``device``; features move when they are embedded."""
        moved = {name: value.to(device) for name, value in self.inputs.items()}
        return replace(self, relation=self.relation.to(device), inputs=moved)


def prepare_step(encoder: TorchEncoder, batch: Batch, budget: int) -> StepInput:
    """Tokenise the texts of a batch, each distinct one once, and cut them into micro-batches."""
    texts_by_way: dict[Hashable, dict[str, int]] = {}
    role_of_way: dict[Hashable, Role] = {}
    local = {}
    for role, texts in ((Role.QUERY, batch.anchors), (Role.DOCUMENT, batch.candidates)):
        way = encoder.way(role)
        role_of_way.setdefault(way, role)
        places = texts_by_way.setdefault(way, {})
        local[role] = (way, [places.setdefault(text, len(places)) for text in texts])
    offsets, micro_batches, total = {}, [], 0
    for way, places in texts_by_way.items():
        offsets[way] = total
        for group in prepare(encoder, list(places), role_of_way[way], budget):
            micro_batches.append(MicroBatch(group.places + total, group.features))
        total += len(places)
    anchors, candidates = (_shifted(local[role], offsets) for role in (Role.QUERY, Role.DOCUMENT))
    beside = {name: value for name in SUPPLIED if (value := getattr(batch, name)) is not None}
    return StepInput(
        micro_batches=micro_batches, anchors=anchors, candidates=candidates, relation=batch.relation, inputs=beside
    )


class Step(nn.Module):
    """Embeds the texts of a step and applies the objective.

    Attributes:
        counted: anchors that had a loss, over all steps so far.
    """

    def __init__(self, encoder: TorchEncoder, objective: Objective, precision: str = "float32") -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.precision = precision
        self.counted: Int[Tensor, ""] = torch.zeros((), dtype=torch.int64)

    def forward(self, step: StepInput) -> Float[Tensor, ""]:
        """The loss of the step, with gradient."""
        device = self.encoder.device
        vectors = embed(self.encoder, step.micro_batches, self.precision, device)
        anchors = vectors[torch.from_numpy(step.anchors).to(device)]
        candidates = vectors[torch.from_numpy(step.candidates).to(device)]
        here = step.to(device)
        outcome = self.objective.outcome(anchors, candidates, here.relation, **here.inputs)
        self.counted = self.counted.to(device) + outcome.kept.sum()
        return outcome.loss


def _shifted(local: tuple[Hashable, list[int]], offsets: Mapping[Hashable, int]) -> Int64[np.ndarray, " text"]:
    way, places = local
    return np.asarray(places, dtype=np.int64) + offsets[way]
