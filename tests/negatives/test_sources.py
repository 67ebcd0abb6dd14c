"""Where candidates come from."""

from dataclasses import replace

import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError
from nearfar.events import Silent
from nearfar.negatives.sources.drawn import Clusters, Random
from nearfar.negatives.sources.retrieved import BM25, Dense, Hybrid, RunFile
from tests.negatives.stores import dataset, material, pairs

ABOUT = material(dataset(pairs()))


def test_dense_gives_the_nearest():
    hits = Dense(depth=5).propose(ABOUT).hits
    left, right = ABOUT.store.queries, ABOUT.store.documents
    scores = (left / np.linalg.norm(left, axis=1)[:, None]) @ (right / np.linalg.norm(right, axis=1)[:, None]).T
    assert hits.documents.tolist() == np.argsort(-scores, axis=1)[:, :5].tolist()
    assert Dense(depth=500).propose(ABOUT).hits.depth == 20


def test_bm25_finds_words_and_nothing_without_them():
    tables = dataset(
        [{"query": "apple pie", "positive": "apple pie recipe"}, {"query": "xyz", "positive": "pear tart"}]
    )
    hits = BM25(depth=2).propose(material(tables)).hits
    assert hits.documents[0].tolist() == [0, -1]
    assert hits.documents[1].tolist() == [-1, -1]


def test_hybrid_is_the_fusion_of_its_searches():
    hits = Hybrid(sources=(Dense(depth=5), Random(depth=5)), depth=10).propose(ABOUT).hits
    both = np.concatenate(
        [source.propose(ABOUT).hits.documents for source in (Dense(depth=5), Random(depth=5))], axis=1
    )
    for row in range(len(both)):
        assert set(hits.documents[row][hits.documents[row] >= 0]) == set(both[row])
    assert "Random" in Hybrid(sources=(Dense(), Random())).fingerprint
    with pytest.raises(ConfigError, match="two searches or more"):
        Hybrid(sources=(Dense(),))


def test_random_draws_do_not_depend_on_the_order_of_the_file_or_on_other_queries():
    backward, half = (material(dataset(rows)) for rows in (pairs()[::-1], pairs()))
    half = replace(half, queries=half.queries[5:9])

    def drawn(about):
        hits = Random(depth=4).propose(about).hits
        return {
            about.query_texts([int(query)])[0]: about.document_texts(row)
            for query, row in zip(about.queries, hits.documents, strict=True)
        }

    whole = drawn(ABOUT)
    assert drawn(backward) == whole
    assert drawn(half).items() <= whole.items()
    assert all(len(set(texts)) == 4 for texts in whole.values())
    assert len({text for texts in whole.values() for text in texts}) > 15


def test_clusters_are_those_of_the_positives():
    source = Clusters(depth=3, clusters=4)
    hits, cluster = source.propose(ABOUT).hits, source._clusters(ABOUT, Silent())
    positives = ABOUT.closure.positives.document
    for row, documents in enumerate(hits.documents):
        found = documents[documents >= 0]
        assert set(cluster[found]) <= {cluster[positives[row]]}
        assert len(set(found.tolist())) == len(found)
    assert (hits.documents[:, 0] >= 0).all()


def test_a_run_file_of_another_system(tmp_path):
    tables = ABOUT.dataset
    path = tmp_path / "other.run"
    names = [(tables.queries.id(query), tables.documents.id(document)) for query, document in ((3, 7), (3, 2), (5, 1))]
    path.write_text(
        "".join(f"{query} Q0 {document} {rank} {9 - rank} x\n" for rank, (query, document) in enumerate(names))
    )
    source = RunFile(path=str(path), depth=2)
    hits = source.propose(ABOUT).hits
    assert hits.documents[3].tolist() == [7, 2]
    assert hits.documents[5].tolist() == [1, -1]
    assert hits.documents[0].tolist() == [-1, -1]
    before = source.fingerprint
    path.write_text(path.read_text().replace("9", "8"))
    assert source.fingerprint != before
    with pytest.raises(DataError, match="no run file"):
        RunFile(path=str(tmp_path / "none")).propose(ABOUT)
    few = replace(ABOUT, queries=ABOUT.queries[:2])
    with pytest.raises(DataError, match="ranks no document for any of the 2 queries"):
        source.propose(few)


@pytest.mark.parametrize("source", [Dense, BM25, Random, Clusters])
def test_a_depth_of_nothing_is_refused(source):
    with pytest.raises(ConfigError, match="depth must be a whole number above 0"):
        source(depth=0)
