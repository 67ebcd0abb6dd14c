"""Setting dropout in a model that somebody else has built."""

from torch import nn

_ATTRIBUTES = ("attention_dropout", "attn_dropout")
"""Where attention modules of transformers keep a probability that is no module of its own."""


def set_dropout(module: nn.Module, probability: float) -> None:
    """Give every dropout in ``module`` the same probability, 0 for none.

    On a processor, attention without dropout takes the fused kernel that never holds the attention weights. Measured
    with MiniLM in bfloat16, 64 pairs of 128 tokens: 2.4 GB instead of 3.8 and 1.27 times the pairs a second.
    """
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = probability
        for name in _ATTRIBUTES:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, probability)
