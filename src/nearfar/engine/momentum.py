"""A moving average of the encoder, as in MoCo and BYOL: it follows slowly, and nothing is trained through it."""

from copy import deepcopy

import torch
from torch import nn

from nearfar.encoders.protocol import TorchEncoder


class Momentum(nn.Module):
    """A copy of an encoder that takes over a little of it after every step of the optimiser.

    ``theta_k <- m theta_k + (1 - m) theta_q``. It starts as the encoder is. Buffers are copied as they are. No gradient
    reaches it, no optimiser has it, every checkpoint does, and it is always in evaluation mode: its vectors are made
    without dropout.

    Args:
        encoder: what is followed.
        momentum: m, the share that stays, from 0 (always the encoder itself) to 1 (always the encoder at the start).
    """

    def __init__(self, encoder: TorchEncoder, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.encoder = deepcopy(encoder).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Momentum":
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def follow(self, encoder: TorchEncoder) -> None:
        """Move towards an encoder of the same shape. Equal on all ranks, since the encoder is."""
        mine, theirs = ([weight.detach() for weight in each.parameters()] for each in (self.encoder, encoder))
        # The difference form: where both are equal, they stay equal to the bit.
        torch._foreach_lerp_(mine, theirs, 1 - self.momentum)
        for buffer, other in zip(self.encoder.buffers(), encoder.buffers(), strict=True):
            buffer.copy_(other)
