"""Runs of other kinds: nested widths, adapters, a trained temperature, compiled layers."""

import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors import safe_open
from sentence_transformers import SentenceTransformer

from nearfar import api
from nearfar.encoders.fingerprint import encoder_hash
from nearfar.encoders.load import load
from nearfar.encoders.quiet import quiet
from nearfar.errors import ConfigError
from nearfar.events import Progress
from nearfar.training import job
from nearfar.training.job import Stopped
from tests import runs

pytestmark = pytest.mark.usefixtures("no_map")

FAST = ("training.steps=12", "dev.evaluations=2", "dev.patience=9", "batches.size=16", "evaluation.resamples=200")
NESTED = (
    *("training.epochs=2", "dev.evaluations=2", "batches.size=32", "evaluation.resamples=200"),
    "objective=Matryoshka(of=CLIP, dims=[32, 16, 8], dims_per_step=2)",
    "evaluation.truncate=[8, 16]",
    "training.objective_learning_rate=0.3",
)
ADAPTED = (*FAST, "model.adapter.rank=4", "model.adapter.dropout=0.1", "training.learning_rate=1e-2")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return runs.write_bert(tmp_path_factory.mktemp("bert") / "tiny")


class At:
    """Interrupts training at a step."""

    def __init__(self, step):
        self.step = step

    def emit(self, event):
        if isinstance(event, Progress) and event.task == "Training" and event.done == self.step:
            signal.raise_signal(signal.SIGINT)


def in_two_parts(step, *arguments, **named):
    with pytest.raises(Stopped):
        api.train(*arguments, **named, sink=At(step))
    return api.train(*arguments, **named, resume=True)


def same_result(one, other):
    first, second = runs.record(one), runs.record(other)
    assert first["tuned_hash"] == second["tuned_hash"]
    assert runs.scores(one) == runs.scores(other)
    assert runs.curve(one) == runs.curve(other)


@pytest.fixture(scope="module")
def nested(pairs, tokenizer, tmp_path_factory):
    out = tmp_path_factory.mktemp("nested") / "run"
    api.train(pairs, model=runs.static(tokenizer), out=out, settings=NESTED)
    return out


def test_both_models_are_measured_at_each_width(nested):
    scores = runs.scores(nested)
    assert list(scores["systems"]) == ["bm25", "base", "tuned", "base@16", "base@8", "tuned@16", "tuned@8"]
    compared = [(each["treatment"], each["control"]) for each in scores["comparisons"]]
    assert [*dict.fromkeys(compared)][3:] == [
        *(("tuned@16", "base@16"), ("tuned@16", "tuned"), ("tuned@8", "base@8"), ("tuned@8", "tuned"))
    ]
    table = parquet.read_table(nested / "evaluation" / "per_query.parquet")
    assert set(table["system"].to_pylist()) == set(scores["systems"])
    assert (nested / "evaluation" / "tuned_8.trec.gz").is_file()
    card = (nested / "model" / "README.md").read_text(encoding="utf-8")
    assert "truncate_dim=8" in card
    assert "nDCG@10 with vectors cut to their first dimensions" in (nested / "report.html").read_text(encoding="utf-8")


def test_a_cut_is_what_a_user_gets_who_truncates(nested, pairs, monkeypatch):
    measured = api.evaluate(nested, pairs, settings=["evaluation.truncate=8", "evaluation.resamples=200"]).scores
    with quiet():
        model = SentenceTransformer(str(nested / "model"), device="cpu", truncate_dim=8)

    class Truncated:
        similarity = "cosine"

        def encode_queries(self, texts, sink=None):
            return model.encode(list(texts))

        encode_documents = encode_queries

    monkeypatch.setattr("nearfar.api.measuring._config_of_run", lambda *given: None)
    for split in ("test",):
        other = api.evaluate(Truncated(), pairs, split=split, settings=["evaluation.resamples=200"]).scores
        assert other["systems"]["Truncated"] == pytest.approx(measured["systems"][f"{nested}@8"], abs=1e-6)
    assert measured["systems"][f"{nested}@8"] == pytest.approx(runs.scores(nested)["systems"]["tuned@8"], abs=1e-6)


