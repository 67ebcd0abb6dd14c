from dataclasses import dataclass, replace

import torch

from nearfar.objectives import Composition, Objective
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.explain import curves
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.part import Mask


@dataclass(frozen=True, kw_only=True)
class NotTooNear(Mask):
    """Negatives of a similarity above a limit are left out: they may well be relevant."""

    limit: float = 0.8

    def apply(self, problem, memory):
        suspect = problem.negative & (problem.scores.detach() > self.limit)
        return replace(problem, valid=problem.valid & ~suspect)


objective = Objective(Composition(criterion=Softmax(), masks=(NotTooNear(),), logits=(Temperature(temperature=0.05),)))
print(objective, objective(torch.randn(4, 16), torch.randn(4, 16), torch.eye(4)))

curve = curves(objective)
pushed = dict(zip((round(cosine, 2) for cosine in curve.similarity), curve.negative, strict=True))
print(f"a negative is pushed with {pushed[0.75]:.1f} at 0.75 and {pushed[0.85]:.1f} at 0.85")
