"""Negatives by where they came from."""

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.masking.origin import KeepNegatives
from nearfar.objectives.memory import Memory
from nearfar.types import Origin
from tests.objectives.relations import relation
from tests.oracles.cases import scored

# Anchor 0 has a hard negative of its own in column 2, anchor 1 in column 3; column 2 is also unjudged for anchor 1.
KNOWN = relation(
    [[1, None, 0, None], [None, 1, None, 0]], origins=[Origin.IN_BATCH, Origin.IN_BATCH, Origin.HARD, Origin.HARD]
)


@pytest.mark.parametrize(
    ("which", "valid"),
    [
        ("all", [[1, 1, 1, 1], [1, 1, 1, 1]]),
        ("in_batch", [[1, 1, 0, 1], [1, 1, 1, 0]]),
        ("own_hard", [[1, 0, 1, 0], [0, 1, 0, 1]]),
        ("private", [[1, 1, 1, 0], [1, 1, 0, 1]]),
    ],
)
def test_what_is_left(which, valid):
    problem = KeepNegatives(which=which).apply(scored(torch.zeros(2, 4), KNOWN), Memory({}))
    assert problem.valid.int().tolist() == valid
    assert problem.positive.int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]


@pytest.mark.usefixtures("without_annotation_checks")
def test_what_is_refused():
    with pytest.raises(
        ConfigError, match="KeepNegatives: which must be all or in_batch or own_hard or private, got 'h'"
    ):
        KeepNegatives(which="h")
