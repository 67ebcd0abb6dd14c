"""``nearfar compare``: the tables, the plan, finished runs, and what is said to a mistake."""

import pytest
import yaml

from tests import runs


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A comparison of BM25 and an untrained model, which trains nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    runs.write_pairs(tmp_path / "pairs.jsonl", 220)
    runs.write_tokenizer(tmp_path / "tokenizer.json")
    spec = {
        "systems": {"random": "static:tokenizer.json?dim=16", "words": "bm25"},
        "data": {"pairs": "pairs.jsonl", "again": {"path": "pairs.jsonl", "split": "test"}},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return tmp_path


def shown(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_the_plan_then_the_table(here, capsys):
    assert runs.nearfar("compare", "spec.yaml", "--dry-run") == 0
    printed = shown(capsys)
    assert "4 runs, in this order" in printed
    assert "random pairs to do" in printed
    assert "How long they take is not known" in printed
    assert [path.name for path in here.iterdir() if path.is_dir()] == []
    assert (
        runs.nearfar("compare", "spec.yaml", "--out", "out", "--set", "measure=RR@10", "--set", "baseline=words") == 0
    )
    printed = shown(capsys)
    for part in (
        "RR@10 on all data sets: ",
        "system mean minus words p verdict seconds weights",
        "RR@10 by data set",
        "open: not told apart from words, which does not say that they are equal.",
        "Covers the choice of test queries; not training again",
        "written to out, the page is out/report.html",
    ):
        assert part in printed
    assert (here / "out" / "report.html").is_file()
    assert runs.nearfar("compare", "spec.yaml", "--out", "out", "--dry-run") == 0
    assert "All are finished." in shown(capsys)
    assert "already holds a comparison" in runs.refused(capsys, "compare", "spec.yaml", "--out", "out")


def test_finished_runs(here, finished, pairs, capsys):
    """The numbers are those that the run itself holds."""
    assert runs.nearfar("evaluate", "bm25", pairs, "--split", "test", "--out", "words") == 0
    capsys.readouterr()
    assert runs.nearfar("compare", finished, "words", "--out", "beside") == 0
    printed = shown(capsys)
    scores = runs.scores(finished)
    assert f"finished a {scores['systems']['tuned']['nDCG@10']:.4f} ±" in printed
    assert f"words b {scores['systems']['bm25']['nDCG@10']:.4f} ±" in printed
    assert "Systems that share a letter could not be told apart" in printed
    assert "may be luck" in printed


def test_mistakes(here, capsys):
    assert "Did you mean 'spec.yaml'" in runs.refused(capsys, "compare", "spec.yml", "--out", "x")
    assert "Did you mean 'words'" in runs.refused(
        capsys, "compare", "spec.yaml", "--out", "x", "--set", "baseline=word"
    )
    assert "needs a folder" in runs.refused(capsys, "compare", "spec.yaml")
    assert "is not YAML" in runs.refused(capsys, "compare", "pairs.jsonl", "--out", "x")
    assert "Finished runs need no plan" in runs.refused(capsys, "compare", "a", "b", "--dry-run")
    assert not (here / "x").exists()
