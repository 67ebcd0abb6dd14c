"""Which of the kept candidates are handed out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.negatives.candidates import Reason
from nearfar.negatives.registry import parse_selection
from nearfar.negatives.selection import ByEpoch, MarginBins, Padded, SimANS, Softmax, Stride, Top, Uniform
from tests.negatives.jobs import job, kept_documents, one_list, rows

SEEDS = range(400)


def chosen(part, scores, positive=1.0, seed=0):
    stuff, found = one_list(scores, positive)
    return kept_documents(part.apply(found, replace(stuff, seed=seed)))


def shares(part, scores, positive=1.0):
    """How often each place is chosen over many seeds."""
    stuff, found = one_list(scores, positive)
    times = [part.chosen(found, replace(stuff, seed=seed)) for seed in SEEDS]
    return np.mean(times, axis=0)


def near(share, expected):
    """Within four standard deviations."""
    return abs(share - expected) < 4 * np.sqrt(0.25 / len(SEEDS))


def test_the_hardest_by_rank_or_by_score():
    assert chosen(Top(count=2), [0.1, 0.9, 0.5]) == [0, 1]
    assert chosen(Top(count=2, by="teacher"), [0.1, 0.9, 0.5]) == [1, 2]
    assert chosen(Top(count=9), [0.1, 0.9, 0.5]) == [0, 1, 2]


def test_dropped_rows_are_not_counted_and_get_no_other_reason():
    stuff, found = one_list([0.1, 0.9, 0.5])
    after = Top(count=1).apply(found.drop(np.array([True, False, False]), Reason.MARGIN), stuff)
    assert after.reason.tolist() == [Reason.MARGIN, Reason.KEPT, Reason.BUDGET]


def test_the_stride_of_unime_v2():
    part = Stride(count=10, step=5)
    assert sorted(chosen(part, [0.0] * 23)) == sorted([0, 5, 10, 15, 20, 1, 6, 11, 16, 21])
    for count, last in enumerate([0, 5, 10, 15, 20, 1, 6, 11, 16, 21], start=1):
        assert last in chosen(Stride(count=count, step=5), [0.0] * 23)
        assert len(chosen(Stride(count=count, step=5), [0.0] * 23)) == count
    assert chosen(Stride(count=2, step=2, by="teacher"), [0.1, 0.9, 0.5, 0.3]) == [1, 3]


def test_uniform_draws_each_place_of_its_window_as_often():
    found = shares(Uniform(count=2, first=1, last=5), [0.0] * 8)
    assert found[0] == 0
    assert (found[5:] == 0).all()
    assert all(near(share, 0.5) for share in found[1:5])


def test_softmax_draws_in_proportion():
    found = shares(Softmax(count=1, temperature=0.5), [1.0, 0.5, -9.0])
    expected = np.exp([2, 1, -18]) / np.exp([2, 1, -18]).sum()
    assert all(near(*pair) for pair in zip(found, expected, strict=True))
    assert chosen(Softmax(count=2, temperature=1e-6), [0.1, 0.9, 0.5]) == [1, 2]


def test_simans_prefers_what_is_near_to_the_positive():
    scores, weights = [1.4, 0.9, 0.2], np.exp(-4 * (np.array([0.4, -0.1, -0.8]) + 0.1) ** 2)
    found = shares(SimANS(count=1, a=4.0, b=-0.1), scores)
    assert all(near(*pair) for pair in zip(found, weights / weights.sum(), strict=True))


def test_margin_bins_take_turns():
    scores = [1.0, 0.99, 0.98, 0.97, 0.55, 0.0]
    for seed in range(20):
        three = chosen(MarginBins(count=3, bins=10), scores, seed=seed)
        assert {4, 5} < set(three)
        assert {4, 5} < set(chosen(MarginBins(count=4, bins=10), scores, seed=seed))
    found = shares(MarginBins(count=1, bins=10), scores)
    assert near(found[:4].sum(), 1 / 3)
    assert near(found[4], 1 / 3)


def test_margin_bins_of_equal_scores():
    assert len(chosen(MarginBins(count=2), [0.5, 0.5, 0.5])) == 2


@pytest.mark.parametrize(
    "part",
    [
        Top(count=2, by="teacher"),
        Stride(count=2, step=1, by="teacher"),
        MarginBins(count=2),
        Softmax(count=2),
        SimANS(count=2),
    ],
)
def test_candidates_without_the_score_are_taken_last(part):
    for seed in range(10):
        assert chosen(part, [np.nan, 0.5, np.nan, -0.5], seed=seed) == [1, 3]
    assert len(chosen(replace(part, count=3), [np.nan, 0.5, np.nan, -0.5])) == 3


def test_an_unknown_positive_leaves_simans_to_chance():
    assert len(chosen(SimANS(count=2), [0.5, 0.4, 0.3], np.nan)) == 2


def test_epochs_have_groups_of_their_own():
    stuff, found = one_list([0.0] * 20)
    part = ByEpoch(count=3, epochs=4)
    after = part.apply(found, stuff)
    assert kept_documents(after) == list(range(12))
    groups = part.groups(after, stuff)
    assert np.bincount(groups[after.kept]).tolist() == [3, 3, 3, 3]
    assert (groups[~after.kept] == 0).all()
    again = replace(stuff, seed=1)
    assert part.groups(after, again).tolist() != groups.tolist()
    assert Top().groups(after, stuff).tolist() == [0] * 20


def test_epochs_of_a_short_list_have_fewer():
    stuff, found = one_list([0.0] * 5)
    part = ByEpoch(count=3, epochs=4)
    after = part.apply(found, stuff)
    assert np.bincount(part.groups(after, stuff), minlength=4).tolist() == [2, 1, 1, 1]


@settings(max_examples=40)
@given(st.integers(0, 300), st.booleans())
def test_padding_takes_from_the_last_source_only_what_is_missing(seed, pairs):
    stuff, found = job(seed, queries=4, depth=6, documents=30, pairs=pairs)
    inner = Top(count=4)
    after = Padded(selection=inner, source=1).apply(found, stuff)
    for one in np.unique(found.lists):
        mine = found.lists == one
        first, reserve = found.kept & mine & (found.source == 0), found.kept & mine & (found.source == 1)
        taken = after.kept & mine
        assert (taken & first).sum() == min(4, first.sum())
        assert (taken & reserve).sum() == min(4 - min(4, first.sum()), reserve.sum())
        if (taken & reserve).any():
            assert found.rank[taken & reserve].max() <= found.rank[reserve & ~taken].min(initial=99)


def test_padding_fills_all_epochs():
    stuff, found = job(0, queries=2, depth=12)
    part = Padded(selection=ByEpoch(count=4, epochs=4), source=1)
    after = part.apply(found, stuff)
    available = np.bincount(found.lists[found.kept])
    assert np.bincount(found.lists[after.kept]).tolist() == np.minimum(available, 16).tolist()
    assert set(part.groups(after, stuff)[after.kept]) == {0, 1, 2, 3}
    assert Padded(selection=Top(by="judge")).asks == ("judge",)


def test_what_is_chosen_does_not_depend_on_other_queries():
    stuff, found = job(1, queries=6, unknown=0.0)
    one = np.flatnonzero(found.query == 3)
    for text in ("Uniform", "Softmax", "SimANS", "MarginBins", "Stride", "ByEpoch"):
        part = parse_selection(text)
        assert part.chosen(found, stuff)[one].tolist() == part.chosen(rows(found, one), stuff).tolist()


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Top(count=0)", "Top: count must be a whole number above 0, got 0"),
        ("Uniform(first=4, last=4)", "Uniform: last must be a whole number above first"),
        ("Uniform(first=-1)", "Uniform: first must be"),
        ("Stride(step=0)", "Stride: step must be"),
        ("MarginBins(bins=0)", "MarginBins: bins must be"),
        ("Softmax(temperature=0)", "Softmax: temperature must be a number above 0"),
        ("SimANS(a=-1)", "SimANS: a must be"),
        ("SimANS(b=far)", "SimANS: b must be"),
        ("SimANS(positive=best)", "positive must be one of"),
        ("ByEpoch(epochs=0)", "ByEpoch: epochs must be"),
        ("Padded(selection=4)", "Padded: selection must be a selection with a count"),
        ("Padded(selection=Padded())", "Padded: selection must be a selection with a count"),
        ("Padded(source=-1)", "Padded: source must be"),
        ("Topp(count=4)", "Unknown selection 'Topp'. Did you mean 'Top'"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_selection(text)
