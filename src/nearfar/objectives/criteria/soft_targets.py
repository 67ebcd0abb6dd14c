"""Soft targets: the softmax of a row against a distribution that a teacher, grades or ranks give."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.ordered_pairs import below_and_above
from nearfar.objectives.criteria.rows import of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Part
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class Target(Part):
    """The distribution over the columns of a row that a softmax should have.

    Attributes:
        temperature: divides what the target is made of; above 0.

    Class attributes:
        needs_positives: a row without a positive has no target.
    """

    temperature: float = 1.0
    needs_positives: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require(is_number(self.temperature) and self.temperature > 0, self, "temperature", "a number above 0")

    def of(self, problem: Problem) -> tuple[Float[Tensor, "row column"], Bool[Tensor, "row column"], Tensor]:
        """The logits of the target, the columns that it speaks of, and the rows that have one."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TeacherScores(Target):
    """Scores of a teacher for the pairs that were judged. A row needs two of them, and no positive.

    A pair whose score is not finite is left out.

    Attributes:
        temperature: divides the scores; above 0.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"teacher"})

    def of(self, problem: Problem) -> tuple[Float[Tensor, "row column"], Bool[Tensor, "row column"], Tensor]:
        """The teacher's scores."""
        assert problem.teacher is not None
        teacher = problem.teacher.detach()
        known = problem.valid & problem.judged & torch.isfinite(teacher)
        return torch.where(known, teacher, 0.0) / self.temperature, known, known.sum(dim=1) > 1


@dataclass(frozen=True, kw_only=True)
class Grades(Target):
    """Grades, 0 where nobody judged. A row needs a positive.

    Attributes:
        temperature: divides the grades; above 0.
    """

    needs_positives: ClassVar[bool] = True

    def of(self, problem: Problem) -> tuple[Float[Tensor, "row column"], Bool[Tensor, "row column"], Tensor]:
        """The grades."""
        return problem.grades / self.temperature, problem.valid, problem.positive.any(dim=1)


@dataclass(frozen=True, kw_only=True)
class Ranks(Target):
    """Ranks of the grades, from 1 for the best to 0 for the worst, equal grades at their average rank.

    Attributes:
        temperature: divides the ranks; above 0.
    """

    temperature: float = 0.05

    def of(self, problem: Problem) -> tuple[Float[Tensor, "row column"], Bool[Tensor, "row column"], Tensor]:
        """The ranks of rows with two different grades."""
        below, above = below_and_above(problem.grades, problem.valid)
        number = problem.valid.sum(dim=1, keepdim=True)
        equal = number - above - below
        place = (above + (equal - 1) / 2).to(problem.z.dtype)
        ideal = (number - 1 - place) / (number - 1).clamp(min=1)
        differ = (problem.valid & (below > 0)).any(dim=1)
        return ideal / self.temperature, problem.valid, differ


@dataclass(frozen=True, kw_only=True)
class SoftTargets(Criterion):
    """How far the softmax of a row's logits is from its target.

    Attributes:
        target: what the softmax should be.
        measure: ``divergence`` of the softmax from the target; ``symmetric``, the mean of that and the reverse; or
            ``cross_entropy``, which is the divergence plus the entropy of the target.
        per_item: divided by the number of columns.
    """

    target: Target = TeacherScores()
    measure: Literal["divergence", "symmetric", "cross_entropy"] = "divergence"
    per_item: bool = False

    def __post_init__(self) -> None:
        require(isinstance(self.target, Target), self, "target", "a target, such as TeacherScores(temperature=1.0)")
        words = ("divergence", "symmetric", "cross_entropy")
        require(self.measure in words, self, "measure", " or ".join(words))

    @property
    def needs_positives(self) -> bool:  # type: ignore[override]  # depends on a field here
        """Whether the target is made of positives."""
        return self.target.needs_positives

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a target."""
        wanted, known, kept = self.target.of(problem)
        wanted, found = (log_softmax(logits, known & kept[:, None]) for logits in (wanted, problem.z))
        if self.measure == "cross_entropy":
            losses = -(_exp(wanted, known) * found).sum(dim=1)
        else:
            losses = (_exp(wanted, known) * (wanted - found)).sum(dim=1)
        if self.measure == "symmetric":
            losses = (losses + (_exp(found, known) * (found - wanted)).sum(dim=1)) / 2
        if self.per_item:
            losses = losses / known.sum(dim=1).clamp(min=1)
        return of_rows(problem, losses, kept)


def log_softmax(logits: Float[Tensor, "row column"], known: Bool[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """The log of each row's softmax over the known columns; 0 at the others."""
    whole = torch.where(known.any(dim=1), masked_logsumexp(logits, known), 0.0)[:, None]
    return torch.where(known, torch.where(known, logits, 0.0) - whole, 0.0)


def _exp(log_share: Float[Tensor, "row column"], known: Bool[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    return torch.where(known, log_share.exp(), 0.0)