def test_nested_widths_go_on_where_they_were(nested, pairs, tokenizer, tmp_path):
    in_two_parts(5, pairs, model=runs.static(tokenizer), out=tmp_path / "run", settings=NESTED)
    same_result(tmp_path / "run", nested)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "objective=Matryoshka(of=InfoNCE, dims=[64, 8])",
            "cuts vectors to 64 dimensions, and this model's have 32. Leave out every width above 32.",
        ),
        ("evaluation.truncate=[64, 8]", "evaluation.truncate cuts vectors to 64 dimensions, and this model's have 32"),
        ("model.adapter.rank=4", "A static encoder has no transformer that adapters could be put into"),
        ("training.compile=true", "this encoder has no layers to compile"),
    ],
)
def test_what_does_not_fit_the_model_is_said_before_anything_is_written(pairs, tokenizer, tmp_path, setting, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        api.train(pairs, model=runs.static(tokenizer), out=tmp_path / "run", settings=[*FAST, setting])
    assert not (tmp_path / "run" / "run.json").exists()


def temperatures(checkpoint: Path):
    """What the checkpoint has of trained temperatures."""
    with safe_open(checkpoint / "model.safetensors", "pt") as file:
        names = [name for name in file.keys() if name.endswith("log_scale")]  # noqa: SIM118  # it is no mapping
        return {name: torch.exp(-file.get_tensor(name)).item() for name in names}


def test_a_trained_temperature_has_a_rate_of_its_own_and_is_kept_and_shown(pairs, tokenizer, tmp_path):
    moved = {}
    for rate in ("null", "0.05"):
        out = tmp_path / rate
        settings = (
            *(*FAST, "objective=CLIP(temperature=0.07)", "training.learning_rate=1e-3", "training.weight_decay=0.5"),
            f"training.objective_learning_rate={rate}",
        )
        api.train(pairs, model=runs.static(tokenizer), out=out, settings=settings)
        (last,) = (out / "checkpoints").glob("checkpoint-12")
        ((name, kept),) = temperatures(last).items()
        assert name.startswith("objective.memory.")
        curve = [entry["temperature"] for entry in runs.curve(out) if "temperature" in entry]
        assert curve[0] == pytest.approx(0.07, rel=1e-5)
        assert len(set(curve)) > 5
        moved[rate] = abs(np.log(kept / 0.07))
        groups = torch.load(last / "optimizer.pt", weights_only=True)["param_groups"]
        own = [group for group in groups if group["params"] and group["initial_lr"] == 0.05]
        assert len(own) == (rate != "null")
        assert all(group["weight_decay"] == 0 for group in own)
    assert moved["0.05"] > 5 * moved["null"] > 0


@pytest.fixture(scope="module")
def adapted(bert, pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "run"
    api.train(pairs, model=bert, out=out, settings=ADAPTED)
    return out


@pytest.mark.slow
def test_a_run_with_adapters_leaves_an_ordinary_model(adapted, bert, pairs):
    record = runs.record(adapted)
    assert record["adapters"].startswith("LoRA of rank 4 and alpha 32 on all linear layers, 3,584 trained numbers")
    base, tuned = load(str(bert), device="cpu"), load(str(adapted / "model"), device="cpu")
    assert record["base_hash"] == encoder_hash(base)
    assert record["tuned_hash"] == encoder_hash(tuned) != record["base_hash"]
    assert base.state_dict().keys() == tuned.state_dict().keys()
    changed = {name for name, value in base.state_dict().items() if not torch.equal(value, tuned.state_dict()[name])}
    assert len(changed) == 2 * 6
    assert all(name.endswith(("query.weight", "key.weight", "value.weight", "dense.weight")) for name in changed)
    assert record["adapters"] in (adapted / "model" / "README.md").read_text(encoding="utf-8")
    assert set(api.search(adapted, "how to borak")) == {"base", "tuned"}
    again = api.evaluate(adapted, pairs, settings=["evaluation.resamples=200"]).scores["systems"]
    assert again[str(adapted)] == runs.scores(adapted)["systems"]["tuned"]


@pytest.mark.slow
def test_checkpoints_train_adapters_and_the_objective_alone(adapted):
    (last,) = (adapted / "checkpoints").glob("checkpoint-12")
    state = torch.load(last / "optimizer.pt", weights_only=True)
    assert len(state["state"]) == 2 * 6 * 2  # two factors for each of six layers, twice


@pytest.mark.slow
def test_adapters_go_on_where_they_were(adapted, bert, pairs, tmp_path):
    in_two_parts(7, pairs, model=bert, out=tmp_path / "run", settings=ADAPTED)
    same_result(tmp_path / "run", adapted)


@pytest.mark.slow
def test_adapters_that_are_kept(adapted, bert, pairs, tmp_path, monkeypatch):
    """Stopped between the end of training and the measurement: what is measured then is what was saved."""
    out = tmp_path / "run"
    arguments = {"model": bert, "out": out, "settings": (*ADAPTED, "model.adapter.merge=false")}
    with monkeypatch.context() as patched:
        patched.setattr(job, "evaluate_bm25", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.train(pairs, **arguments)
    assert (out / "model" / "adapter_config.json").is_file()
    api.train(pairs, **arguments, resume=True)
    assert runs.curve(out) == runs.curve(adapted)
    assert runs.scores(out)["systems"] == runs.scores(adapted)["systems"]
    assert runs.record(out)["tuned_hash"] == encoder_hash(load(str(out / "model"), device="cpu"))
    card = (out / "model" / "README.md").read_text(encoding="utf-8")
    assert f"opens with the package `peft`, where the base model `{bert}` is" in card
    assert set(api.search(out, "how to borak")) == {"base", "tuned"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compilers underneath
def test_compiled_layers_give_the_same_losses_and_the_same_folder(bert, pairs, tmp_path):
    settings = (*FAST, "training.steps=6", "training.dropout=0", "training.precision=float32")
    for name in ("false", "true"):
        compiled = f"training.compile={name}"
        api.train(pairs, model=bert, out=tmp_path / name, settings=(*settings, "training.learning_rate=1e-3", compiled))
    plain, other = (
        [entry["loss"] for entry in runs.curve(tmp_path / name) if "loss" in entry] for name in ("false", "true")
    )
    assert other == pytest.approx(plain, abs=1e-5)
    with (
        safe_open(tmp_path / "false" / "model" / "model.safetensors", "pt") as one,
        safe_open(tmp_path / "true" / "model" / "model.safetensors", "pt") as two,
    ):
        assert set(one.keys()) == set(two.keys())
