"""C6, expected cost: a distance averaged under a softmax of itself."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.rows import masked_mean, of_rows
from nearfar.objectives.criteria.soft_targets import log_softmax
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class ExpectedCost(Criterion):
    """The expected cost of a row's positives minus that of its negatives, with ``cost = 2 - 2 s``.

    For unit vectors and the cosine this is the squared distance. The expectation over positives is under
    ``softmax(cost / t+)``, in which far ones count more; over negatives under ``softmax(-cost / t-)``, in which near
    ones do. Rows with a positive and a negative count.

    Attributes:
        positive_temperature: t+, above 0; of no effect with one positive. Higher is nearer to the plain mean.
        negative_temperature: t-, above 0.
        attraction: weight of the positives.
        repulsion: weight of the negatives.
        prior: share of the negatives that is taken to be positive and out of their expectation; 0 for none.
        detach: no gradient flows through the softmax.
    """

    positive_temperature: float = 1.0
    negative_temperature: float = 1 / 0.9
    attraction: float = 1.0
    repulsion: float = 1.0
    prior: float = 0.0
    detach: bool = False
    detached: ClassVar[tuple[str, ...]] = ("softmax of the costs, with detach",)

    def __post_init__(self) -> None:
        for field in ("positive_temperature", "negative_temperature"):
            value = getattr(self, field)
            require(is_number(value) and value > 0, self, field, "a number above 0")
        for field in ("attraction", "repulsion"):
            value = getattr(self, field)
            require(is_number(value) and value >= 0, self, field, "a number of at least 0")
        require(is_number(self.prior) and 0 <= self.prior < 1, self, "prior", "a number from 0 to below 1")
        require(isinstance(self.detach, bool), self, "detach", "true or false")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive and a negative."""
        cost = 2 - 2 * problem.z
        near = self._expected(cost, cost / self.positive_temperature, problem.positive)
        far = self._expected(cost, -cost / self.negative_temperature, problem.negative)
        far = (far - self.prior * masked_mean(cost, problem.positive)) / (1 - self.prior)
        kept = problem.positive.any(dim=1) & problem.negative.any(dim=1)
        return of_rows(problem, self.attraction * near - self.repulsion * far, kept)

    def _expected(
        self, cost: Float[Tensor, "row column"], logits: Float[Tensor, "row column"], mask: Bool[Tensor, "row column"]
    ) -> Float[Tensor, " row"]:
        """The mean cost under the softmax of the logits; 0 for a row without columns."""
        plan = torch.where(mask, log_softmax(logits, mask).exp(), 0.0)
        return ((plan.detach() if self.detach else plan) * cost).sum(dim=1)
