"""The job: what is finished stays, what fails does not end it, and the folder says what was done."""

import json
import shutil

import pyarrow.parquet as parquet
import pytest

import nearfar
from nearfar import ConfigError, DataError, ResourceError, api
from nearfar.comparing import job, work
from nearfar.evaluation.comparison import Comparison
from nearfar.training.job import Stopped
from nearfar.training.lock import locked
from tests import runs


class Heard:
    """Keeps messages."""

    def __init__(self):
        self.texts = []

    def emit(self, event):
        if hasattr(event, "text"):
            self.texts.append(event.text)


def test_the_budget_leaves_a_balanced_table(spec, here):
    _, first = spec
    assert first == Comparison.read(here / "out")
    assert [(gap.system, gap.seed, gap.state) for gap in first.gaps] == [("cool", 1, "missing"), ("hot", 1, "missing")]
    assert first.cells == 6
    assert first.go_on.endswith("--set budget.runs=6")
    (table,) = first.tables
    assert table.seeds == {"pairs": (0,)}
    assert {standing.system for standing in table.standings} == {"cool", "hot", "untrained", "words"}
    assert "There is one seed only" in " ".join(first.notes)
    cost = {cost.system: cost for cost in first.costs}
    assert cost["cool"].texts > 100 < cost["cool"].tokens
    assert (cost["untrained"].train_seconds, cost["untrained"].dimensions, cost["words"].parameters) == (
        0.0,
        16.0,
        None,
    )
    queries = parquet.read_table(here / "out" / "per_query.parquet").to_pylist()
    assert len(queries) == 4 * first.data_sets[0].queries
    assert queries[0].keys() == {"data_set", "system", "seed", "query_id", "nDCG@10", "RR@10"}
    states = parquet.read_table(here / "out" / "cells.parquet")["state"].to_pylist()
    assert states == ["finished"] * 4 + ["missing"] * 2
    assert (here / "out" / "report.html").is_file()
    with pytest.raises(ResourceError, match=r"already holds a comparison.*--resume"):
        nearfar.compare("spec.yaml", out="out")


def test_going_on_with_other_systems(spec, here, tmp_path, monkeypatch):
    """One run is interrupted, one fails; both are tried again, and nothing that was finished is touched."""
    out = tmp_path / "out"
    shutil.copytree(here / "out", out)
    before = runs.contents(out / "cells")
    settings = ["systems.dcl.objective=DCL(temperature=0.05)", "seeds=1"]
    real, heard = job.do_cell, Heard()

    def interrupted(*given):
        raise Stopped(3)

    def failing(*given):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(job, "do_cell", interrupted)
    with pytest.raises(Stopped):
        nearfar.compare("spec.yaml", out=out, settings=settings, resume=True)
    monkeypatch.setattr(job, "do_cell", failing)
    broken = nearfar.compare("spec.yaml", out=out, settings=settings, resume=True, sink=heard)
    assert [(gap.system, gap.state, gap.reason) for gap in broken.gaps] == [
        ("dcl", "failed", "RuntimeError: no such luck")
    ]
    assert broken.tables[0].left_out == {"dcl": "all its runs there have failed"}
    assert "4 of 5 runs are finished already." in heard.texts
    assert "dcl on pairs, seed 0: failed: RuntimeError: no such luck" in heard.texts
    monkeypatch.setattr(job, "do_cell", real)
    whole = nearfar.compare("spec.yaml", out=out, settings=[*settings, "keep_models=true"], resume=True)
    assert (whole.gaps, whole.go_on, whole.seeds) == ((), "", (0,))
    assert len(whole.tables[0].standings) == 5
    assert len(list((out / "cells").glob("dcl--*/model/modules.json"))) == 1
    assert not (out / "work").exists()
    after = runs.contents(out / "cells")
    assert before.items() <= after.items()
    monkeypatch.setattr(job, "do_cell", failing)  # nothing is left to do
    heard = Heard()
    again = nearfar.compare("spec.yaml", out=out, settings=["seeds=1"], resume=True, sink=heard)
    assert [standing.system for standing in again.tables[0].standings] == [
        standing.system for standing in spec[1].tables[0].standings
    ]
    assert {"Systems: dropped dcl.", f"1 runs of earlier settings stay in {out / 'cells'} and are not used."} <= set(
        heard.texts
    )
    assert runs.contents(out / "cells") == after


