"""A run that shares out its weights is the run of one process, and what it leaves behind is whole."""

import os
import re

import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from torch.distributed.tensor import DTensor

from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.encoders import tables
from nearfar.encoders.load import load
from nearfar.errors import ConfigError
from nearfar.training import loop, sharded
from tests import runs
from tests.gloo import run_ranks
from tests.training.test_ranks import BERT, STATIC, interrupted_from, losses, messages, train

SHARDED = "training.trainer={fsdp: true}"
SMALL = ("batches.tokens=40",)


def watched(data, out, model, settings, resume=False, large=2**20):
    """Train on this rank; gives the outcome, messages, passes before and after they were made even, and weights."""
    passes, weights, rank = [], {}, int(os.environ.get("RANK", "0"))
    before = loop.even_passes, loop.token_budget, tables._LARGE

    def even_passes(step, ranks):
        even = before[0](step, ranks)
        passes.append((len(step.micro_batches), len(even.micro_batches)))
        return even

    def search(trainer):
        for name, weight in trainer.model.named_parameters():
            weights[name] = (isinstance(weight, DTensor), sharded.own_part(weight).numel(), weight.numel())
        return searched(trainer)

    searched = loop.RetrievalTrainer._search
    loop.even_passes, loop.RetrievalTrainer._search, tables._LARGE = even_passes, search, large
    loop.token_budget = lambda tokens, encoder: before[1](tokens, encoder) // (1 + rank)  # so that passes are uneven
    try:
        outcome, events = train(data, out, model, settings, resume)
    finally:
        loop.even_passes, loop.token_budget, tables._LARGE = before
        loop.RetrievalTrainer._search = searched
    return outcome, messages(events), passes, weights, os.environ.get("ACCELERATE_USE_FSDP")


def interrupted(data, out, model, settings, stopped):
    """As ``watched``, until Ctrl-C reaches one process alone."""
    before = loop.token_budget
    loop.token_budget = lambda tokens, encoder: before(tokens, encoder) // (1 + int(os.environ["RANK"]))
    try:
        return interrupted_from(data, out, model, settings, stopped)
    finally:
        loop.token_budget = before


def model_weights(run):
    (file,) = (run / "model").rglob("model.safetensors")
    return load_file(file)


def assert_same_run(one, other, within):
    torch.testing.assert_close(losses(one), losses(other), rtol=0, atol=within)
    mine, theirs = model_weights(one), model_weights(other)
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=10 * within, msg=name)
    for name in ("best_step", "trained_steps", "stopped", "steps", "state", "parameters"):
        assert runs.record(one)[name] == runs.record(other)[name], name


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A transformer without dropout."""
    return runs.write_bert(tmp_path_factory.mktemp("still") / "bert", dropout=0.0)


@pytest.fixture(scope="module")
def alone(pairs, still, tmp_path_factory):
    """A run of one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    train(pairs, out, still, BERT)
    return out


@pytest.fixture(scope="module")
def shared(pairs, still, tmp_path_factory):
    """A run of two processes that share out the weights, in many small passes."""
    out = tmp_path_factory.mktemp("shared") / "run"
    return out, run_ranks(2, watched, pairs, out, still, (*BERT, *SMALL, SHARDED))


def test_two_processes_with_parts_of_the_weights_are_one(shared, alone):
    assert_same_run(shared[0], alone, 2e-6)


def test_each_process_has_its_part_only(shared):
    (_, _, _, one, _), (_, _, _, other, _) = shared[1]
    assert one.keys() == other.keys()
    assert any(".layer.1." in name for name in one)
    for name, (in_parts, own, size) in one.items():
        assert in_parts, name
        assert own + other[name][1] == size, name
    assert sum(own for _, own, _ in one.values()) < 0.6 * sum(size for _, _, size in one.values())


def test_processes_do_as_many_passes_as_the_one_with_most(shared):
    (_, _, one, _, _), (_, _, other, _, _) = shared[1]
    most = [max(mine, theirs) for (mine, _), (theirs, _) in zip(one, other, strict=True)]
    assert [even for _, even in one] == [even for _, even in other] == most
    assert any(a != b for (a, _), (b, _) in zip(one, other, strict=True))


def test_later_runs_of_the_process_do_not_share_out(shared):
    assert [switch for *_, switch in shared[1]] == [None, None]


def test_the_model_folder_is_whole(shared):
    out, ((scores, *_), (others, *_)) = shared
    assert scores == others == runs.scores(out)
    vectors = SentenceTransformer(str(out / "model"), device="cpu").encode(["how to borak calim"])
    ours = load(str(out / "model"), device="cpu").encode_documents(["how to borak calim"])
    torch.testing.assert_close(torch.from_numpy(vectors), torch.from_numpy(ours))


