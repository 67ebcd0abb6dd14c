"""The relation of a step, against dictionaries."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfar.batches.relate import Judgements
from nearfar.objectives.masks import masks
from nearfar.types import Origin
from tests.data.memory import make

WORDS = ["ant", "bee", "cat", "dog", "elk", "fox"]


@st.composite
def datasets(draw):
    """Judged texts, some of them on both sides; labelled data has several documents at one node."""
    queries = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5, unique=True))
    documents = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6, unique=True))
    nodes = np.arange(len(documents))
    if draw(st.booleans()):
        nodes = np.array(draw(st.lists(st.integers(0, 2), min_size=len(documents), max_size=len(documents))))
    one = st.tuples(st.integers(0, len(queries) - 1), st.integers(0, int(nodes.max())), st.sampled_from([0, 0.5, 1, 2]))
    train, other = (draw(st.lists(one, max_size=10, unique_by=lambda each: each[:2])) for _ in range(2))
    grades = {(query, node): grade for query, node, grade in train}
    return queries, documents, {"train": train, "dev": other}, nodes, draw(st.sampled_from([0.5, 1.0])), grades


def build(queries, documents, splits, nodes, positive_from):
    return replace(make(queries, documents, splits), nodes=nodes.astype(np.int32), positive_from=positive_from)


@given(given_data=datasets(), data=st.data())
def test_every_judgement_of_the_split_and_no_other(given_data, data):
    *made, grades = given_data
    dataset, (queries, documents) = build(*made), made[:2]
    anchors = data.draw(st.lists(st.sampled_from(range(len(queries))), min_size=1, unique=True))
    candidates = data.draw(st.lists(st.sampled_from(range(len(documents))), min_size=1, unique=True))
    hard = data.draw(st.lists(st.sampled_from(range(len(candidates))), unique=True))
    found = Judgements(dataset, "train").relation(
        np.array(anchors, dtype=np.int64), np.array(candidates, dtype=np.int64), np.array(hard, dtype=np.int64)
    )
    assert found.shape == (len(anchors), len(candidates))
    listed = dict(
        zip(zip(found.rows.tolist(), found.columns.tolist(), strict=True), found.grades.tolist(), strict=True)
    )
    assert len(listed) == len(found.rows)
    expected = {
        (i, j): grades[query, int(dataset.nodes[document])]
        for i, query in enumerate(anchors)
        for j, document in enumerate(candidates)
        if (query, int(dataset.nodes[document])) in grades
    }
    assert listed == expected
    assert [Origin(origin) is Origin.HARD for origin in found.origins.tolist()] == [
        j in hard for j in range(len(candidates))
    ]
    same = found.anchor_ids[:, None] == found.candidate_ids[None, :]
    assert same.tolist() == [[queries[query] == documents[document] for document in candidates] for query in anchors]
    positive = masks(found).positive
    for i, j in np.ndindex(*found.shape):
        relevant = expected.get((i, j), -1) >= dataset.positive_from and not same[i, j]
        assert bool(positive[i, j]) == relevant


@given(given_data=datasets())
def test_negatives_are_the_nodes_that_were_judged_too_low(given_data):
    *made, grades = given_data
    dataset, queries = build(*made), made[0]
    judgements = Judgements(dataset, "train")
    for query in range(len(queries)):
        expected = sorted(
            node for (asked, node), grade in grades.items() if asked == query and grade < dataset.positive_from
        )
        assert judgements.negatives(query).tolist() == expected


def test_without_hard_negatives_every_column_is_in_the_batch():
    dataset = make(["a"], ["x", "y"], {"train": [(0, 0, 1)]})
    found = Judgements(dataset, "train").relation(np.array([0]), np.array([1, 0]))
    assert found.origins.tolist() == [Origin.IN_BATCH, Origin.IN_BATCH]
    assert (found.rows.tolist(), found.columns.tolist(), found.grades.tolist()) == ([0], [1], [1.0])
