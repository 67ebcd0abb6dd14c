"""An objective in tiles of rows is the whole objective: loss, gradients, and what it remembers."""

import copy

import pytest
import torch

from nearfar.objectives import InfoNCE
from nearfar.objectives.form import Composition
from nearfar.objectives.outline import Outline, Tiling
from nearfar.objectives.registry import parse
from nearfar.types import Origin
from tests.conformance.inputs import DIM, ENTRIES, companions, variants, vectors
from tests.objectives.relations import relation

IN_BATCH, HARD = Origin.IN_BATCH, Origin.HARD
RELATIONS = {
    "several positives and ragged negatives": relation(
        [
            [1, None, None, None, 0, None, None],
            [None, 2, None, None, None, 0, None],
            [None, None, 1, None, 0, 1, None],
            [1, None, None, 1, None, None, None],
            [None, None, None, None, None, None, 1],
            [None, None, 1, None, None, None, 1],
        ],
        origins=[IN_BATCH] * 4 + [HARD] * 2 + [IN_BATCH],
    ),
    "copies of texts, and a text on both sides": relation(
        [
            [1, None, None, None, None, None, 0],
            [None, 1, None, None, None, None, None],
            [None, None, 2, None, None, None, None],
            [None, None, None, 1, None, None, None],
            [None, None, None, None, 1, None, None],
            [None, None, None, None, None, 1, None],
        ],
        anchor_ids=[1, 2, 3, 1, 5, 6],
        candidate_ids=[11, 12, 13, 14, 11, 3, 17],
        origins=[IN_BATCH] * 6 + [HARD],
    ),
    "a row without positives, and pairs that are ignored": relation(
        [
            [1, None, None, None, None, None, None],
            [None, None, None, None, None, None, None],
            [None, 1, 1, None, 0, None, None],
            [None, None, None, 1, None, None, 0],
            [None, None, None, None, 1, None, None],
            [None, None, None, None, None, 1, None],
        ],
        ignored=[(0, 3), (2, 5), (4, 0)],
    ),
}


def steps(objective, known, tiling):
    """Two steps: what each of them says, its gradients, and what is remembered after it."""
    found = []
    for seed in range(2):
        anchors, candidates = vectors(known.shape, seed=seed, dtype=torch.float64)
        objective.zero_grad()
        beside = companions(objective, known, dtype=torch.float64, seed=seed)
        given = (anchors, candidates, known)
        outcome = objective.in_tiles(tiling, *given, **beside) if tiling else objective.outcome(*given, **beside)
        if outcome.loss.requires_grad:
            outcome.loss.backward()
        slopes = {name: each.grad for name, each in objective.named_parameters()}
        slopes |= {"anchors": anchors.grad, "candidates": candidates.grad}
        found.append(
            (outcome.loss.detach(), outcome.kept, slopes, {k: v.clone() for k, v in objective.named_buffers()})
        )
    return found


def assert_alike(objective, known, scores):
    tiled = copy.deepcopy(objective)
    expected, found = steps(objective, known, None), steps(tiled, known, Tiling(scores=scores))
    for (loss, kept, slopes, buffers), (other, kept_there, others, buffers_there) in zip(expected, found, strict=True):
        torch.testing.assert_close(other, loss, rtol=1e-9, atol=1e-9, equal_nan=True)
        assert torch.equal(kept_there, kept)
        for name, slope in slopes.items():
            there = others[name]
            if slope is None or there is None:
                assert all(each is None or not each.any() for each in (slope, there)), name
            else:
                torch.testing.assert_close(there, slope, rtol=1e-6, atol=1e-7, equal_nan=True, msg=name)
        for name, buffer in buffers.items():
            torch.testing.assert_close(buffers_there[name], buffer, rtol=1e-6, atol=1e-7, equal_nan=True, msg=name)


NEED_ALL_ROWS = {
    "AnglE",
    "AnyLoss",
    "BadPair",
    "BagInstance",
    "CLIPN",
    "CWCL",
    "ClusterWeight",
    "CoDiEmbSTS",
    "CoSENT",
    "DCLW",
    "EnsLoss",
    "GIST",
    "GTE",
    "GroCo",
    "ICNN",
    "LabelCorrelation",
    "LambdaLoss",
    "MultiFocal",
    "PFID",
    "Pearson",
    "PositiveUnlabelled",
    "Propensity",
    "ProtoTriplet",
    "RankKL",
    "SOAP",
    "SONG",
    "SoftContrast",
    "SupReMix",
    "UNPG",
}


