"""Which positives texts are written for, and how the texts join the documents."""

import math

import numpy as np

from nearfar.negatives.written import Written, pairs_to_write_for
from tests.negatives.materials import DOCUMENTS, TRAIN, material


def test_so_many_positives_of_each_query_are_written_for():
    query, document = pairs_to_write_for(material(), 2)
    pairs = zip(query.tolist(), document.tolist(), strict=True)
    assert sorted(pairs) == [(0, 0), (0, 1), (1, 2), (2, 3)]
    assert query.tolist() == [0, 0, 1, 2]
    query, document = pairs_to_write_for(material(), 1)
    assert query.tolist() == [0, 1, 2]


def test_the_draw_follows_from_seed_and_texts_and_not_from_places():
    def drawn(seed, order):
        place = {row: new for new, row in enumerate(order)}
        train = sorted((query, place[document], grade) for query, document, grade in TRAIN)
        it = material([DOCUMENTS[row] for row in order], train, seed)
        query, document = pairs_to_write_for(it, 1)
        return list(zip(it.query_texts(query), it.document_texts(document), strict=True))

    firsts = [drawn(seed, range(5)) for seed in range(20)]
    assert firsts == [drawn(seed, [4, 2, 1, 3, 0]) for seed in range(20)]
    assert {first[0][1] for first in firsts} == set(DOCUMENTS[:2])


def test_written_texts_are_proposed_behind_the_documents():
    written = Written(
        query=np.array([0, 0, 1, 2, 2], np.int32),
        parent=np.array([0, 1, 2, 3, 3], np.int32),
        texts=("new", "cats  SLEEP.", "New ", "other", "new"),
        refused={},
    )
    proposed = written.proposed(material())
    assert proposed.made.texts == ("new", "other")
    assert proposed.made.parents.tolist() == [0, 3]
    assert proposed.hits.documents.tolist() == [[5, 4], [5, -1], [6, 5]]
    assert proposed.hits.scores.tolist() == [[0, -1], [0, -math.inf], [0, -1]]


def test_nothing_written_is_nothing_proposed():
    none = np.zeros(0, np.int32)
    proposed = Written(query=none, parent=none, texts=(), refused={}).proposed(material())
    assert proposed.hits.documents.shape == (3, 0)
    assert proposed.made.texts == ()
