"""Memory of pairs: numbers for an example of the dataset and one of its texts."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from nearfar.objectives.memory import Table


class PairTable(Table):
    """Some numbers for every pair of an example and a text, such as a query and one of its positives.

    ``slots`` gives pairs their places in the table. Read and write are those of a table, with slots as its index.

    Attributes:
        pairs: the known pairs as one number each, ascending.
        places: the slot of each of them.
    """

    pairs: Int[Tensor, " pair"]
    places: Int[Tensor, " pair"]

    def __init__(self, *initial: float) -> None:
        super().__init__(*initial)
        self.register_buffer("pairs", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("places", torch.zeros(0, dtype=torch.int64))

    def slots(self, index: Int[Tensor, "*shape"], identities: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The slot of each pair, -1 for an index of -1; a new pair gets one, except in evaluation mode, where it is -1.

        Args:
            index: places in the dataset, below 2 ** 31.
            identities: of the texts; told apart by their last 32 bits.
        """
        keys = (index << 32) | (identities & 0xFFFFFFFF)
        known = self._found(keys)
        if self.training:
            fresh = torch.unique(keys[(known < 0) & (index >= 0)])
            if len(fresh):
                order = torch.argsort(torch.cat([self.pairs, fresh]))
                new = torch.arange(len(self.pairs), len(order), device=keys.device)
                self.pairs = torch.cat([self.pairs, fresh])[order]
                self.places = torch.cat([self.places, new])[order]
                known = self._found(keys)
        return torch.where(index >= 0, known, -1)

    def _found(self, keys: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The slot of each key, or -1."""
        if not len(self.pairs):
            return torch.full_like(keys, -1)
        near = torch.searchsorted(self.pairs, keys).clamp(max=len(self.pairs) - 1)
        return torch.where(self.pairs[near] == keys, self.places[near], -1)

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Take the number of pairs from the checkpoint."""
        stored = state.get(f"{prefix}pairs")
        if stored is not None:
            self.pairs, self.places = (torch.zeros(len(stored)).to(self.pairs) for _ in range(2))
        super()._load_from_state_dict(state, prefix, *rest)
