"""The invented batch is what its description says."""

import torch

from nearfar.objectives import SupCon, parse
from nearfar.objectives.scene import ANCHORS, HARD, at_cosine, classes_of, make_scene
from nearfar.types import Origin


def test_its_cosines_are_typical():
    scenes = [make_scene(seed, SupCon()) for seed in range(40)]
    matrices = torch.stack([(scene.anchors @ scene.candidates.T).detach() for scene in scenes])
    own = torch.arange(ANCHORS)
    positives = matrices[:, own, own]
    hard = matrices[:, own[:HARD], own[:HARD] + ANCHORS]
    strangers = matrices[:, :, ANCHORS + HARD :]
    for values, mean, deviation in ((positives, 0.7, 0.1), (hard, 0.4, 0.1), (strangers, 0.1, 0.15)):
        assert abs(float(values.mean()) - mean) < 0.03
        assert abs(float(values.std()) - deviation) < 0.03
    for scene in scenes:
        for vectors in (scene.anchors, scene.candidates):
            torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors), dtype=torch.float64))


def test_it_is_the_same_for_the_same_seed():
    one, same, other = (make_scene(seed, SupCon()) for seed in (3, 3, 4))
    assert torch.equal(one.candidates, same.candidates)
    assert not torch.equal(one.candidates, other.candidates)


def test_it_has_what_the_objective_needs_and_nothing_else():
    objective = parse("Sum(terms=[MarginMSE, GIST, SogCLR])")
    scene = make_scene(0, objective)
    assert set(scene.inputs) == objective.needs == {"teacher", "guide_anchors", "guide_candidates", "index"}
    assert (scene.inputs["teacher"] - scene.anchors @ scene.candidates.T).abs().max() < 0.3
    assert make_scene(0, SupCon()).inputs == {}


def test_the_negative_that_moves_is_the_first_anchors_own_hard_one():
    scene = make_scene(0, SupCon())
    assert scene.relation.origins[scene.negative] == Origin.HARD
    judged = list(zip(scene.relation.rows.tolist(), scene.relation.columns.tolist(), strict=True))
    assert scene.relation.grades[judged.index((0, scene.negative))] == 0


def test_labels_are_classes_that_the_objective_has():
    objective = parse("NormFace(classes=3)").prepare(64)
    assert len(classes_of(objective)) == 1
    scene = make_scene(0, objective)
    assert scene.inputs["labels"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert scene.negative == 1


def test_a_vector_at_a_cosine():
    towards = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    aside = torch.tensor([[0.6, 0.8, 0.0], [1.0, 0.0, 0.0]])
    moved = at_cosine(towards, aside, torch.tensor([0.6, -1.0]))
    torch.testing.assert_close(moved, torch.tensor([[0.6, 0.8, 0.0], [0.0, -1.0, 0.0]]))
