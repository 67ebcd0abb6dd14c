"""Matryoshka: text, widths, memory, draws, and what it refuses."""

import pytest
import torch
from torch.nn.functional import normalize

from nearfar.errors import ConfigError, ShapeError
from nearfar.objectives import CLIP, InfoNCE, Matryoshka, Objective, Sum, Transposed, parse
from nearfar.objectives.explain import curves, weights
from nearfar.objectives.form import parts, placed
from tests.objectives.relations import diagonal

THREE = "Matryoshka(of=InfoNCE(temperature=0.1), dims=[8, 4, 2], weights=[1, 0.5, 0.25])"


def vectors(shape=(5, 9), seed=0, dim=8):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64).requires_grad_() for size in shape]


def test_the_text_is_the_objective():
    objective = parse("Matryoshka(of=InfoNCE(temperature=0.1), dims=[2, 8, 4], weights=[0.25, 1, 0.5])")
    assert str(objective) == THREE
    assert parse(str(objective)) == objective
    assert objective == Objective(Matryoshka(of=InfoNCE(temperature=0.1), dims=(4, 2, 8), weights=(0.5, 0.25, 1)))
    assert objective.least_width == 8
    assert (objective.needs, objective.scope, objective.remembers) == (frozenset(), "rows", False)


def test_one_full_width_is_the_objective_itself():
    sides = vectors()
    assert parse("Matryoshka(of=InfoNCE, dims=[8])")(*sides, diagonal(5, 9)) == InfoNCE()(*sides, diagonal(5, 9))


def test_cut_vectors_are_compared_by_the_cosine_of_what_is_left():
    anchors, candidates = vectors((2, 2))
    outcome = parse("Matryoshka(of=InfoNCE, dims=[3])").outcome(anchors, candidates, diagonal(2))
    expected = normalize(anchors[:, :3], dim=1) @ normalize(candidates[:, :3], dim=1).T
    torch.testing.assert_close(outcome.problems[0].similarity, expected)


def test_dot_products_take_cut_vectors_as_they_are():
    anchors, candidates = vectors((2, 2))
    text = "Matryoshka(of=Composition(criterion=Softmax, similarity=dot), dims=[3])"
    outcome = parse(text).outcome(anchors, candidates, diagonal(2))
    torch.testing.assert_close(outcome.problems[0].similarity, anchors[:, :3] @ candidates[:, :3].T)


def test_each_width_is_a_term_with_its_name():
    sides = vectors()
    outcome = parse(THREE).outcome(*sides, diagonal(5, 9))
    assert list(outcome.terms) == ["dim 8", "dim 4", "dim 2"]
    assert len(outcome.problems) == 3
    total = outcome.terms["dim 8"] + 0.5 * outcome.terms["dim 4"] + 0.25 * outcome.terms["dim 2"]
    torch.testing.assert_close(outcome.loss, total)
    inner = parse("Matryoshka(of=Sum(terms=[InfoNCE, DCL]), dims=[8, 2])").outcome(*sides, diagonal(5, 9)).terms
    assert list(inner) == [
        *("dim 8", "dim 2"),
        *("dim 8: 0 InfoNCE", "dim 8: 1 DCL", "dim 2: 0 InfoNCE", "dim 2: 1 DCL"),
    ]


def test_inside_and_around_other_forms():
    sides, relation = vectors(), diagonal(5, 9)
    one = InfoNCE(temperature=0.1)
    for width, whole in ((4, (slice(None), slice(0, 4))), (8, (slice(None), slice(0, 8)))):
        around = parse(
            f"Sum(terms=[InfoNCE(temperature=0.1), Transposed(of={one}), Matryoshka(of={one}, dims=[{width}])])"
        )
        inside = Objective(Matryoshka(of=Sum(terms=(one, Transposed(of=one))), dims=(width,)))
        turned = Objective(Transposed(of=Matryoshka(of=one, dims=(width,))))
        cut = [side[whole] for side in sides]
        other = Objective(Transposed(of=one))
        expected = one(*sides, relation) + other(*sides, relation) + one(*cut, relation)
        torch.testing.assert_close(around(*sides, relation), expected)
        torch.testing.assert_close(inside(*sides, relation), one(*cut, relation) + other(*cut, relation))
        torch.testing.assert_close(turned(*sides, relation), other(*cut, relation))


