"""The queue: what it holds, who sees it, and MoCo."""

from collections import deque
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.errors import ConfigError
from nearfar.objectives import InfoNCE, MoCHi, MoCo, NegativeInterpolation, parse
from nearfar.objectives.candidates.queue import EarlierCandidates, Queue
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation
from tests.oracles.slow import synthesis as oracle


def sides(size, seed=0, dim=4, columns=None):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, dim, generator=generator) for count in (size, columns or size)]


def numbered(ids):
    """Pairs with these identities of candidates."""
    size = len(ids)
    grades = [[1 if i == j else None for j in range(size)] for i in range(size)]
    return relation(grades, anchor_ids=range(-1, -size - 1, -1), candidate_ids=ids)


def queue(objective):
    return next(module for module in objective.modules() if isinstance(module, EarlierCandidates))


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 7), batches=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_it_is_first_in_first_out_whatever_the_sizes(size, batches):
    memory, expected, known = EarlierCandidates(size, 2), deque(maxlen=size), 0
    for count in batches:
        ids = torch.arange(known, known + count)
        memory.put(torch.stack([ids, -ids], dim=1).float(), ids)
        expected.extend(ids.tolist())
        known += count
        held = memory.filled
        assert sorted(memory.ids[held].tolist()) == sorted(expected)
        torch.testing.assert_close(memory.vectors[held][:, 0], memory.ids[held].float())
        oldest = memory.place if bool(held.all()) else 0
        assert torch.roll(memory.ids, -int(oldest))[: len(expected)].tolist() == list(expected)


def test_the_first_call_is_info_nce_and_later_ones_see_the_candidates_before():
    objective, earlier = MoCo(temperature=0.2, size=7, keys="given"), []
    for step in range(4):
        anchors, candidates = sides(3, step)
        known = numbered(range(10 * step, 10 * step + 3))
        outcome = objective.outcome(anchors, candidates, known)
        scores = normalize(anchors, dim=1) @ normalize(candidates, dim=1).T
        kept = np.array(earlier[-7:], dtype=np.float64).reshape(-1, 4)
        made = normalize(anchors, dim=1).numpy() @ kept.T
        expected, _ = oracle.info_nce_with_mixtures(
            scores.numpy(), np.eye(3), np.ones((3, 3)), made, np.ones(made.shape, dtype=bool), temperature=0.2
        )
        np.testing.assert_allclose(outcome.losses.numpy(), expected, rtol=1e-5)
        if not step:
            torch.testing.assert_close(outcome.losses, InfoNCE(temperature=0.2).rows(anchors, candidates, known))
        earlier += normalize(candidates, dim=1).tolist()


def test_columns_of_the_queue_are_marked_and_carry_no_gradient():
    objective = MoCo(size=4, keys="given")
    first = [side.requires_grad_() for side in sides(2)]
    objective(*first, numbered([1, 2]))
    second = [side.requires_grad_() for side in sides(2, 1)]
    outcome = objective.outcome(*second, numbered([3, 4]))
    outcome.loss.backward()
    problem = outcome.problems[0]
    assert problem.origins.tolist() == [Origin.IN_BATCH] * 2 + [Origin.QUEUE] * 4
    assert problem.column_ids[2:4].tolist() == [1, 2]
    assert problem.valid[:, 2:].tolist() == [[True, True, False, False]] * 2
    assert all(side.grad is None for side in first)
    assert all(side.grad.abs().sum() > 0 for side in second)
    assert not queue(objective).vectors.requires_grad


def test_what_is_among_the_candidates_or_is_the_text_of_the_row_is_no_negative():
    objective = MoCo(size=4, keys="given")
    objective(*sides(4), numbered([1, 2, 3, 4]))
    known = relation([[1, None], [None, 1]], anchor_ids=[3, 9], candidate_ids=[1, 5])
    problem = objective.outcome(*sides(2, 1), known).problems[0]
    # 1 is a candidate again, and 3 is the text of the first row.
    assert problem.valid[:, 2:].tolist() == [[False, True, False, True], [False, True, True, True]]


def test_candidates_without_identities_are_told_from_nothing():
    objective = MoCo(size=3, keys="given")
    objective(*sides(2), torch.eye(2))
    assert objective.outcome(*sides(2, 1), torch.eye(2)).problems[0].valid[:, 2:].tolist() == [[True, True, False]] * 2
    assert objective.outcome(*sides(1, 2), numbered([7])).problems[0].valid[:, 1:].all()


def test_in_evaluation_mode_nothing_is_put_in():
    objective = MoCo(size=4, keys="given")
    objective(*sides(2), numbered([1, 2]))
    objective.eval()
    before = deepcopy(objective.state_dict())
    objective(*sides(2, 1), numbered([3, 4]))
    assert all(torch.equal(value, before[key]) for key, value in objective.state_dict().items())


def test_the_queue_is_in_the_checkpoint():
    objective = MoCo(size=5, keys="given")
    for step in range(3):
        objective(*sides(2, step), numbered([10 * step, 10 * step + 1]))
    again = parse("MoCo(size=5, keys=given)")
    again.load_state_dict(objective.state_dict())
    for step in range(3, 5):
        known = numbered([10 * step, 10 * step + 1])
        assert again(*sides(2, step), known).item() == objective(*sides(2, step), known).item()


@pytest.mark.parametrize("kind", [MoCHi, NegativeInterpolation])
def test_mixtures_are_made_from_the_queue_and_never_enter_it(kind):
    objective = kind(queue=6)
    objective(*sides(3), numbered([1, 2, 3]))
    problem = objective.outcome(*sides(1, 1), numbered([4])).problems[0]
    made = problem.candidates[(problem.origins == Origin.MIXED) & problem.valid.any(dim=0)]
    assert len(made)
    held = queue(objective)
    assert held.ids[held.filled].tolist() == [1, 2, 3, 4]
    together = torch.linalg.matrix_rank(torch.cat([made[:8], held.vectors[:3]]), tol=1e-4)
    assert together <= 4


def test_the_problem_that_was_seen_does_not_change_with_the_queue():
    objective = MoCo(size=2, keys="given")
    objective(*sides(2), numbered([1, 2]))
    problem = objective.outcome(*sides(2, 1), numbered([3, 4])).problems[0]
    assert problem.column_ids[2:].tolist() == [1, 2]
    assert queue(objective).ids.tolist() == [3, 4]


def test_it_can_be_applied_by_hand():
    part, known = Queue(size=2), diagonal(2)
    memory = Memory({"": part.make_memory(4)})
    problem = make_problem("test", *sides(2), known)
    assert part.apply(problem, memory).valid[:, 2:].any().item() is False
    assert torch.equal(part.apply(problem, memory).candidates[2:], problem.candidates)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_size_must_be_a_whole_number(size):
    with pytest.raises(ConfigError, match="Queue: size must be a whole number above 0"):
        Queue(size=size)
