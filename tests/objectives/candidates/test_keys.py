"""Candidates and queues by another encoder."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from nearfar.errors import ConfigError, ShapeError
from nearfar.objectives import XBM, ESimCSE, InfoNCE, MoCo, parse
from nearfar.objectives.candidates.keys import sides_looked_at
from nearfar.objectives.candidates.queue import EarlierCandidates, Queue
from nearfar.types import Origin
from tests.objectives.candidates.test_queue import numbered, queue, sides
from tests.objectives.relations import diagonal


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_columns_are_the_guides_as_the_similarity_compares_them(similarity):
    objective = parse(f"Composition(criterion=Softmax(), candidates=GuideKeys(), similarity={similarity})")
    anchors, candidates = (side.requires_grad_() for side in sides(3))
    guides = sides(3, 7)[1].requires_grad_()
    loss = objective(anchors, candidates, diagonal(3), guide_candidates=guides)
    both = (normalize(anchors, dim=1), normalize(guides, dim=1)) if similarity == "cosine" else (anchors, guides)
    torch.testing.assert_close(loss, cross_entropy(both[0] @ both[1].detach().T, torch.arange(3)))
    loss.backward()
    assert anchors.grad.abs().sum() > 0
    assert guides.grad is None
    assert candidates.grad is None or (candidates.grad == 0).all()


def test_guides_of_another_width_are_refused():
    wide = torch.randn(3, 5)
    for objective in (MoCo(), ESimCSE()):
        with pytest.raises(
            ShapeError, match=r"must be of width 4, as the embeddings are.*Got guide_candidates \(3, 5\)"
        ):
            objective(*sides(3), diagonal(3), guide_candidates=wide)


def test_a_queue_of_guides_beside_candidates_that_are_trained():
    objective = ESimCSE(size=4, temperature=1.0)
    guides = sides(2, 5)[1]
    first = objective(*sides(2), numbered([1, 2]), guide_candidates=guides)
    torch.testing.assert_close(first, InfoNCE(temperature=1.0)(*sides(2), numbered([1, 2])))
    held = queue(objective)
    torch.testing.assert_close(held.vectors[:2], normalize(guides, dim=1))
    anchors, candidates = (side.requires_grad_() for side in sides(2, 1))
    loss = objective(anchors, candidates, numbered([3, 4]), guide_candidates=sides(2, 6)[1])
    columns = torch.cat([normalize(candidates, dim=1), normalize(guides, dim=1)])
    torch.testing.assert_close(loss, cross_entropy(normalize(anchors, dim=1) @ columns.T, torch.arange(2)))
    loss.backward()
    assert candidates.grad.abs().sum() > 0


def test_a_memory_that_warms_up_fills_and_is_not_compared_with():
    objective = XBM(size=4, warm_up=2)
    for step in range(2):
        problem = objective.outcome(*sides(2, step), numbered([10 * step, 10 * step + 1])).problems[0]
        assert problem.positive.shape == (2, 2)
    assert queue(objective).filled.all()
    objective.eval()
    for _ in range(2):  # nothing is counted in evaluation mode
        problem = objective.outcome(*sides(2, 3), numbered([40, 41])).problems[0]
        assert (problem.origins == Origin.QUEUE).tolist() == [False] * 2 + [True] * 4
    assert int(queue(objective).calls) == 2


def test_a_call_in_evaluation_mode_is_no_call_of_the_warm_up():
    objective = XBM(size=4, warm_up=1).eval()
    for _ in range(3):
        assert objective.outcome(*sides(2), numbered([1, 2])).problems[0].positive.shape == (2, 2)


def test_mixtures_and_older_entries_never_enter_wherever_the_queue_stands():
    mixed = "Mix(hardest=4, count=3)"
    for parts in (f"[{mixed}, Queue(size=9)]", f"[Queue(size=4), {mixed}, Queue(size=9)]"):
        objective = parse(f"Composition(criterion=Softmax(), synthesis={parts})")
        for step in range(3):
            objective(*sides(3, step), numbered([10 * step + 1, 10 * step + 2, 10 * step + 3]))
        held = [module for module in objective.modules() if isinstance(module, EarlierCandidates)][-1]
        assert held.ids.tolist() == [1, 2, 3, 11, 12, 13, 21, 22, 23]


@pytest.mark.parametrize(
    ("objective", "looked_at"),
    [
        ("InfoNCE", {"anchors", "candidates"}),
        ("MoCo", {"anchors"}),
        ("MoCo(keys=given)", {"anchors", "candidates"}),
        ("ESimCSE", {"anchors", "candidates"}),
        ("Transposed(of=MoCo)", {"candidates"}),
        ("Sum(terms=[MoCo, MoCHi(keys=guide)])", {"anchors"}),
        ("Sum(terms=[MoCo, Transposed(of=MoCo)])", {"anchors", "candidates"}),
        ("Matryoshka(of=MoCo, dims=[4, 2])", {"anchors", "candidates"}),
    ],
)
def test_what_of_the_encoders_own_is_looked_at(objective, looked_at):
    made = parse(objective)
    assert sides_looked_at(made.form) == looked_at
    inputs = {name: value for name, value in zip(("guide_anchors", "guide_candidates"), sides(3, 5), strict=True)}
    inputs = {name: value for name, value in inputs.items() if name in made.needs}
    own = dict(zip(("anchors", "candidates"), sides(3), strict=True))
    losses = []
    for _ in range(2):
        losses.append(parse(objective)(own["anchors"], own["candidates"], diagonal(3), **inputs).item())
        own = {name: value if name in looked_at else torch.zeros_like(value) for name, value in own.items()}
    assert losses[0] == losses[1]


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"filled_with": "momentum"}, "filled_with must be candidates or guide"),
        ({"warm_up": -1}, "warm_up must be a whole number of at least 0"),
    ],
)
def test_settings_of_a_queue(setting, said):
    with pytest.raises(ConfigError, match=f"Queue: {said}"):
        Queue(**setting)
