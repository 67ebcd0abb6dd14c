import logging
import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.data.identity import text_keys
from nearfar.data.tables import Texts
from nearfar.errors import ConfigError, DataError
from nearfar.events import Progress
from nearfar.retrieval import bm25
from nearfar.retrieval.bm25 import BM25

CORPUS = ["the cat sat on a mat", "cats and dogs", "a dog barks", "parse_json_file reads a file", "nothing here"]


def by_formula(documents, queries, k, k1=1.5, b=0.75):
    """The formula, term by term, over lists of words."""
    counts = [Counter(document.split()) for document in documents]
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / len(lengths)
    rows = []
    for query in queries:
        scores = []
        for row, count in enumerate(counts):
            score = 0.0
            for term in query.split():
                df = sum(term in other for other in counts)
                if count[term]:
                    idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
                    score += idf * count[term] / (count[term] + k1 * (1 - b + b * lengths[row] / mean))
            if score > 0:
                scores.append((-round(score, 5), row, score))
        rows.append([(row, score) for _, row, score in sorted(scores)[:k]])
    return rows


words = st.lists(st.sampled_from(["ant", "bee", "cow", "dog", "eel"]), max_size=6).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(words, min_size=1, max_size=12).filter(any), st.lists(words, min_size=1, max_size=4), st.integers(1, 14)
)
def test_scores_match_the_formula(documents, queries, k):
    hits = BM25(documents, k1=1.2, b=0.4, tokenise=str.split).search(queries, k)
    for row, expected in enumerate(by_formula(documents, queries, 99, k1=1.2, b=0.4)):
        count = min(k, len(expected))
        assert (hits.documents[row, count:] == -1).all()
        assert np.isneginf(hits.scores[row, count:]).all()
        np.testing.assert_allclose(hits.scores[row, :count], [score for _, score in expected[:count]], rtol=1e-4)
        known = dict(expected)
        found = hits.documents[row, :count].tolist()
        assert len(set(found)) == count
        np.testing.assert_allclose([known[document] for document in found], hits.scores[row, :count], rtol=1e-4)


def test_a_document_with_every_term_is_above_one_with_some_and_others_are_no_hits():
    hits = BM25(CORPUS).search(["dogs and a cat", "read json files"], 5)
    assert hits.documents.tolist() == [[1, 2, 0, -1, -1], [3, -1, -1, -1, -1]]
    assert (np.diff(hits.scores[0, :3]) < 0).all()


def test_empty_and_unknown_queries_have_empty_rows():
    hits = BM25(CORPUS).search(["", "the", "zebra", "  !", "cat"], 3)
    assert hits.documents[:4].tolist() == [[-1] * 3] * 4
    assert np.isneginf(hits.scores[:4]).all()
    assert hits.documents[4, 0] == 1
    assert BM25(CORPUS).search([], 3).documents.shape == (0, 3)


def test_documents_without_terms_are_searched_without_hits():
    assert BM25(["", "!"]).search(["cat"], 2).documents.tolist() == [[-1, -1]]
    assert BM25(["", "cat"]).search(["cat"], 2).documents.tolist() == [[1, -1]]


def test_equal_scores_are_ordered_by_row_or_by_the_given_order():
    documents = ["red fox"] * 30
    assert BM25(documents).search(["fox"], 4).documents.tolist() == [[0, 1, 2, 3]]
    hits = BM25(documents).search(["fox"], 4, tie_order=np.arange(30)[::-1])
    assert hits.documents.tolist() == [[29, 28, 27, 26]]


def test_an_excluded_document_is_left_out():
    hits = BM25(CORPUS).search(["cats and dogs", "cats and dogs"], 3, exclude=np.array([1, -1]))
    assert hits.documents.tolist() == [[2, 0, -1], [1, 2, 0]]


def test_blocks_of_queries_do_not_change_hits(monkeypatch):
    generator = np.random.default_rng(0)
    names = [f"w{number}" for number in range(30)]
    documents = [" ".join(generator.choice(names, 8)) for _ in range(200)]
    queries = [" ".join(generator.choice(names, 3)) for _ in range(40)]
    index = BM25(documents)
    whole = index.search(queries, 10)
    monkeypatch.setattr(bm25, "POSTINGS_AT_ONCE", 300)
    parts = index.search(queries, 10)
    np.testing.assert_array_equal(whole.documents, parts.documents)
    np.testing.assert_array_equal(whole.scores, parts.scores)


def test_a_table_of_texts_gives_the_same_as_a_list():
    ids = pa.array([f"d{row}" for row in range(len(CORPUS))], pa.large_string())
    table = Texts(ids=ids, texts=pa.array(CORPUS, pa.large_string()), keys=text_keys(CORPUS))
    hits, expected = BM25(table).search(["dog"], 3), BM25(CORPUS).search(["dog"], 3)
    np.testing.assert_array_equal(hits.documents, expected.documents)


def test_nothing_is_printed_and_progress_goes_to_the_sink(capfd, caplog):
    events = []

    class Listener:
        def emit(self, event) -> None:
            events.append(event)

    with caplog.at_level(logging.DEBUG):
        BM25(CORPUS, sink=Listener()).search(["cat", ""], 2, Listener())
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert events[-1] == Progress(task="bm25 search", done=2, total=2)
    assert Progress(task="bm25 index", done=5, total=5) in events


def test_what_cannot_be_indexed_is_refused():
    with pytest.raises(DataError, match="at least one document"):
        BM25([])
    with pytest.raises(ConfigError, match=r"k1=1.5 and b=2"):
        BM25(CORPUS, b=2.0)
    with pytest.raises(ConfigError, match="got 0"):
        BM25(CORPUS).search(["cat"], 0)
