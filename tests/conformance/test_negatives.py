"""What every part of a mining job keeps to."""

import inspect
import pickle
import re
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields, is_dataclass

import numpy as np
import pytest

from nearfar.config.component import parse_component
from nearfar.errors import ConfigError
from nearfar.negatives.candidates import Reason
from nearfar.negatives.filters.removing import Removing
from nearfar.negatives.filters.scores import ScoreFilter
from nearfar.negatives.parts import Filter, Relabel, Selection, Weight
from nearfar.negatives.registry import described
from nearfar.negatives.relabel import NOT_FOR_ITS_SCORE
from tests.negatives.jobs import empty, job, rows, shuffled

KINDS = described()
LISTED = [(kind, name) for kind, known in KINDS.items() for name in known]
WORKING = [
    (kind, name) for kind, name in LISTED if issubclass(KINDS[kind][name].make, Filter | Weight | Relabel | Selection)
]
EVERY = pytest.mark.parametrize(("kind", "name"), LISTED)
EVERY_WORKING = pytest.mark.parametrize(("kind", "name"), WORKING)
LISTS = pytest.mark.parametrize("pairs", [False, True])
LOOKING_ASIDE = ("Noise", "Propensity", "Removing")
"""What these do to a query depends on other queries, by what they are for."""


def parse(kind, text):
    return parse_component(text, {name: each.make for name, each in KINDS[kind].items()}, kind)


def part_of(kind, name):
    return parse(kind, KINDS[kind][name].example)


def arrays(candidates):
    """Everything that candidates hold, by name."""
    held = {each.name: getattr(candidates, each.name) for each in fields(candidates)}
    whole = {name: value for name, value in held.items() if isinstance(value, np.ndarray)}
    known = candidates.positives
    whole |= {"positive query": known.query, "positive document": known.document}
    whole |= {f"score {name}": values for name, values in candidates.scores.items()}
    return whole | {f"positive score {name}": values for name, values in known.scores.items()}


def same(one, other):
    left, right = arrays(one), arrays(other)
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f") for name in left
    )


@EVERY
def test_text_and_back(kind, name):
    part = part_of(kind, name)
    assert type(part).__name__ == name
    assert parse(kind, str(part)) == part
    assert hash(parse(kind, str(part))) == hash(part)
    assert pickle.loads(pickle.dumps(part)) == part
    assert deepcopy(part) == part


@EVERY
def test_it_says_where_it_comes_from(kind, name):
    known = KINDS[kind][name]
    assert known.arxiv is None or re.fullmatch(r"\d{4}\.\d{4,5}", known.arxiv)
    assert known.arxiv is None or known.paper
    assert known.summary.endswith(".")


@EVERY
def test_it_is_frozen_documented_and_takes_keywords_only(kind, name):
    part = part_of(kind, name)
    assert is_dataclass(part)
    text = re.sub(r"(?m)^(\s+\w+), (\w+): ", r"\1: \n\2: ", inspect.getdoc(type(part)))
    for field in fields(part):
        assert field.kw_only
        assert f"{field.name}:" in text
        with pytest.raises(FrozenInstanceError):
            setattr(part, field.name, None)


@EVERY
def test_an_unknown_setting_is_refused_with_the_nearest_one(kind, name):
    settings = KINDS[kind][name].settings
    if not settings:
        with pytest.raises(ConfigError, match=f"{name} has no field 'strength'"):
            parse(kind, f"{name}(strength=1)")
        return
    first = next(iter(settings))
    with pytest.raises(ConfigError, match=f"Did you mean '{first}'"):
        parse(kind, f"{name}({first}s=1)")


@EVERY_WORKING
@LISTS
def test_the_same_input_gives_the_same_and_stays_as_it_is(kind, name, pairs):
    stuff, found = job(1, pairs=pairs)
    before = deepcopy(found)
    for array in arrays(found).values():
        array.setflags(write=False)
    part = part_of(kind, name)
    first, second = part.apply(found, stuff), part.apply(found, stuff)
    assert same(first, second)
    assert same(found, before)
    assert {name: value.dtype for name, value in arrays(first).items()} == {
        name: value.dtype for name, value in arrays(found).items()
    }


