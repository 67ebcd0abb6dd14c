"""Candidates that contain a query which is kept for evaluation."""

import numpy as np
import pytest

from nearfar.data.tables import DEV, TEST, TRAIN
from nearfar.errors import ConfigError
from nearfar.negatives.filters.contamination import Contaminated
from nearfar.negatives.lists import from_sources
from tests.data.memory import make
from tests.negatives.jobs import kept_documents, material

QUERY = "how do I read the last line of a file"
DOCUMENTS = [
    "the answer",
    "Question: HOW do I   read the last line, of a file? Seek to the end.",
    "how do I read the first line of a file",
    "seek to the end and read backwards",
    "short",
    "one two three four five six",
]


def kept(part, splits, queries=("train me", QUERY, "one two three"), made=()):
    stuff = material(make(queries, DOCUMENTS, {TRAIN: [(0, 0, 1)], **splits}), made=made)
    proposed = np.arange(1, len(DOCUMENTS) + len(made), dtype=np.int32)[None]
    given = from_sources(
        stuff.queries, [(proposed, np.zeros(proposed.shape, dtype=np.float32))], stuff.closure.positives
    )
    return kept_documents(Contaminated(words=part).apply(given, stuff))


def test_a_copy_of_a_query_is_found_and_a_paraphrase_is_not():
    assert kept(8, {TEST: [(1, 3, 1)]}) == [2, 3, 4, 5]
    assert kept(8, {DEV: [(1, 3, 1)]}) == [2, 3, 4, 5]
    assert kept(4, {TEST: [(1, 3, 1)]}) == [3, 4, 5]


def test_it_does_not_look_at_what_is_relevant_to_a_test_query():
    assert kept(8, {TEST: [(1, 3, 1)]}) == kept(8, {TEST: [(1, 5, 1)]}) == kept(8, {TEST: [(1, 1, 0)]})


def test_queries_of_fewer_words_match_nothing():
    assert kept(8, {TEST: [(2, 3, 1)]}) == [1, 2, 3, 4, 5]
    assert kept(3, {TEST: [(2, 3, 1)]}) == [1, 2, 3, 4]


def test_data_without_other_splits_and_made_texts():
    assert kept(8, {}) == [1, 2, 3, 4, 5]
    assert kept(8, {TEST: [(1, 3, 1)]}, made=[f"so {QUERY} then", "fine"]) == [2, 3, 4, 5, 7]


@pytest.mark.usefixtures("without_annotation_checks")
def test_mistakes():
    with pytest.raises(ConfigError, match="words must be a whole number above 1"):
        Contaminated(words=1)
