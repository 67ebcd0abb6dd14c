"""Compositions, sums and transposed objectives."""

import re
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings

from nearfar.errors import ConfigError
from nearfar.objectives import CLIP, DCL, GTE, Composition, InfoNCE, NTXent, Objective, Sum, Transposed, parse
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.form import parts
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.outcomes import fold
from nearfar.objectives.part import Outcome
from tests.objectives.relations import DEGENERATE, diagonal, relations


def vectors(shape, seed=0, dim=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in shape]


def test_a_composition_is_the_objective_that_it_spells_out():
    written = Objective(Composition(criterion=Softmax(), logits=(Temperature(temperature=0.05),)))
    inputs = vectors((4, 6))
    assert written(*inputs, diagonal(4, 6)) == InfoNCE(temperature=0.05)(*inputs, diagonal(4, 6))


def test_one_part_stands_for_a_list_of_one():
    assert parse("Composition(criterion=Softmax, logits=Temperature(temperature=0.1))") == parse(
        "Composition(criterion=Softmax, logits=[Temperature(temperature=0.1)])"
    )


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Composition", "Composition cannot do without criterion"),
        ("Composition()", "Composition cannot do without criterion"),
        ("Composition(criterion=Temperature)", "criterion must be a criterion"),
        ("Composition(criterion=Softmax, weights=[Temperature])", "weights must be a list of parts of the kind Weight"),
        ("Composition(criterion=Softmax, candidates=Softmax)", "candidates must be a part that says who sees whom"),
        ("Composition(criterion=Softmax, similarity=cosin)", "similarity must be cosine or dot"),
        ("Composition(criterion=Softmax, wieghts=[])", "Did you mean 'weights'"),
        ("Composition(criterion=Softmx)", "Unknown objective 'Softmx'. Did you mean 'Softmax'"),
        ("Softmax", "is a part of an objective, not an objective"),
        ("Sum(terms=[])", "terms must be a list of objectives"),
        ("Sum(terms=[InfoNCE, 3])", "terms must be a list of objectives"),
        ("Sum(terms=[InfoNCE, CLIP], weights=[1])", "weights must be a list of 2 numbers"),
        ("Transposed(of=Softmax)", "of must be an objective"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


@settings(max_examples=30, deadline=None)
@given(known=relations())
def test_a_sum_is_the_weighted_sum_of_its_terms(known):
    inputs = vectors(known.shape)
    each = [InfoNCE(temperature=0.2), NTXent(), DCL(temperature=0.3)]
    total = Objective(Sum(terms=tuple(each), weights=(1.0, 0.5, -2.0)))
    expected = sum(weight * term(*inputs, known) for weight, term in zip((1.0, 0.5, -2.0), each, strict=True))
    torch.testing.assert_close(total(*inputs, known), expected)
    assert parse(str(total)) == total


def test_a_sum_takes_objectives_by_name_and_keeps_their_memories_apart():
    total = parse("Sum(terms=[CLIP(temperature=0.1), CLIP(temperature=0.2)], weights=[1, 2])")
    assert str(total) == "Sum(terms=[CLIP(temperature=0.1), CLIP(temperature=0.2)], weights=[1, 2])"
    assert len(list(total.parameters())) == 2
    equal = parse("Sum(terms=[CLIP, CLIP])")
    assert len(list(equal.parameters())) == 2


@settings(max_examples=30, deadline=None)
@given(known=relations())
def test_half_and_half_with_its_transpose_is_the_symmetric_form(known):
    inputs = vectors(known.shape)
    turned = Objective(Transposed(of=InfoNCE(temperature=0.2)))
    back = InfoNCE(temperature=0.2)(inputs[1], inputs[0], exchanged(known))
    torch.testing.assert_close(turned(*inputs, known), back)


def test_the_symmetric_form_of_pairs_is_clip():
    inputs = vectors((5, 5))
    both = parse("Sum(terms=[InfoNCE(temperature=0.07), Transposed(of=InfoNCE(temperature=0.07))], weights=[0.5, 0.5])")
    torch.testing.assert_close(both(*inputs, diagonal(5)), CLIP(temperature=0.07).double()(*inputs, diagonal(5)))


def exchanged(known):
    """The relation with the sides exchanged."""
    return type(known)(
        anchor_ids=known.candidate_ids,
        candidate_ids=known.anchor_ids,
        rows=known.columns,
        columns=known.rows,
        grades=known.grades,
        origins=torch.zeros_like(known.anchor_ids),
        ignored_rows=known.ignored_columns,
        ignored_columns=known.ignored_rows,
        positive_from=known.positive_from,
    )


def test_losses_of_candidates_are_shared_out_among_their_anchors():
    positive = torch.tensor([[True, False], [True, True]])
    outcome = Outcome(torch.tensor([1.0, 2.0, 6.0, 10.0]), torch.tensor([True, True, True, False]))
    folded = fold(outcome, positive)
    assert folded.kept.all()
    assert folded.losses.tolist() == pytest.approx([2 / 3 * (1 + 3), 2 / 3 * (2 + 3)])
    torch.testing.assert_close(folded.loss, outcome.loss)


@pytest.mark.parametrize("case", DEGENERATE)
def test_a_sum_and_a_transpose_stay_finite(case):
    known = DEGENERATE[case]
    objective = parse("Sum(terms=[InfoNCE, Transposed(of=NTXent), GTE])")
    inputs = [side.requires_grad_() for side in vectors(known.shape)]
    loss = deepcopy(objective)(*inputs, known)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(side.grad).all() for side in inputs)


