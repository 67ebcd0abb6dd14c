"""Looking only as deep as decides what comes out: the same negatives and suspects as looking at everything."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as some

from nearfar.config.mining import MiningOptions
from nearfar.negatives import looking
from nearfar.negatives.account import account
from nearfar.negatives.candidates import COLUMNS, Reason
from nearfar.negatives.looking import depths
from nearfar.negatives.output import write_output
from nearfar.negatives.plan import Plan
from nearfar.negatives.stages import mine
from nearfar.negatives.suspects import suspects
from tests.negatives.stores import InMemory, dataset, material

FILTERS = (
    (),
    ("Percent(ratio=0.9)",),
    ("Margin(margin=0.2, positive=max)", "Absolute(at_most=0.7)"),
    ("Margin(margin=0.1, kind=relative)", "AtLeast(floor=0.1)"),
)
SELECTIONS = ("Top(count=3)", "Top(count=2, by=teacher)", "Uniform(count=2, last=5)", "ByEpoch(count=2, epochs=2)")
WINDOWS = (None, "Window(first=1, last=6)", "Window(first=2, by=teacher)", "Window(first=2, last=9, ranks=raw)")


@pytest.fixture(autouse=True)
def shallow(monkeypatch):
    monkeypatch.setattr(looking, "_FIRST", 4)
    monkeypatch.setattr(looking, "_DEEPER", 2)


def rows(positives):
    """As many queries as there are numbers, each with so many positives; some documents belong to several."""
    found = []
    for query, count in enumerate(positives):
        found += [{"query": f"q{query}", "positive": f"d{(query * 7 + each) % 60}"} for each in range(count)]
    return found + [{"query": "filler", "positive": f"d{each}"} for each in range(60)]


def handed_out(folder, about, **settings):
    """The files of a job, and how much it looked at."""
    folder.mkdir()
    options = MiningOptions(sources="Dense(depth=40)", suspects_per_list=3, **settings)
    plan = Plan.of(options)
    result = mine(about, plan, options, folder, "key")
    found = result.candidates
    write_output(
        folder,
        about.dataset,
        found,
        ["Dense"],
        by=next(iter(plan.selection.asks), None),
        group=plan.selection.groups(found, result.material),
        suspects=suspects(found, plan.filters, options.suspects_per_list),
    )
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}, result, options


@examples(max_examples=25)
@given(
    positives=some.lists(some.integers(1, 9), min_size=1, max_size=8),
    filters=some.sampled_from(FILTERS),
    select=some.sampled_from(SELECTIONS),
    window=some.sampled_from(WINDOWS),
    lists=some.sampled_from(["query", "pair"]),
    seed=some.integers(0, 9),
)
def test_what_is_handed_out_is_the_same_as_if_all_were_looked_at(tmp_path_factory, seed, positives, **settings):
    about, folder = material(dataset(rows(positives)), dim=3, seed=seed), tmp_path_factory.mktemp("looking")
    enough, short, options = handed_out(folder / "enough", about, **settings)
    whole, full, _ = handed_out(folder / "all", about, look="all", **settings)
    assert enough == whole
    assert len(short.candidates) <= len(full.candidates)
    told = account(short, options)
    assert sum(told["depths"].values()) == len(about.queries)
    assert {int(depth) for depth in told["depths"]} <= set(depths(short.plan, options, 60))


class Uncounted(InMemory):
    """A store whose searches make sure of nothing."""

    def search(self, *args, **kwargs):
        hits = super().search(*args, **kwargs)
        return replace(hits, above=None if hits.above is None else np.zeros_like(hits.above))


@examples(max_examples=25)
@given(
    positives=some.lists(some.integers(1, 9), min_size=1, max_size=8),
    filters=some.sampled_from(FILTERS[1:]),
    lists=some.sampled_from(["query", "pair"]),
    suspects=some.sampled_from(["ignore", "forget"]),
    seed=some.integers(0, 9),
)
def test_what_a_count_makes_sure_of_changes_no_list(tmp_path_factory, seed, positives, **settings):
    about, folder = material(dataset(rows(positives)), dim=3, seed=seed), tmp_path_factory.mktemp("counting")
    store = Uncounted(**{each.name: getattr(about.store, each.name) for each in fields(about.store)})
    _, counted, _ = handed_out(folder / "counted", about, **settings)
    _, uncounted, _ = handed_out(folder / "uncounted", replace(about, store=store), **settings)
    assert (counted.depths, counted.hopeless) == (uncounted.depths, uncounted.hopeless)
    for name in COLUMNS:
        assert np.array_equal(getattr(counted.candidates, name), getattr(uncounted.candidates, name))


def test_a_query_of_which_everything_is_dropped_is_listed_until_it_has_its_suspects(tmp_path):
    about = material(dataset(rows([1, 9])), dim=3, seed=1)
    settings = {"filters": "Absolute(at_most=-2.0)", "select": "Top(count=1)"}
    _, result, options = handed_out(tmp_path / "job", about, **settings)
    found = result.candidates
    assert result.hopeless == account(result, options)["hopeless"] == 3
    for query in about.queries:
        own = found.query == query
        rank = np.flatnonzero(found.reason[own] == Reason.ABSOLUTE)
        wanted = 1 + rank[2] if len(rank) > 2 else 40
        assert own.sum() == next(level for level in (4, 8, 16, 32, 40) if level >= wanted)
    _, forgetful, _ = handed_out(tmp_path / "forget", about, suspects="forget", **settings)
    assert (forgetful.depths, forgetful.hopeless) == ({4: 3}, 3)


def test_only_lists_that_are_short_are_looked_at_again(tmp_path):
    about = material(dataset(rows([1, 2, 30])), dim=3, seed=2)
    _, result, _ = handed_out(tmp_path / "job", about, filters=(), select="Top(count=2)")
    found, levels = result.candidates, (4, 8, 16, 32, 40)
    negative = ~np.isin(found.reason, [Reason.POSITIVE, Reason.DUPLICATE, Reason.SELF])
    looked = []
    for query in about.queries:
        own = found.query == query
        looked.append(int(own.sum()))
        before = max((level for level in levels if level < looked[-1]), default=0)
        assert looked[-1] == 40 or (own & negative).sum() >= 2
        assert (own & negative & (found.rank < before)).sum() < 2
    assert len(set(looked)) > 1
    assert result.depths == {level: looked.count(level) for level in levels if level in looked}


@pytest.mark.parametrize(
    "settings",
    [
        {"look": "all"},
        {"sources": ("Dense", "Random")},
        {"sources": "BM25"},
        {"sources": "Dense(index='HNSW(links=8)')"},
        {"select": "Softmax"},
        {"select": "Uniform(count=4)"},
        {"order": "select"},
        {"relabel": "ToPositive(at_least=0.9, by=teacher)"},
        {"filters": "Guide(by=other)", "scorers": {"other": "Model(name='another')"}},
        {"filters": "Consistency"},
        {"select": "Top(by=other)", "scorers": {"other": "Model(name='another')"}},
        {"scorers": {"teacher": "Model(name='another')"}},
    ],
)
def test_all_is_looked_at_where_deeper_candidates_may_matter(settings):
    options = MiningOptions(**settings)
    assert depths(Plan.of(options), options, 1000) == ()


def test_depths_grow_from_what_is_wanted_to_what_there_is(monkeypatch):
    monkeypatch.undo()
    for settings, documents, expected in (
        ({}, 1000, (32, 100)),
        ({"sources": "Dense(depth=1000)"}, 10_000, (32, 128, 512, 1000)),
        ({"sources": "Dense(depth=1000)"}, 200, (32, 128, 200)),
        ({"select": "Top(count=20)"}, 1000, (80, 100)),
        ({"select": "Top(count=30)"}, 1000, ()),
        ({}, 30, ()),
    ):
        options = MiningOptions(**settings)
        assert depths(Plan.of(options), options, documents) == expected
