"""Weights of pairs against closed forms and finite differences."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from nearfar.objectives import InfoNCE, NTXent, Objective, Sum, Transposed, parse
from nearfar.objectives.explain import GRID, curves, kind_of, weights
from nearfar.objectives.scene import ANCHORS, at_cosine, make_scene
from nearfar.types import Origin
from tests.objectives.relations import relation

SIZE = ANCHORS


def moved(scene, column, cosine):
    """Anchors and candidates as arrays, with one candidate at a cosine of the first anchor."""
    anchors, candidates = scene.anchors.detach(), scene.candidates.clone()
    place = torch.tensor([cosine], dtype=torch.float64)
    candidates[column] = at_cosine(anchors[:1], candidates[[column]], place)[0]
    return anchors.numpy(), candidates.numpy()


def numbers(points):
    return np.array([np.nan if value is None else value for value in points])


def softmax_of_row(logits):
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def test_info_nce_is_its_closed_form():
    """``(1 - p) / t`` for the positive and ``q / t`` for a negative, with the shares of the softmax over the row."""
    temperature, expected = 0.1, {"positive": [], "negative": []}
    for seed in (0, 1):
        scene = make_scene(seed, InfoNCE())
        for side, column in (("positive", 0), ("negative", SIZE)):
            row = []
            for cosine in GRID:
                anchors, candidates = moved(scene, column, cosine)
                share = softmax_of_row(candidates @ anchors[0] / temperature)[column]
                row.append((1 - share if side == "positive" else share) / temperature)
            expected[side].append(row)
    curve = curves(InfoNCE(temperature=temperature), seeds=(0, 1))
    assert (curve.name, curve.kind, curve.similarity) == ("InfoNCE(temperature=0.1)", "score", GRID)
    np.testing.assert_allclose(numbers(curve.positive), np.mean(expected["positive"], axis=0), atol=1e-9)
    np.testing.assert_allclose(numbers(curve.negative), np.mean(expected["negative"], axis=0), atol=1e-9)


def test_both_directions_of_both_sides_are_added_up():
    """NT-Xent: the pair is in the row of the anchor and in that of its positive, two of 16 rows for 8 anchors."""
    temperature, scene, expected = 0.5, make_scene(0, NTXent()), []
    for cosine in GRID:
        anchors, candidates = moved(scene, 0, cosine)
        texts = np.concatenate([anchors, candidates])
        shares = []
        for one, other in ((0, SIZE), (SIZE, 0)):
            logits = texts @ texts[one] / temperature
            logits[one] = -np.inf
            shares.append(softmax_of_row(logits)[other])
        expected.append(SIZE / (2 * SIZE) * sum(1 - share for share in shares) / temperature)
    np.testing.assert_allclose(numbers(curves(NTXent(), seeds=(0,)).positive), expected, atol=1e-9)


def test_a_sum_and_its_transposed_are_the_symmetric_objective():
    one = InfoNCE(temperature=0.1)
    composed = curves(Objective(Sum(terms=(one, Transposed(of=one)), weights=(0.5, 0.5))), seeds=(0,))
    symmetric = curves(InfoNCE(temperature=0.1, directions="symmetric"), seeds=(0,))
    np.testing.assert_allclose(numbers(composed.positive), numbers(symmetric.positive), atol=1e-9)
    np.testing.assert_allclose(numbers(composed.negative), numbers(symmetric.negative), atol=1e-9)


def test_alignment_pulls_with_two_whatever_the_cosine():
    """The squared distance of unit vectors is 2 - 2 s. Where the way ends there is no slope."""
    curve = curves(parse("Alignment"), seeds=(0, 1))
    assert curve.kind == "path"
    assert curve.positive[0] is None
    assert curve.positive[-1] is None
    np.testing.assert_allclose(curve.positive[1:-1], 2.0, atol=1e-9)
    np.testing.assert_allclose(curve.negative[1:-1], 0.0, atol=1e-9)


@pytest.mark.parametrize("text", ["Uniformity", "VICReg", "Sum(terms=[InfoNCE(temperature=0.5), Uniformity])"])
def test_the_slope_along_the_way_is_that_of_finite_differences(text):
    objective, scene = parse(text), make_scene(0, parse(text))
    curve, step = curves(objective, seeds=(0,)), 1e-6
    assert curve.kind == kind_of(objective) == "path"
    for place in (5, 20, 33):
        losses = []
        for cosine in (GRID[place] - step, GRID[place] + step):
            anchors, candidates = moved(scene, 0, cosine)
            losses.append(objective(torch.from_numpy(anchors), torch.from_numpy(candidates), scene.relation).item())
        slope = (losses[1] - losses[0]) / (2 * step)
        assert curve.positive[place] == pytest.approx(-SIZE * slope, rel=1e-4, abs=1e-6)


def test_a_column_that_is_a_trained_class_moves_too():
    """NormFace with its own classes is the softmax over them, with the first eight where the candidates are."""
    curve = curves(parse("NormFace(classes=8, temperature=0.1)"), seeds=(0,))
    scene, expected = make_scene(0, InfoNCE()), []
    for cosine in GRID:
        anchors, candidates = moved(scene, 0, cosine)
        expected.append((1 - softmax_of_row(candidates[:8] @ anchors[0] / 0.1)[0]) / 0.1)
    assert curve.kind == "score"
    # At cosine 1 itself the angle has no slope.
    np.testing.assert_allclose(numbers(curve.positive)[:-1], expected[:-1], atol=1e-6)
    assert max(numbers(curve.negative)) > 1


def test_stop_gradients_act_as_in_training():
    """In HardnessWeighted the weight of a negative is detached; with its gradient the curve would be steeper."""
    objective = parse("HardnessWeighted")
    scene = make_scene(0, objective)
    weighed = curves(objective, seeds=(0,))
    still = objective.outcome(scene.anchors, scene.candidates.clone().requires_grad_(), scene.relation)
    assert still.problems[0].bias is not None
    assert not still.problems[0].bias.requires_grad
    assert min(numbers(weighed.negative)) >= 0


@pytest.mark.parametrize("text", ["SogCLR", "CLIP", "SimSiam", "MoCHi"])
def test_what_was_asked_stays_as_it_was(text):
    objective = parse(text).prepare(12)
    before, threads = deepcopy(objective.state_dict()), torch.get_num_threads()
    first = curves(objective, seeds=(0,))
    assert torch.get_num_threads() == threads
    assert objective.training
    assert all(torch.equal(value, before[key]) for key, value in objective.state_dict().items())
    assert curves(objective, seeds=(0,)) == first
    for value in (*first.positive, *first.negative):
        assert value is None or np.isfinite(value)


KNOWN = relation(
    [[1, None, None, 0, None], [None, 1, None, None, None], [None, 1, 1, None, 0]],
    origins=[Origin.IN_BATCH] * 3 + [Origin.HARD] * 2,
)


def vectors(seed=0, dim=6):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, dim, generator=generator), torch.randn(5, dim, generator=generator)


def test_weights_of_a_batch_are_the_closed_form():
    anchors, candidates = vectors()
    found = weights(InfoNCE(temperature=0.5), anchors, candidates, KNOWN)
    one, other = (np.asarray(each / each.norm(dim=1, keepdim=True), dtype=np.float64) for each in (anchors, candidates))
    cosine, positive = one @ other.T, np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0]], dtype=bool)
    expected = np.zeros_like(cosine)
    for row in range(3):
        for place in np.flatnonzero(positive[row]):
            seen = ~positive[row]
            seen[place] = True
            share = np.zeros(5)
            share[seen] = softmax_of_row(cosine[row, seen] / 0.5)
            share[place] -= 1
            expected[row] += np.where(positive[row], -share, share) / 0.5 / positive[row].sum()
    assert found.kind == "score"
    order = np.argsort(found.similarity.numpy())
    np.testing.assert_allclose(found.similarity.numpy()[order], np.sort(cosine.ravel()), atol=1e-7)
    by_cosine = np.argsort(cosine.ravel())
    np.testing.assert_allclose(found.weight.numpy()[order], expected.ravel()[by_cosine], atol=1e-6)
    assert (found.positive.numpy()[order] == positive.ravel()[by_cosine]).all()
    origins = np.broadcast_to(KNOWN.origins.numpy(), cosine.shape).ravel()[by_cosine]
    assert (found.origin.numpy()[order] == origins).all()


def test_pulls_and_pushes_of_a_softmax_are_in_balance():
    found = weights(NTXent(), *vectors(), KNOWN)
    assert found.weight[found.positive].sum().item() == pytest.approx(found.weight[~found.positive].sum().item())


def test_each_pair_of_texts_is_listed_once():
    """Both sides as rows and columns: 15 pairs across, 3 of anchors less two with a shared positive, 10 of candidates
    less those of one anchor."""
    found = weights(NTXent(), *vectors(), KNOWN)
    across = found.origin != Origin.SAME_SIDE
    assert across.sum() == 15
    assert (~across).sum() == 2 + 9
    assert not found.positive[~across].any()


def test_made_columns_are_listed_by_their_origin():
    found = weights(parse("MoCHi"), *vectors(), KNOWN)
    assert (found.origin == Origin.MIXED).any()
    assert not found.positive[found.origin == Origin.MIXED].any()


def test_weights_along_the_way_of_a_batch():
    anchors, candidates = vectors()
    pairs = relation([[1, None, None], [None, 1, None], [None, None, 1]])
    found = weights(parse("Alignment"), anchors, candidates[:3], pairs)
    assert found.kind == "path"
    assert len(found.weight) == 9
    np.testing.assert_allclose(found.weight[found.positive], 2.0, rtol=1e-6)
    np.testing.assert_allclose(found.weight[~found.positive], _turned(anchors, candidates[:3]), rtol=1e-5)


def _turned(anchors, candidates):
    """A candidate that moves towards a strange anchor leaves its own one: finite differences of its loss."""
    one, other = (torch.nn.functional.normalize(each.double(), dim=1) for each in (anchors, candidates))
    slopes = []
    for row in range(3):
        for column in range(3):
            if row == column:
                continue
            cosine = one[row] @ other[column]
            ends = [
                at_cosine(one[[row]], other[[column]], (cosine + step)[None])[0] @ one[column] for step in (-1e-6, 1e-6)
            ]
            slopes.append(float(-2 * (ends[1] - ends[0]) / 2e-6))
    return slopes


def test_inputs_that_the_objective_does_not_need_may_be_there():
    inputs = {"index": torch.arange(3), "labels": None, "origin": KNOWN.origins}
    with_them, alone = weights(InfoNCE(), *vectors(), KNOWN, **inputs), weights(InfoNCE(), *vectors(), KNOWN)
    assert torch.equal(with_them.weight, alone.weight)


def test_nothing_is_remembered():
    objective = parse("SogCLR")
    weights(objective, *vectors(), KNOWN, index=torch.arange(3))
    assert all(int((value != 0).sum()) == 0 for key, value in objective.state_dict().items() if "visits" in key)
    assert objective.training
