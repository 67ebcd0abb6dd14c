"""The training loop: Hugging Face's Trainer with our batches, our step and our dev search."""

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from safetensors import SafetensorError
from torch import nn
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from nearfar.batches.collate import Keys, PairCollator
from nearfar.batches.sample import Key, RandomBatches
from nearfar.config.run import RunConfig
from nearfar.engine.even import even_passes
from nearfar.engine.microbatch import token_budget
from nearfar.engine.ranks import Ranks
from nearfar.engine.step import Step, StepInput, prepare_step
from nearfar.engine.together import any_of, first, is_lost, wait
from nearfar.errors import DataError, ResourceError
from nearfar.events import Metrics, Sink
from nearfar.files import reason_of, sync, write_json
from nearfar.training.arguments import checkpoint_activations
from nearfar.training.broken import Done, broken_loss, broken_weights
from nearfar.training.checkpoints import complete_checkpoints, damage, keep_checkpoints, seal, step_of
from nearfar.training.dev import DevSearch
from nearfar.training.folder import RunFolder
from nearfar.training.rates import give_own_rate
from nearfar.training.refresh import Refresh
from nearfar.training.sharded import gather, on_processors_too, own_part, unused_weights_forgiven
from nearfar.training.watch import AGE, Watch, evaluation_points