def test_a_run_that_was_interrupted_goes_on_to_the_same_values(spec, here, tmp_path, monkeypatch):
    """What it has cost is not known then."""
    real = work.fit

    def killed(run):
        real(run)
        raise Stopped(4)

    settings = ["systems={cool: {objective: InfoNCE(temperature=0.05)}}", "seeds=1"]
    monkeypatch.setattr(work, "fit", killed)
    with pytest.raises(Stopped):
        nearfar.compare("spec.yaml", out=tmp_path / "out", settings=settings)
    monkeypatch.setattr(work, "fit", real)
    assert list((tmp_path / "out" / "cells").glob("*")) == []
    found = nearfar.compare("spec.yaml", out=tmp_path / "out", settings=settings, resume=True)
    assert (found.costs[0].train_seconds, found.costs[0].parameters) == (None, spec[1].costs[0].parameters)
    ours, whole = (parquet.read_table(folder / "out" / "per_query.parquet").to_pylist() for folder in (tmp_path, here))
    assert ours == [row for row in whole if (row["system"], row["seed"]) == ("cool", 0)]


def test_minutes_that_are_used_up(here, tmp_path):
    shutil.copytree(here / "out", tmp_path / "out")
    found = nearfar.compare("spec.yaml", out=tmp_path / "out", settings=["budget.minutes=0.001"], resume=True)
    assert [gap.reason for gap in found.gaps] == ["the budget was used up before"] * 2
    assert found.go_on.endswith("--set budget.minutes=0.002")
    assert len(found.tables[0].standings) == 4


def test_the_plan_knows_what_is_finished_and_what_the_rest_takes(here):
    planned = api.plan_comparison("spec.yaml", out="out")
    assert [(each.cell.arm.system, each.cell.seed, each.state) for each in planned] == [
        ("cool", 0, "finished"),
        ("hot", 0, "finished"),
        ("untrained", None, "finished"),
        ("words", None, "finished"),
        ("cool", 1, "to do"),
        ("hot", 1, "to do"),
    ]
    assert planned[4].seconds == planned[0].seconds  # the same recipe took so long
    fresh = api.plan_comparison(["spec.yaml"])
    assert {(each.state, each.seconds) for each in fresh} == {("to do", None)}
    assert [each.cell.fingerprint for each in fresh] == [each.cell.fingerprint for each in planned]


def test_a_fingerprint_follows_from_what_decides_the_values(here):
    def prints(*settings):
        return {each.cell.key: each.cell.fingerprint for each in api.plan_comparison("spec.yaml", settings=settings)}

    plain = prints()
    assert prints("base.evaluation.confidence=0.9", "name=other", "baseline=hot") == plain
    steps = prints("base.training.steps=5")
    assert {key for key in plain if steps[key] == plain[key]} == set()
    renamed = prints("systems.mild.objective=InfoNCE(temperature=0.5)")
    assert {key: renamed[key] for key in plain} == plain
    text = (here / "pairs.jsonl").read_text(encoding="utf-8")
    (here / "changed.jsonl").write_text(text.replace("how to", "where to", 1), encoding="utf-8")
    assert set(prints("data.pairs=changed.jsonl").values()).isdisjoint(plain.values())


def test_refusals_before_anything_is_written(here, tmp_path):
    def refused(kind, match, *settings, what="spec.yaml", out=tmp_path / "never"):
        with pytest.raises(kind, match=match):
            nearfar.compare(what, out=out, settings=settings)
        assert not (tmp_path / "never").exists()

    refused(ConfigError, "needs a folder", out=None)
    refused(ConfigError, "no measure 'nDGC@10'", "base.evaluation.measures=[nDCG@10,nDGC@10]")
    refused(
        ConfigError,
        "twin on pairs: Unknown objective 'InfoNC'. Did you mean 'InfoNCE'",
        "systems.twin.objective=InfoNC",
    )
    refused(DataError, "AP.rel=2.@10 counts documents of grade 2", "base.evaluation.measures=[nDCG@10,AP(rel=2)@10]")
    refused(DataError, "no file or folder pair.jsonl.*Did you mean 'pairs.jsonl'", "data.pairs=pair.jsonl")
    refused(ConfigError, "there is no file token.json", "systems.other=static:token.json?dim=3")
    refused(ResourceError, "is not empty and holds no comparison", out=here)
    with locked(tmp_path / "held"), pytest.raises(ResourceError, match="in use"):
        nearfar.compare("spec.yaml", out=tmp_path / "held")
    one = [json.loads(line) for line in (here / "pairs.jsonl").read_text(encoding="utf-8").splitlines()][:1]
    runs.write_lines(tmp_path / "one.jsonl", one)
    with pytest.raises(DataError, match="words on pairs: the split 'all' has one query"):
        nearfar.compare(
            "spec.yaml",
            out=tmp_path / "never",
            settings=["systems={words: bm25}", f"data.pairs={tmp_path / 'one.jsonl'}"],
        )


def test_systems_on_other_queries_are_refused(here, tmp_path):
    """A recipe with another split of the data would be measured on other queries."""
    with pytest.raises(DataError, match="'cool' and 'other' were measured on different queries"):
        nearfar.compare("spec.yaml", out=tmp_path / "never", settings=["systems.other.data.seed=1"])