def test_an_inner_matryoshka_cuts_what_the_outer_one_left():
    sides = vectors()
    nested = parse("Matryoshka(of=Matryoshka(of=InfoNCE, dims=[4, 2]), dims=[8, 4])")
    flat = parse("Matryoshka(of=InfoNCE, dims=[4, 2], weights=[2, 2])")
    torch.testing.assert_close(nested(*sides, diagonal(5, 9)), flat(*sides, diagonal(5, 9)))


@pytest.mark.parametrize(
    "of", ["MultiHead(heads=2, hidden=4)", "MoCHi(queue=6, hardest=4, mixed=2)", "CLIP", "ISogCLR"]
)
def test_each_width_has_a_memory_of_its_own(of):
    objective = parse(f"Matryoshka(of={of}, dims=[8, 4])").prepare(8, examples=5)
    inner = parse(of)
    alone = {width: parse(of).prepare(width, examples=5).state_dict() for width in (8, 4)}
    found = {name: value.shape for name, value in objective.state_dict().items()}
    expected = {
        name.replace("memory.", f"memory.of_{width}_"): value.shape
        for width, state in alone.items()
        for name, value in state.items()
        if name != "width"
    }
    assert {name: shape for name, shape in found.items() if name != "width"} == expected
    assert [path for path, _ in parts(objective.form)] == [
        f"of_{width}_{path}" for width in (8, 4) for path, _ in parts(inner.form)
    ]
    assert {width for *_, width in placed(objective.form, 8)} == {8, 4}
    again = parse(str(objective))
    again.load_state_dict(objective.state_dict())
    assert again.state_dict().keys() == objective.state_dict().keys()


def test_temperatures_of_different_widths_go_their_own_ways():
    objective = parse("Matryoshka(of=CLIP, dims=[8, 2])")
    objective(*vectors(), diagonal(5, 9)).backward()
    slopes = [parameter.grad for parameter in objective.parameters()]
    assert len(slopes) == 2
    assert not torch.equal(*slopes)


def test_drawn_widths_are_the_whole_on_average():
    objective = parse(f"{THREE[:-1]}, dims_per_step=2)")
    whole, sides = parse(THREE)(*vectors(), diagonal(5, 9)), vectors()
    found = torch.stack([objective(*sides, diagonal(5, 9)).detach() for _ in range(600)])
    assert len(found.unique()) == 3  # as many pairs of widths
    assert found.mean().item() == pytest.approx(whole.item(), rel=0.02)


def test_draws_go_on_where_they_were_and_stand_still_in_evaluation():
    one, other = (parse("Matryoshka(of=InfoNCE, dims=[8, 4, 2, 1], dims_per_step=1)") for _ in range(2))
    seen = [str(list(one.outcome(*vectors(), diagonal(5, 9)).terms)) for _ in range(20)]
    assert len(set(seen)) == 4
    for _ in range(10):
        other(*vectors(), diagonal(5, 9))
    third = parse(str(other))
    third.load_state_dict(other.state_dict())
    assert [str(list(third.outcome(*vectors(), diagonal(5, 9)).terms)) for _ in range(10)] == seen[10:]
    third.eval()
    assert len(third.outcome(*vectors(), diagonal(5, 9)).terms) == 4
    assert int(third.memory["draws"].calls) == 20


def test_a_draw_depends_on_the_seed():
    texts = [f"Matryoshka(of=InfoNCE, dims=[8, 4, 2], dims_per_step=1, seed={seed})" for seed in (0, 1)]
    found = [[objective(*vectors(), diagonal(5, 9)).item() for _ in range(20)] for objective in map(parse, texts)]
    assert found[0] != found[1]


