import gzip
from pathlib import Path

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ConfigError, DataError, ResourceError
from nearfar.evaluation.measures import PerQuery, per_query
from nearfar.evaluation.results import escape, read_per_query, read_run, write_per_query, write_qrels, write_run
from nearfar.types import Hits
from tests.evaluation.tiny import dataset, hits, rows

DATA = dataset(
    {0: {0: 1, 2: 2}, 2: {1: 1}},
    documents=4,
    query_ids=["q zero", "q1", "100%"],
    document_ids=["doc\u00a0a", "b", "c%20c", "d"],
)
HITS = Hits(np.array([[2, 0, 1], [1, 3, -1]], np.int32), np.array([[0.1, 0.1, -3e-8], [2.5, 0.2, -np.inf]], np.float32))


def scores() -> dict[str, PerQuery]:
    first = PerQuery(query_rows=rows(0, 2), measures=("nDCG@10", "RR"), values=np.array([[0.1, 1 / 3], [1.0, 0.0]]))
    second = PerQuery(query_rows=rows(0, 2), measures=("RR",), values=np.array([[0.5], [0.25]]))
    return {"base": first, "tuned": second}


def test_a_per_query_table_reads_back(tmp_path):
    path = tmp_path / "new" / "per_query.parquet"
    write_per_query(path, scores(), DATA.queries)
    table = pq.read_table(path)
    assert table.column_names == ["query_id", "measure", "value", "system"]
    assert table.slice(1, 1).to_pylist() == [{"query_id": "q zero", "measure": "RR", "value": 1 / 3, "system": "base"}]
    read = read_per_query(path, DATA.queries)
    assert list(read) == ["base", "tuned"]
    for system, expected in scores().items():
        assert read[system].measures == expected.measures
        np.testing.assert_array_equal(read[system].query_rows, expected.query_rows)
        np.testing.assert_array_equal(read[system].values, expected.values)


def test_a_table_of_no_system_reads_back(tmp_path):
    write_per_query(tmp_path / "empty.parquet", {}, DATA.queries)
    assert read_per_query(tmp_path / "empty.parquet", DATA.queries) == {}


def test_tables_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "per_query.parquet"
    with pytest.raises(DataError, match="cannot be read as a table with the columns query_id, measure"):
        read_per_query(path, DATA.queries)
    path.write_text("no table")
    with pytest.raises(DataError, match="cannot be read"):
        read_per_query(path, DATA.queries)

    def write(ids: list[str], measures: list[str]) -> None:
        count = len(ids)
        columns = {"query_id": ids, "measure": measures, "value": [0.5] * count, "system": ["s"] * count}
        pq.write_table(pa.table(columns), path)

    write(["q1", "zz"], ["RR", "RR"])
    with pytest.raises(DataError, match="unknown query ids zz"):
        read_per_query(path, DATA.queries)
    write(["q1", "q1", "100%"], ["RR", "AP", "RR"])
    with pytest.raises(DataError, match="'s' must have each of RR, AP once for each query; query '100%' does not"):
        read_per_query(path, DATA.queries)
    write(["q1", "q1"], ["RR", "RR"])
    with pytest.raises(DataError, match="query 'q1' does not"):
        read_per_query(path, DATA.queries)
    pq.write_table(pa.table({"query_id": ["q1"]}), path)
    with pytest.raises(DataError, match="cannot be read"):
        read_per_query(path, DATA.queries)


@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz"])
def test_a_run_reads_back(tmp_path, name):
    path = tmp_path / name
    write_run(path, HITS, rows(0, 2), DATA, "my system")
    text = gzip.decompress(path.read_bytes()).decode() if name.endswith("gz") else path.read_text()
    assert text.splitlines()[0] == "q%20zero Q0 c%2520c 1 0.100000001 my%20system"
    assert len(text.splitlines()) == 5
    query_rows, read = read_run(path, DATA)
    assert query_rows.tolist() == [0, 2]
    np.testing.assert_array_equal(read.documents, HITS.documents)
    np.testing.assert_array_equal(read.scores, HITS.scores)
    assert read_run(path, DATA, depth=1)[1].documents.tolist() == [[2], [1]]


