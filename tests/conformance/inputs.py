"""Inputs that suit any objective of the catalogue, and its variants."""

from typing import Literal, get_args, get_origin, get_type_hints

import torch

from nearfar.objectives import catalogue
from nearfar.objectives.memory import Draws
from nearfar.types import Origin
from tests.objectives.relations import relation

ENTRIES = {entry.name: entry for entry in catalogue()}
DIM = 6

USUAL = relation(
    [
        [1, None, None, None, 0, None],
        [None, 2, None, None, None, 0],
        [None, None, 1, None, 0, 1],
        [1, None, None, 1, None, None],
    ],
    origins=[Origin.IN_BATCH] * 4 + [Origin.HARD] * 2,
)
"""Four anchors and six candidates: two positives for some, graded, judged negatives, hard negatives."""


def vectors(shape, seed=0, dtype=torch.float32, dim=DIM):
    """Anchors and candidates that ask for gradients."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(size, dim, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for size in shape
    ]


def companions(objective, known, seed=0, dtype=torch.float32):
    """What the objective needs beside vectors and relation."""
    generator = torch.Generator().manual_seed(seed + 1)
    rows, columns = known.shape

    def numbers(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    every = {
        "index": torch.arange(rows) + 3,
        "guide_anchors": numbers(rows, 5),
        "guide_candidates": numbers(columns, 5),
        "teacher": numbers(rows, columns),
        "labels": torch.arange(rows) % 2,
        "origin": known.origins,
    }
    if "guide_candidates" in objective.needs:  # some compare them with the vectors
        every |= {"guide_anchors": numbers(rows, DIM), "guide_candidates": numbers(columns, DIM)}
    return {name: every[name] for name in objective.needs}


def variants(entry):
    """The default, and one objective for every other word or truth value of a setting, where that is allowed."""
    found = [entry()]
    for name, hint in get_type_hints(entry.build).items():
        if get_origin(hint) is Literal:
            found += [entry(**{name: word}) for word in get_args(hint) if word != entry.defaults[name]]
        elif hint is bool:
            found.append(entry(**{name: not entry.defaults[name]}))
    return found


def is_random(objective):
    """Whether it draws anything."""
    return any(isinstance(module, Draws) for module in objective.prepare(DIM).modules())
