"""What an objective does: the weight with which it pulls a positive and pushes a negative, against their similarity.

The weight of a pair is the slope of the loss at its similarity, times the number of anchors: ``-A dL/ds`` for a
positive and ``+A dL/ds`` for a negative, so that an objective that does what one expects has weights above 0. Nothing
is derived by hand: the numbers are those with which training would move the pair, stop-gradients included.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from nearfar.objectives.form import parts
from nearfar.objectives.masks import masks
from nearfar.objectives.objective import Objective
from nearfar.objectives.part import Criterion
from nearfar.objectives.problem import Problem
from nearfar.objectives.scene import Scene, at_cosine, classes_of, make_scene, width_for
from nearfar.types import Origin, Relation

Kind = Literal["score", "path"]

GRID = (-1.0, *(round(-1 + place / 20 + 7e-4, 4) for place in range(1, 40)), 1.0)
"""Cosines, a little beside round numbers: margins and edges of bins have their kinks there."""
SEEDS = (0, 1, 2, 3)
_EQUAL = 1e-9
"""How near to 1 the cosine of two vectors must be for them to count as one."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The weight of a pair against its cosine, in an invented batch of typical similarities.

    Attributes:
        name: text form of the objective.
        similarity: cosines of the pair.
        positive: weight of a positive at each of them; None where it is not finite.
        negative: weight of a negative, likewise.
        kind: ``score`` for the slope at the similarity, all else held still; ``path`` for the slope along the way of
            the candidate's vector, where the objective compares no similarities, or only those of vectors that it made
            from these: its other pairs move along.
    """

    name: str
    similarity: tuple[float, ...]
    positive: tuple[float | None, ...]
    negative: tuple[float | None, ...]
    kind: Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class PairWeights:
    """Weights of the pairs of a batch; entries of one pair are added up, whichever term or direction they came from.

    Attributes:
        similarity: cosine of each pair.
        weight: its weight; only finite ones are listed.
        positive: whether it is a positive.
        origin: the ``Origin`` of its candidate, ``SAME_SIDE`` for two anchors or two candidates.
        kind: what the weight is a slope of; see ``Curve``.
    """

    similarity: Float[Tensor, " pair"]
    weight: Float[Tensor, " pair"]
    positive: Bool[Tensor, " pair"]
    origin: Int[Tensor, " pair"]
    kind: Kind


def curves(objective: Objective, seeds: Sequence[int] = SEEDS) -> Curve:
    """The weights of one positive and of one negative while their cosine goes from -1 to 1.

    The batch has 8 anchors with a positive each, and as many further candidates, half of them judged hard negatives.
    Positives have cosines of about .7, hard negatives of .4, others of .1. One candidate of the first anchor, its
    positive or its hard negative, moves along the great circle through the anchor; everything else stays, also
    guide and teacher. The result is the mean over some such batches. The objective is as new: what it trains or
    remembers is what it starts with.

    Args:
        objective: it is not changed.
        seeds: a batch for each.
    """
    fresh = _at_rest(Objective(objective.form), width_for(objective))
    found: dict[str, Tensor] = {}
    with _one_thread():
        kind: Kind = "score" if kind_of(objective) == "score" and _compares(fresh, make_scene(0, fresh)) else "path"
        for seed in seeds:
            scene = make_scene(seed, fresh)
            for side, column in (("positive", 0), ("negative", scene.negative)):
                weight = _sweep(fresh, scene, column, kind)
                weight = -weight if side == "positive" else weight
                there = torch.isfinite(weight)
                tally = torch.stack([torch.where(there, weight, 0.0), there.to(weight.dtype)])
                found[side] = found[side] + tally if side in found else tally
    return Curve(
        name=str(objective),
        similarity=GRID,
        positive=_mean(found["positive"]),
        negative=_mean(found["negative"]),
        kind=kind,
    )


def weights(
    objective: Objective,
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relation: Relation,
    **inputs: Tensor | None,
) -> PairWeights:
    """The weight of every pair that the objective looks at, for given vectors.

    Pairs that it leaves out are not listed. Columns that the objective made or brought along are listed as they are.

    Args:
        objective: it is not changed; in evaluation mode, so that it remembers nothing.
        anchors: embeddings of the anchors.
        candidates: embeddings of the candidates.
        relation: who belongs to whom; texts are distinct on each side.
        **inputs: what the objective needs by keyword.
    """
    still = _at_rest(objective, anchors.shape[1])
    asked = {name: value for name, value in inputs.items() if name in objective.needs}
    anchors, candidates = (each.detach().double().requires_grad_() for each in (anchors, candidates))
    outcome = still.outcome(anchors, candidates, relation, **_doubled(asked))
    if kind_of(objective) == "path":
        slopes = _slopes(outcome.loss, [candidates])
        sides = anchors.detach(), candidates.detach()
        return _crossed(_along(*sides, slopes[0]), *sides, relation)
    scores = [problem.scores for problem in outcome.problems]
    slopes = _slopes(outcome.loss, scores)
    return _gathered(anchors.detach(), candidates.detach(), relation, outcome.problems, slopes)


def kind_of(objective: Objective) -> Kind:
    """Whether the weights of an objective are slopes at similarities, or along the way of a vector."""
    criteria = [part for _, part in parts(objective.form) if isinstance(part, Criterion)]
    return "path" if any(criterion.reads == "vectors" for criterion in criteria) else "score"


def _sweep(objective: Objective, scene: Scene, column: int, kind: Kind) -> Float[Tensor, " point"]:
    """``A dL/ds`` of the first anchor and a candidate at each point of the grid; one backward pass for all."""
    anchors, size = scene.anchors.detach(), len(scene.anchors)
    target = scene.candidates[column : column + 1]
    places = torch.tensor(GRID, dtype=torch.float64)
    moved = at_cosine(anchors[:1].expand(len(GRID), -1), target.expand(len(GRID), -1), places)
    given, outcomes = [], []
    for vector in moved:
        candidates = scene.candidates.clone()
        candidates[column] = vector
        given.append(_put(objective, scene, candidates))
        outcomes.append(objective.outcome(scene.anchors, given[-1], scene.relation, **scene.inputs))
    total = torch.stack([outcome.loss for outcome in outcomes]).sum()
    if kind == "path":
        slopes = _slopes(total, given)
        return torch.stack(
            [
                size * _along(anchors[:1], each.detach()[[column]], slope[[column]])[0, 0]
                for each, slope in zip(given, slopes, strict=True)
            ]
        )
    scores = [problem.scores for outcome in outcomes for problem in outcome.problems]
    slopes = _slopes(total, scores)
    remaining, found = iter(slopes), []
    for outcome, candidates in zip(outcomes, given, strict=True):
        slope = torch.zeros((), dtype=torch.float64)
        for problem in outcome.problems:
            slope = slope + next(remaining)[_entries(problem, scene, candidates, column)].sum()
        found.append(size * slope)
    return torch.stack(found)


def _entries(
    problem: Problem, scene: Scene, candidates: Float[Tensor, "candidate dim"], column: int
) -> Bool[Tensor, "row column"]:
    """Where a problem compares the first anchor with a candidate, in either direction."""
    rows, columns = places_of(problem, scene.anchors.detach(), candidates.detach(), scene.relation)
    one, other = 0, len(scene.anchors) + column
    return (rows == one)[:, None] & (columns == other) | (rows == other)[:, None] & (columns == one)


def _compares(objective: Objective, scene: Scene) -> bool:
    """Whether the pairs that move are compared as they are, and not only what synthesis has made of them."""
    candidates = _put(objective, scene, scene.candidates)
    problems = objective.outcome(scene.anchors, candidates, scene.relation, **scene.inputs).problems
    return all(
        any(bool(_entries(problem, scene, candidates, column).any()) for problem in problems)
        for column in (0, scene.negative)
    )


def _put(
    objective: Objective, scene: Scene, candidates: Float[Tensor, "candidate dim"]
) -> Float[Tensor, "candidate dim"]:
    """Candidates that ask for gradients; an objective with classes of its own gets them as its first classes."""
    for each in classes_of(objective):
        vectors, count = each.vectors.detach().clone(), min(len(scene.anchors), len(each.vectors))
        vectors[:count] = candidates[:count, : vectors.shape[1]]
        each.vectors = nn.Parameter(vectors)
    return candidates.clone().requires_grad_()


def places_of(
    problem: Problem,
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relation: Relation,
) -> tuple[Int[Tensor, " row"], Int[Tensor, " column"]]:
    """Where each row and column of a problem stands among anchors and candidates, in this order; -1 for no place.

    Texts are known by their identity, and where a part has dropped identities, by their vectors.
    """
    ids = torch.cat([relation.anchor_ids, relation.candidate_ids])
    texts = torch.cat([anchors, candidates])
    found = []
    for own, vectors in ((problem.row_ids, problem.anchors), (problem.column_ids, problem.candidates)):
        if own is not None and len(own) == len(vectors):
            equal = own[:, None] == ids
        else:
            cut = normalize(texts[:, : vectors.shape[1]], dim=1)  # as short as the objective has cut them
            equal = normalize(vectors, dim=1).detach() @ cut.T > 1 - _EQUAL
        found.append(torch.where(equal.any(dim=1), equal.to(torch.uint8).argmax(dim=1), -1))
    return found[0], found[1]


def _slopes(loss: Float[Tensor, ""], at: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of a loss at some tensors; 0 at one that carries none."""
    live = [each for each in at if each.requires_grad]
    found = torch.autograd.grad(loss, live, allow_unused=True, materialize_grads=True) if live else ()
    remaining = iter(found)
    return [next(remaining) if each.requires_grad else torch.zeros_like(each) for each in at]


