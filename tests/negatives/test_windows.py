"""Which ranks may be kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.negatives.candidates import Reason
from nearfar.negatives.registry import parse_filter
from nearfar.negatives.windows import Window
from tests.negatives.jobs import job, kept_documents, one_list


def test_raw_ranks_count_what_was_dropped_and_kept_ranks_do_not():
    stuff, found = one_list([0.5] * 6)
    found = found.drop(np.array([True, False, True, False, False, False]), Reason.MARGIN)
    assert kept_documents(Window(first=1, last=3).apply(found, stuff)) == [3, 4]
    assert kept_documents(Window(first=1, last=4, ranks="raw").apply(found, stuff)) == [1, 3]
    assert kept_documents(Window(first=1).apply(found, stuff)) == [3, 4, 5]


def test_kept_ranks_by_a_score():
    stuff, found = one_list([0.1, 0.9, np.nan, 0.5])
    assert kept_documents(Window(first=1, last=3, by="teacher").apply(found, stuff)) == [0, 3]


@given(st.integers(0, 200), st.sampled_from(["raw", "kept"]), st.integers(0, 6), st.integers(1, 6), st.booleans())
def test_windows_beside_each_other_share_a_list_out(seed, ranks, first, width, pairs):
    stuff, found = job(seed, queries=3, depth=8, pairs=pairs)
    assert Window(ranks=ranks).apply(found, stuff).kept.tolist() == found.kept.tolist()
    parts = [Window(first=first, last=first + width, ranks=ranks), Window(first=first + width, ranks=ranks)]
    if first:
        parts.append(Window(last=first, ranks=ranks))
    assert sum(part.apply(found, stuff).kept.astype(int) for part in parts).tolist() == found.kept.tolist()


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Window(first=5, last=5)", r"last must be a whole number above first \(5\), or none, got 5"),
        ("Window(first=-1)", "first must be a whole number of at least 0"),
        ("Window(ranks=all)", "ranks must be kept or raw, got 'all'"),
        ("Window(ranks=raw, by=teacher)", "by must be none where ranks are raw"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_filter(text)
