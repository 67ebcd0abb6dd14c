"""Pairs of anchors as further negatives of every row."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from nearfar.objectives.weights.pool import PooledPairs, quantiles
from tests.objectives.relations import relation


@given(values=st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=1, max_size=12))
def test_quantiles_are_those_of_numpy(values):
    numbers = torch.tensor([[value for value, _ in values]], dtype=torch.float64)
    mask = torch.tensor([[used for _, used in values]])
    found = quantiles(numbers, mask, (0.0, 0.25, 0.6, 1.0))
    used = numbers[mask].numpy()
    expected = np.quantile(used, [0, 0.25, 0.6, 1]) if len(used) else np.zeros(4)
    np.testing.assert_allclose([each.item() for each in found], expected, atol=1e-12)


def extra(grades, whisker, earlier=None, **known):
    anchors = torch.eye(len(grades), 8, dtype=torch.float64) + 0.1
    problem = make_problem(
        "test", anchors, torch.eye(len(grades[0]), 8, dtype=torch.float64), relation(grades, **known)
    )
    scores = problem.anchors @ problem.candidates.T
    problem = replace(problem, similarity=scores, logits=scores, temperature=torch.tensor(0.5).double(), extra=earlier)
    return PooledPairs(whisker=whisker).apply(problem, Memory({})).extra


def test_pairs_of_one_class_and_rows_without_a_class_are_no_part_of_the_pool():
    score = 0.1 * 0.1 * 6 + 2 * 1.1 * 0.1
    grades = [[1, 0], [1, 0], [0, 1], [0, 0]]
    found = extra(grades, None)
    assert found[:, 0].tolist() == pytest.approx([np.log(2) + score / 0.5] * 4)  # rows 0 and 1 with row 2


def test_what_was_there_before_stays():
    earlier = torch.full((2, 1), 3.0, dtype=torch.float64)
    alone = extra([[1, 0], [0, 1]], None)
    both = extra([[1, 0], [0, 1]], None, earlier)
    torch.testing.assert_close(both, torch.logaddexp(alone, earlier))
    torch.testing.assert_close(extra([[1, 0], [1, 0]], None, earlier), earlier)
    assert extra([[1, 0], [1, 0]], 1.5)[0, 0].item() == float("-inf")


def test_a_whisker_is_not_below_zero():
    with pytest.raises(ConfigError, match="whisker must be a number of at least 0, or none, got -1"):
        PooledPairs(whisker=-1.0)
