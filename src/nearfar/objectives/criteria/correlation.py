"""C9, correlations over the batch: of the dimensions of two views, and of scores with grades."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.hypersphere import matched_pairs
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Criterion, Outcome, Part, Scope, of_the_whole
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.draws import beta

Standardisation = Literal["population", "sample"]


def views(problem: Problem) -> tuple[Float[Tensor, "pair dim"], Float[Tensor, "pair dim"]]:
    """The anchors and the candidates of the matched pairs."""
    rows, columns = matched_pairs(problem)
    return problem.anchors[rows], problem.candidates[columns]


def variance(view: Float[Tensor, "pair dim"], correction: int) -> Float[Tensor, " dim"]:
    """The variance of each dimension; 0 where there are too few pairs for one."""
    return centred(view).square().sum(dim=0) / max(len(view) - correction, 1)


def centred(view: Float[Tensor, "pair dim"]) -> Float[Tensor, "pair dim"]:
    """Each dimension without its mean."""
    return view - view.sum(dim=0) / max(len(view), 1)


def off_diagonal(matrix: Float[Tensor, "dim dim"]) -> Float[Tensor, ""]:
    """The sum of squares beside the diagonal."""
    return matrix.masked_fill(torch.eye(len(matrix), dtype=torch.bool, device=matrix.device), 0.0).square().sum()


@dataclass(frozen=True, kw_only=True)
class CrossCorrelation(Criterion):
    """The correlation matrix of the dimensions of two views, pulled towards the identity.

    ``sum_d (1 - C[d, d]) ** 2 + redundancy * sum_{d != e} C[d, e] ** 2``, with C over the matched pairs. It is one
    number of the batch, and grows with the width of the embeddings.

    Attributes:
        redundancy: weight of the entries beside the diagonal.
        standardisation: ``population`` divides variances by the number of pairs, ``sample`` by one less, while C is
            always divided by the number: its diagonal then cannot reach 1.
        epsilon: added to variances.
    """

    redundancy: float = 0.005
    standardisation: Standardisation = "population"
    epsilon: float = 1e-5
    scope: ClassVar[Scope] = "batch"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"

    def __post_init__(self) -> None:
        require(is_number(self.redundancy) and self.redundancy >= 0, self, "redundancy", "a number of at least 0")
        _require_standardisation(self, self.standardisation, self.epsilon)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """One number for the batch: every row with a positive has it as its loss."""
        one, other = (standardised(view, self.standardisation, self.epsilon) for view in views(problem))
        matrix = correlation(one, other)
        loss = (1 - matrix.diagonal()).square().sum() + self.redundancy * off_diagonal(matrix)
        return of_the_whole(loss, problem.positive.any(dim=1))


@dataclass(frozen=True, kw_only=True)
class MixedCorrelation(Criterion):
    """The correlations of mixtures of two views should be the mixtures of their correlations.

    With ``m = c x + (1 - c) y[permuted]``, all standardised, the squared distance of ``C(m, x)`` to
    ``c C(x, x) + (1 - c) C(y[permuted], x)``, and the same with y for the second argument. Both carry gradient.

    Attributes:
        concentration: both parameters of the beta distribution that c is drawn from, once a call.
        standardisation: as in ``CrossCorrelation``.
        epsilon: added to variances.
        seed: of the draws.
    """

    concentration: float = 1.0
    standardisation: Standardisation = "population"
    epsilon: float = 1e-5
    seed: int = 0
    scope: ClassVar[Scope] = "batch"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"

    def __post_init__(self) -> None:
        require(is_number(self.concentration) and self.concentration > 0, self, "concentration", "a number above 0")
        _require_standardisation(self, self.standardisation, self.epsilon)

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def draw(
        self, generator: torch.Generator, pairs: int, like: Tensor
    ) -> tuple[Float[Tensor, ""], Int[Tensor, " pair"]]:
        """The coefficient and the permutation of a call."""
        coefficient = beta(generator, (self.concentration, self.concentration), (), like)
        return coefficient, torch.randperm(pairs, generator=generator).to(like.device)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """One number for the batch: every row with a positive has it as its loss."""
        one, other = views(problem)
        share, order = self.draw(memory.of(Draws).generator(), len(one), one)
        mixed = share * one + (1 - share) * other[order]
        one, other, mixed = (standardised(view, self.standardisation, self.epsilon) for view in (one, other, mixed))
        loss = one.new_zeros(())
        for view in (one, other):
            target = share * correlation(one, view) + (1 - share) * correlation(other[order], view)
            loss = loss + (correlation(mixed, view) - target).square().sum()
        return of_the_whole(loss, problem.positive.any(dim=1))


@dataclass(frozen=True, kw_only=True)
class VarianceHinge(Criterion):
    """How far the deviation of each dimension is below 1, as a mean over dimensions and over both views.

    Vectors are taken as they come. One pair alone has variance 0.

    Attributes:
        epsilon: added to variances.
    """

    epsilon: float = 1e-4
    scope: ClassVar[Scope] = "batch"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"

    def __post_init__(self) -> None:
        require(is_number(self.epsilon) and self.epsilon > 0, self, "epsilon", "a number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """One number for the batch: every row with a positive has it as its loss."""
        missing = [(1 - (variance(view, 1) + self.epsilon).sqrt()).clamp(min=0).mean() for view in views(problem)]
        return of_the_whole(torch.stack(missing).mean(), problem.positive.any(dim=1))


@dataclass(frozen=True, kw_only=True)
class Covariance(Criterion):
    """The squares of the covariances of different dimensions, over the number of dimensions, of both views added up.

    Vectors are taken as they come. One pair alone has covariance 0.
    """

    scope: ClassVar[Scope] = "batch"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """One number for the batch: every row with a positive has it as its loss."""
        each = []
        for view in views(problem):
            apart = centred(view)
            each.append(off_diagonal(apart.T @ apart / max(len(view) - 1, 1)) / view.shape[1])
        return of_the_whole(torch.stack(each).sum(), problem.positive.any(dim=1))


@dataclass(frozen=True, kw_only=True)
class ScoreCorrelation(Criterion):
    """One minus the Pearson correlation of scores and grades, over the batch.

    A batch in which the grades are all the same, or with fewer than two pairs, has loss 0.

    Attributes:
        unjudged: ``ignored`` takes the judged pairs only, ``negative`` all valid ones, the others with grade 0.
        epsilon: added to the variance of the scores.
    """

    unjudged: Literal["ignored", "negative"] = "ignored"
    epsilon: float = 1e-12
    scope: ClassVar[Scope] = "batch"
    needs_positives: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require(self.unjudged in ("ignored", "negative"), self, "unjudged", "ignored or negative")
        require(is_number(self.epsilon) and self.epsilon > 0, self, "epsilon", "a number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """One number for the batch: every row with such a pair has it as its loss."""
        used = problem.valid & problem.judged if self.unjudged == "ignored" else problem.valid
        count = used.sum().clamp(min=1)

        def deviations(values: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
            mean = torch.where(used, values, 0.0).sum() / count
            return torch.where(used, values - mean, 0.0)

        grades = torch.where(used, problem.grades, 0.0)
        differ = (
            problem.grades.masked_fill(~used, float("-inf")).max()
            > problem.grades.masked_fill(~used, float("inf")).min()
        )
        one, other = deviations(problem.z), deviations(grades)
        spread = (one.square().sum() / count + self.epsilon).sqrt()
        other = other / torch.where(differ, (other.square().sum() / count), 1.0).sqrt()
        return of_the_whole(1 - (one * other).sum() / count / spread, used.any(dim=1) & differ)


def standardised(
    view: Float[Tensor, "pair dim"], standardisation: Standardisation, epsilon: float
) -> Float[Tensor, "pair dim"]:
    """Each dimension without its mean, over its deviation; a constant one is 0."""
    spread = variance(view, 1 if standardisation == "sample" else 0) + epsilon
    some = spread > 0
    return torch.where(some, centred(view) / torch.where(some, spread, 1.0).sqrt(), 0.0)


def correlation(one: Float[Tensor, "pair dim"], other: Float[Tensor, "pair dim"]) -> Float[Tensor, "dim dim"]:
    """The mean over pairs of the products of all dimensions."""
    return one.T @ other / max(len(one), 1)


def _require_standardisation(part: Part, standardisation: str, epsilon: float) -> None:
    require(standardisation in ("population", "sample"), part, "standardisation", "population or sample")
    require(is_number(epsilon) and epsilon >= 0, part, "epsilon", "a number of at least 0")