@pytest.mark.parametrize("stopped", [0, 1])
def test_goes_on_to_the_bit(shared, pairs, still, tmp_path, stopped):
    settings = (*BERT, *SMALL, SHARDED)
    outcomes = run_ranks(2, interrupted, pairs, tmp_path / "run", still, settings, stopped)
    assert all(re.match("Stopped: Stopped after step 3", outcome) for outcome, _ in outcomes)
    run_ranks(2, watched, pairs, tmp_path / "run", still, settings, True)
    assert_same_run(tmp_path / "run", shared[0], 0)
    assert runs.record(tmp_path / "run")["tuned_hash"] == runs.record(shared[0])["tuned_hash"]


@pytest.mark.slow
def test_goes_on_with_another_number_of_processes(alone, pairs, still, tmp_path):
    settings = (*BERT, *SMALL, SHARDED)
    run_ranks(3, interrupted, pairs, tmp_path / "run", still, settings, 0)
    (_, told, *_), _ = run_ranks(2, watched, pairs, tmp_path / "run", still, settings, True)
    assert any(text.startswith("Going on with 2 processes where 3 wrote checkpoint-3") for text in told)
    assert_same_run(tmp_path / "run", alone, 2e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ("training.trainer={fsdp: shard_grad_op}",),
        ("training.trainer={fsdp: full_shard, fsdp_config: {fsdp_version: 2}}", "batches.accumulate=2"),
        ("training.trainer={fsdp: true, gradient_checkpointing: true}",),
        ("training.trainer={fsdp: true, fsdp_config: {transformer_layer_cls_to_wrap: BertAttention}}",),
    ],
)
def test_other_ways(pairs, still, tmp_path, settings):
    run_ranks(2, watched, pairs, tmp_path / "shared", still, (*BERT, *SMALL, *settings), False, 100)
    train(pairs, tmp_path / "alone", still, (*BERT, *settings[1:]))
    assert_same_run(tmp_path / "shared", tmp_path / "alone", 2e-6)


def test_a_static_encoder(pairs, tokenizer, tmp_path):
    model = runs.static(tokenizer)
    run_ranks(2, watched, pairs, tmp_path / "shared", model, (*STATIC, SHARDED))
    train(pairs, tmp_path / "alone", model, STATIC)
    assert_same_run(tmp_path / "shared", tmp_path / "alone", 1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((SHARDED, "batches.at_once=64"), r"batches.at_once is set, which does not work with training.trainer.fsdp"),
        ((SHARDED, "model.adapter.rank=2"), r"model.adapter.rank is set, .*few weights need not be shared out"),
        ((SHARDED, "training.compile=true"), r"training.compile is set, "),
        (("training.trainer={fsdp: full}",), r"training.trainer.fsdp is 'full'; it must be true, full_shard or shard"),
        (
            ("training.trainer={fsdp: true, fsdp_config: {fsdp_version: 1}}",),
            r"training.trainer.fsdp_config.version must be 2, got 1",
        ),
        (
            ("training.trainer={fsdp: true, fsdp_config: {reshard_after_forwards: true}}",),
            r"training.trainer.fsdp_config.reshard_after_forwards cannot .* Did you mean 'reshard_after_forward'\?",
        ),
        (
            ("training.trainer={fsdp: true, fsdp_config: {transformer_layer_cls_to_wrap: BertLayr}}",),
            r"training.trainer.fsdp_config.transformer_layer_cls_to_wrap: the encoder has no BertLayr. .*BertLayer",
        ),
        ((SHARDED, "objective=SigLIP"), r"The objective .* trains .* of its own, which does not work"),
    ],
)
def test_what_does_not_go_together_is_refused(pairs, still, tmp_path, settings, message):
    for outcome, _ in run_ranks(2, train, pairs, tmp_path / "run", still, (*BERT, *settings)):
        assert re.match("ConfigError: " + message, outcome), outcome
    assert not (tmp_path / "run").exists()


def test_one_process_has_nobody_to_share_with():
    with pytest.raises(ConfigError, match=r"and this is the only one. Start several, such as with torchrun"):
        sharded.check_sharding(override(RunConfig(), [SHARDED]))


@pytest.mark.parametrize(("content", "message"), [("{", "cannot be read as JSON"), ("[1]", "must be settings by name")])
def test_a_file_of_settings_is_read(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    config = override(RunConfig(), ["training.trainer={fsdp: true, fsdp_config: parts.json}"])
    (tmp_path / "parts.json").write_text('{"fsdp_reshard_after_forward": false}')
    assert sharded.settings_of(config) == {"version": 2, "reshard_after_forward": False}
    (tmp_path / "parts.json").write_text(content)
    with pytest.raises(ConfigError, match=message):
        sharded.settings_of(config)
