"""The training loop: Hugging Face's Trainer with our batches, our step and our dev search."""

import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from nearfar.batches.collate import Keys, PairCollator
from nearfar.batches.sample import Key, RandomBatches
from nearfar.config.run import RunConfig
from nearfar.engine.microbatch import token_budget
from nearfar.engine.step import Step, StepInput, prepare_step
from nearfar.errors import DataError, ResourceError, first_few
from nearfar.events import Metrics, Progress, Sink
from nearfar.files import atomic
from nearfar.training.dev import DevSearch
from nearfar.training.folder import COMPLETE, keep_checkpoints

_NEVER = 10**9
"""An interval that no run reaches: our own callback decides when to evaluate and to save."""


def training_arguments(
    config: RunConfig, steps: int, output: Path, rate: float, device: torch.device
) -> TrainingArguments:
    """Our settings in the Trainer's words."""
    options = config.training
    schedule = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}[options.schedule]
    arguments = TrainingArguments(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=config.batches.size,
        learning_rate=rate,
        lr_scheduler_type=schedule,
        warmup_steps=round(options.warmup * steps),
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_gradient_norm,
        seed=options.seed,
        use_cpu=device.type == "cpu",
        eval_strategy="steps",
        eval_steps=_NEVER,
        save_strategy="steps",
        save_steps=_NEVER,
        restore_callback_states_from_checkpoint=True,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{config.dev.measure}",
        greater_is_better=True,
        logging_steps=max(1, steps // 100),
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
    )
    # One process uses one device: with several in sight the Trainer would replicate the step over threads.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


class RetrievalTrainer(Trainer):  # type: ignore[misc]  # transformers is not typed
    """The Trainer over a ``Step``.

    The model that it trains is the step, encoder and objective together, so both are in the optimiser and in every
    checkpoint.
    """

    def __init__(
        self,
        step: Step,
        pairs: PairCollator,
        dev: DevSearch,
        config: RunConfig,
        arguments: TrainingArguments,
        sink: Sink,
    ) -> None:
        points = evaluation_points(arguments.max_steps, config.dev.evaluations)
        super().__init__(
            model=step,
            args=arguments,
            # The Trainer insists on a dataset for evaluation; ours is inside ``dev``.
            train_dataset=Keys(len(pairs)),
            eval_dataset=Keys(1),
            callbacks=[Watch(points, sink), EarlyStoppingCallback(config.dev.patience)],
        )
        self.remove_callback(PrinterCallback)
        self._pairs, self._dev, self._config, self._sink = pairs, dev, config, sink
        self._step, self._encoder = step, step.encoder
        self._last_loss = (0, torch.zeros(()))
        self.control: TrainerControl

    def run(self, checkpoint: Path | None) -> None:
        """Train from the start or from a checkpoint; afterwards the model is that of the best checkpoint.

        A checkpoint after which nothing is left to train (the last step, or an early stop) is taken as it is: the
        Trainer would do one more step.

        Raises:
            DataError: when the loss is no finite number.
            ResourceError: when a checkpoint cannot be written.
        """
        if checkpoint is None:
            self.train()
            return
        state = _settled_state(checkpoint)
        stops = state.stateful_callbacks.get("EarlyStoppingCallback", {}).get("attributes", {})
        waited = stops.get("early_stopping_patience_counter", 0)
        if state.global_step < self.args.max_steps and waited < self._config.dev.patience:
            self.train(resume_from_checkpoint=str(checkpoint))
        else:
            self.state = state
            self._load_best_model()

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Weight decay is for the encoder: what an objective trains, such as a temperature, is not to shrink."""
        names: list[str] = super().get_decay_parameter_names(model)
        return [name for name in names if not name.startswith("objective.")]

    def get_train_dataloader(self) -> DataLoader[StepInput]:
        """Batches of prepared texts."""
        sampler = RandomBatches(len(self._pairs), self._config.batches.size, self._config.training.seed)
        budget = token_budget(self._config.batches.tokens, self._encoder)

        def collate(keys: Sequence[Key]) -> StepInput:
            return prepare_step(self._encoder, self._pairs(keys), budget)

        loader = DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=collate)
        prepared: DataLoader[StepInput] = self.accelerator.prepare(loader)
        return prepared

    def compute_loss(
        self, model: nn.Module, inputs: StepInput, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of a step."""
        self._check_loss()
        loss = model(inputs)
        self._last_loss = (self.state.global_step, loss.detach())
        return (loss, {}) if return_outputs else loss

    def _check_loss(self) -> None:
        """Stop when the loss of the step before was not finite. One step late, so that nothing waits for the device."""
        step, loss = self._last_loss
        if bool(torch.isfinite(loss)):
            return
        sampler = RandomBatches(len(self._pairs), self._config.batches.size, self._config.training.seed)
        epoch, place = divmod(step, len(sampler))
        sampler.set_epoch(epoch)
        keys = next(islice(sampler, place, None))
        raise DataError(
            f"The loss is {float(loss)} at step {step + 1}, whose queries were "
            f"{first_few((repr(text[:60]) for text in self._pairs(keys).anchors), 3)}. "
            "Lower training.learning_rate, raise the temperature of the objective, or look at these rows; "
            "train anew in another --out."
        )

    def _check_something_counted(self) -> None:
        """Stop when no anchor had a loss up to the first dev search: the rest of the run would be in vain too."""
        if self.state.global_step == 0 or int(self._step.counted) > 0:
            return
        raise DataError(
            f"The objective {self._step.objective} found nothing to learn from in {self.state.global_step} steps: no "
            "anchor had a loss. It compares what these pairs do not have, such as different grades, judged or hard "
            "negatives. Bring such data, or choose another objective: nearfar explain --list."
        )

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """The dev search; its score is what early stopping and the choice of the best checkpoint look at."""
        self._check_loss()
        self._check_something_counted()
        score = self._dev(self._encoder)
        self._sink.emit(Metrics(step=self.state.global_step, group="dev", values={self._dev.measure: score}))
        metrics = {f"eval_{self._dev.measure}": score}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _prepare_inputs(self, inputs: StepInput) -> StepInput:
        """The step moves what it is given to where the encoder is."""
        return inputs

    def _get_num_items_in_batch(self, batch_samples: list[StepInput], device: torch.device) -> None:
        """The loss is a mean over anchors already; there are no items to divide by."""

    def floating_point_ops(self, inputs: StepInput) -> int:
        """Not counted."""
        return 0

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint, mark it as complete when all of it is on disk, and keep only it and the best."""
        self._check_loss()
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            (folder / COMPLETE).touch()
            keep_checkpoints(folder.parent, (self.state.global_step, self.state.best_global_step))
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            reason = str(error).strip().splitlines()[0]
            raise ResourceError(
                f"Cannot write the checkpoint {folder}: {reason}. The previous checkpoint is intact: "
                "free space and run the same command with --resume."
            ) from error


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Decides when to evaluate, reports progress, and stops cleanly when asked to.

    Args:
        points: the steps after which the dev search runs and a checkpoint is kept.
        sink: takes events.
    """

    def __init__(self, points: frozenset[int], sink: Sink) -> None:
        self._points, self._sink = points, sink
        self.interrupted = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> TrainerControl:
        """Progress; the dev search and a checkpoint at the chosen steps; a last checkpoint when interrupted."""
        self._sink.emit(Progress(task="Training", done=state.global_step, total=state.max_steps))
        if state.global_step in self._points:
            control.should_evaluate = control.should_save = True
        if self.interrupted:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        """Pass on loss, learning rate, gradient norm and epoch."""
        if logs and "loss" in logs:
            names = ("loss", "learning_rate", "grad_norm", "epoch")
            values = {name: float(logs[name]) for name in names if name in logs}
            self._sink.emit(Metrics(step=state.global_step, group="train", values=values))


def _settled_state(checkpoint: Path) -> TrainerState:
    """The state in a checkpoint. The path of the best checkpoint, which is in it, is set right after a move."""
    file = checkpoint / TRAINER_STATE_NAME
    state = TrainerState.load_from_json(str(file))
    if state.best_model_checkpoint is not None:
        state.best_model_checkpoint = str(checkpoint.parent / Path(state.best_model_checkpoint).name)
        with atomic(file) as partial:
            state.save_to_json(str(partial))
    return state


def evaluation_points(steps: int, evaluations: int) -> frozenset[int]:
    """The steps after which the dev search runs: evenly spaced, the last step among them."""
    count = min(evaluations, steps)
    return frozenset(round(steps * (place + 1) / count) for place in range(count))


@contextmanager
def stop_on_interrupt(watch: Watch) -> Iterator[None]:
    """Inside, the first Ctrl-C asks the loop to stop after its step and to save; the second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        watch.interrupted = True
        # Not ``before``: a job in the background starts with the signal ignored, and could not be stopped at once.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
