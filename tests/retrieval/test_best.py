import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.retrieval.best import Best, merge
from nearfar.retrieval.dense import search
from nearfar.retrieval.ranking import tie_ranks
from nearfar.types import Hits
from tests.retrieval.test_dense import vectors


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_offers_in_any_parts_give_what_sorting_gives(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    queries, documents, k = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 40)), data.draw(st.integers(1, 50))
    ranks = tie_ranks(generator.permutation(documents), documents)
    scores = generator.choice(np.array([-2.5, -0.0, 0.0, 1.5, 3e38, -3e38, 1e-45], np.float32), (queries, documents))
    best = Best(queries, k, ranks)
    assert np.isneginf(best.floor(0, queries)).all()
    for part in np.array_split(generator.permutation(documents), data.draw(st.integers(1, 6))):
        rows = np.repeat(np.arange(queries), len(part))
        columns = np.tile(part, queries).astype(np.int64)
        best.offer(rows, columns, scores[rows, columns])
    hits = best.hits()
    for row in range(queries):
        expected = sorted(range(documents), key=lambda each: (-scores[row, each], ranks[each]))[:k]
        expected += [-1] * (k - len(expected))
        assert hits.documents[row].tolist() == expected
    if k <= documents:
        np.testing.assert_array_equal(best.floor(0, queries), hits.scores[:, -1])
    else:
        assert np.isneginf(hits.scores[:, documents:]).all()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_shards_merge_to_the_bytes_of_one_search(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    queries = generator.integers(-2, 3, (4, 3)).astype(np.float32)
    documents = generator.integers(-2, 3, (data.draw(st.integers(1, 60)), 3)).astype(np.float32)
    order = generator.permutation(len(documents))
    k = data.draw(st.integers(1, 20))
    whole = search(queries, documents, k, tie_order=order)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(documents)), max_size=4)))
    starts = [0, *cuts]
    shards = [
        search(queries, documents[start:stop], k, tie_order=order[start:stop])
        for start, stop in zip(starts, [*cuts, len(documents)], strict=True)
    ]
    merged = merge(shards, starts, k, documents=len(documents), tie_order=order)
    assert merged.documents.tobytes() == whole.documents.tobytes()
    assert merged.scores.tobytes() == whole.scores.tobytes()


def test_shards_that_do_not_fit_are_refused():
    hits = search(vectors(2, 3), vectors(4, 3), 2)
    with pytest.raises(ConfigError, match="2 shards and 1 offsets"):
        merge([hits, hits], [0], 2, documents=8)
    with pytest.raises(ShapeError, match=r"they have \[2, 1\] queries"):
        merge([hits, Hits(hits.documents[:1], hits.scores[:1])], [0, 4], 2, documents=8)
    with pytest.raises(DataError, match="Shard 1 starts at document 8"):
        merge([hits, hits], [0, 8], 2, documents=8)
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        merge([hits], [0], 0, documents=4)
