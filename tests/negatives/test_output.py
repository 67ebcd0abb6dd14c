"""What a mining job hands out, and that data reads it back."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as parquet

from nearfar.data.mined import positive_scores, with_mined
from nearfar.negatives.candidates import Label, Reason
from nearfar.negatives.closure import Closure
from nearfar.negatives.lists import by_pair, from_sources
from nearfar.negatives.material import Made
from nearfar.negatives.output import write_output
from tests import runs
from tests.data.memory import make


def data():
    return make(
        ["zero", "one"], [f"text {number}" for number in range(7)], {"train": [(0, 0, 1), (0, 1, 1), (1, 2, 1)]}
    )


def found(documents):
    """Candidates of both queries, the one after the other, best first."""
    closure = Closure(data())
    hits = np.array(documents, dtype=np.int32)
    scores = -np.arange(hits.size, dtype=np.float32).reshape(hits.shape)
    return closure.apply(from_sources(closure.queries, [(hits, scores)], closure.positives))


def read(folder, *columns):
    table = parquet.read_table(folder / "negatives.parquet")
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


def test_rows_by_hand(tmp_path):
    candidates = found([[4, 0, 3, 5], [3, 6, 2, 4]])
    candidates = candidates.drop((candidates.query == 0) & (candidates.document == 5), Reason.BUDGET)
    candidates = candidates.drop((candidates.query == 1) & (candidates.document == 6), Reason.RELABELLED)
    candidates.label[(candidates.query == 1) & (candidates.document == 4)] = Label.UNKNOWN
    write_output(tmp_path, data(), candidates, ["Dense()"])
    assert read(tmp_path, "query_id", "positive_id", "document_id", "rank", "source", "score", "label", "group") == [
        ("q0", None, "d4", 0, "Dense()", 0.0, "negative", 0),
        ("q0", None, "d3", 1, "Dense()", -2.0, "negative", 0),
        ("q1", None, "d3", 0, "Dense()", -4.0, "negative", 0),
        ("q1", None, "d4", 1, "Dense()", -7.0, "unknown", 0),
        ("q1", None, "d6", -1, "Dense()", -5.0, "positive", 0),
    ]
    back = with_mined(data(), tmp_path)
    assert list(zip(back.mined.query.tolist(), back.mined.document.tolist(), strict=True)) == [(0, 4), (0, 3), (1, 3)]
    assert back.mined.ignored_document.tolist() == [4]
    assert (1, 6) in set(zip(back.qrels["train"].query.tolist(), back.qrels["train"].node.tolist(), strict=True))


def test_suspects_are_unknown_and_come_back_as_ignored(tmp_path):
    candidates = found([[4, 0, 3, 5], [3, 6, 2, 4]])
    candidates = candidates.drop(candidates.document == 4, Reason.PERCENT)
    candidates = candidates.drop((candidates.query == 0) & (candidates.document == 5), Reason.RELABELLED)
    candidates = candidates.drop((candidates.query == 1) & (candidates.document == 6), Reason.PERCENT)
    suspects = candidates.reason == Reason.PERCENT
    write_output(tmp_path, data(), candidates, ["Dense()"], suspects=suspects)
    assert read(tmp_path, "query_id", "document_id", "rank", "label") == [
        ("q0", "d3", 0, "negative"),
        ("q0", "d4", -1, "unknown"),
        ("q0", "d5", -1, "positive"),
        ("q1", "d3", 0, "negative"),
        ("q1", "d4", -1, "unknown"),
        ("q1", "d6", -1, "unknown"),
    ]
    mined = with_mined(data(), tmp_path).mined
    assert list(zip(mined.query.tolist(), mined.document.tolist(), strict=True)) == [(0, 3), (1, 3)]
    ignored = zip(mined.ignored_query.tolist(), mined.ignored_document.tolist(), strict=True)
    assert list(ignored) == [(0, 4), (1, 4), (1, 6)]


def test_lists_are_ordered_by_the_score_that_chose_them_and_have_their_groups(tmp_path):
    candidates = found([[4, 3, 5], [3, 6, 4]])
    candidates = candidates.with_scores("teacher", np.array([1, 3, 2, 1, 2, 3], dtype=np.float32))
    positives = candidates.positives.with_scores("teacher", np.array([9, 8, 7], dtype=np.float32))
    candidates = by_pair(replace(candidates, positives=positives))
    group = np.arange(len(candidates), dtype=np.int32) % 2
    write_output(tmp_path, data(), candidates, ["Dense()"], by="teacher", group=group)
    rows = read(tmp_path, "query_id", "positive_id", "document_id", "rank", "teacher")
    assert rows[:3] == [("q0", "d0", "d3", 0, 3.0), ("q0", "d0", "d5", 1, 2.0), ("q0", "d0", "d4", 2, 1.0)]
    assert [row[:3] for row in rows[3:6]] == [("q0", "d1", each) for each in ("d3", "d5", "d4")]
    assert [row[:3] for row in rows[6:]] == [("q1", "d2", each) for each in ("d4", "d6", "d3")]
    assert positive_scores(tmp_path, data(), "teacher") == {(0, 0): 9, (0, 1): 8, (1, 2): 7}
    assert set(with_mined(data(), tmp_path).mined.group.tolist()) == {0, 1}


def test_made_texts_have_names_of_their_own(tmp_path):
    closure = Closure(data())
    hits = np.array([[7, 4], [8, -1]], dtype=np.int32)
    candidates = from_sources(closure.queries, [(hits, np.zeros((2, 2), dtype=np.float32))], closure.positives)
    made = Made(texts=("written for zero", "for one"), parents=np.array([0, -1], dtype=np.int32))
    write_output(tmp_path, data(), candidates, ["Edit()"], made=made)
    table = parquet.read_table(tmp_path / "made.parquet")
    assert table.to_pylist() == [
        {"id": "made0", "text": "written for zero", "parent_id": "d0"},
        {"id": "made1", "text": "for one", "parent_id": None},
    ]
    back = with_mined(data(), tmp_path)
    assert back.documents.take(back.mined.document) == ["written for zero", "text 4", "for one"]


def test_the_same_candidates_give_the_same_bytes(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_output(tmp_path / name, data(), found([[4, 0, 3, 5], [3, 6, 2, 4]]), ["Dense()"])
    assert runs.contents(tmp_path / "a") == runs.contents(tmp_path / "b")
