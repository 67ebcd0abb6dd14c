"""Running ranks against their equations, over several steps with what is remembered."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives import SOAP, SONG
from tests.objectives.relations import relation, whole
from tests.oracles.cases import cases
from tests.oracles.slow import running as slow
from tests.oracles.steps import (
    EXAMPLES,
    call,
    check_gradient,
    close,
    indexes,
    random_scores,
    scored,
    step_of,
    through_cosines,
)


class Pairs:
    """The state of pairs of an example and a text, as matrices for an oracle."""

    def __init__(self, kind, width):
        self.kind, self.width, self.known = kind, width, {}

    def look_up(self, index, identities):
        values = np.zeros((self.width, len(index), len(identities)))
        seen = np.zeros(values.shape[1:], dtype=bool)
        for row, column in np.ndindex(*seen.shape):
            key = (int(index[row]), int(identities[column]))
            if key in self.known:
                values[:, row, column], seen[row, column] = self.known[key], True
        return values, seen

    def remember(self, index, identities, values, positive, kept):
        """Pairs that are there twice take their mean."""
        found = {}
        for row, column in zip(*np.nonzero(positive & kept[:, None]), strict=True):
            found.setdefault((int(index[row]), int(identities[column])), []).append(values[:, row, column])
        self.known |= {key: np.mean(each, axis=0) for key, each in found.items()}

    def check(self, table):
        index, identities = (torch.tensor([key[place] for key in self.known], dtype=torch.int64) for place in (0, 1))
        stored, visits = table.eval().read(table.slots(index, identities))
        table.train()
        assert (visits > 0).all()
        assert (table.visits > 0).sum() == len(self.known)
        close(stored, np.array(list(self.known.values())).reshape(stored.shape))


@settings(max_examples=20, deadline=None)
@given(
    case=cases(most=5),
    seed=st.integers(0, 1000),
    gamma=st.sampled_from([0.3, 0.9, 1.0]),
    margin=st.sampled_from([0.4, 1.0]),
)
def test_soap_follows_its_equation_step_by_step(case, seed, gamma, margin):
    objective, pairs = SOAP(margin=margin, gamma=gamma).double(), Pairs(slow.PrecisionState, 2)
    for number in range(3):
        now, index = step_of(case, seed + number), indexes(case, seed + number)
        identities = case.known.candidate_ids
        (up, ua), seen = pairs.look_up(index, identities)
        expected = slow.soap(*now.arrays(), slow.PrecisionState(up, ua, seen), margin=margin, gamma=gamma)
        outcome, found = call(objective, now, index)
        close(outcome.losses.detach(), expected.losses)
        assert outcome.kept.tolist() == expected.kept.tolist()
        check_gradient(found, through_cosines(now, expected.gradient / max(expected.kept.sum(), 1)))
        values = np.stack([expected.state.positives, expected.state.everything])
        pairs.remember(index, identities, values, now.problem.positive.numpy(), expected.kept)
        pairs.check(objective.memory["criterion"])


@settings(max_examples=20, deadline=None)
@given(
    case=cases(most=5),
    seed=st.integers(0, 1000),
    gamma=st.sampled_from([0.3, 0.9]),
    items=st.sampled_from([None, 100]),
    top=st.sampled_from([None, 2]),
)
def test_song_follows_its_equation_step_by_step(case, seed, gamma, items, top):
    objective, pairs = SONG(gamma=gamma, items=items, top=top).double(), Pairs(slow.RankState, 1)
    thresholds, size = np.zeros(50), case.known.shape[0]
    for number in range(3):
        now, generator = step_of(case, seed + number), torch.Generator().manual_seed(seed + number)
        index = torch.randperm(EXAMPLES, generator=generator)[:size]
        identities, grades = case.known.candidate_ids, now.problem.grades.numpy()
        (average,), seen = pairs.look_up(index, identities)
        state = slow.RankState(average, seen, thresholds[index.numpy()])
        expected = slow.song(*now.arrays(), grades, state, gamma=gamma, items=items, top=top)
        outcome, found = call(objective, now, index)
        close(outcome.losses.detach(), expected.losses)
        assert outcome.kept.tolist() == expected.kept.tolist()
        check_gradient(found, through_cosines(now, expected.gradient / max(expected.kept.sum(), 1)))
        positive = now.problem.positive.numpy()
        pairs.remember(index, identities, expected.state.average[None], positive, expected.kept)
        pairs.check(objective.memory["criterion"])
        thresholds[index.numpy()] = expected.state.threshold
        if top is not None:
            close(objective.memory["criterion_inner_gate"].read(torch.arange(50))[0][:, 0], thresholds)


def hinges(scores, row, positive):
    return (1.0 - (scores[row, positive] - scores[row])).clamp(min=0) ** 2


def test_at_a_first_visit_soap_has_the_gradient_of_average_precision():
    known = relation([[1, 1, None, None, None], [None, None, 1, None, None]])
    scores = random_scores(2, 5).requires_grad_()
    ratio = [hinges(scores, 0, p)[:2].sum() / hinges(scores, 0, p).sum() for p in (0, 1)]
    ratio.append(hinges(scores, 1, 2)[2] / hinges(scores, 1, 2).sum())
    expected = torch.autograd.grad(-(ratio[0] + ratio[1]) / 2 - ratio[2], scores)[0]
    outcome, found = scored(SOAP(similarity="dot"), scores.detach(), known, index=torch.arange(2))
    torch.testing.assert_close(found, expected)
    assert outcome.losses.abs().max() < 1e-12


def test_soap_of_a_row_without_negatives_is_zero_without_gradient():
    outcome, found = scored(SOAP(similarity="dot"), random_scores(1, 3), relation([[1, 1, 1]]), index=whole([0]))
    assert outcome.kept.all()
    assert outcome.losses.abs().max() < 1e-12
    assert found.abs().max() < 1e-12


def test_at_a_first_visit_song_has_the_gradient_of_ndcg():
    known = relation([[2, 1, None, None, None]])
    scores = random_scores(1, 5).requires_grad_()
    gain = 3 / torch.log2(1 + hinges(scores, 0, 0).sum()) + 1 / torch.log2(1 + hinges(scores, 0, 1).sum())
    expected = torch.autograd.grad(-gain / (3 + 1 / math.log2(3)), scores)[0]
    found = scored(SONG(similarity="dot"), scores.detach(), known, index=whole([4]))[1]
    torch.testing.assert_close(found, expected)


def test_pairs_are_told_apart_by_the_identity_of_the_positive():
    first = relation([[1, None, None]], candidate_ids=[7, 8, 9])
    other = relation([[1, None, None]], candidate_ids=[6, 8, 9])
    objective, fresh = SOAP(similarity="dot"), SOAP(similarity="dot")
    scored(objective, random_scores(1, 3, 1), first, index=whole([0]))
    one = scored(objective, random_scores(1, 3, 2), other, index=whole([0]))[1]
    torch.testing.assert_close(one, scored(fresh, random_scores(1, 3, 2), other, index=whole([0]))[1])
    two = scored(objective, random_scores(1, 3, 2), first, index=whole([0]))[1]
    assert (one - two).abs().max() > 1e-3