def compositions(form):
    form = getattr(form, "form", form)
    if isinstance(form, Composition):
        yield form
    for name in ("of", "terms"):
        inner = getattr(form, name, ())
        for each in inner if isinstance(inner, tuple) else (inner,):
            yield from compositions(each)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_objective_is_the_same_in_tiles(name):
    known = RELATIONS["several positives and ragged negatives"]
    for objective in variants(ENTRIES[name]):
        assert_alike(objective.double().prepare(DIM, 20).train(), known, scores=16)


HARD_CASES = (
    "InfoNCE(directions=symmetric)",
    "InfoNCE",
    "SupCon",
    "HCL",
    "CLIP",
    "Sample4Geo",
    "MW",
    "SigLIP",
    "MultiSimilarity",
    "XBM(size=5)",
    "MoCHi(queue=6, hardest=4, mixed=2, mixed_with_query=2)",
    "ISogCLR",
    "ALDR",
    "HardnessWeighted",
    "UniME(temperature=0.2, hardest=2)",
    "VICReg",
    "MoCo(size=5)",
)


@pytest.mark.parametrize("known", RELATIONS.values(), ids=RELATIONS)
@pytest.mark.parametrize("text", HARD_CASES)
@pytest.mark.parametrize("scores", [1, 21, 10_000])
def test_tiles_of_any_height_and_any_relation(text, known, scores):
    assert_alike(parse(text).double().prepare(DIM, 20).train(), known, scores)


@pytest.mark.parametrize(
    "text",
    [
        "Sum(terms=[InfoNCE, Transposed(of=InfoNCE(temperature=0.2))], weights=[0.3, 0.7])",
        "Transposed(of=InfoNCE(directions=symmetric))",
        "Matryoshka(of=InfoNCE(directions=symmetric), dims=[6, 3])",
        "Matryoshka(of=Sum(terms=[HCL, VICReg]), dims=[6, 4], dims_per_step=1)",
    ],
)
def test_forms_around_objectives(text):
    for known in RELATIONS.values():
        assert_alike(parse(text).double().prepare(DIM, 20).train(), known, scores=14)


def test_what_needs_all_rows_says_so_and_all_else_is_tiled():
    whole = {
        name
        for name, entry in ENTRIES.items()
        for form in compositions(entry().form)
        if not form.tiles and form.criterion.reads == "scores"
    }
    assert whole == NEED_ALL_ROWS


def test_evaluation_mode_writes_nothing():
    objective = parse("MoCHi(queue=6, hardest=4, mixed=2, mixed_with_query=2)").double().prepare(DIM, 20).eval()
    before = {name: each.clone() for name, each in objective.named_buffers()}
    steps(objective, RELATIONS["several positives and ragged negatives"], Tiling(scores=9))
    assert all(torch.equal(each, before[name]) for name, each in objective.named_buffers())


def test_an_error_in_a_tile_leaves_nothing_behind(monkeypatch):
    objective = parse("XBM(size=16)").double().prepare(DIM, 20)
    known = RELATIONS["several positives and ragged negatives"]
    before = {name: each.clone() for name, each in objective.named_buffers()}

    rows = Outline.rows

    def fail_later(outline, start, *arguments):
        if start > 2:
            raise RuntimeError("the memory is full")
        return rows(outline, start, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Outline, "rows", fail_later)
        with pytest.raises(RuntimeError, match="the memory is full"):
            steps(objective, known, Tiling(scores=30))
    assert all(torch.equal(each, before[name]) for name, each in objective.named_buffers())
    steps(objective, known, None)
    assert int(objective.memory["synthesis_0"].place) == 2 * 7


def test_a_vector_that_is_not_a_number_gives_a_loss_that_is_none():
    known = RELATIONS["several positives and ragged negatives"]
    for objective in (InfoNCE(), InfoNCE(directions="symmetric")):
        anchors, candidates = vectors(known.shape)
        with torch.no_grad():
            candidates[3, 2] = float("nan")
        assert objective.in_tiles(Tiling(scores=9), anchors, candidates, known).loss.isnan()


def test_no_matrix_is_whole(monkeypatch):
    """Nothing of the size of all rows by all columns is made, forwards or backwards."""
    known, seen = RELATIONS["several positives and ragged negatives"], []
    rows, columns = known.shape

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), options=None):
            made = function(*arguments, **(options or {}))
            if isinstance(made, torch.Tensor):
                seen.append(tuple(made.shape))
            return made

    for text in ("InfoNCE(directions=symmetric)", "MW", "SigLIP", "Sum(terms=[InfoNCE, Transposed(of=InfoNCE)])"):
        with Watch():
            anchors, candidates = vectors(known.shape, dim=5)
            parse(text).in_tiles(Tiling(scores=14), anchors, candidates, known).loss.backward()
    assert seen
    assert not [shape for shape in seen if len(shape) == 2 and shape in ((rows, columns), (columns, rows))]