def test_more_dimensions_than_there_are():
    message = "Matryoshka cuts embeddings to 384 dimensions, and these have 8. Leave out every width above 8."
    objective = parse("Matryoshka(of=InfoNCE, dims=[384, 8])")
    with pytest.raises(ShapeError) as caught:
        objective(*vectors(), diagonal(5, 9))
    assert str(caught.value) == message
    with pytest.raises(ShapeError, match="384 dimensions, and these have 8"):
        parse("Sum(terms=[InfoNCE, Matryoshka(of=MultiHead, dims=[384])])").prepare(8)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Matryoshka(of=InfoNCE)", "cannot do without dims"),
        ("Matryoshka(of=Softmax, dims=[4])", "of must be an objective"),
        ("Matryoshka(of=InfoNCE, dims=[])", r"dims must be a list of different whole numbers above 0, got \(\)"),
        ("Matryoshka(of=InfoNCE, dims=[4, 4])", r"different whole numbers above 0, got \(4, 4\)"),
        ("Matryoshka(of=InfoNCE, dims=[4, 0])", "above 0"),
        ("Matryoshka(of=InfoNCE, dims=[4.5])", "whole numbers"),
        ("Matryoshka(of=InfoNCE, dims=4)", "a list of different whole numbers"),
        ("Matryoshka(of=InfoNCE, dims=[4, 2], weights=[1])", "weights must be a list of 2 numbers"),
        ("Matryoshka(of=InfoNCE, dims=[4, 2], weights=[1, x])", "weights must be a list of 2 numbers"),
        ("Matryoshka(of=InfoNCE, dims=[4, 2], dims_per_step=3)", "dims_per_step must be a whole number from 1 to 2"),
        ("Matryoshka(of=InfoNCE, dims=[4, 2], seed=0.5)", "seed must be a whole number"),
        ("Matryoshka(of=Matryoshka(of=InfoNCE, dims=[8, 2]), dims=[4])", "dims must be at least 8 each"),
        ("Matryoshka(of=InfoNCE, dim=[4])", "Did you mean 'dims'"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


@pytest.mark.usefixtures("without_annotation_checks")
def test_lists_will_do_in_python():
    made = Matryoshka(of=CLIP(), dims=[4, 2], weights=[1, 2])
    assert made == parse("Matryoshka(of=CLIP, dims=[4, 2], weights=[1, 2])").form


def test_it_can_be_explained_at_any_width():
    plain, cut = curves(InfoNCE(), seeds=(0,)), curves(parse("Matryoshka(of=InfoNCE, dims=[64])"), seeds=(0,))
    assert (cut.positive, cut.negative, cut.kind) == (plain.positive, plain.negative, "score")
    wide = curves(parse("Matryoshka(of=InfoNCE(temperature=0.1), dims=[96, 8], weights=[1, 0.5])"), seeds=(0,))
    assert wide.positive[0] == pytest.approx(15, rel=1e-3)  # 1 / temperature, times the sum of the weights
    assert wide.negative[0] == pytest.approx(0, abs=1e-3)
    classes = curves(parse("Matryoshka(of=NormFace, dims=[64, 8])"), seeds=(0,))
    assert None not in classes.positive


def test_pairs_of_a_batch_are_weighed_over_all_widths():
    anchors, candidates = (side.detach() for side in vectors())
    one, other = (weights(parse(text), anchors, candidates, diagonal(5, 9)) for text in (THREE, str(InfoNCE())))
    assert len(one.weight) == len(other.weight) == 5 * 9
    torch.testing.assert_close(one.similarity, other.similarity)  # of the whole vectors
    each = [
        weights(InfoNCE(temperature=0.1), anchors[:, :width], candidates[:, :width], diagonal(5, 9)).weight
        for width in (8, 4, 2)
    ]
    torch.testing.assert_close(one.weight, each[0] + 0.5 * each[1] + 0.25 * each[2])
