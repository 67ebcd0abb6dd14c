"""Expected cost against its equation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.objectives import CACR
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import Case, cases, check_gradients, check_rows
from tests.oracles.slow import running as slow
from tests.oracles.steps import call, step_of, through_cosines


@settings(max_examples=30, deadline=None)
@given(
    case=cases(),
    positive=st.sampled_from([0.3, 1.0, 20.0]),
    negative=st.sampled_from([0.2, 1 / 0.9]),
    prior=st.sampled_from([0.0, 0.1]),
    detach=st.booleans(),
)
def test_cacr_follows_its_equation(case, positive, negative, prior, detach):
    options = {"positive_temperature": positive, "negative_temperature": negative, "attraction": 0.7, "repulsion": 1.3}
    expected = slow.cacr(*case.arrays(), positive_prior=prior, **options)
    check_rows(CACR(prior=prior, detach=detach, **options), case, expected)


@settings(max_examples=5, deadline=None)
@given(case=cases(most=3, dim=3))
def test_cacr_has_the_gradient_of_its_value(case):
    check_gradients(CACR(positive_temperature=0.5, prior=0.1), case)


@settings(max_examples=6, deadline=None)
@given(case=cases(most=4))
def test_cacr_detached_has_the_gradient_with_the_plan_held_fixed(case):
    similarity, positive, valid = case.arrays()
    plan, width = slow.transport(similarity, positive, valid), 1e-6
    _, kept = slow.cacr(similarity, positive, valid)
    slopes = np.zeros_like(similarity)
    for place in np.ndindex(*similarity.shape):
        moved = [similarity.copy(), similarity.copy()]
        moved[0][place] += width
        moved[1][place] -= width
        high, low = (slow.cacr(each, positive, valid, plan=plan)[0].sum() for each in moved)
        slopes[place] = (high - low) / (2 * width) / max(kept.sum(), 1)
    outcome, found = call(CACR(detach=True).double(), case, None)
    for one, other in zip(found, through_cosines(case, slopes), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
    assert outcome.kept.tolist() == kept.tolist()


def test_cacr_of_two_views_is_the_papers_own_form():
    case = step_of(Case(torch.empty(5, 4), torch.empty(5, 4), diagonal(5)), 0)
    views = np.stack([normalize(side, dim=1).numpy() for side in case.vectors])
    expected = slow.cacr_views(views, positive_temperature=0.4, negative_temperature=0.6)
    found = CACR(positive_temperature=0.4, negative_temperature=0.6)(*case.vectors, case.known)
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_cacr_at_a_high_temperature_is_a_difference_of_mean_squared_distances():
    known = relation([[1, 1, None, None], [1, None, None, 1]])
    case = step_of(Case(torch.empty(2, 4), torch.empty(4, 4), known), 1)
    similarity, positive, _ = case.arrays()
    cost = 2 - 2 * similarity
    expected = [cost[i][positive[i]].mean() - cost[i][~positive[i]].mean() for i in range(2)]
    found = CACR(positive_temperature=1e9, negative_temperature=1e9).rows(*case.vectors, known)
    assert found.tolist() == pytest.approx(expected, abs=1e-7)


def test_cacr_with_one_positive_does_not_depend_on_the_positive_temperature():
    case = step_of(Case(torch.empty(4, 4), torch.empty(4, 4), diagonal(4)), 2)
    one, other = (CACR(positive_temperature=each)(*case.vectors, case.known) for each in (0.1, 10.0))
    torch.testing.assert_close(one, other)
