"""A small network that looks at two vectors: one number for each pair, whatever their order."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PairNetwork(nn.Module):
    """``v . tanh(W (x + c) + b) + a`` of every row x and column c.

    Args:
        dim: width of the vectors.
        hidden: width of the hidden layer.
        seed: where the weights start.
        offset: where a starts.
    """

    def __init__(self, dim: int, hidden: int, seed: int, offset: float = 0.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.into = nn.Parameter(torch.randn(hidden, dim, generator=generator) / math.sqrt(2))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Parameter(torch.randn(hidden, generator=generator) / math.sqrt(hidden))
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(
        self, rows: Float[Tensor, "row dim"], columns: Float[Tensor, "column dim"]
    ) -> Float[Tensor, "row column"]:
        """The number of each pair, in the precision of the rows."""
        into, bias, out, offset = (each.to(rows.dtype) for each in (self.into, self.bias, self.out, self.offset))
        # The sum goes into the network as two products, so that no pair of vectors is ever added up.
        hidden = torch.tanh((rows @ into.T + bias)[:, None, :] + (columns @ into.T)[None, :, :])
        return hidden @ out + offset
