import sys

import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.retrieval.approximate import Index, fingerprint, measured_recall
from nearfar.retrieval.dense import search
from nearfar.retrieval.kinds import HNSW, IVF, IVFPQ, parse_index
from tests.retrieval.test_dense import vectors

KINDS = [
    HNSW(links=8, build_effort=30, effort=60),
    HNSW(links=8, codes="int8"),
    IVF(lists=12, probes=4),
    IVF(probes=6, codes="float32"),
    IVFPQ(lists=8, probes=4, parts=8),
]


def clustered(rows, seed=0, clusters=15, width=16):
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(77).standard_normal((clusters, width))
    noise = 0.4 * generator.standard_normal((rows, width))
    return (centres[generator.integers(0, clusters, rows)] + noise).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_what_is_found_has_the_scores_and_the_order_of_exact_search(kind, similarity):
    documents, queries = clustered(1_200), clustered(40, seed=1)
    order = np.random.default_rng(4).permutation(len(documents))
    documents[100:140] = documents[0]
    hits = Index(kind, documents, similarity=similarity).search(queries, 20, tie_order=order)
    every = search(queries, documents, len(documents), similarity=similarity, tie_order=order)
    for row in range(len(queries)):
        found = hits.documents[row][hits.documents[row] >= 0]
        places = np.flatnonzero(np.isin(every.documents[row], found))
        assert len(found) == len(places) > 0
        np.testing.assert_array_equal(found, every.documents[row, places])
        np.testing.assert_array_equal(hits.scores[row, : len(found)], every.scores[row, places])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_builds_repeat_and_come_back_from_a_folder(kind, tmp_path):
    documents, queries = clustered(900), clustered(30, seed=1)
    first = Index(kind, documents, seed=3)
    first.save(tmp_path / "first")
    Index(kind, documents, seed=3).save(tmp_path / "second")
    assert (tmp_path / "first/index.faiss").read_bytes() == (tmp_path / "second/index.faiss").read_bytes()
    loaded = Index.load(tmp_path / "first", documents)
    assert loaded.kind == kind
    expected = first.search(queries, 10)
    hits = loaded.search(queries, 10)
    assert hits.documents.tobytes() == expected.documents.tobytes()
    assert hits.scores.tobytes() == expected.scores.tobytes()


def test_an_index_that_reads_everything_finds_everything():
    documents, queries = clustered(800), clustered(30, seed=1)
    recall = measured_recall(Index(IVF(lists=10, probes=10), documents), queries, 10, sample=20)
    assert (recall.mean, recall.low, recall.high, recall.n) == (1.0, 1.0, 1.0, 20)


def test_recall_is_the_share_of_the_exact_hits():
    documents, queries = clustered(800), clustered(30, seed=1)
    index = Index(IVF(lists=30, probes=1), documents)
    exact, found = search(queries, documents, 10), index.search(queries, 10)
    shares = [len(set(left) & set(right)) / 10 for left, right in zip(exact.documents, found.documents, strict=True)]
    recall = measured_recall(index, queries, 10)
    assert recall.mean == pytest.approx(np.mean(shares))
    assert 0 < recall.low < recall.mean < recall.high < 1


def test_an_excluded_document_is_replaced():
    documents = clustered(300)
    index = Index(IVF(lists=1, probes=1), documents)
    hits = index.search(documents[:9], 5, exclude=np.arange(9))
    expected = search(documents[:9], documents, 5, exclude=np.arange(9))
    np.testing.assert_array_equal(hits.documents, expected.documents)


def test_fewer_documents_than_k_leave_empty_places():
    hits = Index(HNSW(), vectors(3, 4)).search(vectors(2, 4, seed=1), 5)
    assert (hits.documents[:, 3:] == -1).all()
    assert np.isneginf(hits.scores[:, 3:]).all()


def test_an_index_of_other_vectors_is_refused(tmp_path):
    documents = vectors(50, 8)
    Index(IVF(), documents).save(tmp_path / "index")
    other = documents.copy()
    other[49, 7] += 1
    with pytest.raises(DataError, match=f"is of other vectors.*{fingerprint(documents)}.*{fingerprint(other)}"):
        Index.load(tmp_path / "index", other)
    with pytest.raises(DataError, match="Cannot read an index"):
        Index.load(tmp_path / "nothing", documents)
    (tmp_path / "index/index.faiss").write_bytes(b"half of it")
    with pytest.raises(DataError, match="Cannot read an index"):
        Index.load(tmp_path / "index", documents)


def test_kinds_are_text():
    for kind in KINDS:
        assert parse_index(str(kind)) == kind
    assert parse_index("HNSW") == HNSW()
    with pytest.raises(ConfigError, match=r"Unknown index 'HNWS'\. Did you mean 'HNSW'"):
        parse_index("HNWS(links=3)")
    with pytest.raises(ConfigError, match="probes must be at least 1, got 0"):
        IVF(probes=0)
    with pytest.raises(ConfigError, match="codes must be one of float32, float16, int8"):
        HNSW(codes="int4")


def test_what_cannot_be_indexed_is_refused(monkeypatch):
    with pytest.raises(DataError, match="at least one document"):
        Index(IVF(), vectors(0, 4))
    with pytest.raises(ConfigError, match=r"parts must divide the width of the vectors, 4; got 3"):
        Index(IVFPQ(parts=3), vectors(30, 4))
    with pytest.raises(ConfigError, match="at least 16 documents"):
        Index(IVFPQ(parts=2), vectors(10, 4))
    with pytest.raises(ConfigError, match="Did you mean 'cosine'"):
        Index(IVF(), vectors(30, 4), similarity="cosin")
    index = Index(IVF(), vectors(30, 4))
    with pytest.raises(ShapeError, match="Queries are 5 wide, the documents of the index 4"):
        index.search(vectors(2, 5), 3)
    with pytest.raises(DataError, match="at least one query"):
        measured_recall(index, vectors(0, 4), 3)
    broken = vectors(30, 4)
    broken[7, 2] = np.nan
    with pytest.raises(DataError, match="rows 7 hold NaN"):
        Index(HNSW(codes="float32"), broken)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigError, match=r"pip install 'nearfar\[faiss\]'"):
        Index(IVF(), vectors(30, 4))
