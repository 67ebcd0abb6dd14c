"""Mixtures as hard negatives: of two negatives, of an anchor and a negative, of a positive and a negative."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Part, Synthesis
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.columns import append_private
from nearfar.objectives.synthesis.draws import beta, hardest, members, pairs
from nearfar.types import Origin

First = Literal["negative", "anchor", "positive", "either"]


@dataclass(frozen=True, kw_only=True)
class Mix(Synthesis):
    """Columns ``c * first + (1 - c) * negative`` for each row, which only that row sees, as negatives.

    Negatives are drawn among the hardest of the row; a pair of them is never twice the same one. Mixtures of earlier
    parts are not mixed again. What is made of anything but negatives and the row's own anchor or positive would be
    a false negative and cannot arise. The grade of a column is the share of the anchor or the positive in it.

    Attributes:
        first: what a negative is mixed with: another ``negative``, the ``anchor``, a ``positive`` of the row, or
            ``either`` of the latter two, drawn for each call.
        pool: ``all`` negatives of the row, or its ``own`` hard ones.
        hardest: how many of the most similar ones of the pool are drawn from.
        count: columns for each row.
        concentration: the two parameters of the beta distribution of c; ones are uniform.
        ceiling: c is the draw times this; 0.5 keeps the negative the larger part.
        shared: one c for a call instead of one for each column.
        renormalise: bring the mixture back to length 1.
        detach: no gradient flows through the mixture.
        warm_up: calls in training mode before the first mixture.
        seed: of the draws.
    """

    first: First = "negative"
    pool: Literal["all", "own"] = "all"
    hardest: int = 64
    count: int = 32
    concentration: tuple[float, float] = (1.0, 1.0)
    ceiling: float = 1.0
    shared: bool = False
    renormalise: bool = True
    detach: bool = True
    warm_up: int = 0
    seed: int = 0
    detached: ClassVar[tuple[str, ...]] = ("mixtures, with detach", "choice of negatives")

    def __post_init__(self) -> None:
        known = self.first in ("negative", "anchor", "positive", "either")
        require(known, self, "first", "negative or anchor or positive or either")
        require(self.pool in ("all", "own"), self, "pool", "all or own")
        require_whole(self, "hardest", 1)
        require_whole(self, "count", 0)
        require_concentration(self, "concentration")
        require(is_number(self.ceiling) and 0 < self.ceiling <= 1, self, "ceiling", "a number above 0 and at most 1")
        for field in ("shared", "renormalise", "detach"):
            require(isinstance(getattr(self, field), bool), self, field, "true or false")
        require_whole(self, "warm_up", 0)

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the mixtures as columns."""
        draws = memory.of(Draws)
        early = int(draws.calls) < self.warm_up
        generator = draws.generator()
        if early or not self.count:
            return problem
        one, other, share = self.draw(problem, generator)
        first = problem.anchors[:, None].expand(-1, self.count, -1) if one is None else problem.candidates[one]
        mixed = share[..., None] * first + (1 - share[..., None]) * problem.candidates[other]
        usable = (other >= 0) if one is None else (other >= 0) & (one >= 0)
        made = finished(mixed, usable, renormalise=self.renormalise, detach=self.detach)
        # A column that is -1 at ``one`` is not usable, so that only a row's own positives can be there.
        near = torch.zeros_like(share) if one is not None and self.first == "negative" else share
        return append_private(problem, made, usable, grades=torch.where(usable, near, 0.0).to(problem.grades.dtype))

    def draw(
        self, problem: Problem, generator: torch.Generator
    ) -> tuple[Int[Tensor, "row made"] | None, Int[Tensor, "row made"], Float[Tensor, "row made"]]:
        """What is mixed: columns of the first (None for the anchor) and of the second, and the share of the first.

        A column is -1 where the row has nothing to draw from.
        """
        allowed, window = pool(problem, self.pool, self.hardest), problem.window
        first = self.first
        if first == "either":
            first = "anchor" if int(torch.randint(2, (), generator=generator)) else "positive"
        one: Int[Tensor, "row made"] | None = None
        if first == "negative":
            one, other = pairs(generator, allowed, self.count, window)
        else:
            if first == "positive":
                one = members(generator, problem.positive & _real(problem), self.count, window)
            other = members(generator, allowed, self.count, window)
        shape, rows = ((1, 1), None) if self.shared else ((len(allowed), self.count), window)
        share = self.ceiling * beta(generator, self.concentration, shape, problem.anchors, rows)
        return one, other, share.expand(len(allowed), self.count)


@dataclass(frozen=True, kw_only=True)
class MixList(Synthesis):
    """One column for each row: its own hard negatives, weighted by a softmax of their similarities to the anchor.

    Attributes:
        temperature: divides the similarities; below 0.05 little but the hardest is left.
        renormalise: bring the mixture back to length 1.
        detach: no gradient flows through the mixture.
    """

    temperature: float = 0.05
    renormalise: bool = True
    detach: bool = True
    detached: ClassVar[tuple[str, ...]] = ("mixtures, with detach",)

    def __post_init__(self) -> None:
        require(is_number(self.temperature) and self.temperature > 0, self, "temperature", "a number above 0")
        for field in ("renormalise", "detach"):
            require(isinstance(getattr(self, field), bool), self, field, "true or false")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the mixtures as columns."""
        allowed = problem.own & problem.negative & _real(problem)
        usable = allowed.any(dim=1)
        scores = problem.anchors @ problem.candidates.T / self.temperature
        # A row without any takes a finite detour: the softmax of nothing has no gradient.
        shares = torch.softmax(scores.masked_fill(~(allowed | ~usable[:, None]), float("-inf")), dim=1)
        mixed = torch.where(allowed, shares, 0.0) @ problem.candidates
        made = finished(mixed[:, None], usable[:, None], renormalise=self.renormalise, detach=self.detach)
        return append_private(problem, made, usable[:, None])


def pool(problem: Problem, kind: Literal["all", "own"], most: int) -> Bool[Tensor, "row column"]:
    """The hardest negatives of each row, or of its own hard negatives. Mixtures are none."""
    allowed = problem.negative & _real(problem)
    if kind == "own":
        allowed = allowed & problem.own
    with torch.no_grad():
        return hardest(problem.anchors @ problem.candidates.T, allowed, most)


def finished(
    mixed: Float[Tensor, "row made dim"], usable: Bool[Tensor, "row made"], *, renormalise: bool, detach: bool
) -> Float[Tensor, "row made dim"]:
    """The mixtures as columns: 0 where not usable, of length 1 and without gradient as asked."""
    made = torch.where(usable[..., None], mixed.detach() if detach else mixed, 0.0)
    return normalize(made, dim=2) if renormalise else made


def require_whole(part: Part, field: str, least: int) -> None:
    """Raise ConfigError unless a field is a whole number that is large enough."""
    value = getattr(part, field)
    whole = is_whole(value) and value >= least
    require(whole, part, field, f"a whole number of at least {least}")


def require_concentration(part: Part, field: str) -> None:
    """Raise ConfigError unless a field holds the two parameters of a beta distribution."""
    value = getattr(part, field)
    pair = isinstance(value, tuple) and len(value) == 2 and all(is_number(each) and each > 0 for each in value)
    require(pair, part, field, "a list of two numbers above 0")


def _real(problem: Problem) -> Bool[Tensor, " column"]:
    return problem.origins != Origin.MIXED
