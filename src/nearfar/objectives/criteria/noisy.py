"""Negatives that may be positives in hiding, with the chance of it estimated beside the scores."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class NoisyLabels(Criterion):
    """Minus the log-likelihood of a row's labels where a positive shows as one with probability ``1 - g`` only.

    ``g = sigmoid(rho)`` with a flip logit rho for each pair.

    Attributes:
        form: ``likelihood``, or ``surrogate``, which bounds the likelihood of negatives and stops the gradients of all
            factors: its gradient is not that of any function, so that its value is no measure of progress.
        flips: ``trained``: rho is the product of two small projections of the vectors and a constant, and sends no
            gradient into the vectors; ``given``: it comes as ``teacher``.
        width: of the projections.
        initial: rho at the start; low, so that hardly any label is flipped.
        seed: of the projections at the start.
    """

    form: Literal["surrogate", "likelihood"] = "surrogate"
    flips: Literal["trained", "given"] = "trained"
    width: int = 8
    initial: float = -3.0
    seed: int = 0
    detached: ClassVar[tuple[str, ...]] = ("factors of the surrogate", "vectors inside of trained flip logits")

    def __post_init__(self) -> None:
        require(self.form in ("surrogate", "likelihood"), self, "form", "surrogate or likelihood")
        require(self.flips in ("trained", "given"), self, "flips", "trained or given")
        whole = all(is_whole(each) for each in (self.width, self.seed))
        require(whole and self.width > 0, self, "width", "a whole number above 0")
        require(is_number(self.initial), self, "initial", "a number")

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # depends on a field here
        """Flip logits, if they are given."""
        return frozenset({"teacher"} if self.flips == "given" else ())

    @property
    def sized(self) -> bool:  # type: ignore[override]  # depends on a field here
        """Trained projections depend on the width."""
        return self.flips == "trained"

    def make_memory(self, dim: int) -> nn.Module | None:
        """The projections, if flip logits are trained."""
        return FlipLogits(dim, self.width, self.initial, self.seed) if self.flips == "trained" else None

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive."""
        if self.flips == "trained":
            flip = memory.of(FlipLogits)(problem.anchors.detach(), problem.candidates.detach())
        else:
            assert problem.teacher is not None
            flip = problem.teacher
        terms = self._surrogate(problem, flip) if self.form == "surrogate" else self._likelihood(problem, flip)
        kept = problem.positive.any(dim=1)
        losses = torch.where(problem.valid, terms, 0.0).sum(dim=1)
        return Outcome(torch.where(kept, losses, 0.0), kept)

    def _surrogate(self, problem: Problem, flip: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        score, flipped, right = problem.z, torch.sigmoid(flip).detach(), torch.sigmoid(problem.z).detach()
        pulled = (1 - flipped) * softplus(-score) + right * softplus(flip)
        pushed = softplus(score) + flipped * softplus(-score) + right * softplus(-flip)
        return torch.where(problem.positive, pulled, pushed)

    def _likelihood(self, problem: Problem, flip: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        score = problem.z
        pulled = softplus(-score) + softplus(flip)
        # log(sig(-R) + g sig(R)), each summand by its log.
        pushed = -torch.logaddexp(-softplus(score), -softplus(-flip) - softplus(-score))
        return torch.where(problem.positive, pulled, pushed)


class FlipLogits(nn.Module):
    """The logit that a negative is a flipped positive, for every pair of vectors."""

    def __init__(self, dim: int, width: int, initial: float, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.rows = nn.Parameter(torch.randn(width, dim, generator=generator) / dim)
        self.columns = nn.Parameter(torch.randn(width, dim, generator=generator) / dim)
        self.constant = nn.Parameter(torch.tensor(float(initial)))

    def forward(
        self, anchors: Float[Tensor, "row dim"], candidates: Float[Tensor, "column dim"]
    ) -> Float[Tensor, "row column"]:
        """The logits of all pairs."""
        rows, columns, constant = (each.to(anchors.dtype) for each in (self.rows, self.columns, self.constant))
        return (anchors @ rows.T) @ (candidates @ columns.T).T + constant