@EVERY_WORKING
@LISTS
def test_every_row_is_still_there_with_one_reason(kind, name, pairs):
    for seed in range(5):
        stuff, found = job(seed, pairs=pairs)
        after = part_of(kind, name).apply(found, stuff)
        for column in ("query", "document", "source", "rank", "positive"):
            assert np.array_equal(getattr(after, column), getattr(found, column))
        assert sum(after.count().values()) == len(found)
        changed = after.reason != found.reason
        if name == "ToPositive":
            assert not np.isin(found.reason[changed], NOT_FOR_ITS_SCORE).any()
        else:
            assert found.kept[changed].all()
        assert not after.kept[changed].any()
        assert (after.weight >= 0).all()
        if kind != "Weights":
            assert (after.weight == found.weight).all()


@EVERY_WORKING
def test_filters_and_selections_give_their_own_reason(kind, name):
    for seed in range(5):
        stuff, found = job(seed, pairs=False)
        part = part_of(kind, name)
        own = part.reason if isinstance(part, Filter) else Reason.BUDGET
        changed = part.apply(found, stuff).reason[found.kept]
        if isinstance(part, Filter | Selection):
            unscored = {Reason.UNSCORED} if isinstance(part, ScoreFilter | Removing) else set()
            assert set(changed) <= {Reason.KEPT, own, *unscored}


@EVERY_WORKING
def test_it_does_something(kind, name):
    jobs = [job(seed) for seed in range(10)]
    part = part_of(kind, name)
    assert any(not same(part.apply(found, stuff), found) for stuff, found in jobs) or name == "Window"


@EVERY_WORKING
@LISTS
def test_the_order_of_rows_does_not_matter(kind, name, pairs):
    stuff, found = job(2, pairs=pairs)
    moved, order = shuffled(found, 3)
    part = part_of(kind, name)
    one, other = part.apply(found, stuff), part.apply(moved, stuff)
    assert other.reason.tolist() == one.reason[order].tolist()
    assert other.label.tolist() == one.label[order].tolist()
    np.testing.assert_allclose(other.weight, one.weight[order], rtol=1e-6)
    if isinstance(part, Selection):
        assert part.groups(other, stuff).tolist() == part.groups(one, stuff)[order].tolist()


@EVERY_WORKING
@LISTS
def test_other_queries_do_not_matter(kind, name, pairs):
    if name in LOOKING_ASIDE:
        return
    stuff, found = job(2, pairs=pairs)
    some = np.flatnonzero(found.query % 2 == 1)
    part = part_of(kind, name)
    assert same(part.apply(rows(found, some), stuff), rows(part.apply(found, stuff), some))


@EVERY_WORKING
@LISTS
def test_nothing_to_do(kind, name, pairs):
    stuff, found = job(1, pairs=pairs)
    part = part_of(kind, name)
    nothing = part.apply(empty(found), stuff)
    assert len(nothing) == 0
    dropped = found.drop(np.ones(len(found), dtype=bool), Reason.QUERY)
    assert same(part.apply(dropped, stuff), dropped)
    # A query has no candidate left, another has none at all.
    gone = rows(found, np.flatnonzero(found.query != 1)).drop(found.query[found.query != 1] == 2, Reason.QUERY)
    assert len(part.apply(gone, stuff)) == len(gone)
    if isinstance(part, Selection):
        assert len(part.groups(nothing, stuff)) == 0


@EVERY_WORKING
@LISTS
def test_a_selection_takes_as_many_as_it_says(kind, name, pairs):
    part = part_of(kind, name)
    if not isinstance(part, Selection):
        return
    wanted = getattr(part, "wanted", 4)
    for seed in range(5):
        stuff, found = job(seed, pairs=pairs)
        after = part.apply(found, stuff)
        available = np.bincount(found.lists[found.kept], minlength=found.lists.max() + 1)
        taken = np.bincount(found.lists[after.kept], minlength=found.lists.max() + 1)
        assert taken.tolist() == np.minimum(available, wanted).tolist()
        pair = list(zip(found.lists[after.kept], found.document[after.kept], strict=True))
        assert len(pair) == len(set(pair))


@EVERY_WORKING
def test_a_score_that_nobody_gave_is_named(kind, name):
    part = part_of(kind, name)
    for score in part.asks:
        stuff, found = job(1)
        without = rows(found, np.arange(len(found)))
        del without.scores[score]
        with pytest.raises(ConfigError, match=f"no score '{score}'"):
            part.apply(without, stuff)
