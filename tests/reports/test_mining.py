"""The page of a mining job: from the files of a folder to sentences, figures and HTML."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from nearfar.cli.mine_tables import print_account
from nearfar.errors import DataError
from nearfar.negatives.candidates import Reason
from nearfar.negatives.reasons import GROUP_OF, GROUPS, REASONS, code, title
from nearfar.reports import mining_figures, mining_words
from nearfar.reports.mining import draw, facts, write_mining_report
from nearfar.reports.mining_contents import Spread, read_mining

HOSTILE = "jumpers </script><script>alert(1)</script> & <b>"

ACCOUNT = {
    "queries": 10,
    "queries_with_negatives": 8,
    "candidates": 200,
    "kept": 30,
    "relabelled": 1,
    "made": 0,
    "list_sizes": {"0": 1, "2": 1, "4": 7},
    "funnel": [
        {
            "source": "Dense(depth=15)",
            "proposed": 150,
            "dropped": {"positive": 9, "cross_encoder": 50, "relabelled": 1, "budget": 64},
            "kept": 26,
        },
        {"source": "BM25(depth=5)", "proposed": 50, "dropped": {"repeated": 40, "budget": 6}, "kept": 4},
    ],
    "scores": {
        "source": {"edges": [0.0, 10.0, 20.0], "counts": {"kept": [30, 0], "positive": [4, 5]}},
        "teacher": {
            "edges": [0.0, 0.25, 0.5, 0.75, 1.0],
            "counts": {
                "kept": [10, 14, 5, 1],
                "cross_encoder": [0, 0, 30, 20],
                "budget": [60, 10, 0, 0],
                "known positives": [0, 1, 6, 3],
            },
        },
    },
    "check": {
        "by": "CrossEncoder(model='judge')",
        "from": 0.5,
        "sample": 30,
        "judged": 25,
        "relevant": 2,
        "share": 0.08,
        "interval": [0.022, 0.25],
    },
}


def example(reason: str, **more) -> dict:
    shown = {"query": "how to wash a jumper", "candidate": f"{reason} text", "positive": "by hand", "rank": 3}
    return {"reason": reason, "source": "Dense(depth=15)", "scores": {"score": 0.5, "teacher": 0.25}, **shown, **more}


def write_job(folder: Path, **changes) -> Path:
    folder.mkdir(exist_ok=True)
    examples = [example(""), *(example("budget") for _ in range(3)), example("cross_encoder", candidate=HOSTILE)]
    record = {"data": "pairs.jsonl", "data_options": {"dev": 0.1}, "model": "static:x", "state": "finished"}
    contents = {"account.json": {**ACCOUNT, **changes}, "examples.json": {"examples": examples}, "mining.json": record}
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "config.yaml").write_text("mining:\n  seed: 7\n")
    return folder


def account(tmp_path, **changes):
    return read_mining(write_job(tmp_path, **changes)).account


def plain(sentence: str) -> str:
    return sentence.replace("\N{NO-BREAK SPACE}", " ")


def test_every_reason_has_one_sentence_and_one_group():
    assert set(REASONS) == set(Reason) == set(GROUP_OF)
    assert sum(map(len, GROUPS.values())) == len(Reason)
    assert all(sentence.endswith(".") and sentence.count(". ") == 0 for sentence in REASONS.values())
    assert len(set(REASONS.values())) == len(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_the_guide_tells_every_reason(reason):
    guide = Path(__file__).parents[2] / "docs" / "guide" / "negatives.md"
    assert f"| {title(reason)} | {REASONS[reason]} |\n" in guide.read_text(encoding="utf-8")


def test_the_record_is_told_in_words():
    record = {
        "data": "pairs.jsonl",
        "data_options": {"dev": 0.1},
        "model_hash": "6d46",
        "environment": {"torch": "2.13", "threads": 2},
        "seconds": {"total": 61.2},
        "state": "finished",
    }
    assert list(facts(record)) == [
        ("data", "pairs.jsonl"),
        ("model hash", "6d46"),
        ("time", "1 min 01 s"),
        ("torch", "2.13"),
        ("threads", "2"),
    ]


def test_the_figures_are_the_sums_over_sources(tmp_path):
    total = account(tmp_path).total
    assert {code(reason): total.count(reason) for reason in Reason if total.count(reason)} == {
        "kept": 30,
        "positive": 9,
        "repeated": 40,
        "cross_encoder": 50,
        "relabelled": 1,
        "budget": 70,
    }
    assert sum(total.group(group) for group in GROUPS) == total.proposed == 200


def test_how_deep_a_job_looked_is_told_in_words(tmp_path):
    found = [plain(each) for each in mining_words.looked(account(tmp_path, depths={"32": 9, "128": 1}, hopeless=2))]
    assert found[0].startswith("Looked at 9 queries to the 32 nearest, 1 query to the 128 nearest: nothing deeper")
    assert found[1].startswith("For 2 queries of these, filters drop everything")
    assert list(mining_words.looked(account(tmp_path / "all"))) == []


def test_each_bar_of_the_funnel_begins_where_the_one_above_ends(tmp_path):
    (bars,) = mining_figures.funnel_figure(account(tmp_path)).data
    assert bars["x"] == [200, 9, 40, 50, 1, 70, 30]
    assert bars["base"] == [0, 191, 151, 101, 100, 30, 0]
    assert [text.split(":")[0] for text in bars["text"]][3:5] == ["cross encoder", "relabelled"]


def test_sources_are_compared_where_there_are_several(tmp_path):
    read = account(tmp_path)
    figure = mining_figures.sources_figure(read.funnel)
    assert [trace["name"] for trace in figure.data] == [
        "known to be relevant",
        "proposed before",
        "may be relevant",
        "not chosen",
        "kept",
    ]
    for source in range(2):
        assert sum(trace["x"][source] for trace in figure.data) == pytest.approx(100)
    assert mining_figures.sources_figure(read.funnel[:1]) is None


def test_scores_of_different_sources_are_not_drawn_together(tmp_path):
    assert set(draw(account(tmp_path))) == {"funnel", "sources", "lists", "score-1"}
    alone = draw(account(tmp_path, funnel=ACCOUNT["funnel"][:1]))
    assert set(alone) == {"funnel", "lists", "score-0", "score-1"}


def test_a_small_group_of_scores_is_as_high_as_a_large_one(tmp_path):
    figure = mining_figures.score_figure(0, "teacher", account(tmp_path).scores["teacher"])
    assert [max(trace["y"]) for trace in figure.data] == [0.86] * 4
    assert [trace["base"][0] for trace in figure.data] == [3, 2, 1, 0]
    assert figure.layout["yaxis"]["ticktext"] == [
        "known positives<br>10",
        "kept<br>30",
        "cross encoder<br>50",
        "budget<br>70",
    ]
    assert mining_figures.score_figure(0, "teacher", Spread(edges=(), counts={})) is None


def test_lists_are_counted_up_to_what_was_asked_for(tmp_path):
    (bars,) = mining_figures.lists_figure(account(tmp_path, asked=5)).data
    assert (bars["x"], bars["y"]) == (["0", "1", "2", "3", "4", "5"], [1, 0, 1, 0, 7, 0])
    (many,) = mining_figures.lists_figure(account(tmp_path, list_sizes={"3": 2, "900": 1})).data
    assert many["x"] == ["3", "900"]
    assert mining_figures.lists_figure(account(tmp_path, list_sizes={"4": 10})) is None


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 9, "0 %"),
        (1, 10_000, "< 0.1 %"),
        (1, 110, "0.9 %"),
        (1, 100, "1 %"),
        (94, 1000, "9.4 %"),
        (996, 10_000, "10 %"),
        (12, 100, "12 %"),
        (999, 1000, "> 99 %"),
        (5, 5, "100 %"),
        (0, 0, "\N{EN DASH}"),
    ],
)
def test_shares_have_two_digits(part, whole, said):
    assert plain(mining_words.share(part, whole)) == said


def test_the_headline_says_who_has_negatives(tmp_path):
    assert mining_words.headline(account(tmp_path)) == "8 of 10 queries have negatives, 3.8 each on average."
    every = account(tmp_path, queries_with_negatives=10)
    assert mining_words.headline(every) == "All 10 queries have negatives, 3 each."
    assert mining_words.headline(account(tmp_path, queries_with_negatives=0)) == "None of 10 queries has a negative."


def test_the_funnel_in_words(tmp_path):
    assert plain(mining_words.funnel(account(tmp_path))) == (
        "Of 200 candidates 4.5 % are known to be relevant, 20 % were proposed by an earlier source already, 26 % were "
        "dropped because they may be relevant and 35 % were not needed, or are outside the window. "
        "30 negatives (15 %) are left."
    )
    whole = [{"source": "Dense", "proposed": 1, "dropped": {}, "kept": 1}]
    assert mining_words.funnel(account(tmp_path, candidates=1, kept=1, funnel=whole)) == "Of 1 candidate all were kept."
    assert list(mining_words.made(account(tmp_path, relabelled=2, made=1))) == [
        "2 candidates are positives of their queries from now on.",
        "Sources wrote 1 text.",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "2 queries have none."),
        ({"queries_with_negatives": 10}, "Every query has at least one."),
        ({"asked": 4}, "1 list has fewer than the 4 that were asked for, 2 queries have none."),
        (
            {"asked": 9, "queries_with_negatives": 9},
            "8 lists have fewer than the 9 that were asked for, 1 query has none.",
        ),
        (
            {"asked": 4, "queries_with_negatives": 10, "list_sizes": {"4": 10}},
            "Every list has the 4 that were asked for.",
        ),
    ],
)
def test_short_lists_are_told(tmp_path, changes, said):
    assert mining_words.lists(account(tmp_path, **changes)) == said


def test_the_estimate_has_an_interval_and_tells_who_was_silent(tmp_path):
    read = account(tmp_path)
    said = "About 8 % of the negatives are relevant after all (95 % interval 2.2 % to 25 %), says "
    said += "CrossEncoder(model='judge')."
    assert plain(mining_words.estimate(read)) == said
    told = "It gave a score of 0.5 or more to 2 of 25 negatives that were drawn, and no answer for 5 others."
    assert mining_words.judged(read) == told
    silent = {**ACCOUNT["check"], "judged": 0, "relevant": 0, "share": None, "interval": [0.0, 1.0]}
    nothing = account(tmp_path, check=silent)
    assert mining_words.estimate(nothing) == ""
    assert mining_words.judged(nothing).endswith("answered for none of the 30 negatives that were drawn for it.")
    assert (
        mining_words.estimate(account(tmp_path, check=None)) == mining_words.judged(account(tmp_path, check=None)) == ""
    )


def test_recall_is_told_by_source(tmp_path):
    found = {
        "Dense(index='HNSW')": {"recall": 0.97, "queries": 200, "interval": [0.95, 0.98]},
        "B": {"recall": 1, "queries": 1},
    }
    assert [plain(sentence) for sentence in mining_words.recall(account(tmp_path, recall=found))] == [
        "Dense(index='HNSW') finds 97 % of what exact search finds (95 % interval 95 % to 98 %), measured on "
        "200 queries.",
        "B finds 100 % of what exact search finds, measured on 1 query.",
    ]


def test_scores_in_words_count_what_lies_above_the_middle_positive(tmp_path):
    scores = account(tmp_path).scores
    above = "Half of the known positives score above about 0.75; "
    assert plain(mining_words.spread(scores["teacher"])) == above + "3.3 % of the negatives that were kept do."
    easy = {**scores["teacher"].counts, "kept": (10, 15, 5, 0)}
    said = mining_words.spread(Spread(edges=scores["teacher"].edges, counts=easy))
    assert said == above + "no negative that was kept does."
    assert mining_words.spread(scores["source"]) == ""


def test_the_page_tells_all_and_obeys_no_text(tmp_path):
    folder = write_job(tmp_path / "hard")
    page = write_mining_report(folder)
    assert page == folder / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "<title>hard · nearfar mine</title>" in text
    for part in (
        "8 of 10 queries",
        REASONS[Reason.CROSS_ENCODER],
        "seed: 7",
        "static:x",
        "8\N{NO-BREAK SPACE}% of the",
    ):
        assert part in text
    assert HOSTILE not in text
    assert HOSTILE in unescape(text)
    assert "data options" not in text
    assert "finished" not in text
    assert re.findall(r"""(?:src|href)=["'](?!#|data:,)""", text) == []
    first = page.read_bytes()
    assert write_mining_report(folder).read_bytes() == first


