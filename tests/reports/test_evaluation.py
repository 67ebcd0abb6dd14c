"""The pages of evaluations, from what ``nearfar evaluate --out`` wrote."""

import json
import re

import numpy as np
import pytest

from nearfar.cli.main import _run
from nearfar.errors import DataError
from nearfar.reports.evaluation import called, plural, render, short_names, write_page
from nearfar.reports.evaluation_contents import read_evaluation
from nearfar.reports.evaluation_figures import item_figure, spread_figure, values_figure

from .test_page import Elements


def page_of(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def scores_of(folder):
    return json.loads((folder / "scores.json").read_text(encoding="utf-8"))


def test_the_page_of_a_search_has_its_scores_and_texts(evaluated):
    folder = evaluated["search"]
    page, scores = page_of(folder), scores_of(folder)
    text = Elements(page).text
    model, cut = scores["systems"]
    first = round(100 * scores["systems"][model]["Success@1"])
    assert f"The right document comes first for {first} of 100 queries." in text
    assert "Whether that is good can only be said beside another model" in text
    for measure, value in scores["systems"][model].items():
        low, high = scores["intervals"][model][measure]
        other = scores["systems"][cut][measure]
        assert f"{measure} {value:.3f} {low:.3f} to {high:.3f} {other:.3f}" in text
    assert "All 120 queries, the lowest nDCG@10 first" in text
    assert "cut to 8" in text
    assert "Effective rank of documents" in text
    found = read_evaluation(folder)
    assert len(found.examples.listed) == 120
    assert found.examples.worst[0].query in text
    drawn = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert set(drawn) == {"scores", "spread", "roc", "reliability"}
    assert sum(drawn["spread"]["data"][0]["y"]) == 120


def test_without_vectors_there_are_no_thresholds(evaluated):
    text = Elements(page_of(evaluated["bm25"])).text
    assert "a search for words, such as BM25, has none" in text
    assert "BM25, over 120 queries and 120 documents." in text


def test_the_page_of_graded_pairs_begins_with_those_that_are_ranked_wrong(evaluated):
    folder = evaluated["sts"]
    text, scores = Elements(page_of(folder)).text, scores_of(folder)
    spearman = scores["results"][0]
    assert f"Spearman in STS is {spearman['value']:.3f}." in text
    assert f"interval of {spearman['low']:.3f} to {spearman['high']:.3f}." in text
    assert "All 120 pairs; on top where cosine and grade rank them most differently" in text
    (examples,) = read_evaluation(folder).examples.tasks
    cosines, grades = np.array([one.values for one in examples.listed]).T
    ranks = [np.argsort(np.argsort(column)) for column in (cosines, grades)]
    apart = np.abs(ranks[0] - ranks[1])
    assert apart[:30].mean() > 2 * apart[-30:].mean()
    assert all(len(one.texts) == 2 for one in examples.listed)


def test_the_page_of_several_tasks_has_a_section_for_each(evaluated):
    page = page_of(evaluated["labels"])
    elements = Elements(page)
    sections = [value["id"] for tag, value in elements.tags if tag == "section" and "id" in value]
    assert sections == ["scores", "task-0", "task-1"]
    assert "accuracy@1 in KNN is" in elements.text
    assert "class 1" in elements.text  # the label stands beside the text
    assert "on top where accuracy@1 is lowest" in elements.text
    assert re.search(r"All 20 episodes", elements.text)


def test_nothing_is_loaded_and_the_page_can_be_made_again(evaluated, tmp_path, capsys):
    folder = evaluated["sts"]
    assert not re.search(r'(src|href)="(?!#|data:)', page_of(folder))
    assert _run(["report", str(folder), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page_of(folder)
    assert capsys.readouterr().out.strip() == str(tmp_path / "again.html")


def test_without_examples_the_page_says_so(evaluated, tmp_path):
    (tmp_path / "scores.json").write_text((evaluated["search"] / "scores.json").read_text(encoding="utf-8"))
    text = Elements(render(read_evaluation(tmp_path))).text
    assert "this folder has no examples.json ." in text
    assert "There are no vectors to look at" in text


def test_a_folder_without_scores(tmp_path):
    with pytest.raises(DataError, match=r"holds no evaluation: there is no scores\.json\. Give the folder"):
        write_page(tmp_path)


def test_names_of_systems_tasks_and_units():
    assert [called(name) for name in ("models/m", "models/m@64", "bm25", "@8")] == [
        "Model",
        "cut to 64",
        "bm25",
        "Model",
    ]
    assert short_names(["KNN(neighbours=[1])", "STS()"]) == {"KNN(neighbours=[1])": "KNN", "STS()": "STS"}
    assert short_names(["FewShot(shots=1)", "FewShot(shots=5)"]) == {
        "FewShot(shots=1)": "FewShot(shots=1)",
        "FewShot(shots=5)": "FewShot(shots=5)",
    }
    assert (plural("query", 1), plural("query", 2), plural("text", 2)) == ("query", "queries", "texts")


def test_the_spread_counts_both_ends_alone():
    figure = spread_figure("nDCG@10", {"a": 0.0, "b": 0.0, "c": 0.05, "d": 0.95, "e": 1.0})
    assert figure.data[0]["y"] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert spread_figure("margin", {"a": -0.5}) is None
    assert spread_figure("nDCG@10", {}) is None


def test_what_is_drawn_of_items():
    same = {"cosine": np.array([0.1, 0.9, 0.8]), "same": np.array([0.0, 1.0, 1.0])}
    figure = item_figure(0, "PairClassification", "pair", same, ["AP"])
    assert [trace["name"] for trace in figure.data] == ["the same", "not the same"]
    assert figure.description == "the same: 2, median 0.850. not the same: 1, median 0.100."
    assert item_figure(0, "KNN", "text", {"accuracy@1": np.array([0.0, 1.0, 1.0])}, ["accuracy@1"]) is None
    assert item_figure(0, "FewShot", "episode", {"accuracy": np.array([0.0, 0.5, 1.0])}, ["accuracy"]) is not None
    assert values_figure("scores", "Scores", [], 0.95) is None
