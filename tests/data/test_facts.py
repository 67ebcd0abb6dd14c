"""What a report says about data."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa

from nearfar.data import describe, load
from nearfar.data.facts import WORD_EDGES, word_counts, word_histogram
from nearfar.data.tables import Mined

from .folders import write_lines
from .memory import make, table


def test_words_are_counted_between_white_space():
    texts = pa.array(["one", "  two words ", "a\u00a0b\u2003c\nd\te", "naïve café", "中文"], type=pa.large_string())
    assert word_counts(texts).tolist() == [1, 2, 5, 2, 1]


def test_the_histogram_has_every_text_in_one_bin():
    lengths = [1, 1, 2, 4, 5, 7, 8, 13]
    texts = table([f"{number} " * length for number, length in enumerate(lengths)], "d")
    found = word_histogram(texts)
    assert found["edges"] == [0, 1, 2, 3, 5, 8, 13]
    assert found["counts"] == [0, 2, 1, 1, 2, 1, 1]
    longest = word_histogram(table(["word " * 5000], "d"))
    assert longest["edges"] == list(WORD_EDGES)
    assert longest["counts"][-1] == 1


def test_describe_pairs():
    dataset = make(
        ["a", "b", "c", "d"],
        [f"document {n}" for n in range(7)],
        {
            "train": [(0, n, 1) for n in range(6)] + [(1, 0, 1), (1, 1, 0)],
            "test": [(2, 5, 1), (2, 6, 2), (3, 5, 1), (3, 6, 1)],
        },
        searched=[True] * 6 + [False],
    )
    found = describe(dataset)
    assert found == json.loads(json.dumps(found))
    assert {name: found[name] for name in found if name != "words"} == {
        "name": "made",
        "source": "memory",
        "layout": "pairs",
        "documents": 7,
        "searched": 6,
        "queries": {"train": 2, "test": 2},
        "pairs": {"train": 7, "test": 4},
        "duplicates": {"queries": 0, "documents": 0},
        "leaked_queries": 0,
        "notes": [],
        "positives_per_query": {"1": 1, "2": 2, "3": 0, "4": 0, "5+": 1},
    }
    assert found["words"]["queries"] == {"edges": [0, 1], "counts": [0, 4]}


def test_describe_counts_what_was_mined():
    dataset = make(
        ["a", "b", "c", "d"], [f"document {n}" for n in range(9)], {"train": [(0, 0, 1), (1, 1, 1), (2, 2, 0)]}
    )
    mined = Mined(
        query=np.array([0, 0, 0], dtype=np.int32),
        positive=np.array([0, 0, 8], dtype=np.int32),
        document=np.array([4, 5, 4], dtype=np.int32),
        weight=np.ones(3, dtype=np.float32),
        group=np.zeros(3, dtype=np.int32),
        ignored_query=np.array([1, 1], dtype=np.int32),
        ignored_document=np.array([6, 6], dtype=np.int32),
    )
    found = describe(replace(dataset, mined=mined))
    assert found["mined"] == {"negatives": 2, "ignored": 1, "queries": 2, "without": 1}
    assert found == json.loads(json.dumps(found))


def test_describe_labels_counts_the_documents_of_the_label(tmp_path):
    rows = [{"text": f"text {n}", "label": "x" if n < 3 else "y"} for n in range(10)]
    found = describe(load(write_lines(tmp_path / "a.jsonl", rows)))
    assert found["pairs"] == {"all": 10}
    assert found["positives_per_query"] == {"1": 0, "2": 0, "3": 3, "4": 0, "5+": 7}


def test_describe_scored_pairs_counts_low_grades_too():
    found = describe(make(["a", "b"], ["x"], {"test": [(0, 0, 0), (1, 0, 3)]}, layout="scored"))
    assert found["pairs"] == {"test": 2}
    assert found["queries"] == {"test": 2}
