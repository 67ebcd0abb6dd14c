"""Our settings in the Trainer's words, and which of its own a user may hand through."""

import warnings
from dataclasses import fields

import pytest
import torch
from transformers import TrainingArguments

from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError
from nearfar.training import arguments
from nearfar.training.arguments import OURS, WITHOUT_EFFECT, further, training_arguments
from tests import runs
from tests.training.test_ranks import assert_equal, train

CPU = torch.device("cpu")


def made(tmp_path, *settings, steps=10):
    return training_arguments(override(RunConfig(), settings), steps, tmp_path, 0.1, CPU)


def test_settings_become_arguments(tmp_path):
    ours = made(
        tmp_path,
        "batches.size=6",
        "batches.accumulate=3",
        "training.schedule=constant",
        "training.warmup=0.25",
        "training.seed=7",
        steps=20,
    )
    assert ours.per_device_train_batch_size == 6
    assert ours.gradient_accumulation_steps == 3
    assert ours.lr_scheduler_type == "constant_with_warmup"
    assert ours.warmup_steps == 5
    assert (ours.seed, ours.max_steps, ours.learning_rate) == (7, 20, 0.1)
    assert ours.n_gpu <= 1
    assert ours.ddp_find_unused_parameters is None  # one process


def test_further_ones_are_handed_through(tmp_path):
    ours = made(tmp_path, "training.trainer={optim: adafactor, adam_beta2: 0.95}")
    assert str(ours.optim) == "OptimizerNames.ADAFACTOR"
    assert ours.adam_beta2 == 0.95


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{adam_beta_2: 0.9}", r"training.trainer.adam_beta_2 is not an argument .* Did you mean 'adam_beta2'\?"),
        ("{learning_rate: 1}", r"training.trainer.learning_rate is decided by nearfar: use training.learning_rate"),
        ("{gradient_accumulation_steps: 2}", r"use batches.accumulate instead"),
        ("{torch_compile_backend: eager}", r"use training.compile instead"),
        ("{logging_steps: 2}", r"training.trainer.logging_steps has no place in nearfar"),
    ],
)
def test_names_that_are_not_a_users_to_set(given, message):
    with pytest.raises(ConfigError, match=message):
        further(override(RunConfig(), [f"training.trainer={given}"]))


@pytest.mark.parametrize("given", ["{optim: best}", "{deepspeed: missing.json}"])
def test_what_the_trainer_refuses_is_told(tmp_path, given):
    with pytest.raises(ConfigError, match=r"training.trainer: Hugging Face's Trainer refuses \{"):
        made(tmp_path, f"training.trainer={given}")


@pytest.mark.parametrize(
    ("given", "environment", "message"),
    [
        ("{}", {"ACCELERATE_USE_FSDP": "true"}, "accelerate launch was told to use FSDP. .*{fsdp: true}"),
        ("{deepspeed: {zero_optimization: {stage: 3}}}", {}, "Stage 3 of DeepSpeed shares out the weights"),
        ("{deepspeed: three.json}", {}, "Stage 3 of DeepSpeed shares out the weights"),
        ("{}", {"ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}, "Stage 3 of DeepSpeed shares out the weights"),
    ],
)
def test_other_ways_to_share_out_weights_are_refused(given, environment, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three.json").write_text('{"zero_optimization": {"stage": 3}}')
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError, match=f"^{message}"):
        further(override(RunConfig(), [f"training.trainer={given}"]))


def test_other_stages_of_deepspeed_are_handed_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.json").write_text('{"zero_optimization": {"stage": 2}}')
    assert further(override(RunConfig(), ["training.trainer={deepspeed: two.json}"])) == {"deepspeed": "two.json"}
    (tmp_path / "two.json").write_text("{")
    with pytest.raises(ConfigError, match=r"training.trainer.deepspeed: two.json is not JSON"):
        further(override(RunConfig(), ["training.trainer={deepspeed: two.json}"]))


def test_every_name_is_one_of_the_trainers():
    known = {field.name for field in fields(TrainingArguments)} | {"place_model_on_device"}
    assert set(OURS) <= known
    assert known >= WITHOUT_EFFECT
    assert not WITHOUT_EFFECT & set(OURS)


def test_what_nearfar_sets_is_no_users_to_set(tmp_path):
    plain = made(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    differing = {
        field.name
        for field in fields(TrainingArguments)
        if field.init and getattr(plain, field.name, None) != getattr(theirs, field.name, None)
    }
    assert differing <= set(OURS) | WITHOUT_EFFECT | {"logging_dir", "accelerator_config"}


@pytest.mark.slow
def test_activations_may_be_computed_again_and_nothing_changes(pairs, tmp_path):
    model = runs.write_bert(tmp_path / "bert", dropout=0.0)
    few = ("training.steps=4", "dev.evaluations=1", "batches.size=16", "evaluation.resamples=200")
    train(pairs, tmp_path / "plain", model, few)
    again, quick = [], arguments.quick_on_processor
    with pytest.MonkeyPatch.context() as patched:  # entered when a layer is computed again
        patched.setattr(arguments, "quick_on_processor", lambda layers: again.append(1) or quick(layers))
        train(pairs, tmp_path / "again", model, (*few, "training.trainer={gradient_checkpointing: true}"))
    assert len(again) >= 4 * 2
    assert_equal(tmp_path / "again", tmp_path / "plain", 1e-6, 1e-6)


def test_an_encoder_without_layers_has_no_activations_to_compute_again(pairs, tokenizer, tmp_path):
    given = ("training.steps=1", "training.trainer={gradient_checkpointing: true}")
    outcome, _ = train(pairs, tmp_path / "run", runs.static(tokenizer), given)
    assert outcome.startswith("ConfigError: training.trainer.gradient_checkpointing: the encoder has no model of trans")
    assert not (tmp_path / "run").exists()
