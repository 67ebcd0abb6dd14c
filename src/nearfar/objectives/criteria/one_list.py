"""All pairs of a batch as one list, for criteria that look at a row."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.config.component import require
from nearfar.objectives.criteria.rows import Unjudged, looked_at
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class OneList(Criterion):
    """A criterion over a single row that holds the pairs of all rows, such as the scored pairs of an STS batch.

    In that row the pairs above the lowest grade are positives. The loss is one number of the batch, 0 where the
    criterion has nothing to say about the list.

    Attributes:
        of: the criterion.
        unjudged: whether a pair that nobody judged is a ``negative`` of grade 0 or ``ignored``.
    """

    of: Criterion
    unjudged: Unjudged = "ignored"
    scope: ClassVar[Scope] = "batch"
    needs_positives: ClassVar[bool] = False

    def __post_init__(self) -> None:
        fits = isinstance(self.of, Criterion) and self.of.scope == "rows" and self.of.reads == "scores"
        require(fits and not self.of.blocks_beside, self, "of", "a criterion that looks at the scores of a row")
        require(self.unjudged in ("negative", "ignored"), self, "unjudged", "negative or ignored")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the list, for every row that has a pair in it."""
        listed = looked_at(problem, self.unjudged)
        if not bool(listed.any()):
            return of_the_whole((problem.z * 0).sum(), listed.any(dim=1))
        rows, columns = listed.nonzero(as_tuple=True)
        grades = problem.grades[rows, columns][None]
        present = torch.ones_like(grades, dtype=torch.bool)
        # The scores are there already: vectors stand for the right number of columns, and take no memory.
        one = replace(
            problem,
            anchors=problem.anchors[:1],
            candidates=problem.candidates[:1].expand(len(columns), -1),
            positive=grades > grades.amin(),
            valid=present,
            judged=present,
            grades=grades,
            origins=problem.origins[columns],
            own=problem.own[rows, columns][None],
            row_ids=None,
            column_ids=None,
            index=None,
            labels=None,
            teacher=None if problem.teacher is None else problem.teacher[rows, columns][None],
            guide_anchors=None,
            guide_candidates=None,
            similarity=problem.scores[rows, columns][None],
            logits=problem.z[rows, columns][None],
            bias=None,
            attraction=None,
            shares=None,
            importance=None,
            extra=None,
        )
        found = self.of.outcome(one, memory.at("of"))
        return of_the_whole(found.loss, listed.any(dim=1) & found.kept.any())
