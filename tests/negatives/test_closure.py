"""G1: nothing that is known to be relevant is ever kept, whatever its id, its case and its spaces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.data.identity import text_keys
from nearfar.data.load import from_records
from nearfar.data.tables import DEV, TEST, TRAIN
from nearfar.errors import DataError
from nearfar.negatives.candidates import Reason
from nearfar.negatives.closure import Closure
from nearfar.negatives.lists import by_pair, from_sources
from tests.data.memory import make
from tests.negatives.jobs import material, reasons

WORDS = ("Parse", "the", "header", "of", "a", "Reply")


@st.composite
def disguises(draw, text):
    """The same text as a reader may meet it again: other case, other spaces."""
    words = [draw(st.sampled_from([str.upper, str.lower, str.title, str]))(word) for word in text.split()]
    spaces = draw(st.lists(st.sampled_from([" ", "  ", "\t", " \n "]), min_size=len(words), max_size=len(words)))
    return draw(st.sampled_from(["", " "])) + "".join(word + space for word, space in zip(words, spaces, strict=True))


@st.composite
def pairs(draw):
    """Rows of pairs in which queries and documents return in disguise."""
    texts = [f"{word} {number}" for number, word in enumerate(WORDS)]
    rows = []
    for _ in range(draw(st.integers(3, 12))):
        query, document = draw(st.sampled_from(texts[:4])), draw(st.sampled_from(texts))
        rows.append((draw(disguises(f"ask {query}")), draw(disguises(document))))
    return rows


def everything(closure, dataset, copies=1):
    """Candidates of sources that each propose every document for every query."""
    documents = np.tile(np.arange(len(dataset.documents), dtype=np.int32), (len(closure.queries), 1))
    found = [(documents, np.zeros(documents.shape, dtype=np.float32))] * copies
    return from_sources(closure.queries, found, closure.positives)


@given(pairs(), st.booleans())
def test_no_positive_is_kept_in_any_disguise(given_pairs, by_pairs):
    records = [{"query": query, "positive": document} for query, document in given_pairs]
    read = from_records(records)
    dataset = read.with_qrels({TRAIN: next(iter(read.qrels.values()))})
    closure = Closure(dataset)
    found = closure.apply(everything(closure, dataset, copies=2))
    found = by_pair(found) if by_pairs else found
    known = {(" ".join(q.lower().split()), " ".join(d.lower().split())) for q, d in given_pairs}
    for row in np.flatnonzero(found.kept):
        query = dataset.queries.text(int(found.query[row]))
        document = dataset.documents.text(int(found.document[row]))
        pair = " ".join(query.lower().split()), " ".join(document.lower().split())
        assert pair not in known
    kept = list(zip(found.query[found.kept], found.document[found.kept], found.positive[found.kept], strict=True))
    assert len(kept) == len(set(kept))


def test_reasons():
    dataset = make(
        ["find a file", "answer one"],
        ["answer one", "answer two", "find a file", "another"],
        {TRAIN: [(0, 0, 1), (1, 1, 1)]},
    )
    closure = Closure(dataset)
    found = closure.apply(everything(closure, dataset, copies=2))
    first = ["POSITIVE", "KEPT", "SELF", "KEPT", *["POSITIVE", "REPEATED", "SELF", "REPEATED"]]
    second = ["SELF", "POSITIVE", "KEPT", "KEPT", *["SELF", "POSITIVE", "REPEATED", "REPEATED"]]
    assert reasons(found) == first + second


def test_a_judged_negative_is_no_positive():
    dataset = make(["q"], ["a", "b"], {TRAIN: [(0, 0, 1), (0, 1, 0)]})
    closure = Closure(dataset)
    assert reasons(closure.apply(everything(closure, dataset))) == ["POSITIVE", "KEPT"]


def test_made_texts_that_equal_a_positive_are_dropped():
    dataset = make(["q"], ["The Answer", "other"], {TRAIN: [(0, 0, 1)]})
    stuff = material(dataset, made=["the  answer", "not the answer"])
    _, documents = dataset.identities
    keys = {
        tuple(key): identity for key, identity in zip(dataset.documents.keys.tolist(), documents.tolist(), strict=True)
    }
    identities = [keys.get(tuple(key), 100 + place) for place, key in enumerate(text_keys(stuff.made.texts).tolist())]
    grown = stuff.closure.with_made(np.array(identities, dtype=np.int64))
    hits = (np.array([[2, 3, 0, 1]], dtype=np.int32), np.zeros((1, 4), dtype=np.float32))
    found = grown.apply(from_sources(stuff.queries, [hits], grown.positives))
    assert reasons(found) == ["DUPLICATE", "KEPT", "POSITIVE", "KEPT"]
    assert stuff.closure.holds(np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int32)).all()


def test_only_training_judgements_count():
    texts = ["one", "two", "three", "four"]
    dataset = make(["a", "b", "c"], texts, {TRAIN: [(0, 0, 1)], DEV: [(1, 1, 1), (0, 3, 1)], TEST: [(2, 2, 1)]})
    closure = Closure(dataset)
    assert closure.queries.tolist() == [0]
    assert reasons(closure.apply(everything(closure, dataset))) == ["POSITIVE", "KEPT", "KEPT", "KEPT"]


def test_data_without_a_training_split_or_a_positive():
    with pytest.raises(DataError, match="no training split to mine for; it has test"):
        Closure(make(["a"], ["one"], {TEST: [(0, 0, 1)]}))
    with pytest.raises(DataError, match="no relevant pair"):
        Closure(make(["a"], ["one"], {TRAIN: [(0, 0, 0)]}))


def test_reasons_of_the_closure_win_over_later_ones():
    dataset = make(["q"], ["a", "b"], {TRAIN: [(0, 0, 1)]})
    closure = Closure(dataset)
    found = closure.apply(everything(closure, dataset)).drop(np.array([True, True]), Reason.MARGIN)
    assert reasons(found) == ["POSITIVE", "MARGIN"]