def _along(
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    slope: Float[Tensor, "candidate dim"],
) -> Float[Tensor, "anchor candidate"]:
    """The slope for each pair when the candidate moves towards the anchor on a great circle, for a unit of cosine."""
    length = candidates.norm(dim=1)
    one, other = normalize(anchors, dim=1), normalize(candidates, dim=1)
    cosine = one @ other.T
    room = 1 - cosine.square()
    slopes: Tensor = length * (one @ slope.T - cosine * (other * slope).sum(dim=1)) / room
    # At both ends of the way there is no direction, and next to them only rounding.
    return torch.where(room > _EQUAL, slopes, float("nan"))


def _crossed(
    slope: Float[Tensor, "anchor candidate"],
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relation: Relation,
) -> PairWeights:
    """The usable pairs of anchors and candidates, with their slopes along the way of the candidate."""
    known = masks(relation)
    weight = len(anchors) * torch.where(known.positive, -slope, slope)
    listed = known.valid & torch.isfinite(weight)
    return PairWeights(
        similarity=(normalize(anchors, dim=1) @ normalize(candidates, dim=1).T)[listed],
        weight=weight[listed],
        positive=known.positive[listed],
        origin=relation.origins.expand_as(listed)[listed],
        kind="path",
    )


def _gathered(
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relation: Relation,
    problems: Sequence[Problem],
    slopes: Sequence[Tensor],
) -> PairWeights:
    """The pairs of all problems. Those of two texts of the batch are added up, the others listed as they come."""
    size, texts = len(anchors), normalize(torch.cat([anchors, candidates]), dim=1)
    sums = texts.new_zeros(len(texts), len(texts))
    used, pulled = torch.zeros_like(sums, dtype=torch.bool), torch.zeros_like(sums, dtype=torch.bool)
    foreign = []
    for problem, slope in zip(problems, slopes, strict=True):
        rows, columns = places_of(problem, anchors, candidates, relation)
        weight = size * torch.where(problem.positive, -slope, slope)
        known = (rows >= 0)[:, None] & (columns >= 0)[None, :] & problem.valid
        row, column = known.nonzero(as_tuple=True)
        # Every pair in the upper triangle, whichever of the two is the row.
        low, high = torch.minimum(rows[row], columns[column]), torch.maximum(rows[row], columns[column])
        sums = sums.index_put((low, high), weight[row, column], accumulate=True)
        used[low, high] = True
        pulled[low[problem.positive[row, column]], high[problem.positive[row, column]]] = True
        rest = problem.valid & ~((rows >= 0)[:, None] & (columns >= 0)[None, :])
        cosine = normalize(problem.anchors, dim=1).detach() @ normalize(problem.candidates, dim=1).detach().T
        foreign.append((cosine[rest], weight[rest], problem.positive[rest], problem.origins.expand_as(rest)[rest]))
    beside = torch.full((len(texts),), int(Origin.SAME_SIDE))
    origins = torch.cat([beside[:size], relation.origins])
    across = torch.arange(len(texts)) < size
    origin = torch.where(across[:, None] & ~across[None, :], origins[None, :], int(Origin.SAME_SIDE))
    listed = [((texts @ texts.T)[used], sums[used], pulled[used], origin[used]), *foreign]
    similarity, weight, positive, origin = (torch.cat(each) for each in zip(*listed, strict=True))
    finite = torch.isfinite(weight)
    return PairWeights(
        similarity=similarity[finite],
        weight=weight[finite],
        positive=positive[finite],
        origin=origin[finite],
        kind="score",
    )


def _at_rest(objective: Objective, dim: int) -> Objective:
    """A copy in float64 and in evaluation mode, prepared for a width."""
    copy = deepcopy(objective).cpu().prepare(dim)
    copy.double().eval()
    return copy


@contextmanager
def _one_thread() -> Iterator[None]:
    """Inside, torch computes in one thread: faster for matrices this small, and sums do not depend on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _mean(tally: Float[Tensor, "2 point"]) -> tuple[float | None, ...]:
    """Sums over counts; None where nothing was counted."""
    return tuple(total / count if count else None for total, count in tally.T.tolist())


def _doubled(inputs: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
    """The inputs with floating-point numbers in float64."""
    return {
        name: value.double() if value is not None and value.is_floating_point() else value
        for name, value in inputs.items()
    }
