"""A mining job: what it finds, what it keeps between two attempts, and its account."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nearfar.config.mining import MiningOptions
from nearfar.errors import DataError
from nearfar.negatives.account import account, examples, wilson, write_candidates
from nearfar.negatives.candidates import Reason
from nearfar.negatives.job import Workplace, run_job
from nearfar.negatives.parts import Scorer
from nearfar.negatives.plan import Plan
from nearfar.negatives.sources.drawn import Clusters
from nearfar.negatives.sources.retrieved import BM25, Dense, Hybrid
from nearfar.negatives.stages import chosen_queries, mine
from nearfar.negatives.vectors import ModelName
from tests.negatives.stores import dataset, material, pairs

SOURCES = ("Dense(depth=6)", "BM25(depth=6)", "Random(depth=3)", "Hybrid(depth=4)", "Clusters(depth=3, clusters=4)")


def mined(folder, about, key="key", **settings):
    options = MiningOptions(**{"filters": (), "sources": SOURCES, **settings})
    return mine(about, Plan.of(options), options, folder, key), options


def test_every_candidate_has_one_reason_and_nothing_is_lost(tmp_path):
    about = material(dataset(pairs()))
    result, options = mined(tmp_path, about, filters=("Percent(ratio=0.5)",), select="Top(count=2)")
    found = account(result, options)
    for row, source in zip(found["funnel"], SOURCES, strict=True):
        assert row["source"].partition("(")[0] == source.partition("(")[0]
        assert row["proposed"] == row["kept"] + sum(row["dropped"].values())
    assert found["candidates"] == sum(row["proposed"] for row in found["funnel"]) == len(result.candidates)
    assert found["kept"] == sum(int(size) * count for size, count in found["list_sizes"].items())
    assert {"positive", "repeated", "percent", "budget"} <= {name for row in found["funnel"] for name in row["dropped"]}
    assert max(map(int, found["list_sizes"])) == 2
    json.dumps(found, allow_nan=False)


SPELLINGS = (str.upper, lambda text: f"  {text}\t", lambda text: text.replace(" ", "  "), str.title)


@given(
    planted=some.lists(some.tuples(some.integers(0, 7), some.sampled_from(SPELLINGS)), max_size=6),
    source=some.sampled_from(SOURCES),
    lists=some.sampled_from(["query", "pair"]),
)
def test_no_positive_is_ever_a_negative(tmp_path_factory, planted, source, lists):
    """Invariant G1: with duplicates of positives under other ids, in other case and with other spaces."""
    rows = [{"query": f"q{row // 2}", "positive": f"common d{row} word"} for row in range(8)]
    rows += [
        {"query": f"other {place}", "positive": spell(rows[row]["positive"])}
        for place, (row, spell) in enumerate(planted)
    ]
    rows += [
        {"query": spell(rows[row]["query"]), "positive": f"more {place}"} for place, (row, spell) in enumerate(planted)
    ]
    tables = dataset(rows)
    result, _ = mined(
        tmp_path_factory.mktemp("g1"), material(tables), sources=(source,), lists=lists, select="Top(count=50)"
    )
    relevant = {(" ".join(row["query"].lower().split()), " ".join(row["positive"].lower().split())) for row in rows}
    found = result.candidates
    for row in np.flatnonzero(found.kept):
        query, document = tables.queries.text(int(found.query[row])), tables.documents.text(int(found.document[row]))
        assert (" ".join(query.lower().split()), " ".join(document.lower().split())) not in relevant


def test_what_sources_proposed_is_not_proposed_again(tmp_path, monkeypatch):
    about = material(dataset(pairs()))
    first, _ = mined(tmp_path, about, sources=SOURCES[:2])
    calls = []
    for source in (Dense, BM25):
        monkeypatch.setattr(
            source, "propose", lambda *given, original=source.propose: calls.append(1) or original(*given)
        )
    again, _ = mined(tmp_path, about, sources=SOURCES[:2])
    assert calls == []
    for name in ("query", "document", "reason"):
        assert np.array_equal(getattr(first.candidates, name), getattr(again.candidates, name))
    mined(tmp_path, about, sources=("Dense(depth=5)", SOURCES[1]))
    assert calls == [1]  # the second one is as it was
    mined(tmp_path, about, sources=("Dense(depth=5)", SOURCES[1]), key="of a changed weight")
    assert calls == [1] * 3
    (tmp_path / "sources" / "1" / "documents.npy").write_bytes(b"cut")
    mined(tmp_path, about, sources=("Dense(depth=5)", SOURCES[1]), key="of a changed weight")
    assert calls == [1] * 4


def test_the_same_job_writes_the_same_bytes(tmp_path):
    rows = pairs()
    written = []
    for name in ("one", "other"):
        result, _ = mined(tmp_path / name, material(dataset(rows)), filters=("Percent",))
        write_candidates(tmp_path / f"{name}.parquet", result, {"model": "m", "step": 0})
        written.append((tmp_path / f"{name}.parquet").read_bytes())
    assert written[0] == written[1]
    table = parquet.read_table(tmp_path / "one.parquet")
    assert table.column_names[:4] == ["query_id", "document_id", "positive_id", "source"]
    assert {"score", "teacher", "reason", "rank", "rank_kept", "label", "weight"} <= set(table.column_names)
    assert set(table["reason"].to_pylist()) <= {"", *(reason.name.lower() for reason in Reason if reason)}
    assert table["positive_id"].null_count == len(table)
    assert table.schema.metadata[b"model"] == b"m"


def test_lists_for_pairs_name_their_positive(tmp_path):
    rows = [{"query": f"q{row // 2}", "positive": f"d{row} common"} for row in range(10)]
    result, _ = mined(tmp_path, material(dataset(rows)), lists="pair", filters=("Percent(ratio=0.9, positive=pair)",))
    write_candidates(tmp_path / "c.parquet", result, {})
    table = parquet.read_table(tmp_path / "c.parquet")
    assert table["positive_id"].null_count == 0
    assert len(set(zip(*(table[name].to_pylist() for name in ("query_id", "positive_id")), strict=True))) == 10


def test_examples_show_texts_for_each_reason(tmp_path):
    result, _ = mined(tmp_path, material(dataset(pairs())))
    found = examples(result)
    assert {each["reason"] for each in found} == {"", "positive", "repeated", "budget"}
    for each in found:
        assert (each["candidate"] == each["positive"]) == (each["reason"] == "positive")
    assert found == examples(result)


def test_the_estimate_is_of_a_sample_with_an_interval(tmp_path):
    result, options = mined(tmp_path, material(dataset(pairs())), check="Model", check_from=-2.0, check_sample=10)
    found = account(result, options)["check"]
    assert (found["sample"], found["judged"], found["relevant"], found["share"]) == (10, 10, 10, 1.0)
    assert found["interval"] == pytest.approx([0.7225, 1.0], abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(5, 50) == pytest.approx((0.0435, 0.2136), abs=1e-4)  # from a textbook's calculator


def test_fewer_queries_are_drawn_by_their_texts():
    def texts(rows, **settings):
        about = material(dataset(rows))
        drawn = chosen_queries(about.closure, about.dataset, MiningOptions(queries=7, **settings))
        assert (np.diff(drawn) > 0).all()
        return set(about.query_texts(drawn))

    assert texts(pairs()) == texts(pairs()[::-1])
    assert len(texts(pairs())) == 7
    assert texts(pairs()) != texts(pairs(), seed=1)


def test_a_changed_weight_of_a_second_model_is_noticed(tmp_path, monkeypatch):
    about, calls = material(dataset(pairs())), []
    second = "Dense(depth=5, model=second)"
    sources = ("Dense(depth=6)", second, f"Hybrid(sources=[{second}, BM25])", "Clusters(model=second)", "BM25(depth=6)")
    for source in (Dense, BM25, Hybrid, Clusters):
        before = source.propose
        monkeypatch.setattr(
            source, "propose", lambda *given, before=before: calls.append(str(given[0])) or before(*given)
        )
    mined(tmp_path, about, sources=sources)
    calls.clear()
    about.store.names["third"] = "changed"
    mined(tmp_path, about, sources=sources)
    assert calls == []
    about.store.names["second"] = "changed"
    mined(tmp_path, about, sources=sources)
    assert [call.partition("(")[0] for call in calls] == ["Dense", "Hybrid", "Dense", "BM25", "Clusters"]
    assert calls[0] == second


def test_the_account_knows_what_was_asked_and_lists_of_nothing(tmp_path):
    rows = pairs(4)
    result, options = mined(tmp_path, material(dataset(rows)), sources=("BM25(depth=1)",), select="Top(count=3)")
    found = account(result, options)
    assert found["asked"] == 3
    assert sum(found["list_sizes"].values()) == found["queries"] == 4
    assert (found["refused"], found["unanswered"], found["recall"]) == ({}, {}, {})
    result, options = mined(
        tmp_path, material(dataset(rows)), sources=("BM25(depth=1)",), select="Padded(selection=Top(count=2), source=0)"
    )
    assert account(result, options)["asked"] == 2


def test_lists_of_pairs_that_were_proposed_nothing_count(tmp_path):
    rows = [{"query": "q one", "positive": "d one"}, {"query": "q one", "positive": "d two"}]
    rows.append({"query": "nothing", "positive": "something"})
    result, options = mined(
        tmp_path, material(dataset(rows)), sources=("BM25(depth=9)",), lists="pair", select="Top(count=1)"
    )
    assert account(result, options)["list_sizes"] == {"0": 3}


@dataclass(frozen=True)
class Silent(Scorer):
    """Answers for none of the documents from the fifth on."""

    def score(self, material, queries, documents, sink=None):
        return np.where(documents < 5, 0.5, np.nan).astype(np.float32)


def test_what_a_judge_does_not_answer_is_counted(tmp_path, monkeypatch):
    about = material(dataset(pairs()))
    options = MiningOptions(sources=("Dense(depth=20)",), scorers={"judge": "Model"}, filters=("Judge(margin=0.0)",))
    plan = replace(Plan.of(options), scorers={"judge": Silent()})
    result = mine(about, plan, options, tmp_path, "key")
    found = account(result, options)
    assert found["unanswered"] == {"judge": {"candidates": 20 * 14 + 5, "positives": 15}}
    assert found["funnel"][0]["dropped"] == {"positive": 20, "unscored": 20 * 14 + 5 + 15 * 5}


def test_texts_that_rules_made_pass_the_default_filter(tmp_path):
    rows = [{"query": f"what is q{row}", "positive": f"word{row} was made in 19{row + 10}"} for row in range(20)]
    result, options = mined(
        tmp_path, material(dataset(rows)), sources=("Edits",), filters=("Percent(ratio=5.0)",), select="Top(count=9)"
    )
    found = account(result, options)
    assert found["made"] == found["candidates"] > 0
    assert "unscored" not in found["funnel"][0]["dropped"]
    assert found["kept"]
    assert found["refused"][str(result.plan.sources[0])]["no name to change"] == 20
    again = mine(material(dataset(rows)), result.plan, options, tmp_path, "key")
    assert again.refused == result.refused


def test_without_a_training_split_there_is_nothing_to_mine(tmp_path):
    tables = dataset(pairs())
    with pytest.raises(DataError, match="no training split to mine for; it has test"):
        run_job(
            tables.with_qrels({"test": tables.qrels["train"]}),
            ModelName(name="never opened"),
            MiningOptions(),
            Workplace(folder=tmp_path),
        )


def test_a_corpus_smaller_than_the_depth_is_told(tmp_path):
    told = []

    class Sink:
        def emit(self, event):
            told.append(getattr(event, "text", ""))

    options = MiningOptions(sources=("Dense(depth=100)",), filters=())
    mine(material(dataset(pairs())), Plan.of(options), options, tmp_path, "key", Sink())
    assert any("the corpus has only 20 documents" in text for text in told)
