"""Judgements: repeats, queries without positives, leaks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.data.judgements import JudgementsBuilder, with_positives, without_leaks

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), max_size=30)


def build(rows):
    builder = JudgementsBuilder()
    for row in rows:
        builder.add(row[0], row[1], float(row[2]))
    return builder.finish()


@settings(deadline=None)
@given(ROWS)
def test_each_pair_once_sorted_with_its_highest_grade(rows):
    best = {}
    for query, node, grade in rows:
        best[query, node] = max(best.get((query, node), 0), grade)
    qrels = build(rows)
    found = list(zip(qrels.query.tolist(), qrels.node.tolist(), qrels.grade.tolist(), strict=True))
    assert found == [(*pair, best[pair]) for pair in sorted(best)]
    assert (qrels.query.dtype, qrels.node.dtype, qrels.grade.dtype) == (np.int32, np.int32, np.float32)


def test_queries_without_a_positive_go_with_all_their_judgements():
    qrels, dropped = with_positives(
        {"train": build([(0, 0, 1), (0, 1, 0), (1, 0, 0)]), "test": build([(2, 0, 0)])}, 1.0
    )
    assert qrels["train"].query.tolist() == [0, 0]
    assert len(qrels["test"]) == 0
    assert dropped == 2


@settings(deadline=None)
@given(ROWS, ROWS, ROWS)
def test_after_removing_leaks_every_query_is_in_one_split(train, dev, test):
    qrels = {"train": build(train), "dev": build(dev), "test": build(test)}
    sets = {name: set(judgements.query.tolist()) for name, judgements in qrels.items()}
    kept, from_train, from_dev = without_leaks(qrels)
    assert set(kept["test"].query.tolist()) == sets["test"]
    assert set(kept["dev"].query.tolist()) == sets["dev"] - sets["test"]
    assert set(kept["train"].query.tolist()) == sets["train"] - sets["dev"] - sets["test"]
    assert from_train == len(sets["train"] & (sets["dev"] | sets["test"]))
    assert from_dev == len(sets["dev"] & sets["test"])


def test_unsplit_data_has_no_leaks():
    kept, *lost = without_leaks({"all": build([(0, 0, 1)])})
    assert len(kept["all"]) == 1
    assert lost == [0, 0]
