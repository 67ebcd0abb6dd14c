"""Learning rates: what suits each kind of weights, and a rate of its own for the objective."""

from collections.abc import Iterable

import torch
from torch import nn

from nearfar.config.run import RunConfig
from nearfar.encoders.protocol import TorchEncoder


def learning_rate(config: RunConfig, encoder: TorchEncoder) -> float:
    """The configured rate, or the default for what is trained: static vectors take far larger steps, adapters larger.

    Low-rank adapters are reported to be best at about ten times the rate of all weights, whatever their rank ("LoRA
    Without Regret", 2025). Not measured here.
    """
    if config.training.learning_rate is not None:
        return config.training.learning_rate
    if config.model.adapter.rank is not None:
        return 5e-4
    return 5e-5 if encoder.pads else 2e-2


def give_own_rate(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], rate: float) -> None:
    """Move parameters of an optimiser into a group of their own, with another rate and without weight decay.

    The group comes last, so that the rate of the first group is still that of the encoder. Must come before the first
    step and before a schedule is made. Does nothing when the optimiser has none of them.
    """
    wanted, moved = {id(each) for each in parameters}, []
    for group in optimizer.param_groups:
        moved += [each for each in group["params"] if id(each) in wanted]
        group["params"] = [each for each in group["params"] if id(each) not in wanted]
    if moved:
        optimizer.add_param_group({"params": moved, "lr": rate, "weight_decay": 0.0})
