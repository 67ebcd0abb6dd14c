"""``nearfar explain``: the page, the list, and what is said to a mistake."""

import shutil

import pytest

from nearfar.objectives import catalogue
from tests import runs


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_page_is_written_and_written_again(here, capsys):
    for _ in range(2):
        assert runs.nearfar("explain", "InfoNCE", "DCL(temperature=0.05)") == 0
        assert capsys.readouterr().out.strip() == "explain.html"
    page = (here / "explain.html").read_text(encoding="utf-8")
    assert "What InfoNCE and DCL do" in page
    assert "DCL(temperature=0.05)" in page


@pytest.mark.slow
def test_the_pairs_of_a_run_are_weighed(finished, here, capsys):
    before = runs.contents(finished)
    assert runs.nearfar("explain", "InfoNCE", "SogCLR", "--run", finished, "--out", "page.html") == 0
    assert capsys.readouterr().out.strip() == "page.html"
    page = (here / "page.html").read_text(encoding="utf-8")
    assert "In the batches of finished" in page
    assert "4 training batches of 32 pairs" in page
    assert 'data-figure="pairs-1"' in page
    assert runs.contents(finished) == before


def test_the_list_has_every_objective(capsys):
    assert runs.nearfar("explain", "--list") == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert [entry.name for entry in catalogue() if f"  {entry.name} " not in shown] == []
    assert f"{len(catalogue())} objectives" in shown
    assert all(family in shown for family in {entry.family for entry in catalogue()})


def test_the_list_of_what_fits_some_words(capsys):
    assert runs.nearfar("explain", "--list", "softmax", "trained") == 0
    shown = capsys.readouterr().out
    assert "CLIP" in shown
    assert "trains; arXiv 2103.00020" in " ".join(shown.split())
    assert "MarginMSE" not in shown
    assert "No objective has 'sofmax'" in (message := runs.refused(capsys, "explain", "--list", "sofmax"))
    assert "Did you mean" in message


def test_mistakes(here, finished, capsys):
    (here / "mine.html").write_text("mine")
    broken = here / "half"
    shutil.copytree(finished, broken)
    shutil.rmtree(broken / "model")
    kept = runs.contents(here)
    for arguments, parts in (
        ((), ("Name at least one objective", "--list")),
        (("InfoNEC",), ("InfoNEC", "Did you mean 'InfoNCE'?")),
        (("InfoNCE", "DCL(temprature=1)"), ("Did you mean 'temperature'?",)),
        (("Temperature",), ("a part of an objective, not an objective",)),
        (("InfoNCE", "--out", "mine.html"), ("mine.html is there already", "--out")),
        (("InfoNCE", "--out", "."), ("is a folder",)),
        (("InfoNCE", "--run", "nowhere"), ("nowhere is not the folder of a run",)),
        (("InfoNCE", "--run", broken), ("has not trained to the end", "--resume")),
        (("MarginMSE", "--run", finished), ("needs teacher", "a training run does not have")),
    ):
        message = runs.refused(capsys, "explain", *arguments)
        for part in parts:
            assert part in message, message
    assert runs.contents(here) == kept


def test_a_run_whose_data_has_changed(finished, pairs, here, capsys):
    other = here / "run"
    shutil.copytree(finished, other)
    changed = runs.write_pairs(here / "pairs.jsonl", 299)
    record = other / "run.json"
    record.write_text(record.read_text().replace(str(pairs), str(changed)))
    assert "has changed since the run" in runs.refused(capsys, "explain", "InfoNCE", "--run", other)
    assert not (here / "explain.html").exists()
