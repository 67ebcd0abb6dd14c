import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearfar.errors import DataError
from nearfar.reports.folder import FILES, read_run

from .fixture import write_run_folder


def test_a_whole_run_is_read(run_folder):
    run = read_run(run_folder)
    assert run.about is not None
    assert run.about.best_step == 450
    assert run.scores is not None
    written = json.loads((run_folder / "evaluation/scores.json").read_text(encoding="utf-8"))
    assert run.scores.systems == written["systems"]
    assert run.per_query is not None
    differences = run.per_query.differences("tuned", "base", "nDCG@10")
    assert differences.mean() == pytest.approx(written["comparisons"][0]["mean"])
    assert run.training is not None
    assert run.training.dev["nDCG@10"].steps == tuple(range(0, 601, 50))
    assert run.training.warnings == ("12 texts were cut at 256 tokens.",)
    assert run.map is not None
    assert set(run.map) == {"base", "tuned"}


def test_the_first_record_of_a_run_is_enough(tmp_path):
    (tmp_path / "run.json").write_text('{"data": "d", "model": "m", "state": "started"}')
    run = read_run(tmp_path)
    assert run.about is not None
    assert run.about.name == ""
    assert run.scores is None


def test_differences_are_paired_by_query_and_descend(tmp_path):
    (tmp_path / "evaluation").mkdir()
    rows = [("a", "base", 0.5), ("b", "base", 0.5), ("c", "base", 1.0), ("b", "tuned", 1.0), ("a", "tuned", 0.25)]
    columns = {
        "query_id": [row[0] for row in rows],
        "system": [row[1] for row in rows],
        "measure": ["m"] * len(rows),
        "value": [row[2] for row in rows],
    }
    parquet.write_table(pa.table(columns), tmp_path / "evaluation/per_query.parquet")
    table = read_run(tmp_path).per_query
    assert table is not None
    assert table.differences("tuned", "base", "m").tolist() == [0.5, -0.25]
    assert len(table.differences("tuned", "base", "unknown")) == 0


def test_a_missing_folder_names_the_nearest(tmp_path):
    (tmp_path / "first").mkdir()
    with pytest.raises(DataError, match=r"frist is not a folder.*Did you mean 'first'\?"):
        read_run(tmp_path / "frist")


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(DataError, match=r"holds no training run: expected at least one of run\.json.*an empty folder"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_broken_json_names_file_line_and_column(tmp_path, name):
    path = write_run_folder(tmp_path, queries=20) / name
    path.write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(DataError, match=rf"{path.name}, line 2, column 6: expected JSON"):
        read_run(tmp_path)


def test_a_wrong_kind_names_the_key(tmp_path):
    (tmp_path / "evaluation").mkdir()
    content = {"queries": 3, "systems": {"base": {"nDCG@10": "high"}}}
    (tmp_path / "evaluation/scores.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"scores\.json, at systems\.base\.nDCG@10: .*number.*got 'high'"):
        read_run(tmp_path)


def test_a_missing_key_is_named(tmp_path):
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation/scores.json").write_text('{"systems": {}}')
    with pytest.raises(DataError, match=r"scores\.json, at queries: field required, got 'nothing'"):
        read_run(tmp_path)


def test_a_cut_last_line_of_the_log_is_left_out(tmp_path):
    (tmp_path / "training.jsonl").write_text('{"step": 1, "group": "train", "loss": 2.0}\n{"step": 2, "gro')
    training = read_run(tmp_path).training
    assert training is not None
    assert training.loss.values == (2.0,)


def test_a_broken_line_within_the_log_is_an_error(tmp_path):
    (tmp_path / "training.jsonl").write_text('{"step": 1, "gro\n{"step": 2, "group": "train", "loss": 2.0}\n')
    with pytest.raises(DataError, match=r"training\.jsonl, line 1, column \d+: expected a JSON object"):
        read_run(tmp_path)


def test_a_step_that_was_repeated_after_resuming_counts_once(tmp_path):
    lines = [{"step": step, "group": "train", "loss": loss} for step, loss in ((1, 3.0), (2, 2.0), (2, 1.5))]
    (tmp_path / "training.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    training = read_run(tmp_path).training
    assert training is not None
    assert (training.loss.steps, training.loss.values) == ((1, 2), (3.0, 1.5))


def test_a_file_that_is_no_parquet(tmp_path):
    path = write_run_folder(tmp_path, queries=20) / "evaluation/map.parquet"
    path.write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match=r"map\.parquet: expected a parquet file"):
        read_run(tmp_path)


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    (tmp_path / "evaluation").mkdir()
    table = pa.table({"system": ["base"], "kind": ["random"], "scores": [0.5]})
    parquet.write_table(table, tmp_path / "evaluation/score_pairs.parquet")
    with pytest.raises(DataError, match=r"'score' is missing\. Did you mean 'scores'\?"):
        read_run(tmp_path)


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(DataError, match=r"config\.yaml, byte 6: expected UTF-8"):
        read_run(tmp_path)
