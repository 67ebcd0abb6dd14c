"""``nearfar audit``: the table, the folder, and what is said to a mistake."""

import json

import pytest

import nearfar
from tests import runs
from tests.auditing.material import rows


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    planted = rows()
    planted[0] |= {"query": planted[20]["query"] + " more", "positive": planted[20]["positive"], "document_id": "d020"}
    runs.write_lines(tmp_path / "pairs.jsonl", planted)
    return tmp_path


def test_the_table_and_the_folder(here, capsys):
    assert runs.nearfar("audit", "pairs.jsonl", "--out", "audit") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "pairs: 24 queries, 23 documents",
        "Held-out pairs that are trained on serious 1",
        "query q020: ",
        "other q000: ",
        "Judgements were doubted by BM25",
        "written to audit",
    ):
        assert part in shown
    assert sorted(path.name for path in (here / "audit").iterdir()) == ["audit.html", "audit.json", "findings.parquet"]
    summary = json.loads((here / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert len(summary["fingerprints"]["data"]) == 32
    assert summary["settings"]["similarity"] == 0.7
    first = runs.contents(here / "audit")
    assert runs.nearfar("audit", "pairs.jsonl", "--out", "again") == 0
    assert runs.contents(here / "again") == first


def test_a_higher_similarity_finds_less(here, capsys):
    assert runs.nearfar("audit", "pairs.jsonl", "--similarity", "0.99") == 0
    assert "Take the training pair out" not in capsys.readouterr().out


def test_another_training_set(here, capsys):
    other = [row | {"split": "train"} for row in rows()]
    runs.write_lines(here / "other.jsonl", other)
    assert runs.nearfar("audit", "pairs.jsonl", "--against", "other.jsonl") == 0
    assert "Held-out pairs that are trained on serious 6" in " ".join(capsys.readouterr().out.split())


def test_with_a_model(here, tokenizer, capsys):
    assert runs.nearfar("audit", "pairs.jsonl", "--model", runs.static(tokenizer), "--out", "audit") == 0
    assert "doubted by BM25" not in capsys.readouterr().out
    summary = json.loads((here / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert summary["model"] == runs.static(tokenizer)
    assert len(summary["fingerprints"]["model"]) == 32


def test_from_python(here):
    result = nearfar.audit(nearfar.load("pairs.jsonl"), options=nearfar.AuditOptions(depth=5))
    assert result.folder is None
    assert result.findings[0].kind == "pair_leak"
    assert result.summary["settings"]["depth"] == 5
    again = nearfar.audit("pairs.jsonl")
    assert again.findings[0].row() == result.findings[0].row()


def test_mistakes(here, capsys):
    runs.write_lines(here / "training.jsonl", [row | {"split": "train"} for row in rows()])
    for arguments, parts in (
        (("pair.jsonl",), ("Did you mean 'pairs.jsonl'?",)),
        (("pairs.jsonl", "--out", "."), ("is not empty", "--out")),
        (("pairs.jsonl", "--similarity", "7"), ("similarity must be between 0.1 and 1, got 7",)),
        (("pairs.jsonl", "--depth", "0"), ("depth must be at least 1",)),
        (("training.jsonl", "--against", "pairs.jsonl"), ("no dev or test split", "--against")),
        (("pairs.jsonl", "--model", "nowhere/at-all/x"), ("nowhere",)),
    ):
        message = runs.refused(capsys, "audit", *arguments)
        for part in parts:
            assert part in message, message