def test_every_part_has_a_path():
    total = Sum(terms=(CLIP(), GTE()))
    paths = [path for path, _ in parts(total)]
    assert "terms_0_logits_0" in paths
    assert len(paths) == len(set(paths))


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            "criterion=Opposite, logits=Temperature",
            "Composition: logits must be left out, since Opposite looks at vectors",
        ),
        (
            "criterion=Softmax(blocks=[row, anchors]), similarity=euclidean",
            "Composition: similarity must be cosine or dot",
        ),
        ("criterion=Softmax(blocks=[row, candidates]), logits=TemperatureByPair", "need one temperature for all pairs"),
        (
            "criterion=Softmax, similarity=euclidean, logits=StudentKernel",
            "there are 2 rows and 3 columns. Take candid",
        ),
        ("criterion=Pointwise(targets=grades), weights=KernelTargets", "there are 2 rows and 3 columns. Take candid"),
        (
            "criterion=Softmax, candidates=BothSides, weights=GivenWeights",
            "GivenWeights needs teacher, which BothSides has",
        ),
        ("criterion=Margins, candidates=TrainedClasses", "Margins needs teacher, which TrainedClasses has not for its"),
        ("criterion=RunningMean, logits=TemperatureByPair", "RunningMean: it needs one temperature for each row"),
        ("criterion=Softmax, candidates=TrainedClasses(classes=1), synthesis=MixAroundLabels", "2 rows and 1 columns."),
    ],
)
def test_parts_that_do_not_go_together_are_refused(parts, message):
    inputs = {"teacher": torch.ones(2, 3), "guide_anchors": torch.eye(2, 4), "guide_candidates": torch.eye(3, 4)}
    inputs |= {"labels": torch.zeros(2, dtype=torch.int64), "index": torch.arange(2)}
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse(f"Composition({parts})")(torch.eye(2, 4), torch.eye(3, 4), torch.eye(2, 3), **inputs)


def test_masks_and_weights_see_similarities_where_the_criterion_does_not():
    sides = torch.eye(2, 4), torch.eye(3, 4)
    masked = parse("Composition(criterion=SquaredNorm, masks=NearlyReached(margin=2.0, copy_from=none))")
    assert masked(*sides, torch.eye(2, 3)).item() == pytest.approx(1)


def test_an_objective_of_the_other_side_needs_the_guide_of_the_other_side():
    turned = parse("Transposed(of=CLIPN)")
    assert turned.needs == {"guide_anchors"}
    assert parse("Sum(terms=[CLIPN, Transposed(of=CLIPN)])").needs == {"guide_anchors", "guide_candidates"}
    anchors, candidates, no = vectors((3, 3, 3))
    found = turned(candidates, anchors, diagonal(3), guide_anchors=no)
    torch.testing.assert_close(found, parse("CLIPN")(anchors, candidates, diagonal(3), guide_candidates=no))
