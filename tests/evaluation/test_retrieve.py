import numpy as np
import pytest

from nearfar.evaluation.retrieve import Corpus, retrieve, retrieve_bm25
from tests.data.memory import make


class Table:
    """An encoder that looks vectors up."""

    similarity = "dot"

    def __init__(self, vectors):
        self.vectors, self.calls = vectors, 0

    def encode_queries(self, texts, sink=None):
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)

    def encode_documents(self, texts, sink=None):
        self.calls += 1
        return self.encode_queries(texts)


DOCUMENTS = ["red fox", "blue whale", "red whale", "green fox"]
VECTORS = {"red fox": [1, 0], "blue whale": [0, 1], "red whale": [1, 1], "green fox": [0.5, 0], "whales?": [0, 2]}


def data(**more):
    return make(["whales?", "red fox"], DOCUMENTS, {"test": [(0, 1, 1), (1, 3, 1)]}, **more)


def test_the_best_first_and_never_the_query_itself():
    found = retrieve(Table(VECTORS), Corpus.of(data()), np.array([0, 1]), 3)
    assert found.hits.documents[0, :2].tolist() in ([1, 2], [2, 1])  # equal scores, ordered by content
    assert found.hits.documents[1].tolist() == [2, 3, 1]
    assert found.hits.scores[1].tolist() == [1.0, 0.5, 0.0]


def test_the_query_itself_is_found_where_it_was_judged_relevant():
    judged = make(["red fox"], DOCUMENTS, {"test": [(0, 0, 1)]})
    assert retrieve(Table(VECTORS), Corpus.of(judged), np.array([0]), 4).hits.documents[0, :2].tolist() in (
        [0, 2],
        [2, 0],
    )


def test_only_the_searched_documents_are_found():
    corpus = Corpus.of(data(searched=[True, True, False, False]))
    found = retrieve(Table(VECTORS), corpus, np.array([0, 1]), 10)
    assert found.hits.documents.tolist() == [[1, 0], [1, -1]]
    assert found.documents.shape == (2, 2)


def test_ties_do_not_depend_on_the_order_of_the_documents():
    same = {text: [1, 0] for text in [*DOCUMENTS, "whales?"]}
    found = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        texts = [DOCUMENTS[place] for place in order]
        dataset = make(["whales?"], texts, {"test": [(0, 0, 1)]})
        for hits in (
            retrieve(Table(same), Corpus.of(dataset), np.array([0]), 4).hits,
            retrieve(Table(same), Corpus.of(dataset, np.array([2, 0, 3, 1])), np.array([0]), 4).hits,
        ):
            found.append([texts[row] for row in hits.documents[0]])
    assert found[0] == found[1] == found[2] == found[3]


def test_vectors_are_kept_and_used_again(tmp_path):
    encoder, keep = Table(VECTORS), tmp_path / "vectors.npy"
    first, second = (retrieve(encoder, Corpus.of(data()), np.array([0, 1]), 3, keep=keep) for _ in range(2))
    assert encoder.calls == 1
    np.testing.assert_array_equal(np.load(keep), [VECTORS[text] for text in DOCUMENTS])
    np.testing.assert_array_equal(first.hits.documents, second.hits.documents)


@pytest.mark.parametrize(("identifiers", "found"), [(False, [-1, -1]), (True, [1, -1])])
def test_bm25_with_and_without_parts_of_identifiers(identifiers, found):
    dataset = make(["parse"], ["read(lines)", "parse_url(text)"], {"test": [(0, 1, 1)]})
    hits = retrieve_bm25(Corpus.of(dataset), np.array([0]), 5, identifiers=identifiers).hits
    assert hits.documents.tolist() == [found]
