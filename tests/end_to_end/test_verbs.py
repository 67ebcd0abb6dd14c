"""The commands that follow a run: evaluate, search, report, config; and a process of its own."""

import gzip
import json
import re

import pytest
import yaml

from tests import runs

VERBS = ("train", "evaluate", "search", "explain", "report", "config", "demo")


@pytest.mark.parametrize("inside", ["model", ""])
def test_evaluating_the_model_of_a_run_gives_the_numbers_of_the_run(finished, pairs, tmp_path, inside):
    out = tmp_path / "out"
    code = runs.nearfar(
        "evaluate", finished / inside, pairs, "--split", "test", "--out", out, "--set", "evaluation.resamples=200"
    )
    assert code == 0
    written = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    theirs = runs.scores(finished)
    name = str(finished / inside).rstrip("/")
    assert written["systems"][name] == theirs["systems"]["tuned"]
    assert written["intervals"][name] == theirs["intervals"]["tuned"]
    assert written["comparisons"] == []
    rankings = [path for path in out.iterdir() if path.name.endswith(".trec.gz")]
    assert len(rankings) == 1
    ours, others = (
        [line.split()[:5] for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        for path in (rankings[0], finished / "evaluation" / "tuned.trec.gz")
    )
    assert ours == others


def test_bm25_needs_no_run(finished, pairs, capsys):
    assert runs.nearfar("evaluate", "bm25", pairs, "--split", "test") == 0
    assert re.search(r"bm25 +0\.0000", capsys.readouterr().out)


def test_which_queries_are_measured_in_data_without_splits(finished, pairs, capsys):
    for more, expected in (
        (("bm25", pairs), "all: 300 queries"),
        ((finished, pairs), "test: 30 queries"),  # the rest was trained on
        ((finished, pairs, "--split", "all"), "all: 300 queries"),
        (("bm25", pairs, "--split", "dev"), "dev: 30 queries"),
    ):
        assert runs.nearfar("evaluate", *more) == 0
        assert f"{expected}, 300 documents" in capsys.readouterr().out


def test_search_shows_both_systems(finished, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    query, document = next(iter(runs.sentences()))
    assert runs.nearfar("search", finished, query, "-k", "3") == 0
    shown = capsys.readouterr().out
    assert re.search(r"base +tuned", shown)
    assert max(map(len, shown.splitlines())) <= 80
    assert document.split()[0] in shown
    assert re.findall(r"^ *(\d+) ", shown, flags=re.MULTILINE)[:3] == ["1", "2", "3"]


def test_search_of_more_documents_than_there_are(finished, capsys):
    assert runs.nearfar("search", finished, "borak", "-k", "1000") == 0
    assert "300" in capsys.readouterr().out


def test_report_is_written_anew(finished, tmp_path, capsys):
    assert runs.nearfar("report", finished, "--out", tmp_path / "page.html") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_bytes() == (finished / "report.html").read_bytes()


def test_config_can_be_given_back(tmp_path, capsys):
    assert runs.nearfar("config", "--set", "training.epochs=7") == 0
    shown = capsys.readouterr().out
    (tmp_path / "settings.yaml").write_text(shown, encoding="utf-8")
    assert yaml.safe_load(shown)["training"]["epochs"] == 7
    assert runs.nearfar("config", "--config", tmp_path / "settings.yaml") == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_explains_itself(verb, capsys):
    assert runs.nearfar(verb, "--help") == 0
    assert "Usage: nearfar " + verb in capsys.readouterr().out


def test_help_lists_every_command(capsys):
    assert runs.nearfar("--help") == 0
    shown = capsys.readouterr().out
    assert [verb for verb in VERBS if verb in shown] == list(VERBS)


def test_version(capsys):
    import nearfar

    assert runs.nearfar("--version") == 0
    assert capsys.readouterr().out.strip() == nearfar.__version__


@pytest.mark.slow
def test_a_process_of_its_own(pairs, tokenizer, finished, tmp_path):
    out = tmp_path / "run"
    with runs.process("train", pairs, "--model", runs.static(tokenizer), "--out", out, *runs.SETTINGS) as process:
        shown, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert f"model   {out / 'model'}" in shown
    assert runs.scores(out) == runs.scores(finished)


def test_a_reader_that_leaves_is_no_error():
    with runs.process("config") as process:
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=60)
    assert errors == ""
