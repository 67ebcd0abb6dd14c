"""What a user may do wrong, or merely unusual: precisions, missing scores, empty batches, values out of range."""

from copy import deepcopy

import pytest
import torch

from nearfar.errors import ConfigError, ShapeError
from nearfar.objectives import BYOL, GIST, LGANNA, ISogCLR, ListKL, MoCHi, Pearson, PlackettLuce, Propensity, parse
from tests.conformance.inputs import DIM, ENTRIES, USUAL, companions, vectors
from tests.objectives.relations import diagonal, relation

EVERY = pytest.mark.parametrize("name", ENTRIES)


@EVERY
def test_sides_of_two_precisions_are_computed_in_the_higher_one(name):
    objective = ENTRIES[name]().double()
    beside = companions(objective, USUAL, dtype=torch.float64)
    single, double = vectors(USUAL.shape), vectors(USUAL.shape, dtype=torch.float64)
    mixed = deepcopy(objective)(double[0], single[1], USUAL, **beside)
    expected = deepcopy(objective)(double[0], single[1].double(), USUAL, **beside)
    assert mixed.dtype == torch.float64
    torch.testing.assert_close(mixed, expected)


@EVERY
def test_a_step_of_one_objective_leaves_another_of_the_same_name_alone(name):
    moved, fresh, untouched = (ENTRIES[name]().prepare(DIM) for _ in range(3))
    inputs, beside = vectors(USUAL.shape), companions(moved, USUAL)
    for seed in (1, 2):
        moved(*vectors(USUAL.shape, seed), USUAL, **beside).backward()
    assert all(torch.equal(value, untouched.state_dict()[key]) for key, value in fresh.state_dict().items())
    assert fresh(*inputs, USUAL, **beside).item() == untouched(*inputs, USUAL, **beside).item()


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
@EVERY
def test_a_batch_without_texts_is_refused_or_zero(name, shape):
    objective = ENTRIES[name]()
    known = relation([[None] * shape[1]] * shape[0]) if shape[0] else None
    beside = companions(objective, diagonal(max(shape[0], 1), max(shape[1], 1)))
    matrix = torch.zeros(shape)
    sides = vectors(shape)
    cut = {"teacher": torch.zeros(shape), "index": torch.arange(shape[0]), "labels": torch.arange(shape[0])}
    cut |= {"guide_anchors": torch.zeros(shape[0], DIM), "guide_candidates": torch.zeros(shape[1], DIM)}
    cut |= {"origin": torch.zeros(shape[1], dtype=torch.int64)}
    given = {key: cut[key] for key in beside}
    if objective.form.needs_positives:
        with pytest.raises(ShapeError, match="no candidate is relevant"):
            deepcopy(objective)(*sides, matrix, **given)
    else:
        assert deepcopy(objective)(*sides, matrix, **given).item() == 0
    if known is not None:
        assert deepcopy(objective)(*sides, known, **given).item() == 0


def test_a_relevance_that_is_no_number_is_refused():
    for value in (float("nan"), float("inf")):
        matrix = torch.tensor([[1.0, value], [0.0, 1.0]])
        with pytest.raises(ShapeError, match=r"CoSENT: relevance must hold finite numbers; .* ignored=.*Got anchors"):
            parse("CoSENT")(*vectors((2, 2)), matrix)


def test_guides_of_two_widths_are_refused():
    guides = {"guide_anchors": torch.zeros(2, 5), "guide_candidates": torch.zeros(2, 4)}
    for entry in (GIST, BYOL):
        with pytest.raises(ShapeError, match="guide_anchors and guide_candidates must be of one width"):
            entry()(*vectors((2, 2)), diagonal(2), **guides)


GRADES = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize("objective", [ListKL(), ListKL(symmetric=True), LGANNA(), PlackettLuce(kind="pld")], ids=str)
@pytest.mark.parametrize("missing", [float("nan"), float("inf"), -float("inf")])
def test_a_pair_without_a_teachers_score_is_as_if_nobody_had_judged_it(objective, missing):
    teacher = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    anchors, candidates = vectors((3, 4))
    unjudged = relation([[1, 0, None, 0], *GRADES[1:]])
    expected = objective(anchors, candidates, unjudged, teacher=teacher)
    teacher[0, 2] = missing
    found = objective(anchors, candidates, relation(GRADES), teacher=teacher)
    torch.testing.assert_close(found, expected)
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(found, (anchors, candidates)))


def test_a_negative_without_a_partners_logit_has_no_weight_of_its_own():
    teacher = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    sides = vectors((3, 4))
    expected = Propensity()(*sides, relation([[1, 0, None, 0], *GRADES[1:]]), teacher=teacher)
    teacher[0, 2] = float("nan")
    torch.testing.assert_close(Propensity()(*sides, relation(GRADES), teacher=teacher), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ListKL(teacher_temperature=0.0), "ListKL: teacher_temperature must be a number above 0, got 0.0."),
        (lambda: LGANNA(teacher_temperature=-1.0), "LGANNA: teacher_temperature must be a number above 0, got -1.0."),
        (lambda: MoCHi(mixed=-1), "MoCHi: mixed must be a whole number of at least 0, got -1."),
        (lambda: MoCHi(queue=-2), "MoCHi: queue must be a whole number above 0, got -2."),
        (lambda: ISogCLR(temperature=2.0), r"ISogCLR: temperature must be a number from 0.05 to 0.7, got 2.0."),
        (lambda: ISogCLR(minimum=0.5), r"ISogCLR: temperature must be a number from 0.5 to 0.7, got 0.1."),
    ],
)
def test_a_message_names_the_setting_that_was_given(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("text", ["Circle(gamma=1{0})", "Circle(gamma=-1{0})", "MoCHi(seed=1{0})", "ICNN(window=1{0})"])
def test_numbers_of_hundreds_of_digits_are_refused(text):
    with pytest.raises(ConfigError, match=r"must be a (whole )?number"):
        parse(text.format("0" * 400))


def test_pearson_of_nothing_is_zero_and_has_a_gradient():
    sides = vectors((0, 3))
    loss = Pearson()(*sides, torch.zeros(0, 3))
    loss.backward()
    assert loss.item() == 0
