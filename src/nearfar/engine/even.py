"""As many forward passes on every process, for encoders whose weights are gathered from all of them in each pass."""

from dataclasses import replace

import numpy as np
import torch
from torch import distributed

from nearfar.engine.ranks import Ranks
from nearfar.engine.step import StepInput


def even_passes(step: StepInput, ranks: Ranks) -> StepInput:
    """The step with as many micro-batches as the rank that has most of them. Every rank must ask.

    A rank that has fewer embeds its smallest one again. Those vectors stand behind its own, where nobody takes them
    for anything: their gradient is 0, but the backward pass goes through them as it does on the other ranks.
    """
    if ranks.world == 1:
        return step
    most = torch.tensor(len(step.micro_batches))
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    smallest = min(step.micro_batches, key=lambda each: each.tokens)
    end = sum(len(each.places) for each in step.micro_batches)
    width = len(smallest.places)
    more = [
        replace(smallest, places=np.arange(start, start + width, dtype=np.int64))
        for start in range(end, end + width * (int(most) - len(step.micro_batches)), width)
    ]
    return replace(step, micro_batches=[*step.micro_batches, *more])
