"""An outline says of every pair what the problem says of it."""

from dataclasses import fields, replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.memory import Memory
from nearfar.objectives.outline import Tiling, joined_on, make_outline
from nearfar.objectives.problem import Problem, make_problem
from tests.objectives.relations import diagonal, relations

NOTHING = Memory({})


def both(known, seed):
    """The same inputs as a problem and as an outline."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = known.shape
    sides = [torch.randn(size, 4, generator=generator, dtype=torch.float64) for size in (rows, columns)]
    beside = {
        "index": torch.randperm(rows, generator=generator),
        "labels": torch.randint(0, 3, (rows,), generator=generator),
        "guide_anchors": torch.randn(rows, 3, generator=generator),
        "guide_candidates": torch.randn(columns, 3, generator=generator),
        "teacher": torch.randn(rows, columns, generator=generator),
    }
    problem = make_problem("test", *sides, known, **beside)
    return problem, make_outline("test", *sides, known, Tiling(scores=5), **beside)


def assert_same(found: Problem, expected: Problem) -> None:
    for each in fields(Problem):
        if each.name in ("window", "few"):
            continue
        one, other = getattr(found, each.name), getattr(expected, each.name)
        if isinstance(other, torch.Tensor):
            torch.testing.assert_close(one, other, equal_nan=True, msg=each.name)
        else:
            assert (one is None) == (other is None), each.name
    places = torch.zeros(found.positive.shape, dtype=torch.int64)
    ones = torch.ones(len(found.matches[0]), dtype=torch.int64)
    assert torch.equal(places.index_put(found.matches, ones, accumulate=True), found.positive.long())
    assert found.rest is not None
    left = torch.ones_like(found.positive)
    left[found.rest] = False
    assert torch.equal(left, found.negative)


@given(relations(), st.integers(0, 1000))
@settings(max_examples=150)
def test_the_whole_outline_is_the_problem(known, seed):
    problem, outline = both(known, seed)
    assert_same(outline.whole(), problem)
    assert_same(outline.transpose().whole(), problem.transpose())


@given(relations(), st.integers(0, 1000), st.sampled_from(["ignored", "positive"]))
@settings(max_examples=150)
def test_both_sides_of_an_outline_are_those_of_the_problem(known, seed, related):
    problem, outline = both(known, seed)
    candidates = BothSides(related=related)
    assert_same(candidates.outline(outline).whole(), candidates.apply(problem, NOTHING))
    turned = candidates.apply(problem.transpose(), NOTHING)
    assert_same(candidates.outline(outline.transpose()).whole(), turned)


@given(relations(), st.data())
def test_rows_of_an_outline_are_rows_of_the_problem(known, data):
    problem, outline = both(known, 0)
    start = data.draw(st.integers(0, len(outline) - 1))
    stop = data.draw(st.integers(start + 1, len(outline)))
    found = outline.rows(start, stop)
    for name in ("anchors", "positive", "valid", "judged", "grades", "own", "row_ids", "index", "labels", "teacher"):
        torch.testing.assert_close(getattr(found, name), getattr(problem, name)[start:stop], msg=name)
    if stop - start < len(outline):
        assert (found.window.start, found.window.total) == (start, len(outline))


def test_what_is_known_of_the_pairs_does_not_outlive_other_masks():
    _, outline = both(diagonal(4), 0)
    problem = outline.whole()
    masked = replace(problem, valid=problem.positive)
    assert masked.rest is None
    assert torch.equal(torch.stack(masked.matches), torch.arange(4).expand(2, -1))
    fewer = replace(problem, positive=torch.zeros_like(problem.positive))
    assert fewer.rest is None
    assert not len(fewer.matches[0])


def test_tiles_cover_all_rows_once():
    assert Tiling(scores=10).tiles(rows=5, columns=4) == [(0, 2), (2, 4), (4, 5)]
    assert Tiling(scores=1).tiles(rows=2, columns=4) == [(0, 1), (1, 2)]
    assert Tiling(scores=100).tiles(rows=0, columns=4) == []


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_a_join_finds_every_pair_of_equal_values(one, other):
    rows, columns = joined_on(*(torch.tensor(each, dtype=torch.int64) for each in (one, other)))
    expected = [(i, j) for i, left in enumerate(one) for j, right in enumerate(other) if left == right]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == expected
