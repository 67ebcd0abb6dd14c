"""Synthesis against the equations: what was drawn is drawn again, and the slow version mixes it."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives import (
    Adversarial,
    Composition,
    HardMix,
    Metrix,
    MoCHi,
    MoCo,
    NegativeInterpolation,
    Objective,
    PositiveExtrapolation,
    Sum,
    SupReMix,
)
from nearfar.objectives.candidates.labelled import LabelledSides
from nearfar.objectives.logits.extrapolation import ExtrapolatePositives
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Synthesis
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.interpolate import InterpolateNegatives
from nearfar.objectives.synthesis.labels import MixAroundLabels, MixTowardsLabels
from nearfar.objectives.synthesis.mix import Mix
from tests.oracles.cases import check_loss, check_rows, mean_of
from tests.oracles.mixtures import generator, lists, some, unit, values_of
from tests.oracles.slopes import check_slopes
from tests.oracles.slow import synthesis as oracle

VALUES = settings(max_examples=15, deadline=None)
GRADIENTS = settings(max_examples=5, deadline=None)


@VALUES
@given(case=some(), seed=st.integers(0, 50))
def test_mochi(case, seed):
    objective = MoCHi(hardest=3, mixed=4, mixed_with_query=2, temperature=0.2, seed=seed)
    problem = unit(case)
    first, second, share = lists(Mix(hardest=3, count=4).draw(problem, generator(seed)))
    query = Mix(first="anchor", hardest=3, count=2, ceiling=0.5).draw(problem, generator(seed + 1))
    _, ids, query_share = lists(query)
    assert (query_share <= 0.5).all()
    allowed = oracle.mochi_hardest(*case.arrays(), 3)
    for row, own in enumerate(allowed):
        assert set(ids[row]) <= (set(own) or {-1})
        pairs = set(zip(first[row], second[row], strict=True))
        assert pairs <= ({(j, k) for j in own for k in own if j != k} or {(-1, -1)})
    _, positive, valid = case.arrays()
    sides = [side.numpy() for side in case.vectors]
    expected = oracle.mochi(*sides, positive, valid, first, second, share, ids, query_share, temperature=0.2)
    check_rows(objective, case, expected)


@VALUES
@given(case=some(), seed=st.integers(0, 50), gamma=st.sampled_from([0.0, 0.5, 2.0]))
def test_hard_mix(case, seed, gamma):
    part = Mix(pool="own", count=3, concentration=(2.0, 2.0))
    drawn = lists(part.draw(unit(case), generator(seed)))
    sides = [side.numpy() for side in case.vectors]
    given_ = {"temperature": 0.2, "list_temperature": 0.1, "gamma": gamma}
    _, positive, valid = case.arrays()
    expected = oracle.hard_mix(*sides, positive, valid, case.problem.own.numpy(), *drawn, **given_)
    for detach in (False, True):
        check_rows(HardMix(count=3, seed=seed, detach=detach, **given_), case, expected)


@VALUES
@given(
    case=some(),
    seed=st.integers(0, 50),
    host=st.sampled_from(["contrastive", "multi_similarity"]),
    partner=st.sampled_from(["positive", "anchor", "either"]),
    renormalise=st.booleans(),
)
def test_metrix(case, seed, host, partner, renormalise):
    given_ = {"host": host, "weight": 0.7, "margin": 0.2, "alpha": 1.5, "beta": 3.0, "base": 0.3}
    part = Mix(first=partner, count=3, concentration=(2.0, 2.0), shared=True)
    one, other, share = lists(part.draw(unit(case), generator(seed)))
    assert len(np.unique(share)) <= 1
    anchors, candidates = (side.numpy() for side in case.vectors)
    usable = (other >= 0) & (one is None or one >= 0)
    labels, scores = np.zeros(other.shape), np.zeros(other.shape)
    for row in range(len(anchors)):
        first = np.repeat(anchors[row : row + 1], 3, axis=0) if one is None else candidates[one[row]]
        made, labels[row] = oracle.metrix_mix(
            first, candidates[other[row]], np.ones(3), np.zeros(3), share[row], renormalise=renormalise
        )
        scores[row] = made @ oracle.unit(anchors)[row]
    expected = oracle.metrix(*case.arrays(), scores, labels, usable, **given_)
    check_rows(Metrix(partner=partner, count=3, seed=seed, renormalise=renormalise, **given_), case, expected)


@VALUES
@given(case=some(), seed=st.integers(0, 50), renormalise=st.booleans())
def test_positive_extrapolation(case, seed, renormalise):
    scores, positive, valid = case.arrays()
    problem = replace(case.problem, logits=torch.from_numpy(scores))
    excess = ExtrapolatePositives().draw(problem, generator(seed)).numpy()
    moved = scores.copy()
    for i, p in zip(*np.nonzero(positive), strict=True):
        pair = [side.numpy()[place : place + 1] for side, place in zip(case.vectors, (i, p), strict=True)]
        one, other = oracle.positive_extrapolation(*pair, 1 + excess[i], renormalise=renormalise)
        moved[i, p] = one[0] @ other[0]
    nothing = np.zeros((len(scores), 0))
    expected = oracle.info_nce_with_mixtures(moved, positive, valid, nothing, nothing, temperature=0.5)
    check_rows(PositiveExtrapolation(temperature=0.5, seed=seed, renormalise=renormalise), case, expected)


@VALUES
@given(case=some(), seed=st.integers(0, 50), renormalise=st.booleans(), instead=st.booleans())
def test_negative_interpolation(case, seed, renormalise, instead):
    scores, positive, valid = case.arrays()
    share, order = InterpolateNegatives().draw(unit(case), generator(seed))
    share, order = share.item(), order.numpy()
    made = oracle.negative_interpolation(case.candidates.numpy(), order, share, renormalise=renormalise)
    usable = oracle.interpolated_negative(positive, valid, order)
    made_scores = oracle.unit(case.anchors.numpy()) @ made.T
    rest = positive if instead else valid
    expected = oracle.info_nce_with_mixtures(scores, positive, rest, made_scores, usable, temperature=0.3)
    objective = NegativeInterpolation(temperature=0.3, seed=seed, renormalise=renormalise, replace=instead)
    check_rows(objective, case, expected)


@VALUES
@given(case=some(), epsilon=st.sampled_from([0.05, 0.3]), unit_gradient=st.booleans())
def test_adversarial(case, epsilon, unit_gradient):
    scores, positive, valid = case.arrays()
    hardest = oracle.mochi_hardest(scores, positive, valid, 2)
    ids = np.array([[*own, -1, -1][:2] for own in hardest])
    given_ = {"epsilon": epsilon, "temperature": 0.3, "unit_gradient": unit_gradient}
    sides = [side.numpy() for side in case.vectors]
    expected = oracle.adversarial(*sides, positive, valid, ids, **given_)
    check_rows(Adversarial(count=2, **given_), case, expected)


@VALUES
@given(
    case=some(),
    seed=st.integers(0, 50),
    weighting=st.sampled_from(["growing", "shrinking", "none"]),
    renormalise=st.booleans(),
)
def test_sup_re_mix(case, seed, weighting, renormalise):
    labels = values_of(case, seed)
    both = LabelledSides().apply(unit(case, labels), Memory({}))
    ids, share = lists(MixTowardsLabels(count=2).draw(both, generator(seed)))
    around = lists(MixAroundLabels(count=2, window=4.0).draw(both, generator(seed + 1)))
    rows, values, valid = both.anchors.numpy(), both.labels.numpy(), both.valid.numpy()
    given_ = {"renormalise": renormalise}
    far = oracle.sup_re_mix_negatives(rows, values, ids, share, **given_)
    near = oracle.sup_re_mix_positives(rows, values, *around, window=4.0, **given_)
    np.testing.assert_allclose(near[1][near[2]], np.broadcast_to(values[:, None], near[1].shape)[near[2]])
    assert near[2].tolist() == ((around[0] >= 0) & (around[1] >= 0)).tolist()
    mixed, mixed_labels, usable = (np.concatenate(pair, axis=1) for pair in zip(far, near, strict=True))
    is_positive = np.concatenate([np.zeros_like(far[2]), near[2]], axis=1)
    expected = oracle.sup_re_mix(
        rows, values, valid, mixed, mixed_labels, is_positive, usable, temperature=0.3, weighting=weighting
    )
    objective = SupReMix(window=4.0, weighting=weighting, negatives=2, positives=2, seed=seed, **given_)
    check_loss(objective, case, mean_of(expected), labels=labels)


@dataclass(frozen=True, kw_only=True)
class Fixed(Synthesis):
    """Columns as they were made once.

    Attributes:
        after: the problem with them.
        columns: how many there were before.
    """

    after: Problem
    columns: int

    def apply(self, problem, memory):
        made = self.after.candidates[self.columns :].detach()
        return replace(self.after, anchors=problem.anchors, candidates=torch.cat([problem.candidates, made]))


def frozen(form, problem, memory):
    """A form whose synthesis is held fixed at what it makes now."""
    form = getattr(form, "form", form)
    if isinstance(form, Sum):
        terms = tuple(frozen(term, problem, memory.at("terms", place)) for place, term in enumerate(form.terms))
        return replace(form, terms=terms)
    before = form.candidates.apply(problem, memory)
    after = before
    for place, part in enumerate(form.synthesis):
        after = part.apply(after, memory.at("synthesis", place))
    return replace(form, synthesis=(Fixed(after=after, columns=len(before.candidates)),))


@pytest.mark.parametrize(
    "objective",
    [
        MoCo(temperature=0.3, size=5, keys="given"),
        MoCHi(temperature=0.3, mixed=3, mixed_with_query=2),
        HardMix(temperature=0.3, detach=True),
        Metrix(),
        NegativeInterpolation(temperature=0.3),
        Adversarial(temperature=0.3),
        SupReMix(negatives=2, positives=2),
    ],
    ids=str,
)
def test_gradients_with_what_was_made_held_fixed(objective):
    @GRADIENTS
    @given(case=some(most=4, dim=3))
    def check(case):
        inputs = {"labels": values_of(case)} if objective.needs else {}
        fresh = deepcopy(objective).prepare(3).double()
        if isinstance(objective.form.form, Composition):  # so that a queue has something in it
            fresh(*reversed(case.vectors), torch.ones(case.known.shape[::-1]), **turned(inputs, case))
        state = Memory(dict(deepcopy(fresh.memory).items()))
        held = Objective(frozen(fresh.form, unit(case, inputs.get("labels")), state))
        check_slopes(fresh, case, like=held, **inputs)

    check()


def turned(inputs, case):
    return {key: torch.zeros(len(case.candidates)) for key in inputs}


@pytest.mark.parametrize(
    "objective",
    [PositiveExtrapolation(temperature=0.5), HardMix(temperature=0.3, list_temperature=0.3, count=3, gamma=0.5)],
    ids=str,
)
def test_gradients_through_what_was_made(objective):
    @GRADIENTS
    @given(case=some(most=4, dim=3))
    def check(case):
        check_slopes(objective, case)

    check()
