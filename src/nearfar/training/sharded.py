"""Weights that are shared out among the processes of a run while it trains (FSDP, its second version).

Every process opens the whole model, and has the whole model again when training is over. Between the two it keeps its
part of each weight, of its gradient and of the optimiser's state, and a layer is whole only while it computes.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import Tensor, nn
from torch.distributed.checkpoint import default_planner
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel, TrainingArguments

from nearfar.config.refresh import NEVER
from nearfar.config.run import RunConfig
from nearfar.encoders.protocol import TorchEncoder
from nearfar.engine.ranks import Ranks
from nearfar.errors import ConfigError, did_you_mean
from nearfar.objectives.registry import parse

KEEPS: Mapping[str, bool] = {"full_shard": False, "shard_grad_op": True}
"""The names of before for whether a layer stays whole from its forward to its backward pass."""
SETTINGS = ("version", "reshard_after_forward", "transformer_layer_cls_to_wrap")
"""What a user may set in ``fsdp_config``."""
_SWITCH = "ACCELERATE_USE_FSDP"


def is_sharded(config: RunConfig) -> bool:
    """Whether a run is to share out its weights."""
    return bool(config.training.trainer.get("fsdp"))


def check_sharding(config: RunConfig) -> None:
    """Refuse what does not go with weights that are shared out.

    Raises:
        ConfigError: with the setting and what to do.
    """
    if not is_sharded(config):
        return
    settings_of(config)
    if Ranks.current().world == 1:
        raise ConfigError(
            "training.trainer.fsdp shares out the weights among processes, and this is the only one. Start several, "
            "such as with torchrun --nproc-per-node 2 -m nearfar train, or leave it out."
        )
    clashes = {
        "batches.at_once": (config.batches.at_once is not None, "training.trainer.gradient_checkpointing saves memory"),
        "model.adapter.rank": (config.model.adapter.rank is not None, "few weights need not be shared out"),
        "training.compile": (config.training.compile, "leave one of the two out"),
        "training.momentum": (config.training.momentum is not None, "a teacher.model can be the guide"),
        "mining.refresh": (config.mining.refresh != NEVER, "mine before training, with nearfar mine"),
        "training.trainer.deepspeed": (bool(config.training.trainer.get("deepspeed")), "leave one of the two out"),
    }
    for name, (is_set, instead) in clashes.items():
        if is_set:
            raise ConfigError(f"{name} is set, which does not work with training.trainer.fsdp yet: {instead}.")


def check_parts(encoder: TorchEncoder, config: RunConfig) -> None:
    """Refuse layers that an encoder does not have, and an objective that is trained itself, where weights are parted.

    Raises:
        ConfigError: with their names.
    """
    if not is_sharded(config):
        return
    sharding_arguments(config, encoder)
    objective = parse(config.objective)
    names = [name for name, _ in objective.prepare(max(objective.least_width or 1, 8), 1).named_parameters()]
    if names:
        raise ConfigError(
            f"The objective {config.objective} trains {', '.join(names)} of its own, which does not work with "
            "training.trainer.fsdp yet. Choose one without, such as one with a fixed temperature."
        )


def settings_of(config: RunConfig) -> dict[str, Any]:
    """What a user set in ``fsdp`` and ``fsdp_config``, under the names of today.

    Raises:
        ConfigError: for what is not known, or not possible here.
    """
    fsdp: Any = config.training.trainer.get("fsdp")
    given = config.training.trainer.get("fsdp_config") or {}
    if isinstance(given, str):
        try:
            given = json.loads(Path(given).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"training.trainer.fsdp_config: {given} cannot be read as JSON ({error}).") from error
    if not isinstance(given, dict):
        raise ConfigError(f"training.trainer.fsdp_config must be settings by name, got {given!r}.")
    settings = {str(name).removeprefix("fsdp_"): value for name, value in given.items()}
    for name in settings:
        if name not in SETTINGS:
            raise ConfigError(
                f"training.trainer.fsdp_config.{name} cannot be set here; what can be is {', '.join(SETTINGS)}."
                f"{did_you_mean(name, SETTINGS)}"
            )
    if str(settings.setdefault("version", 2)) != "2":
        raise ConfigError(f"training.trainer.fsdp_config.version must be 2, got {settings['version']!r}.")
    if fsdp is not True:
        if not isinstance(fsdp, str) or fsdp not in KEEPS:
            raise ConfigError(f"training.trainer.fsdp is {fsdp!r}; it must be true, {' or '.join(KEEPS)}.")
        settings.setdefault("reshard_after_forward", not KEEPS[fsdp])
    return settings


def sharding_arguments(config: RunConfig, encoder: TorchEncoder) -> dict[str, Any]:
    """The arguments of the Trainer: each layer of the encoder is shared out by itself, and the rest of it together.

    Raises:
        ConfigError: for a class of layers that the encoder does not have.
    """
    settings = settings_of(config)
    there = {type(module).__name__ for module in encoder.modules()}
    layers = settings.get("transformer_layer_cls_to_wrap") or sorted(
        name
        for module in encoder.modules()
        if isinstance(module, PreTrainedModel)
        for name in (module._no_split_modules or ())
        if name in there
    )
    layers = [layers] if isinstance(layers, str) else list(layers)
    for name in layers:
        if name not in there:
            raise ConfigError(
                f"training.trainer.fsdp_config.transformer_layer_cls_to_wrap: the encoder has no {name}."
                f"{did_you_mean(name, sorted(there))}"
            )
    # The encoder is called on its own by the dev search, so it must be able to gather all that is its own.
    layers = list(dict.fromkeys([*layers, type(encoder).__name__]))
    # Checkpoints are written by all processes, each its part: no one has to hold all of it.
    parts = {"transformer_layer_cls_to_wrap": layers, "state_dict_type": "SHARDED_STATE_DICT"}
    return {"fsdp": True, "fsdp_config": {**settings, **parts}}


def on_processors_too(accelerator: Accelerator, arguments: TrainingArguments) -> bool:
    """Have Accelerate share out weights on processors as it does on accelerators; gives whether it will.

    Left to itself it takes ``fsdp`` for accelerators only, and trains copies of the model without a word.
    """
    state = accelerator.state
    if arguments.fsdp_plugin_args is None or state.distributed_type != DistributedType.MULTI_CPU:
        return False
    state.fsdp_plugin = FullyShardedDataParallelPlugin(**arguments.fsdp_plugin_args)
    state.distributed_type = DistributedType.FSDP
    return True


@contextmanager
def switch_put_back() -> Iterator[None]:
    """Accelerate sets a variable of the environment by which later runs of this process would share out weights."""
    before = os.environ.get(_SWITCH)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)


@contextmanager
def unused_weights_forgiven() -> Iterator[None]:
    """Inside, the state of an optimiser is loaded though it lacks weights that no step has used, such as a pooler's.

    PyTorch asks for the state of every weight, and AdamW has none of those without a gradient.
    """
    module: Any = default_planner  # where Accelerate looks for it
    before = module.DefaultLoadPlanner
    module.DefaultLoadPlanner = partial(before, allow_partial_load=True)
    try:
        yield
    finally:
        module.DefaultLoadPlanner = before


class Parted:
    """An encoder whose weights are away while they are trained.

    The encoder itself is never changed into a sharded one, from which there is no way back: a twin of it is.

    Attributes:
        twin: has the weights until ``come_back``; to be trained in its place.
    """

    def __init__(self, encoder: TorchEncoder) -> None:
        self._encoder = encoder
        self.twin = deepcopy(encoder, {id(weight): weight for weight in encoder.parameters()})
        _put(encoder, {id(weight): weight.detach().to("meta") for weight in encoder.parameters()})

    def come_back(self) -> None:
        """Give the encoder its weights, as they are now; every process gets all of them, and must ask."""
        gather(self.twin)
        trained = zip(self._encoder.parameters(), self.twin.parameters(), strict=True)
        _put(self._encoder, {id(empty): _whole(weight.detach()) for empty, weight in trained})
        for buffer, other in zip(self._encoder.buffers(), self.twin.buffers(), strict=True):
            buffer.copy_(other)


def gather(module: nn.Module) -> None:
    """Bring a module that may be sharded back to rest: what was gathered for a forward pass is let go."""
    for each in module.modules():
        if isinstance(each, FSDPModule):
            each.reshard()


def own_part(weight: Tensor) -> Tensor:
    """What this process has of a weight."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def _whole(weight: Tensor) -> Tensor:
    return weight.full_tensor() if isinstance(weight, DTensor) else weight


def _put(module: nn.Module, values: Mapping[int, Tensor]) -> None:
    """Put new weights in the place of others, given by their ids; weights that were shared stay shared."""
    made: dict[int, nn.Parameter] = {}
    for each in module.modules():
        for name, weight in each._parameters.items():
            if weight is not None:
                new = made.setdefault(id(weight), nn.Parameter(values[id(weight)], weight.requires_grad))
                each._parameters[name] = new