def test_figures_on_the_page_are_those_that_are_drawn(tmp_path):
    folder = write_job(tmp_path / "job")
    text = write_mining_report(folder).read_text(encoding="utf-8")
    payload = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])
    shown = re.findall(r'data-figure="([^"]+)"', text)
    assert sorted(shown) == sorted(payload) == sorted(draw(read_mining(folder).account))


def test_a_page_of_the_account_alone(tmp_path):
    folder = write_job(tmp_path, check=None, scores={}, list_sizes={})
    for name in ("examples.json", "mining.json", "config.yaml"):
        (folder / name).unlink()
    text = write_mining_report(folder).read_text(encoding="utf-8")
    for part in ("There is no file of examples.", "was not estimated", "No part of this job went by a score."):
        assert part in text


def test_a_folder_without_an_account_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no account of a mining job: there is no account\.json"):
        write_mining_report(tmp_path)


def test_a_broken_account_is_named_with_the_place(tmp_path):
    write_job(tmp_path, candidates="many")
    with pytest.raises(DataError, match=r"account\.json, at candidates: .*'many'"):
        write_mining_report(tmp_path)


@pytest.mark.parametrize("width", [60, 120])
def test_the_table_of_the_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_account({**ACCOUNT, "asked": 4})
    lines = [plain(line).rstrip() for line in capsys.readouterr().out.splitlines()]
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert rows["reason"][:4] == ["candidates", "share", "Dense", "BM25"]
    assert rows["proposed"] == ["200", "100", "%", "150", "50"]
    assert rows["repeated"][:5] == ["40", "20", "%", "0", "40"]
    assert rows["kept"][:5] == ["30", "15", "%", "26", "4"]
    assert any("An earlier source proposed it" in line for line in lines) == (width == 120)
    assert len(lines) < 25
    assert max(map(len, lines)) <= width
    told = " ".join(lines)
    for part in ("8 of 10 queries", "1 list has fewer", "About 8 % of the negatives"):
        assert part in told


def test_many_sources_are_one_in_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    none = {"proposed": 0, "dropped": {}, "kept": 0}
    print_account({**ACCOUNT, "funnel": [*ACCOUNT["funnel"], *({"source": f"S{n}", **none} for n in range(2))]})
    heading = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  reason"))
    assert heading.split() == ["reason", "candidates", "share", "meaning"]
