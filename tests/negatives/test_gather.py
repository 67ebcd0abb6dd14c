"""Texts that sources made, under one numbering and with the identities of what the tables have."""

import numpy as np

from nearfar.negatives.candidates import Reason
from nearfar.negatives.gather import gathered
from nearfar.negatives.lists import from_sources
from nearfar.negatives.material import Made
from nearfar.negatives.parts import Proposed
from nearfar.types import Hits
from tests.negatives.stores import dataset, material

TABLES = dataset([{"query": f"question {row}", "positive": f"answer {row}"} for row in range(3)])


def proposal(documents, texts=()):
    documents = np.asarray(documents, dtype=np.int32)
    made = Made(texts=tuple(texts), parents=np.zeros(len(texts), dtype=np.int32))
    return Proposed(Hits(documents, np.zeros(documents.shape, dtype=np.float32)), made)


def test_without_made_texts_nothing_changes():
    one = proposal([[1, 2], [0, -1], [0, 1]])
    hits, made, identities = gathered(TABLES, [one])
    assert hits[0].documents.tolist() == one.hits.documents.tolist()
    assert made.texts == ()
    assert len(identities) == 0


def test_made_texts_of_several_sources_are_numbered_on_and_each_is_there_once():
    first = proposal([[3, 1], [4, -1], [-1, -1]], ["new one", "new two"])
    second = proposal([[4, -1], [3, -1], [0, -1]], ["New  Two", "new three"])
    hits, made, identities = gathered(TABLES, [first, second])
    assert made.texts == ("new one", "new two", "new three")
    assert hits[0].documents.tolist() == [[3, 1], [4, -1], [-1, -1]]
    assert hits[1].documents.tolist() == [[5, -1], [4, -1], [0, -1]]
    assert len(set(identities.tolist())) == 3
    assert min(identities) > max(side.max() for side in TABLES.identities)


def test_a_made_text_that_is_known_is_never_a_negative():
    """A positive in other case, the query itself, a document: each is what it is."""
    about = material(TABLES)
    texts = ["ANSWER  0", "Question 0", "answer 1", "something else"]
    hits, made, identities = gathered(TABLES, [proposal([[3, 4, 5, 6]] + [[-1] * 4] * 2, texts)])
    assert made.texts == ("Question 0", "something else")
    closure = about.closure.with_made(identities)
    found = from_sources(about.queries, [(hits[0].documents, hits[0].scores)], closure.positives)
    found = closure.apply(found)
    assert [Reason(reason) for reason in found.reason] == [Reason.POSITIVE, Reason.SELF, Reason.KEPT, Reason.KEPT]
    assert found.document.tolist() == [0, 3, 1, 4]
