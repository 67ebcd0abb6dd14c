"""What every oracle test needs: random problems, the same problem for NumPy, and gradients by finite differences."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from hypothesis import strategies as st

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relations


@dataclass
class Case:
    """A relation with vectors, in float64, and the same thing as arrays."""

    anchors: torch.Tensor
    candidates: torch.Tensor
    known: object

    @property
    def problem(self):
        return make_problem("test", self.anchors, self.candidates, self.known)

    def arrays(self, similarity="cosine"):
        """similarity, positive, valid as arrays, for oracles of a score matrix."""
        one, other = (normalised(side.numpy()) if similarity == "cosine" else side.numpy() for side in self.vectors)
        return one @ other.T, self.problem.positive.numpy(), self.problem.valid.numpy()

    def stacked(self, related="ignored"):
        """The same over both sides: square arrays for the oracles of two views."""
        both = BothSides(related=related).apply(self.problem, Memory({}))
        vectors = normalised(both.anchors.numpy())
        return vectors @ vectors.T, both.positive.numpy(), both.valid.numpy()

    @property
    def vectors(self):
        return self.anchors, self.candidates


def normalised(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@st.composite
def cases(draw, most=6, dim=4, scale=1.0):
    """Any relation (several positives, none, ignored pairs, duplicates) with random vectors."""
    known = draw(relations(most=most))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    anchors, candidates = (
        scale * torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in known.shape
    )
    return Case(anchors, candidates, known)


def check_rows(objective, case, expected, **inputs):
    """The losses of the rows, which of them count, and their mean, are those of an oracle ``(losses, kept)``."""
    outcome = deepcopy(objective).double().outcome(*case.vectors, case.known, **inputs)
    losses, kept = expected
    assert outcome.kept.tolist() == np.asarray(kept).tolist()
    np.testing.assert_allclose(outcome.losses.detach().numpy(), losses, atol=1e-9, rtol=1e-8)
    check_loss(objective, case, losses[kept].mean() if np.any(kept) else 0.0, **inputs)


def check_loss(objective, case, expected, **inputs):
    """The loss is the number of an oracle."""
    found = deepcopy(objective).double()(*case.vectors, case.known, **inputs)
    np.testing.assert_allclose(found.item(), expected, atol=1e-9, rtol=1e-8)


def mean_of(expected):
    """The mean over the kept rows of an oracle's answer."""
    losses, kept = expected
    return float(np.asarray(losses)[kept].mean()) if np.any(kept) else 0.0


def check_gradients(objective, case, **inputs):
    """Gradients with respect to both sides are those of finite differences, each call from the same memory."""
    sides = [side.clone().requires_grad_() for side in case.vectors]

    def loss(anchors, candidates):
        return deepcopy(objective).double()(anchors, candidates, case.known, **inputs)

    assert torch.autograd.gradcheck(loss, sides, atol=1e-6, rtol=1e-4)


def scored(scores, known):
    """A problem whose similarities are given: the anchors are the rows, the candidates unit vectors."""
    problem = make_problem("test", scores, torch.eye(scores.shape[1], dtype=scores.dtype), known)
    return replace(problem, similarity=scores, logits=scores, temperature=torch.ones((), dtype=scores.dtype))
