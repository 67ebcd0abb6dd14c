"""The order of pairs: random, seeded, every pair once an epoch, and no small batch at the end."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

Key = tuple[int, int]
"""(epoch, pair): the epoch travels along, so that what is drawn for a pair may differ from epoch to epoch."""


class RandomBatches(Sampler[list[Key]]):
    """Batches of pair numbers, shuffled anew each epoch.

    The pairs are spread over the batches as evenly as they can be: sizes differ by one at most, so that no step of an
    epoch sees far fewer negatives than the others.

    Args:
        pairs: how many pairs there are.
        size: the largest number of pairs in a batch.
        seed: decides the order, together with the epoch.
    """

    def __init__(self, pairs: int, size: int, seed: int) -> None:
        self.pairs, self.size, self.seed = pairs, size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.pairs // self.size)

    def __iter__(self) -> Iterator[list[Key]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.pairs)
        for part in np.array_split(order, len(self)):
            yield [(self.epoch, int(pair)) for pair in part]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next; called by the loop."""
        self.epoch = epoch
