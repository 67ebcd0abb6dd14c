"""Our settings in the words of Hugging Face's Trainer, and the further ones that a user hands through to it."""

import json
import os
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, TrainingArguments

from nearfar.config.run import RunConfig
from nearfar.encoders.processor import quick_on_processor
from nearfar.engine.ranks import Ranks
from nearfar.errors import ConfigError, did_you_mean

NEVER = 10**9
"""An interval that no run reaches: our own callback decides when to evaluate and to save."""

OURS: Mapping[str, str] = {
    "output_dir": "--out",
    "max_steps": "training.steps",
    "num_train_epochs": "training.epochs",
    "per_device_train_batch_size": "batches.size, which counts the pairs of all processes together",
    "auto_find_batch_size": "batches.size and batches.at_once",
    "gradient_accumulation_steps": "batches.accumulate",
    "learning_rate": "training.learning_rate",
    "lr_scheduler_type": "training.schedule",
    "warmup_steps": "training.warmup",
    "weight_decay": "training.weight_decay",
    "max_grad_norm": "training.max_gradient_norm",
    "bf16": "training.precision",
    "fp16": "training.precision",
    "seed": "training.seed",
    "data_seed": "training.seed",
    "use_cpu": "model.device",
    "metric_for_best_model": "dev.measure",
    "eval_steps": "dev.evaluations",
    "eval_strategy": "dev.evaluations",
    "save_steps": "dev.evaluations",
    "save_strategy": "dev.evaluations",
    "report_to": "tracking.to",
    "resume_from_checkpoint": "--resume",
    "torch_compile": "training.compile",
    "torch_compile_backend": "training.compile",
    "torch_compile_mode": "training.compile",
}
"""Arguments that nearfar sets itself, and the setting that decides them."""

WITHOUT_EFFECT = frozenset(
    """
    average_tokens_across_devices label_smoothing_factor label_names neftune_noise_alpha use_cache use_liger_kernel
    liger_kernel_config bf16_full_eval fp16_full_eval include_num_input_tokens_seen place_model_on_device
    logging_strategy logging_steps logging_first_step log_on_each_node logging_nan_inf_filter log_level
    log_level_replica disable_tqdm run_name project trackio_space_id trackio_bucket_id trackio_static_space_id
    eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start eval_do_concat_batches
    eval_use_gather_object eval_accumulation_steps include_for_metrics batch_eval_metrics greater_is_better
    save_only_model save_on_each_node save_total_limit enable_jit_checkpoint load_best_model_at_end
    ignore_data_skip restore_callback_states_from_checkpoint push_to_hub hub_token hub_private_repo hub_model_id
    hub_strategy hub_always_push hub_revision remove_unused_columns dataloader_drop_last dataloader_num_workers
    dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor
    dataloader_multiprocessing_context dataloader_in_order train_sampling_strategy length_column_name do_train
    do_eval do_predict local_rank ddp_backend ddp_timeout ddp_broadcast_buffers
    """.split()  # noqa: SIM905  # a list of them would be sixty lines
)
"""Arguments that would change nothing, or break what nearfar relies on."""


def further(config: RunConfig) -> dict[str, Any]:
    """The arguments that a user hands through, checked by name.

    Raises:
        ConfigError: for a name that the Trainer does not know, or one that is not a user's to set here; where weights
            are to be shared out among processes.
    """
    known = [field.name for field in fields(TrainingArguments) if field.init]
    for name in config.training.trainer:
        if name in OURS:
            raise ConfigError(f"training.trainer.{name} is decided by nearfar: use {OURS[name]} instead.")
        if name in WITHOUT_EFFECT:
            raise ConfigError(f"training.trainer.{name} has no place in nearfar, whose loop does this in its own way.")
        if name not in known:
            free = [each for each in known if each not in OURS and each not in WITHOUT_EFFECT]
            raise ConfigError(
                f"training.trainer.{name} is not an argument of Hugging Face's Trainer.{did_you_mean(name, free)}"
            )
    _check_weights_are_whole(config.training.trainer)
    return dict(config.training.trainer)


