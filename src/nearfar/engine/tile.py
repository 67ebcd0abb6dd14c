"""An objective on vectors: whole, or in tiles of rows where the matrix of scores would be too large."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.engine.ranks import Ranks
from nearfar.objectives.objective import Objective
from nearfar.objectives.outline import Tiling
from nearfar.objectives.part import Outcome
from nearfar.objectives.problem import Watcher
from nearfar.types import Relation

SCORES_AT_ONCE = 2**24
"""Entries of a matrix of scores up to which it is computed whole: 64 MiB in float32."""


def tile_of(scores: int, device: torch.device) -> int:
    """Entries of a matrix of scores in one tile, of which several matrices are there at once.

    On a processor a tile should fit its caches; an accelerator wants much to do at a time.
    """
    return min(scores, 2**22 if device.type == "cpu" else 2**25)


def evaluate(
    objective: Objective,
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relation: Relation,
    scores: int,
    ranks: Ranks,
    watcher: Watcher | None = None,
    **inputs: Tensor | None,
) -> Outcome:
    """The outcome of an objective, in tiles if its scores are too many.

    Args:
        objective: parts of it that need all rows at once are computed whole.
        anchors: their vectors, of the whole step.
        candidates: likewise.
        relation: who belongs to whom.
        scores: how many entries a matrix of anchors and candidates may have before it is computed in tiles.
        ranks: the tiles are dealt out among them.
        watcher: sees the tiles that are computed here.
        **inputs: what else the objective needs.
    """
    if len(anchors) * len(candidates) <= scores:
        return objective.outcome(anchors, candidates, relation, **inputs)
    tile = tile_of(scores, anchors.device)
    tiling = Tiling(tile, ranks.rank, ranks.world, ranks.add_up, watcher)
    return objective.in_tiles(tiling, anchors, candidates, relation, **inputs)