def test_a_gzipped_run_is_the_same_file_every_time(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_run(tmp_path / name, HITS, rows(0, 2), DATA, "x")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_run_of_another_tool_is_ordered_by_score_then_by_rank(tmp_path):
    path = tmp_path / "run"
    path.write_text("q1 Q0 b 2 1.5 x\n\nq1 Q0 d 1 1.5 x\nq1\tQ0\tc%20c\t7\t9e0\tx\n")
    query_rows, read = read_run(path, DATA)
    assert query_rows.tolist() == [1]
    assert read.documents.tolist() == [[2, 3, 1]]
    assert read.scores.tolist() == [[9.0, 1.5, 1.5]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 Q0 b 1 0.5", r"run, line 2: expected 6 columns .* got 5: 'q1 Q0 b 1 0.5'"),
        ("qq Q0 b 1 0.5 x", r"run, line 2, column 1: unknown query id 'qq'. Did you mean 'q1'"),
        ("q1 Q0 bb 1 0.5 x", r"run, line 2, column 3: unknown document id 'bb'. Did you mean 'b'"),
        ("q1 Q0 b 1 high x", r"run, line 2, column 5: expected a finite number, got 'high'"),
        ("q1 Q0 b 1 nan x", r"run, line 2, column 5: expected a finite number, got 'nan'"),
        ("q1 Q0 b first 1 x", r"run, line 2, column 4: expected a finite number, got 'first'"),
        ("q1 Q0 d 2 0.5 x", r"run, line 2: query 'q1' has document 'd' twice"),
    ],
)
def test_broken_lines_of_a_run_are_named(tmp_path, line, message):
    path = tmp_path / "run"
    path.write_text(f"q1 Q0 d 1 1 x\n{line}\n")
    with pytest.raises(DataError, match=message):
        read_run(path, DATA)


def test_runs_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "missing", DATA)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(DataError, match="holds no rankings"):
        read_run(tmp_path / "empty", DATA)
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"q1 Q0 d 1 1 x\n")[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "torn.gz", DATA)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "bytes", DATA)


def test_files_give_other_tools_the_same_values(tmp_path):
    data = dataset({0: {0: 1, 1: 2}, 1: {1: 1}, 2: {2: 3}}, documents=7, nodes=[0, 0, 1, 1, 2, 2, 3])
    ranking = hits([[6, 3, 0, 1], [5, 2, 1, 4], [0, 1, 2, 3]], depth=7)
    ranking = Hits(ranking.documents, np.where(ranking.documents >= 0, 9.0 - np.arange(7), -np.inf).astype(np.float32))
    write_run(tmp_path / "run", ranking, rows(0, 1, 2), data, "x")
    write_qrels(tmp_path / "qrels", data, "test")
    names = ["nDCG@4", "R@4", "AP@4", "RR@4"]
    parsed = [ir_measures.parse_measure(name) for name in names]
    qrels, run = ir_measures.read_trec_qrels(str(tmp_path / "qrels")), ir_measures.read_trec_run(str(tmp_path / "run"))
    metrics = {(m.query_id, str(m.measure)): m.value for m in ir_measures.iter_calc(parsed, list(qrels), list(run))}
    own = per_query(ranking, rows(0, 1, 2), data, "test", names)
    expected = [[metrics[f"q{row}", name] for name in names] for row in range(3)]
    np.testing.assert_allclose(own.values, expected, rtol=0, atol=1e-12)


def test_judgements_are_written_for_searched_documents_with_their_grades(tmp_path):
    data = dataset({0: {0: 1.5, 1: 0}, 1: {5: 1}}, documents=4, nodes=[0, 0, 1, 0], searched=[True, False, True, True])
    write_qrels(tmp_path / "qrels.gz", data, "test")
    lines = gzip.decompress((tmp_path / "qrels.gz").read_bytes()).decode().splitlines()
    assert lines == ["q0 0 d0 1.5", "q0 0 d3 1.5", "q0 0 d2 0"]
    with pytest.raises(ConfigError, match=r"no split 'tets'.*Did you mean 'test'"):
        write_qrels(tmp_path / "qrels", data, "tets")


@given(st.text(min_size=1))
def test_an_escaped_id_has_no_white_space_and_differs_from_any_other(name):
    assert len(escape(name).split()) == 1
    assert escape("%" + name) != escape(" " + name)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        write_run(path, HITS, rows(0, 2), DATA, "x")
    monkeypatch.undo()
    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        write_per_query(path, scores(), DATA.queries)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
