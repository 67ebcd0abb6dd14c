"""What becomes of candidates that look relevant."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.negatives.candidates import Label, Reason
from nearfar.negatives.filters.scores import BelowCrossEncoder
from nearfar.negatives.registry import parse_relabel
from nearfar.negatives.relabel import NOT_FOR_ITS_SCORE, DropQuery, ToPositive
from tests.negatives.jobs import job, one_list, reasons


def test_a_high_score_makes_a_positive_of_what_a_filter_dropped():
    stuff, found = one_list([0.95, 0.5, 0.05, np.nan, 0.9], name="cross_encoder")
    dropped = BelowCrossEncoder().apply(found, stuff)
    after = ToPositive().apply(dropped, stuff)
    assert reasons(after) == ["RELABELLED", "CROSS_ENCODER", "KEPT", "UNSCORED", "RELABELLED"]
    assert after.label.tolist() == [1, 0, 0, 0, 1]
    assert reasons(ToPositive(at_least=0.5).apply(found, stuff))[:3] == ["RELABELLED", "RELABELLED", "KEPT"]


@pytest.mark.parametrize("reason", NOT_FOR_ITS_SCORE)
def test_what_is_known_or_no_document_to_learn_from_stays(reason):
    stuff, found = one_list([0.95], name="cross_encoder")
    found = found.drop(np.array([True]), reason)
    assert ToPositive().apply(found, stuff).reason.tolist() == [reason]
    assert DropQuery().apply(found, stuff).reason.tolist() == [reason]


def test_all_lists_of_the_query_have_it():
    stuff, found = job(2, pairs=True, unknown=0.0)
    odd = found.score("judge").copy()
    open_rows = np.flatnonzero(found.kept & (found.positive != found.positive[0]) & (found.query == 1))
    row = open_rows[0]
    odd[:] = 0
    odd[row] = 1  # a judge that said so in one list only
    after = ToPositive(at_least=0.5, by="judge").apply(replace(found, scores={**found.scores, "judge": odd}), stuff)
    same = (found.query == found.query[row]) & (found.document == found.document[row]) & found.kept
    assert same.sum() > 1
    assert (after.label == Label.POSITIVE).tolist() == same.tolist()


def test_a_query_goes_with_all_that_it_has_left():
    stuff, found = job(1, unknown=0.0)
    judge = np.zeros(len(found), dtype=np.float32)
    judge[np.flatnonzero(found.kept & (found.query == 2))[1]] = 1
    after = DropQuery(at_least=1.0, by="judge").apply(replace(found, scores={**found.scores, "judge": judge}), stuff)
    own = found.query == 2
    assert (after.reason[own & found.kept] == Reason.QUERY).all()
    assert after.reason[~own].tolist() == found.reason[~own].tolist()
    assert after.reason[own & ~found.kept].tolist() == found.reason[own & ~found.kept].tolist()


@settings(max_examples=40)
@given(st.integers(0, 300), st.booleans(), st.floats(0, 1))
def test_positives_and_negatives_are_disjoint_and_nothing_is_lost(seed, pairs, at_least):
    stuff, found = job(seed, queries=4, depth=6, documents=20, pairs=pairs)
    found = BelowCrossEncoder(below=0.4).apply(found, stuff)
    after = ToPositive(at_least=at_least).apply(found, stuff)
    assert sum(after.count().values()) == len(found)
    pair = list(zip(after.query, after.document, strict=True))
    positive = {each for each, label in zip(pair, after.label, strict=True) if label == Label.POSITIVE}
    negative = {each for each, kept in zip(pair, after.kept, strict=True) if kept}
    assert not positive & negative
    assert ((after.label == Label.POSITIVE) == (after.reason == Reason.RELABELLED)).all()


@pytest.mark.usefixtures("without_annotation_checks")
def test_mistakes():
    for name in ("ToPositive", "DropQuery"):
        with pytest.raises(ConfigError, match=f"{name}: at_least must be a number, got 'high'"):
            parse_relabel(f"{name}(at_least=high)")
    with pytest.raises(ConfigError, match=r"Unknown relabelling 'ToPositives'\. Did you mean 'ToPositive'"):
        parse_relabel("ToPositives")
