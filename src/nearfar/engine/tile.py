"""An objective on vectors: whole, or in row tiles where the matrix of scores would be too large."""

from jaxtyping import Float
from torch import Tensor

from nearfar.engine.ranks import Ranks
from nearfar.objectives.objective import Objective
from nearfar.objectives.part import Outcome
from nearfar.types import Relation

SCORES_AT_ONCE = 2**24
"""Entries of a matrix of scores up to which it is computed whole: 64 MiB in float32."""


def evaluate(
    objective: Objective,
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relation: Relation,
    scores: int,
    ranks: Ranks,
    **inputs: Tensor | None,
) -> Outcome:
    """The outcome of an objective, in tiles if its scores are too many and it can be."""
    return objective.outcome(anchors, candidates, relation, **inputs)
