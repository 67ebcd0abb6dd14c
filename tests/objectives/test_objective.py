"""Objectives at work: what they take, what they refuse, what they remember."""

import math
from itertools import pairwise

import pytest
import torch

from nearfar.errors import ShapeError
from nearfar.objectives import CLIP, InfoNCE, NTXent, parse
from nearfar.objectives.logits.temperature import LearnedScale
from tests.objectives.relations import diagonal


def vectors(shape, dim=4):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, dim, generator=generator) for size in shape]


def test_rows_are_the_losses_of_the_anchors():
    inputs, relevance = vectors((3, 4)), torch.eye(3, 4)
    rows = InfoNCE(temperature=0.1).rows(*inputs, relevance)
    assert rows.shape == (3,)
    torch.testing.assert_close(rows.mean(), InfoNCE(temperature=0.1)(*inputs, relevance))


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anchors": torch.zeros(4)}, r"anchors must be \(A, D\).*Got anchors \(4,\) float32, candidates \(4, 4\)"),
        ({"anchors": torch.zeros(3, 5)}, r"relevance \(A, C\). Got anchors \(3, 5\) float32.*relevance \(3, 4\)"),
        ({"relevance": torch.zeros(4, 4)}, r"relevance \(A, C\).*relevance \(4, 4\) float32"),
        ({"anchors": torch.zeros(3, 4, dtype=torch.int64)}, r"must hold floating-point numbers.*\(3, 4\) int64"),
        ({"anchors": [[1.0]]}, "anchors and candidates must be tensors"),
        ({"relevance": "yes"}, "relevance must be a Relation or a tensor. Got .*relevance 'yes'"),
        ({"relevance": torch.zeros(3, 4, dtype=torch.complex64)}, "must hold numbers or booleans"),
        ({"relevance": torch.zeros(3, 4)}, r"InfoNCE: no candidate is relevant.*relevance \(3, 4\) float32"),
        ({"index": torch.zeros(4, dtype=torch.int64)}, r"index must be \(3,\)\. Got .*index \(4,\) int64"),
        ({"index": torch.zeros(3)}, "index must hold whole numbers"),
        ({"ignored": torch.zeros(3, 4)}, "ignored must hold booleans"),
        ({"teacher": torch.zeros(4, 3)}, r"teacher must be \(3, 4\)"),
        ({"teacher": torch.zeros(3, 4, dtype=torch.int64)}, "teacher must hold floating-point numbers"),
        ({"guide_anchors": torch.zeros(4, 2)}, r"guide_anchors must be \(3, width of the guide\)"),
        ({"origin": torch.zeros(3, dtype=torch.int64)}, r"origin must be \(4,\)"),
        ({"indx": torch.zeros(3)}, r"InfoNCE knows no input 'indx'. Did you mean 'index'\?"),
    ],
)
def test_what_is_refused(change, message):
    anchors, candidates = vectors((3, 4))
    given = {"anchors": anchors, "candidates": candidates, "relevance": torch.eye(3, 4), **change}
    with pytest.raises(ShapeError, match=message):
        InfoNCE()(**given)


def test_a_guide_that_is_no_number_is_not_hidden():
    anchors, candidates = vectors((3, 4))
    guides = {"guide_anchors": torch.full((3, 2), math.nan), "guide_candidates": torch.ones(4, 2)}
    assert parse("GIST")(anchors, candidates, torch.eye(3, 4), **guides).isnan()


def test_equal_texts_are_never_negatives_of_one_another():
    anchors, candidates = vectors((2, 3))
    ids = {"anchor_ids": torch.tensor([1, 2]), "candidate_ids": torch.tensor([3, 4, 3])}
    copied = candidates[[0, 1, 0]]
    with_copy = NTXent()(anchors, copied, torch.eye(2, 3), **ids)
    assert torch.isfinite(with_copy)
    marked = InfoNCE().outcome(anchors, copied, torch.eye(2, 3), **ids).problems[0]
    assert marked.positive.tolist() == [[True, False, True], [False, True, False]]


def test_a_learned_temperature_is_trained_within_its_bounds():
    objective = CLIP(temperature=0.5, minimum=0.2)
    (parameter,) = objective.parameters()
    optimiser = torch.optim.SGD(objective.parameters(), lr=5.0)
    anchors, seen = torch.eye(3, 4), []
    for _ in range(6):
        optimiser.zero_grad()
        outcome = objective.outcome(anchors, anchors, torch.eye(3))
        outcome.loss.backward()
        optimiser.step()
        seen.append(outcome.problems[0].temperature.item())
    assert seen[0] == pytest.approx(0.5)
    assert all(before >= after >= 0.2 - 1e-6 for before, after in pairwise(seen))
    assert seen[-1] == pytest.approx(0.2)
    assert parameter.item() > -math.log(0.2)
    assert isinstance(objective.memory["logits_0"], LearnedScale)


def test_a_scheduled_temperature_moves_with_the_calls_and_only_in_training():
    objective = parse("Composition(criterion=Softmax, logits=ScheduledTemperature(initial=0.5, final=0.1, steps=4))")
    inputs = vectors((2, 2))
    seen = [objective.outcome(*inputs, diagonal(2)).problems[0].temperature.item() for _ in range(6)]
    assert seen == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1, 0.1])
    again = parse(str(objective))
    again.eval()
    assert [again.outcome(*inputs, diagonal(2)).problems[0].temperature.item() for _ in range(2)] == [0.5, 0.5]


def test_state_moves_between_equal_objectives():
    one, other = CLIP(), CLIP()
    assert one == other
    with torch.no_grad():
        one.memory["logits_0"].log_scale.fill_(1.0)
    other.load_state_dict(one.state_dict())
    assert other.memory["logits_0"].log_scale.item() == 1
    assert repr(one) == "CLIP(temperature=0.07)"
