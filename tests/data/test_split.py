"""Splits that never part what belongs together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.config.data import DataOptions
from nearfar.data import load, require_train, split
from nearfar.errors import DataError

from .folders import texts_of, write_lines
from .memory import make

EASY = DataOptions(minimum_queries=1, dev=0.2, test=0.2)


def simple(count, **options):
    return make([f"query {n}" for n in range(count)], [f"document {n}" for n in range(count)],
                {"all": [(n, n, 1) for n in range(count)]}, **options)  # fmt: skip


def query_texts(dataset, name):
    return {dataset.queries.text(row) for row in dataset.qrels[name].query.tolist()}


def components_by_search(queries, documents, edges, groups):
    """Components of queries, slowly: grow each from one query until nothing is added."""
    parts = []
    left = set(range(queries))
    while left:
        part = {min(left)}
        while True:
            seen = {document for query, document in edges if query in part}
            names = {groups[query] for query in part} - {None}
            grown = part | {query for query, document in edges if document in seen}
            grown |= {query for query in range(queries) if groups[query] in names}
            if grown == part:
                break
            part = grown
        parts.append(part)
        left -= part
    return parts


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 1)), min_size=1, max_size=20),
    st.lists(st.sampled_from([None, None, "g", "h"]), min_size=12, max_size=12),
    st.integers(0, 5),
    st.booleans(),
)
def test_no_component_is_parted_and_all_queries_are_kept(rows, groups, seed, scored):
    rows += [(query, query + 12, 1) for query in range(12)]
    documents = [f"document {n}" for n in range(24)]
    layout = "scored" if scored else "pairs"
    dataset = make([f"query {n}" for n in range(12)], documents, {"all": rows}, groups=groups, layout=layout)
    options = DataOptions(minimum_queries=1, dev=0.2, test=0.2, seed=seed)
    best = {}
    for query, document, grade in rows:
        best[query, document] = max(best.get((query, document), 0), grade)
    edges = [pair for pair, grade in best.items() if scored or grade > 0]
    components = components_by_search(12, 24, edges, groups)
    try:
        result = split(dataset, options)
    except DataError:
        assert max(len(part) for part in components) > 2
        return
    found = {name: set(result.qrels[name].query.tolist()) for name in result.splits}
    assert set(found) == {"train", "dev", "test"}
    assert sorted(row for rows_of in found.values() for row in rows_of) == list(range(12))
    for part in components:
        assert sum(bool(part & rows_of) for rows_of in found.values()) == 1
    assert sum(len(qrels) for qrels in result.qrels.values()) == len(dataset.qrels["all"])
    again = split(dataset, options)
    assert {name: again.qrels[name].query.tolist() for name in again.splits} == {
        name: result.qrels[name].query.tolist() for name in result.splits
    }


@settings(deadline=None)
@given(st.permutations(range(20)))
def test_the_order_of_rows_does_not_matter(order):
    forward = simple(20)
    shuffled = make(
        [f"query {n}" for n in order], [f"document {n}" for n in order], {"all": [(n, n, 1) for n in range(20)]}
    )
    first, second = split(forward, EASY), split(shuffled, EASY)
    for name in ("train", "dev", "test"):
        assert query_texts(first, name) == query_texts(second, name)


def test_shares_are_met_and_the_seed_decides():
    dataset = simple(100)
    options = DataOptions(minimum_queries=1, dev=0.1, test=0.25)
    result = split(dataset, options)
    assert {name: len(qrels) for name, qrels in result.qrels.items()} == {"train": 65, "dev": 10, "test": 25}
    other = split(dataset, options.model_copy(update={"seed": 1}))
    assert query_texts(other, "test") != query_texts(result, "test")
    assert result.facts.notes == ("Splits made here with seed 0: dev (10 queries), test (25 queries).",)


def test_equal_text_of_a_query_and_a_document_connects():
    count = 30
    documents = [f"QUERY  {(n + 1) % count}" if n < 9 else f"document {n}" for n in range(count)]
    dataset = make([f"query {n}" for n in range(count)], documents, {"all": [(n, n, 1) for n in range(count)]})
    result = split(dataset, EASY)
    chain = {f"query {n}" for n in range(10)}
    assert sum(bool(chain & query_texts(result, name)) for name in result.splits) == 1


def test_hard_negatives_do_not_connect():
    count = 30
    dataset = make(
        [f"query {n}" for n in range(count)],
        [*(f"document {n}" for n in range(count)), "everybody's negative"],
        {"all": [row for n in range(count) for row in ((n, n, 1), (n, count, 0))]},
    )
    result = split(dataset, EASY)
    assert len(result.qrels["test"]) == 12
    assert len(result.query_rows("test")) == 6


@pytest.mark.parametrize("given_split", ["dev", "test"])
def test_a_missing_split_comes_out_of_train(given_split):
    dataset = make(
        [f"query {n}" for n in range(50)],
        [f"document {n}" for n in range(50)],
        {"train": [(n, n, 1) for n in range(40)], given_split: [(n, n, 1) for n in range(40, 50)]},
    )
    result = split(dataset, EASY)
    assert result.splits == ("train", "dev", "test")
    made = "dev" if given_split == "test" else "test"
    assert {name: len(result.qrels[name]) for name in ("train", made, given_split)} == {
        "train": 32, made: 8, given_split: 10,
    }  # fmt: skip


def test_complete_splits_are_left_alone_and_a_share_of_nothing_makes_none():
    dataset = make(["a", "b", "c"], ["x"], {"train": [(0, 0, 1)], "dev": [(1, 0, 1)], "test": [(2, 0, 1)]})
    result = split(dataset, DataOptions())
    assert {name: qrels.query.tolist() for name, qrels in result.qrels.items()} == {
        "train": [0],
        "dev": [1],
        "test": [2],
    }
    alone = split(simple(5), DataOptions(dev=0, test=0))
    assert alone.splits == ("train",)
    assert len(alone.qrels["train"]) == 5


def test_too_few_queries_says_what_to_change():
    with pytest.raises(DataError) as caught:
        split(simple(100), DataOptions())
    message = str(caught.value)
    assert "Cannot split: test would have 10 queries and dev would have 10 queries, fewer than" in message
    assert "data.minimum_queries=20. There are 100 queries in 100 components" in message
    assert "the largest with 1. What to change: raise data.dev and data.test" in message


def test_one_large_component_gets_its_own_advice():
    dataset = make([f"query {n}" for n in range(50)], ["shared"], {"all": [(n, 0, 1) for n in range(50)]})
    with pytest.raises(
        DataError, match=r"50 queries in 1 components.* the largest with 50\. What to change: most queries"
    ):
        split(dataset, EASY)


def test_evaluation_data_cannot_be_trained_on():
    dataset = make(["a", "b"], ["x"], {"dev": [(0, 0, 1)], "test": [(1, 0, 1)]})
    with pytest.raises(DataError, match="memory: no training pairs: found splits dev, test"):
        split(dataset, DataOptions())
    assert require_train(simple(2)) == "all"


def test_labelled_data_is_split_by_rows_and_documents_are_what_train_holds(tmp_path):
    rows = [{"text": f"text {n}", "label": f"label {n % 4}"} for n in range(80)]
    dataset = load(write_lines(tmp_path / "a.jsonl", rows))
    result = split(dataset, EASY)
    assert {name: len(qrels) for name, qrels in result.qrels.items()} == {"train": 48, "dev": 16, "test": 16}
    assert set(texts_of(result.documents)) == query_texts(result, "train")
    names = result.labels
    assert names is not None
    shown = {result.documents.text(row): names[node] for row, node in enumerate(result.nodes.tolist())}
    assert shown == {f"text {n}": f"label {n % 4}" for n in range(80) if f"text {n}" in shown}


def test_groups_of_labelled_texts_stay_together(tmp_path):
    rows = [{"text": f"text {n}", "label": f"label {n % 3}", "user": n // 4} for n in range(80)]
    options = EASY.model_copy(update={"group": "user"})
    result = split(load(write_lines(tmp_path / "a.jsonl", rows), options), options)
    users = [{int(text.split()[1]) // 4 for text in query_texts(result, name)} for name in result.splits]
    assert not users[0] & users[1]
    assert not users[0] & users[2]
    assert not users[1] & users[2]


def test_several_labels_are_split_by_rows(tmp_path):
    rows = [{"text": f"text {n}", "labels": ["common", f"own {n % 5}"]} for n in range(50)]
    result = split(load(write_lines(tmp_path / "a.jsonl", rows)), EASY)
    assert {name: len(result.query_rows(name)) for name in result.splits} == {"train": 30, "dev": 10, "test": 10}
    assert len(result.documents) == 6
