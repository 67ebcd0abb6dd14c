"""An invented batch of typical similarities, in which what an objective does can be looked at."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.objectives.candidates.classes import ClassVectors
from nearfar.objectives.objective import Objective
from nearfar.types import Origin, Relation

ANCHORS, HARD, DIM = 8, 4, 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """An invented batch. The first candidates are the positives of the anchors, in order.

    Attributes:
        anchors, candidates: unit vectors; the anchors ask for gradients.
        relation: who belongs to whom.
        inputs: what the objective needs beside.
        negative: the column of the negative that moves.
    """

    anchors: Float[Tensor, "anchor dim"]
    candidates: Float[Tensor, "candidate dim"]
    relation: Relation
    inputs: dict[str, Tensor]
    negative: int


def make_scene(seed: int, objective: Objective) -> Scene:
    """A batch from a seed, with what the objective needs, in as many dimensions as it needs."""
    generator, dim = torch.Generator().manual_seed(seed), width_for(objective)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    # A common part gives strangers a cosine of .1; directions of unequal size let it vary by .15.
    size, spread = ANCHORS, torch.linspace(1.0, 0.05, dim - 1, dtype=torch.float64)
    around = torch.full((3 * size, 1), 0.1, dtype=torch.float64).sqrt()
    texts = torch.cat([around, 0.9**0.5 * normalize(drawn(3 * size, dim - 1) * spread, dim=1)], dim=1)
    anchors, own, others = texts[:size], texts[size : 2 * size], texts[2 * size :]
    positives = at_cosine(anchors, own, 0.7 + 0.1 * drawn(size).clamp(-2, 2))
    hard = at_cosine(anchors[:HARD], others[:HARD], 0.4 + 0.1 * drawn(HARD).clamp(-2, 2))
    candidates = torch.cat([positives, hard, others[HARD:]])
    similarity = anchors @ candidates.T
    every = {
        "index": torch.arange(size),
        "labels": torch.arange(size) % min([size, *(len(each.vectors) for each in classes_of(objective))]),
        "guide_anchors": normalize(anchors + 0.05 * drawn(size, dim), dim=1),
        "guide_candidates": normalize(candidates + 0.05 * drawn(2 * size, dim), dim=1),
        "teacher": similarity + 0.05 * drawn(*similarity.shape),
    }
    relation = _relation()
    every["origin"] = relation.origins
    return Scene(
        anchors=anchors.requires_grad_(),
        candidates=candidates,
        relation=relation,
        inputs={name: every[name] for name in objective.needs},
        negative=1 if classes_of(objective) else size,  # another class, or the first anchor's hard negative
    )


def width_for(objective: Objective) -> int:
    """The width of an invented batch: ``DIM``, or as many dimensions as the objective looks at."""
    return max(DIM, objective.least_width)


def _relation() -> Relation:
    """Each anchor and its positive; the first anchors and their judged hard negatives; nobody's others."""
    size, hard, none = torch.arange(ANCHORS), torch.arange(HARD), torch.zeros(0, dtype=torch.int64)
    origins = torch.full((2 * ANCHORS,), int(Origin.IN_BATCH))
    origins[ANCHORS : ANCHORS + HARD] = int(Origin.HARD)
    return Relation(
        anchor_ids=size,
        candidate_ids=torch.arange(2 * ANCHORS) + ANCHORS,
        rows=torch.cat([size, hard]),
        columns=torch.cat([size, hard + ANCHORS]),
        grades=torch.cat([torch.ones(ANCHORS), torch.zeros(HARD)]),
        origins=origins,
        ignored_rows=none,
        ignored_columns=none,
    )


def at_cosine(
    towards: Float[Tensor, "row dim"], aside: Float[Tensor, "row dim"], cosine: Float[Tensor, " row"]
) -> Float[Tensor, "row dim"]:
    """Unit vectors at given cosines of ``towards``, in the half plane of ``aside``."""
    tangent = normalize(aside - (aside * towards).sum(dim=1, keepdim=True) * towards, dim=1)
    return cosine[:, None] * towards + (1 - cosine[:, None].square()).clamp(min=0).sqrt() * tangent


def classes_of(objective: Objective) -> list[ClassVectors]:
    """The trained classes of an objective, which stand in the place of the candidates."""
    return [module for module in objective.modules() if isinstance(module, ClassVectors)]