_WAITING = "waiting.json"
"""A file in a checkpoint: losses that no line of the curves has yet."""


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
        refresh: Refresh | None = None,
    ) -> None:
        points = evaluation_points(arguments.max_steps, config.dev.evaluations)
        watch = Watch(points, sink, config.training.save_every, config.training.save_minutes)
        super().__init__(
            model=step,
            args=arguments,
            # The Trainer insists on a dataset for evaluation; ours is inside ``dev``.
            train_dataset=Keys(len(pairs)),
            eval_dataset=Keys(1),
            callbacks=[watch, EarlyStoppingCallback(config.dev.patience), _Follow(step)],
        )
        self.remove_callback(PrinterCallback)
        self._pairs, self._dev, self._config, self._sink = pairs, dev, config, sink
        self._refresh, self._tokens = refresh, token_budget(config.batches.tokens, step.encoder)
        self._step, self._encoder = step, step.encoder
        self._done: tuple[Done | None, Done | None] = (None, None)
        checkpoint_activations(step.encoder, arguments)
        # Texts of different processes take different dropout; what the objective draws is the same on all of them.
        set_seed(arguments.seed + Ranks.current().rank)
        self.control: TrainerControl
        self.is_fsdp_enabled: bool

    def create_accelerator_and_postprocess(self) -> None:
        """As the Trainer does it, and weights are shared out on processors as well if they are to be."""
        super().create_accelerator_and_postprocess()
        self.is_fsdp_enabled = self.is_fsdp_enabled or on_processors_too(self.accelerator, self.args)

    def run(self, checkpoint: Path | None) -> None:
        """Train from the start or from a checkpoint; afterwards the model is that of the best checkpoint.

        A checkpoint after which nothing is left to train (the last step, or an early stop) is taken as it is: the
        Trainer would do one more step.

        Raises:
            DataError: when the loss is no finite number.
            ResourceError: when a checkpoint cannot be written.
        """
        with warnings.catch_warnings():
            # Of several processes; the setting that is to come in its place sends buffers around, which are equal.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
            self._run_from(checkpoint)

    def _run_from(self, checkpoint: Path | None) -> None:
        if checkpoint is None:
            self.train()
            return
        state = _settled_state(checkpoint)
        stops = state.stateful_callbacks.get("EarlyStoppingCallback", {}).get("attributes", {})
        waited = stops.get("early_stopping_patience_counter", 0)
        if state.global_step < self.args.max_steps and waited < self._config.dev.patience:
            self.add_callback(_GoOn(self, checkpoint))
            self.train(resume_from_checkpoint=str(checkpoint))
        else:
            self.state = state
            self._load_best_model()

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Weight decay is for the encoder: what an objective trains, such as a temperature, is not to shrink."""
        names: list[str] = super().get_decay_parameter_names(model)
        return [name for name in names if not name.startswith("objective.")]

    def create_optimizer(self, *given: Any, **named: Any) -> torch.optim.Optimizer:
        """The optimiser; what the objective trains has a rate of its own in it, if the settings say so."""
        new, rate = self.optimizer is None, self._config.training.objective_learning_rate
        optimizer: torch.optim.Optimizer = super().create_optimizer(*given, **named)
        if new and rate is not None:
            give_own_rate(optimizer, self._step.objective.parameters(), rate)
        return optimizer

    def get_train_dataloader(self) -> DataLoader[list[Key]]:
        """The keys of batches. Accelerate asks for one batch ahead; what is in it is decided when its turn comes."""
        sampler = RandomBatches(len(self._pairs), self._config.batches.size, self._config.training.seed)
        loader = DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=list)
        # Not ``accelerator.prepare``, which would deal out whole batches: every process needs every batch.
        prepared: DataLoader[list[Key]] = prepare_data_loader(loader, num_processes=1, process_index=0)
        return prepared

    def _prepare_inputs(self, inputs: Sequence[Key]) -> StepInput:
        """The batch of the keys, with the negatives that this step uses; it moves to where the encoder is later."""
        step = self._step
        if self._refresh is not None:
            self._refresh.before(self.state.global_step)
        batch, ranks = self._pairs(inputs), Ranks.current()
        ready = prepare_step(self._encoder, batch, self._tokens, step.budget, ranks, step.teacher, step.apart)
        return even_passes(ready, ranks) if self.is_fsdp_enabled else ready

    def compute_loss(
        self, model: nn.Module, inputs: StepInput, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of a step."""
        self._check_loss()
        loss = model(inputs)
        number, epoch = self.state.global_step + 1, int(self.state.epoch or 0) + 1
        self._done = (self._done[1], Done.of(number, epoch, loss, inputs, self._step))
        return (loss, {}) if return_outputs else loss

    def _check_loss(self) -> None:
        """Stop when the loss of the step before was not finite. One step late, so that nothing waits for the device."""
        before, last = self._done
        if last is not None and not bool(torch.isfinite(last.loss)):
            raise broken_loss(last, before, self._pairs.dataset, self._run, self.args.should_save)

    def _check_weights(self) -> None:
        """Stop when the last step broke the weights: a gradient may not be finite though the loss was."""
        last = self._done[1]
        weights = [own_part(weight.detach()) for weight in self._step.parameters() if weight.is_floating_point()]
        if last is not None and any_of(not torch.stack([weight.isfinite().all() for weight in weights]).all()):
            raise broken_weights(last, self._pairs.dataset, self._run, self.args.should_save)

    @property
    def _run(self) -> Path:
        """The run folder."""
        return Path(self.args.output_dir).parent

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
        self._check_weights()
        self._check_something_counted()
        score = self._search()
        self._sink.emit(Metrics(step=self.state.global_step, group="dev", values={self._dev.measure: score}))
        metrics = {f"eval_{self._dev.measure}": score}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _search(self) -> float:
        """The dev search by the first process; by all of them together where none has all weights."""
        if not self.is_fsdp_enabled:
            return first(lambda: self._dev(self._encoder))
        score = self._dev(self._encoder)
        gather(self._encoder)
        return first(lambda: score)

    def _get_num_items_in_batch(self, batch_samples: list[list[Key]], device: torch.device) -> None:
        """The loss is a mean over anchors already; there are no items to divide by."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log numbers, and with those of training how old the mined negatives are, in steps."""
        age = None if self._refresh is None else self._refresh.age(self.state.global_step)
        super().log(logs if age is None or "loss" not in logs else {**logs, AGE: age}, start_time)

    def floating_point_ops(self, inputs: Sequence[Key]) -> int:
        """Not counted."""
        return 0

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint, mark it as complete when all of it is on disk, and keep only it and the best."""
        self._check_loss()
        self._check_weights()
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            if self.is_fsdp_enabled and Ranks.current().first:
                # The Trainer takes it for the best one if it is there, and would make it after looking.
                folder.mkdir(parents=True, exist_ok=True)
            super()._save_checkpoint(model, trial)
            wait()  # each process writes its random state
            if Ranks.current().first:
                # Losses that wait for the next line of the curves, which is a mean over several steps.
                waiting = {"since": self._globalstep_last_logged, "loss": float(self._tr_loss)}
                write_json(folder / _WAITING, waiting)
                if (curves := RunFolder(self._run).curves).is_file():
                    sync(curves)
                seal(folder, self.state.best_global_step)
                keep_checkpoints(folder.parent)
                if self._refresh is not None:
                    self._refresh.keep([step_of(path) for path in complete_checkpoints(folder.parent)])
            wait()
        except (OSError, RuntimeError, SafetensorError, ResourceError) as error:
            if is_lost(error):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            raise ResourceError(
                f"Cannot write the checkpoint {folder}: {reason_of(error)}. What was saved before is intact: "
                "free space and run the same command with --resume."
            ) from error

    def go_on_logging(self, checkpoint: Path) -> None:
        """Take up the losses that waited for a line of the curves when a checkpoint was written."""
        waiting = json.loads((checkpoint / _WAITING).read_text(encoding="utf-8"))
        self._globalstep_last_logged = waiting["since"]
        self._tr_loss += waiting["loss"]

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """As the Trainer does it."""
        with unused_weights_forgiven():
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_best_model(self) -> None:
        """Take the weights of the best checkpoint.

        Raises:
            ResourceError: when it is damaged.
        """
        best = Path(str(self.state.best_model_checkpoint))
        if (reason := damage(best)) is not None:
            raise ResourceError(
                f"The best checkpoint {best} is damaged: {reason}. Nothing was changed: run the same command with "
                "--resume, and training goes on from one before it."
            )
        super()._load_best_model()


class _GoOn(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Puts back what the Trainer forgets between a checkpoint and the next step."""

    def __init__(self, trainer: RetrievalTrainer, checkpoint: Path) -> None:
        self._trainer, self._checkpoint = trainer, checkpoint

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """The Trainer has just set its sum of losses to 0."""
        self._trainer.go_on_logging(self._checkpoint)


class _Follow(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Lets the moving average of the encoder follow, once for each step of the optimiser."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """The encoder has moved."""
        self._step.follow()


def _settled_state(checkpoint: Path) -> TrainerState:
    """The state in a checkpoint; the path of the best checkpoint, which is in it, is set right after a move."""
    state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    if state.best_model_checkpoint is not None:
        state.best_model_checkpoint = str(checkpoint.parent / Path(state.best_model_checkpoint).name)
    return state
