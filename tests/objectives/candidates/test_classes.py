"""Class weights that the objective trains."""

import pytest
import torch

from nearfar.errors import ConfigError, ShapeError
from nearfar.objectives.candidates.classes import ClassVectors, TrainedClasses
from nearfar.objectives.memory import Memory
from nearfar.objectives.named.classes import CosFace, ZLoss
from nearfar.objectives.problem import make_problem
from nearfar.types import Origin
from tests.objectives.relations import diagonal


def applied(part, labels, anchors=None):
    anchors = torch.eye(len(labels), 4) if anchors is None else anchors
    problem = make_problem("test", anchors, anchors, diagonal(len(labels)), labels=labels)
    return part.apply(problem, Memory({"": part.make_memory(4)}))


def test_the_columns_are_the_classes_and_each_row_has_its_own():
    problem = applied(TrainedClasses(classes=3), torch.tensor([2, 0, -1]))
    assert problem.positive.tolist() == [[False, False, True], [True, False, False], [False, False, False]]
    assert problem.valid.tolist() == [[True] * 3, [True] * 3, [False] * 3]
    assert problem.origins.tolist() == [Origin.CLASS] * 3
    torch.testing.assert_close(problem.candidates.norm(dim=1), torch.ones(3))


def test_weights_start_anew_for_every_seed_and_the_same_for_one():
    assert torch.equal(ClassVectors(3, 4, 0).vectors, ClassVectors(3, 4, 0).vectors)
    assert not torch.equal(ClassVectors(3, 4, 0).vectors, ClassVectors(3, 4, 1).vectors)


def test_only_cosines_want_weights_of_length_one():
    objective = ZLoss(classes=2).prepare(4)
    weights = next(objective.parameters())
    with torch.no_grad():
        weights.mul_(3)
    problem = objective.outcome(torch.eye(2, 4), torch.eye(2, 4), diagonal(2), labels=torch.tensor([0, 1])).problems[0]
    torch.testing.assert_close(problem.candidates.norm(dim=1), torch.full((2,), 3.0))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 3]), "there are 3 classes, counted from 0, but a label is 3"),
        (torch.tensor([0.0, 1.0]), "labels must be whole numbers, one class each, got torch.float32"),
        (torch.tensor([True, False]), "got torch.bool"),
    ],
)
def test_labels_that_name_no_class_are_refused(labels, message):
    with pytest.raises(ShapeError, match=message):
        applied(TrainedClasses(classes=3), labels)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("classes", [0, -1, True, 2.0])
def test_a_number_of_classes_must_be_above_zero(classes):
    with pytest.raises(ConfigError, match="classes must be a whole number"):
        TrainedClasses(classes=classes)
    with pytest.raises(ConfigError, match="CosFace: classes must be a whole number"):
        CosFace(classes=classes)


def test_they_ask_for_labels_by_name():
    with pytest.raises(ShapeError, match="CosFace needs labels"):
        CosFace(classes=3)(torch.eye(2), torch.eye(2), diagonal(2))


def test_a_batch_without_rows_of_a_class_has_a_loss_of_zero():
    anchors = torch.eye(2, 4).requires_grad_()
    loss = CosFace(classes=3)(anchors, torch.eye(2, 4), diagonal(2), labels=torch.tensor([-1, -1]))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(anchors.grad).all()
