"""Prediction without negatives against the equations, closed forms and lightly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import layer_norm

from nearfar.errors import ShapeError
from nearfar.objectives import BYOL, Composition, DirectPred, Objective, SimSiam, parse
from nearfar.objectives.criteria.prediction import PerceptronWeights, Prediction, RunningCorrelation, Spectral
from tests.objectives.relations import DEGENERATE, diagonal
from tests.oracles.cases import cases, check_rows
from tests.oracles.libraries import lightly_losses
from tests.oracles.slopes import check_slopes
from tests.oracles.slow import prediction as oracle

VALUES = settings(max_examples=20, deadline=None)
IDENTITY = Spectral(epsilon=0.0)


def flat(case):
    """The matched pairs: an anchor and a positive in each row of both arrays."""
    rows, columns = case.problem.positive.nonzero(as_tuple=True)
    return case.anchors[rows].numpy(), case.candidates[columns].numpy()


def by_row(case, values):
    """(losses, kept): the mean over the pairs of each row."""
    rows, _ = case.problem.positive.nonzero(as_tuple=True)
    each = [values[rows.numpy() == row] for row in range(len(case.anchors))]
    return np.array([own.mean() if len(own) else 0.0 for own in each]), np.array([len(own) > 0 for own in each])


def guides(case, seed=0):
    """Vectors of a target network, and those of the matched pairs."""
    generator = torch.Generator().manual_seed(seed)
    one, other = (torch.randn(side.shape, generator=generator, dtype=torch.float64) for side in case.vectors)
    rows, columns = case.problem.positive.nonzero(as_tuple=True)
    return {"guide_anchors": one, "guide_candidates": other}, (one[rows].numpy(), other[columns].numpy())


def guesses(objective, vectors):
    """What the trained predictor says, from its weights."""
    weights = next(module for module in objective.modules() if isinstance(module, PerceptronWeights)).double()
    inner = torch.from_numpy(vectors) @ weights.inward.T
    return (torch.relu(layer_norm(inner, inner.shape[1:])) @ weights.outward.T + weights.bias).detach().numpy()


def running(objective):
    return next(module for module in objective.modules() if isinstance(module, RunningCorrelation))


def views(size=6, dim=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for _ in range(2)]


@VALUES
@given(case=cases(), seed=st.integers(0, 5))
def test_sim_siam(case, seed):
    objective = SimSiam(hidden=5, seed=seed).prepare(4)
    one, other = flat(case)
    values, _ = oracle.sim_siam(guesses(objective, one), guesses(objective, other), one, other)
    check_rows(objective, case, by_row(case, values))


@VALUES
@given(case=cases(), seed=st.integers(0, 5))
def test_byol(case, seed):
    objective = BYOL(hidden=5).prepare(4)
    one, other = flat(case)
    inputs, targets = guides(case, seed)
    values, _ = oracle.byol(guesses(objective, one), guesses(objective, other), *targets)
    check_rows(objective, case, by_row(case, values), **inputs)


@VALUES
@given(case=cases(), scaling=st.sampled_from(["relative", "absolute"]), every=st.sampled_from([1, 2]))
def test_direct_pred_over_four_steps(case, scaling, every):
    objective = DirectPred(scaling=scaling, every=every, target="guide").prepare(4).double()
    one, other = flat(case)
    correlation = None
    for step in range(4):
        # The root of an eigenvalue that is nearly 0 differs by more than rounding: each step starts from ours.
        weight = running(objective).weight.numpy()
        inputs, targets = guides(case, step)
        values, _, correlation, weight = oracle.direct_pred(
            one, other, *targets, correlation, weight, step, scaling=scaling, every=every
        )
        check_rows(objective, case, by_row(case, values), **inputs)  # on copies
        objective(*case.vectors, case.known, **inputs)
        if len(one):
            np.testing.assert_allclose(running(objective).correlation.numpy(), correlation, atol=1e-10)
            np.testing.assert_allclose(running(objective).weight.numpy(), weight, atol=1e-6)


class Unfed(torch.nn.Module):
    """An objective that is given nothing beside the vectors."""

    def __init__(self, objective):
        super().__init__()
        self.objective = objective

    def forward(self, anchors, candidates, known, **inputs):
        return self.objective(anchors, candidates, known)


@pytest.mark.parametrize("objective", [SimSiam(hidden=5), BYOL(hidden=5), DirectPred()], ids=str)
def test_gradients_with_the_targets_held_fixed(objective):
    """The gradient is that of the same loss with the targets as constants, given as those of another encoder."""
    frozen = BYOL(hidden=5) if "hidden" in str(objective) else DirectPred(target="guide")

    @settings(max_examples=5, deadline=None)
    @given(case=cases(most=4, dim=3))
    def check(case):
        inputs, _ = guides(case)
        if not objective.needs:
            inputs = dict(zip(inputs, case.vectors, strict=True))
        check_slopes(objective if objective.needs else Unfed(objective), case, like=frozen, **inputs)

    check()


def test_a_half_is_the_squared_distance_of_unit_vectors_and_its_gradient_a_closed_form():
    one, other = (view.requires_grad_() for view in views(1))
    targets = {"guide_anchors": torch.zeros(1, 4).double(), "guide_candidates": views(1, seed=3)[0]}
    loss = DirectPred(target="guide")(one, other, diagonal(1), **targets)
    loss.backward()
    aim = targets["guide_candidates"][0]
    assert loss.item() - 2 == pytest.approx(oracle.prediction(one[0].detach().numpy(), aim.numpy()))
    expected = oracle.prediction_gradient(one[0].detach().numpy(), aim.numpy())
    np.testing.assert_allclose(one.grad[0].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["SimSiam", "BYOL", "DirectPred(target=guide)"])
def test_targets_get_no_gradient(name):
    objective = parse(name)
    one, other = views()
    targets = [view.requires_grad_() for view in views(seed=5)]
    inputs = dict(zip(sorted(objective.needs), targets, strict=False))
    sides = [one.requires_grad_(), other.requires_grad_()]
    objective(*sides, diagonal(6), **inputs).backward()
    assert all(target.grad is None for target in targets)
    assert all(side.grad.abs().sum() > 0 for side in sides)


def test_identical_views_and_the_identity_have_no_loss():
    one, _ = views()
    assert DirectPred()(one, one.clone(), diagonal(6)).item() == pytest.approx(0, abs=1e-12)
    backwards = DirectPred()(one, -one, diagonal(6)).item()
    assert backwards == pytest.approx(8)


@VALUES
@given(seed=st.integers(0, 50), scaling=st.sampled_from(["relative", "absolute"]))
def test_the_set_predictor_is_symmetric_positive_and_commutes_with_the_correlation(seed, scaling):
    one, other = views(seed=seed)
    objective = DirectPred(scaling=scaling).double()
    objective(one, other, diagonal(6))
    correlation, weight = running(objective).correlation, running(objective).weight
    torch.testing.assert_close(weight, weight.T)
    assert torch.linalg.eigvalsh(weight).min() > 0
    torch.testing.assert_close(weight @ correlation, correlation @ weight)


def test_the_set_predictor_is_not_trained_and_is_in_the_checkpoint():
    objective = DirectPred()
    one, other = (view.float() for view in views())
    objective(one, other, diagonal(6))
    assert not list(objective.parameters())
    again = DirectPred()
    again.load_state_dict(objective.state_dict())
    assert again(one, other, diagonal(6)).item() == objective(one, other, diagonal(6)).item()


def test_in_evaluation_mode_the_predictor_is_not_set():
    objective = DirectPred().prepare(4).eval()
    one, other = views()
    objective(one, other, diagonal(6))
    assert torch.equal(running(objective).weight, torch.eye(4))
    assert running(objective).calls == 0


def test_a_batch_without_a_pair_sets_nothing():
    objective = DirectPred().prepare(4)
    one, other = views(2)
    objective(one, other, DEGENERATE["no positives"])
    assert running(objective).calls == 0


def test_the_predictor_is_trained_and_starts_from_its_seed():
    one, two, other = (SimSiam(seed=seed).prepare(4) for seed in (0, 0, 1))
    shapes = [tuple(weight.shape) for weight in one.parameters()]
    assert shapes == [(512, 4), (4, 512), (4,)]
    values = [torch.cat([weight.flatten() for weight in each.parameters()]) for each in (one, two, other)]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])
    one(*views(), diagonal(6)).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in one.parameters())


def test_a_target_network_of_another_width_is_refused():
    one, other = views()
    with pytest.raises(ShapeError, match=r"of the embeddings' width, 4. Got guide_anchors \(6, 3\)"):
        BYOL()(one, other, diagonal(6), guide_anchors=one[:, :3], guide_candidates=other[:, :3])


def test_lightly_computes_a_quarter_of_it_less_one():
    """lightly has the negative cosine of one half; the loss here is the sum of two squared distances, 4 higher."""
    reference = lightly_losses().NegativeCosineSimilarity()
    one, other = (view.requires_grad_() for view in views())
    objective = Objective(Composition(criterion=Prediction(predictor=IDENTITY), similarity="dot"))
    found = objective(one, other, diagonal(6))
    expected = (reference(one, other.detach()) + reference(other, one.detach())) / 2
    torch.testing.assert_close((found - 4) / 4, expected)
    for ours, yours in zip(
        torch.autograd.grad(found, (one, other)), torch.autograd.grad(4 * expected, (one, other)), strict=True
    ):
        torch.testing.assert_close(ours, yours)
