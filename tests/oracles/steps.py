"""Steps of objectives that remember, and how they are compared with an oracle."""

import numpy as np
import torch
from torch.nn.functional import normalize

from nearfar.objectives import Composition
from nearfar.objectives.criteria.running import LogMeanExp, RunningMean
from nearfar.objectives.objective import Objective
from tests.oracles.cases import Case

EXAMPLES = 8


def step_of(case, number):
    """The same relation with other vectors."""
    generator = torch.Generator().manual_seed(number)
    sides = (torch.randn(side.shape, generator=generator, dtype=torch.float64) for side in case.vectors)
    return Case(*sides, case.known)


def indexes(case, seed):
    """Places in the dataset of the anchors, at times the same for two of them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(EXAMPLES, case.known.shape[:1], generator=generator)


def call(objective, case, index):
    """The outcome of a step, and the gradients of its loss."""
    sides = [side.clone().requires_grad_() for side in case.vectors]
    outcome = objective.outcome(*sides, case.known, index=index)
    return outcome, torch.autograd.grad(outcome.loss, sides, allow_unused=True)


def through_cosines(case, slopes, stacked=False):
    """Gradients of the vectors from those of their cosines."""
    sides = [side.clone().requires_grad_() for side in case.vectors]
    left, right = (normalize(side, dim=1) for side in sides)
    if stacked:
        left = right = torch.cat([left, right])
    return torch.autograd.grad((left @ right.T * torch.from_numpy(slopes)).sum(), sides)


def close(found, expected, **tolerances):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-9, rtol=1e-7, **tolerances)


def check_gradient(found, expected):
    for one, other in zip(found, expected, strict=True):
        close(torch.zeros_like(other) if one is None else one, other)


def check_table(table, values, seen):
    """What the memory says of the examples that were seen."""
    stored, visits = table.read(torch.arange(len(seen)))
    assert ((visits > 0).numpy() == seen).all()
    close(stored.numpy()[seen], values[seen])


def plain(logits, gamma=0.9, subtract=True):
    """One direction of SogCLR on a matrix of scores."""
    criterion = RunningMean(inner=LogMeanExp(subtract_positive=subtract), gamma=gamma)
    return Objective(Composition(criterion=criterion, similarity="dot", logits=logits))


def scored(objective, scores, known, **inputs):
    """The outcome of a matrix of scores, and the gradient of the sum of its rows."""
    scores = scores.clone().requires_grad_()
    outcome = objective.outcome(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known, **inputs)
    return outcome, torch.autograd.grad(outcome.losses.sum(), scores)[0]


def random_scores(rows, columns, seed=0):
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def random_vectors(shape, seed, dim=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in shape]
