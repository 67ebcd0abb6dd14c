"""From mining to training and to the files of other trainers, by the command line."""

import json

import pytest

from nearfar.data.load import load
from tests import runs

pytestmark = pytest.mark.usefixtures("no_map")

SPLIT = ("--set", "data.seed=3")


@pytest.fixture(scope="module")
def mined(pairs, tokenizer, tmp_path_factory):
    """The folder of a mining job."""
    out = tmp_path_factory.mktemp("mined") / "job"
    assert runs.nearfar("mine", pairs, "--model", runs.static(tokenizer), "--out", out, *SPLIT) == 0
    return out


def test_training_on_the_folder_uses_what_was_mined(mined, pairs, tokenizer, tmp_path):
    for data, name, more in ((mined, "mined", ()), (pairs, "plain", SPLIT)):
        options = ("--model", runs.static(tokenizer), "--out", tmp_path / name)
        assert runs.nearfar("train", data, *options, *runs.SETTINGS, *more) == 0
    one, other = (runs.record(tmp_path / name) for name in ("mined", "plain"))
    assert one["train_pairs"] == other["train_pairs"]
    assert one["base_hash"] == other["base_hash"]
    assert one["tuned_hash"] != other["tuned_hash"]


def test_exports(mined, tmp_path, capsys):
    for format, name in (("triplet", "a.jsonl"), ("tuple", "b.parquet"), ("flagembedding", "c.jsonl")):
        assert runs.nearfar("export", mined, "--format", format, "--out", tmp_path / name) == 0
        assert f"written to {tmp_path / name}" in capsys.readouterr().out
    row = json.loads((tmp_path / "c.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert len(row["neg_scores"]) == len(row["neg"])
    assert len(row["pos_scores"]) == len(row["pos"])
    assert len(load(tmp_path / "b.parquet").qrels["all"]) > 0


def test_mistakes(mined, pairs, tmp_path, capsys):
    def refused(*arguments):
        return runs.refused(capsys, "export", *arguments)

    assert "is not the folder of a mining job" in refused(pairs, "--format", "triplet", "--out", tmp_path / "a.jsonl")
    assert "Did you mean 'triplet'?" in refused(mined, "--format", "triplit", "--out", tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text("")
    assert "is there already" in refused(mined, "--format", "triplet", "--out", tmp_path / "a.jsonl")
