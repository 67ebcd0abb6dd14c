"""Further columns of a problem, with everything that a problem knows of its columns."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from nearfar.objectives.problem import Problem
from nearfar.types import Origin


def append(
    problem: Problem,
    vectors: Float[Tensor, "more dim"],
    valid: Bool[Tensor, "row more"],
    origin: Origin,
    *,
    positive: Bool[Tensor, "row more"] | None = None,
    grades: Float[Tensor, "row more"] | None = None,
    ids: Int[Tensor, " more"] | None = None,
) -> Problem:
    """The problem with further columns at its end, before there are similarities.

    Nobody has judged them. No teacher has scored them, and no guide has vectors of them.

    Args:
        problem: what to append to.
        vectors: the columns.
        valid: which rows may use them.
        origin: where they come from.
        positive: to which rows they belong; none when left out.
        grades: how relevant they are; 0 when left out.
        ids: their identities; when left out, identities that no text has.
    """
    more, device = len(vectors), vectors.device
    nothing = torch.zeros_like(valid)
    positive = nothing if positive is None else positive & valid
    if grades is None:
        grades = torch.zeros(valid.shape, dtype=problem.grades.dtype, device=device)
    if ids is None and problem.column_ids is not None:
        ids = _fresh(problem, more)
    guide, teacher = problem.guide_candidates, problem.teacher
    return replace(
        problem,
        candidates=torch.cat([problem.candidates, vectors]),
        positive=_beside(problem.positive, positive),
        valid=_beside(problem.valid, valid),
        judged=_beside(problem.judged, nothing),
        grades=_beside(problem.grades, grades),
        origins=torch.cat([problem.origins, problem.origins.new_full((more,), int(origin))]),
        own=_beside(problem.own, nothing),
        column_ids=None if problem.column_ids is None or ids is None else torch.cat([problem.column_ids, ids]),
        teacher=None if teacher is None else _beside(teacher, torch.full_like(grades, float("nan")).to(teacher.dtype)),
        guide_candidates=None if guide is None else torch.cat([guide, guide.new_zeros(more, guide.shape[1])]),
    )


def append_private(
    problem: Problem,
    vectors: Float[Tensor, "row more dim"],
    usable: Bool[Tensor, "row more"],
    *,
    positive: Bool[Tensor, "row more"] | None = None,
    grades: Float[Tensor, "row more"] | None = None,
) -> Problem:
    """The problem with mixed columns, each of which only the row that made it sees.

    Args:
        problem: what to append to.
        vectors: what each row made.
        usable: which of them count.
        positive: which of them are positives of the row; none when left out.
        grades: how relevant they are; 0 when left out.
    """
    rows, more = usable.shape
    return append(
        problem,
        vectors.reshape(rows * more, vectors.shape[2]),
        _diagonal(usable),
        Origin.MIXED,
        positive=None if positive is None else _diagonal(positive),
        grades=None if grades is None else _diagonal(grades),
    )


def _diagonal(values: Shaped[Tensor, "row more"]) -> Shaped[Tensor, "row made"]:
    """Each row's values at its own columns, 0 or false elsewhere."""
    rows, more = values.shape
    place = torch.arange(rows, device=values.device)
    blocks = values.new_zeros(rows, rows, more)
    blocks[place, place] = values
    return blocks.reshape(rows, rows * more)


def _beside(one: Shaped[Tensor, "row column"], other: Shaped[Tensor, "row more"]) -> Shaped[Tensor, "row all"]:
    return torch.cat([one, other], dim=1)


def _fresh(problem: Problem, more: int) -> Int[Tensor, " more"]:
    """Identities below all that are there, and below 0, where no text of a dataset is."""
    known = [ids for ids in (problem.row_ids, problem.column_ids) if ids is not None and len(ids)]
    assert known
    least = torch.stack([ids.min() for ids in known]).min().clamp(max=0)
    return least - 1 - torch.arange(more, device=least.device)
