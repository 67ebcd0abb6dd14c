"""Labels of which only the positive ones are known: everything else is unlabelled, not negative."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import softplus

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.draws import beta


@dataclass(frozen=True, kw_only=True)
class Unlabelled(Criterion):
    """For each column, the log of its mean probability, less the mean log-probability of its positives; added up.

    All usable rows are the unlabelled set, positives too.

    Attributes:
        gamma: the first term counts as the mean probability to this power, which carries no gradient.
        epsilon: added to the mean probability; above 0.
    """

    gamma: float = 0.55
    epsilon: float = 1e-10
    scope: ClassVar[Scope] = "batch"
    detached: ClassVar[tuple[str, ...]] = ("mean probability as a factor",)

    def __post_init__(self) -> None:
        require(is_number(self.gamma) and self.gamma >= 0, self, "gamma", "a number of at least 0")
        require(is_number(self.epsilon) and self.epsilon > 0, self, "epsilon", "a number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch."""
        everyone, known = problem.valid.sum(dim=0), problem.positive.sum(dim=0)
        mean = torch.where(problem.valid, torch.sigmoid(problem.z), 0.0).sum(dim=0) / everyone.clamp(min=1)
        factor = mean.detach() ** self.gamma
        spread = torch.where(everyone > 0, (mean + self.epsilon).log() * factor, 0.0)
        pulled = torch.where(problem.positive, softplus(-problem.z), 0.0).sum(dim=0) / known.clamp(min=1)
        return of_the_whole((spread + pulled).sum(), problem.valid.any(dim=1))


@dataclass(frozen=True, kw_only=True)
class MixedTargets(Criterion):
    """The probabilities of a mixture of two rows should be the mixture of their targets, in logs and squared.

    The target is 1 for a positive and the probability itself for anything else; it carries gradient. Each row is mixed
    with another one of the batch, and a mixture of anchors has the mixture of their logits. Pairs count that are usable
    in both rows.

    Attributes:
        concentration: of the beta distribution that the coefficient of a call is drawn from; above 0.
        epsilon: added inside of the logs; above 0.
        seed: of what is drawn.
    """

    concentration: float = 0.3
    epsilon: float = 1e-10
    seed: int = 0
    scope: ClassVar[Scope] = "batch"

    def __post_init__(self) -> None:
        for field in ("concentration", "epsilon"):
            value = getattr(self, field)
            require(is_number(value) and value > 0, self, field, "a number above 0")
        whole = is_whole(self.seed)
        require(whole and self.seed >= 0, self, "seed", "a whole number of at least 0")

    def make_memory(self, dim: int) -> nn.Module:
        """The number of calls."""
        return Draws(self.seed)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch: the mean over mixtures of the sum over columns."""
        generator, rows = memory.of(Draws).generator(), len(problem.z)
        share = beta(generator, (self.concentration, self.concentration), (), problem.z)
        other = torch.randperm(rows, generator=generator).to(problem.z.device)
        target = torch.where(problem.positive, 1.0, torch.sigmoid(problem.z))
        wanted = share * target + (1 - share) * target[other]
        given = torch.sigmoid(share * problem.z + (1 - share) * problem.z[other])
        gap = (wanted + self.epsilon).log() - (given + self.epsilon).log()
        both = problem.valid & problem.valid[other]
        kept = problem.valid.any(dim=1)
        return of_the_whole(torch.where(both, gap.square(), 0.0).sum() / max(rows, 1), kept)
