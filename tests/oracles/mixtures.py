"""What tests of synthesis share: cases without made columns, and the draws of a first call."""

from dataclasses import replace

import torch
from torch.nn.functional import normalize

from nearfar.objectives.memory import Draws
from nearfar.types import Origin
from tests.objectives.relations import relation
from tests.oracles.cases import Case, cases


def real(case):
    """The case with columns of the batch and hard negatives only."""
    origins = torch.where(case.known.origins % 2 == 1, int(Origin.HARD), int(Origin.IN_BATCH))
    return Case(case.anchors, case.candidates, replace(case.known, origins=origins))


def some(most=6, dim=4):
    return cases(most=most, dim=dim).map(real)


def unit(case, labels=None):
    """The problem as parts see it: with vectors of length 1."""
    sides = [normalize(side, dim=1) for side in case.vectors]
    return replace(case.problem, anchors=sides[0], candidates=sides[1], labels=labels)


def generator(seed):
    """That of the first call."""
    return Draws(seed).generator()


def lists(drawn):
    return [None if each is None else each.numpy() for each in drawn]


def values_of(case, seed=0):
    """Labels of the anchors: a few numbers, some of them equal."""
    drawn = torch.Generator().manual_seed(seed)
    return torch.randint(0, 4, case.known.shape[:1], generator=drawn) * 2.5


def vectors(rows, columns, dim=4, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=drawn, dtype=torch.float64) for size in (rows, columns)]


def hard(size=3, each=3):
    """Anchors with a positive and some hard negatives of their own."""
    columns = size * (1 + each)
    grades = [
        [1 if j == i else 0 if size + i * each <= j < size + (i + 1) * each else None for j in range(columns)]
        for i in range(size)
    ]
    return relation(grades, origins=[Origin.IN_BATCH] * size + [Origin.HARD] * (size * each))
