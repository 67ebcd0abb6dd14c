"""A filter that is set by the share that it drops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nearfar.config.mining import MiningOptions
from nearfar.errors import ConfigError, DataError
from nearfar.negatives.account import account
from nearfar.negatives.candidates import Reason
from nearfar.negatives.filters.removing import Removing
from nearfar.negatives.filters.scores import Absolute, AtLeast, Margin, Percent
from nearfar.negatives.plan import Plan
from nearfar.negatives.registry import parse_filter
from nearfar.negatives.stages import mine
from tests.negatives.jobs import job
from tests.negatives.stores import dataset, material, pairs

FILTERS = (Percent(), Margin(), Margin(kind="relative"), Absolute(at_most=0.0), AtLeast(floor=0.0))


@given(share=some.floats(0, 0.9), part=some.sampled_from(FILTERS), seed=some.integers(0, 5))
def test_it_drops_about_the_share_that_was_asked_for_and_hardly_more(share, part, seed):
    stuff, found = job(seed)
    removing = Removing(share=share, filter=part)
    after = removing.apply(found, stuff)
    known = ~removing.settled(found).unknown(found) & found.kept
    dropped = (found.kept & ~after.kept).sum()
    unknown = (found.kept & ~known).sum()
    assert dropped <= max(share * found.kept.sum(), unknown) + 1e-9
    wanted = share * found.kept.sum()
    assert dropped >= max(wanted - min(0.01 * known.sum(), 0.02 * wanted) - 1, unknown)
    assert set(np.unique(after.reason[found.kept])) <= {Reason.KEPT, removing.reason, Reason.UNSCORED}


def test_a_ratio_is_of_the_size_of_a_score_below_zero():
    about, found = job(1)
    found, known = found.take(np.arange(2)), found.positives
    below = known.with_scores("odd", np.full(len(known), -0.5, dtype=np.float32))
    found = replace(found.with_scores("odd", np.array([-0.6, -0.8], dtype=np.float32)), positives=below)
    found = replace(found, reason=np.zeros(2, dtype=np.int8))
    assert Percent(by="odd").edges(found) == pytest.approx([0.8, 0.4])  # -0.6 is a fifth of the size of -0.5 below it
    for share, reasons in ((0.0, [Reason.KEPT] * 2), (0.5, [Reason.PERCENT, Reason.KEPT])):
        assert Removing(share=share, filter=Percent(by="odd")).apply(found, about).reason.tolist() == reasons


def test_a_job_says_which_limit_it_was(tmp_path):
    about = material(dataset(pairs(30)), seed=4)
    text = "Removing(share=0.25, filter=Margin(margin=0.05))"
    options = MiningOptions(sources="Dense(depth=20)", filters=text, select="Top(count=2)")
    result = mine(about, Plan.of(options), options, tmp_path, "key")
    ((asked, limit),) = account(result, options)["settled"].items()
    assert asked == text
    assert result.plan.filters == (parse_filter(limit),)
    kept = ~np.isin(result.candidates.reason, [Reason.POSITIVE, Reason.DUPLICATE, Reason.SELF])
    dropped = (result.candidates.reason == Reason.MARGIN).sum() / kept.sum()
    assert 0.23 <= dropped <= 0.25
    again = MiningOptions(sources="Dense(depth=20)", filters=limit, select="Top(count=2)", look="all")
    fixed = mine(about, Plan.of(again), again, tmp_path / "fixed", "key")
    assert np.array_equal(fixed.candidates.reason, result.candidates.reason)
    assert account(fixed, again)["settled"] == {}


def test_where_nothing_is_left_the_other_filter_stays_as_it_is():
    _, found = job(1)
    nothing = found.drop(found.kept, Reason.WINDOW)
    assert Removing(share=0.5).settled(nothing) == Percent()


def test_what_cannot_be_compared_is_refused():
    _, found = job(1)
    unknown = found.with_scores("odd", np.full(len(found), np.nan, dtype=np.float32))
    with pytest.raises(DataError, match="'odd' is not known of any"):
        Removing(share=0.5, filter=Absolute(at_most=1.0, by="odd")).settled(unknown)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Removing(share=1.5)", "share must be a number from 0 to 1, got 1.5"),
        ("Removing", "cannot do without share"),
        ("Removing(share=0.1, filter=Consistency)", "filter must be a filter with a limit, such as Margin"),
        ("Removing(share=0.1, filter=Removing(share=0.1))", "filter must be a filter with a limit"),
    ],
)
def test_settings_that_make_no_sense_are_refused(text, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        parse_filter(text)
