"""Which pairs the mining of the Multi-Similarity loss keeps, and which negatives a sample keeps."""

from dataclasses import replace

import torch

from nearfar.objectives.masking.multi_similarity import NearlyReached
from nearfar.objectives.masking.sampling import SampledNegatives
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation


def problem_of(scores, grades):
    scores = torch.tensor(scores)
    made = make_problem("test", torch.eye(len(scores)), torch.ones(scores.shape[1], len(scores)), relation(grades))
    return replace(made, similarity=scores, logits=scores)


def test_either_side_keeps_what_the_other_nearly_reaches():
    problem = problem_of([[0.9, 0.55, 0.5, 0.44, 0.1]], [[1, 1, None, None, None]])
    mined = NearlyReached(margin=0.1).apply(problem, Memory({}))
    assert mined.positive.tolist() == [[False, True, False, False, False]]
    assert mined.negative.tolist() == [[False, False, True, False, False]]


def test_both_sides_are_judged_by_the_other_one_as_it_was_before():
    # The negative of 0.85 keeps both positives; that of 0.5 is measured by the weakest of them.
    problem = problem_of([[0.9, 0.55, 0.85, 0.5]], [[1, 1, None, None]])
    mined = NearlyReached(margin=0.1).apply(problem, Memory({}))
    assert mined.positive.tolist() == [[True, True, False, False]]
    assert mined.negative.tolist() == [[False, False, True, True]]


def test_copies_are_no_positives_and_do_not_become_negatives():
    problem = problem_of([[1.0, 0.5, 0.6]], [[1, 1, None]])
    mined = NearlyReached(margin=0.1).apply(problem, Memory({}))
    assert mined.positive.tolist() == [[False, True, False]]
    assert mined.valid.tolist() == [[False, True, True]]
    kept = NearlyReached(margin=1.0, copy_from=None).apply(problem, Memory({}))
    assert kept.positive.tolist() == [[True, True, False]]


def test_against_an_empty_side_nothing_is_left():
    problem = problem_of([[0.5, 0.6], [0.5, 0.6]], [[1, 1], [None, None]])
    assert not NearlyReached(margin=5.0).apply(problem, Memory({})).valid.any()


def test_sampled_negatives_are_the_same_columns_for_all_rows_and_positives_stay():
    grades = [[1 if i == j else None for j in range(50)] for i in range(3)]
    part = SampledNegatives(rate=0.3, seed=1)
    module = part.make_memory(0)
    assert isinstance(module, Draws)
    problem = problem_of([[0.0] * 50] * 3, grades)
    memory = Memory({"": module})
    first, second = part.apply(problem, memory), part.apply(problem, memory)
    assert torch.equal(first.positive, problem.positive)
    assert torch.equal(first.negative[:, 3:], first.negative[:1, 3:].expand(3, -1))
    assert 3 <= int(first.negative[0].sum()) <= 27
    assert not torch.equal(first.valid, second.valid)
    everything = SampledNegatives(rate=1.0).apply(problem, memory)
    assert everything.valid.all()
