"""How many steps a run has, and whether each process has something to do in every one."""

import math

from nearfar.batches.sample import RandomBatches
from nearfar.config.launch import Launch
from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError


def steps_of_epoch(config: RunConfig, pairs: int) -> int:
    """Optimiser steps in one pass over so many pairs; the last one of a pass may have fewer batches than the others."""
    return math.ceil(len(RandomBatches(pairs, config.batches.size, 0)) / config.batches.accumulate)


def steps_of_run(config: RunConfig, pairs: int) -> int:
    """Optimiser steps in all, unless the run stops early."""
    return config.training.steps or math.ceil(steps_of_epoch(config, pairs) * config.training.epochs)


def check_shares(config: RunConfig, pairs: int) -> None:
    """Refuse more processes than there are pairs in a batch.

    Raises:
        ConfigError: with both numbers and what to do.
    """
    world = Launch.read().world
    smallest = pairs // len(RandomBatches(pairs, config.batches.size, 0))
    if smallest < world:
        limit = f"batches.size is {config.batches.size}" if pairs > config.batches.size else f"there are {pairs} pairs"
        raise ConfigError(
            f"{world} processes share each batch, and the smallest batch has {smallest} pairs, since {limit}. "
            "Start fewer processes, or raise batches.size: it counts the pairs of all processes together."
        )
