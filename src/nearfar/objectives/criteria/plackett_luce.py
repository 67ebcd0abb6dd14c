"""Permutation likelihoods: each item of a list against those that should come after it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn.functional import softplus

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.ordered_pairs import below_and_above, log_mass_below
from nearfar.objectives.criteria.rows import front, masked_mean, of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class PlackettLuceLikelihood(Criterion):
    """``sum_k w_k (log sum of exp(Z) over k and all that are graded strictly below it, minus Z[k])`` (ListMLE).

    Items of equal grade do not compete, so that a long tail of grade 0 costs nothing among itself. The sum is not
    divided by the length of the list.

    Attributes:
        discount: the weight of rank r among n: ``none`` 1, ``log`` 1 / log2(1 + r), ``exponential`` 2^(n - r) - 1,
            which is huge for long lists.
    """

    discount: Literal["none", "log", "exponential"] = "none"

    def __post_init__(self) -> None:
        require(self.discount in ("none", "log", "exponential"), self, "discount", "none or log or exponential")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with a positive and two different grades."""
        mass, some = log_mass_below(problem.z, problem.grades, problem.valid)
        terms = softplus(torch.where(some, mass - problem.z, 0.0))
        if self.discount != "none":
            _, above = below_and_above(problem.grades, problem.valid)
            ranks = (1 + above).to(terms.dtype)
            lengths = problem.valid.sum(dim=1, keepdim=True)
            terms = terms * (1 / torch.log2(1 + ranks) if self.discount == "log" else 2 ** (lengths - ranks) - 1)
        kept = problem.positive.any(dim=1) & some.any(dim=1)
        return of_rows(problem, torch.where(some, terms, 0.0).sum(dim=1), kept)


@dataclass(frozen=True, kw_only=True)
class PlackettLuceDistillation(Criterion):
    """The same likelihood for the order that a teacher gives, the positive first (arXiv 2506.12542).

    Each item's term weighs as much as the teacher's softmax says. With several positives it is the mean over them, each
    in a list of itself and the negatives. The list is what was judged and has a finite score by the teacher.

    Attributes:
        teacher_temperature: divides the teacher's scores in the weights; above 0.
    """

    teacher_temperature: float = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"teacher"})
    detached: ClassVar[tuple[str, ...]] = ("weights of places",)

    def __post_init__(self) -> None:
        value = self.teacher_temperature
        require(is_number(value) and value > 0, self, "teacher_temperature", "a number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with a judged positive and a judged negative."""
        assert problem.teacher is not None
        teacher, z = problem.teacher.detach(), problem.z
        scored = problem.judged & torch.isfinite(teacher)
        positive, negative = problem.positive & scored, problem.negative & scored
        kept = positive.any(dim=1) & negative.any(dim=1)
        mass, some = log_mass_below(z, torch.where(negative, teacher, 0.0), negative)
        after = torch.where(some, softplus(torch.where(some, mass - z, 0.0)), 0.0)
        whole = torch.where(kept, masked_logsumexp(z, negative), 0.0)[:, None]
        first = softplus(torch.where(positive, whole - z, 0.0))
        # The weights of one list: its positive and all negatives.
        scaled = teacher / self.teacher_temperature
        rest = torch.where(kept, masked_logsumexp(scaled, negative), 0.0)[:, None]
        norm = torch.logaddexp(torch.where(positive, scaled, 0.0), rest)
        share = torch.exp(torch.where(positive, scaled - norm, 0.0))
        among = torch.exp(torch.where(negative, scaled - rest, float("-inf")))
        tail = (among * after).sum(dim=1, keepdim=True)
        terms = share * first + (1 - share) * tail
        return of_rows(problem, masked_mean(terms, positive), kept)


@dataclass(frozen=True, kw_only=True)
class PreferenceRanking(Criterion):
    """PRO: each item that has lower ones is the answer of a softmax over itself and them, with logits times gaps.

    ``-log softmax at k of {k: G Z[k]; j: g_j Z[j]}`` with the gap ``g_j`` in grade to each lower j, and G the largest
    of them; the mean over such k. Adding a constant to a row changes it.
    """

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with a positive and a lower item."""
        grades, z = problem.grades, problem.z
        lowest = grades.masked_fill(~problem.valid, float("inf")).amin(dim=1, keepdim=True)
        places, chosen = front(problem.valid & (grades > lowest))
        gap = grades.gather(1, places)[:, :, None] - grades[:, None, :]
        lower = chosen[:, :, None] & problem.valid[:, None, :] & (gap > 0)
        gap = torch.where(lower, gap, 0.0)
        repelled = (gap * z[:, None, :]).flatten(0, 1)
        mass = masked_logsumexp(repelled, lower.flatten(0, 1)).view_as(places)
        own = gap.amax(dim=2) * z.gather(1, places)
        terms = softplus(torch.where(chosen, mass - own, 0.0))
        return of_rows(problem, masked_mean(terms, chosen), problem.positive.any(dim=1) & chosen.any(dim=1))