def _check_weights_are_whole(given: Mapping[str, Any]) -> None:
    """Refuse DeepSpeed's way to share out weights, whose first process could not search between steps or save.

    Raises:
        ConfigError: for its third stage, in the settings or from accelerate launch; for FSDP from accelerate launch.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true":
        raise ConfigError(
            "accelerate launch was told to use FSDP. Here that is a setting of the run: leave it out there, and set "
            "'training.trainer={fsdp: true}'."
        )
    deepspeed, stage = given.get("deepspeed"), os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE")
    if isinstance(deepspeed, str) and Path(deepspeed).is_file():
        try:
            deepspeed = json.loads(Path(deepspeed).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"training.trainer.deepspeed: {deepspeed} is not JSON ({error}).") from error
    if isinstance(deepspeed, dict):
        stage = deepspeed.get("zero_optimization", {}).get("stage", stage)
    if str(stage) == "3":
        raise ConfigError(
            "Stage 3 of DeepSpeed shares out the weights among processes, so that none has a model to search with "
            "between steps; that is not supported. Use training.trainer={fsdp: true}, which shares them out as well, "
            "or stage 1 or 2 of DeepSpeed."
        )


def training_arguments(
    config: RunConfig,
    steps: int,
    output: Path,
    rate: float,
    device: torch.device,
    sharding: Mapping[str, Any] | None = None,
) -> TrainingArguments:
    """Our settings in the Trainer's words; ``sharding`` in the place of what a user said of FSDP.

    Raises:
        ConfigError: when the Trainer refuses what a user hands through.
    """
    options = config.training
    schedule = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}[options.schedule]
    ours: dict[str, Any] = {
        "output_dir": str(output),
        "max_steps": steps,
        "per_device_train_batch_size": config.batches.size,
        "gradient_accumulation_steps": config.batches.accumulate,
        "learning_rate": rate,
        "lr_scheduler_type": schedule,
        "warmup_steps": round(options.warmup * steps),
        "weight_decay": options.weight_decay,
        "max_grad_norm": options.max_gradient_norm,
        "seed": options.seed,
        "use_cpu": device.type == "cpu",
        "eval_strategy": "steps",
        "eval_steps": NEVER,
        "save_strategy": "steps",
        "save_steps": NEVER,
        "restore_callback_states_from_checkpoint": True,
        "load_best_model_at_end": True,
        "metric_for_best_model": f"eval_{config.dev.measure}",
        "greater_is_better": True,
        "logging_steps": max(1, steps // 100),
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "remove_unused_columns": False,
        "dataloader_pin_memory": device.type == "cuda",
    }
    if Ranks.current().world > 1:
        # A share need not touch every weight, such as those of a document tower. Buffers are equal by construction.
        ours |= {"ddp_find_unused_parameters": True, "ddp_broadcast_buffers": False, "log_level_replica": "error"}
        ours |= {"ddp_backend": "gloo"} if device.type == "cpu" else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of names that the Trainer is about to change
            arguments = TrainingArguments(**ours | further(config) | dict(sharding or {}))
    except (ValueError, TypeError, ImportError, OSError) as error:
        if not config.training.trainer:
            raise
        told = " ".join(str(error).split())
        raise ConfigError(
            f"training.trainer: Hugging Face's Trainer refuses {config.training.trainer}: {told}"
        ) from error
    # One process uses one device: with several in sight the Trainer would replicate the step over threads.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def checkpoint_activations(encoder: nn.Module, arguments: TrainingArguments) -> None:
    """Have the layers of an encoder compute their activations again in the backward pass, where that is asked for.

    The Trainer would ask the step, which has no layers of its own.
    """
    if not arguments.gradient_checkpointing:
        return
    for model in _layered(encoder):  # of the two names, one is the older
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable(
            {
                "use_reentrant": False,
                "context_fn": lambda model=model: (nullcontext(), quick_on_processor(model)),
                **(arguments.gradient_checkpointing_kwargs or {}),
            }
        )
    arguments.activation_checkpointing = arguments.gradient_checkpointing = False


def check_layers(encoder: nn.Module, config: RunConfig) -> None:
    """Refuse checkpoints of activations for an encoder that has no layers for it.

    Raises:
        ConfigError: when it is so.
    """
    given = config.training.trainer
    asked = [name for name in ("activation_checkpointing", "gradient_checkpointing") if given.get(name)]
    if asked and not _layered(encoder):
        raise ConfigError(
            f"training.trainer.{asked[0]}: the encoder has no model of transformers in it, whose layers could compute "
            "their activations again. Leave it out, or limit memory with batches.at_once."
        )


def _layered(encoder: nn.Module) -> list[PreTrainedModel]:
    return [module for module in encoder.modules() if isinstance(module, PreTrainedModel)]
