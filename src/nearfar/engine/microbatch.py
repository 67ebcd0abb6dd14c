"""Which texts share a forward pass: sorted by length and cut under a budget of padded tokens.

Padding costs what real tokens cost. Texts of one length need none, so the texts of a step are sorted before they are
cut. The loss does not see the order: embeddings are scattered back before anything is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from nearfar.encoders.protocol import Features, Role, TorchEncoder
from nearfar.errors import ConfigError

_UNLIMITED = 2**40


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Texts that share a forward pass.

    Attributes:
        places: where their embeddings belong among the texts of the step.
        features: the input of the encoder.
        tokens: its padded size, longest text times number of texts.
    """

    places: Int64[np.ndarray, " text"]
    features: Features
    tokens: int = 0


def token_budget(tokens: int | None, encoder: TorchEncoder) -> int:
    """Padded tokens in one forward pass: as given, or what suits the encoder and its device.

    An encoder that does not pad gains nothing from small passes and embeds all texts at once.

    Measured with MiniLM on two cores, 64 pairs of at most 128 tokens, pairs trained a second in float32 and bfloat16:
    22 and 36 at 2,048 tokens, 22 and 38 at 4,096, 21 and 38 at 8,192, 20 and 38 at 16,384.
    """
    if tokens is not None:
        return tokens
    if not encoder.pads:
        return _UNLIMITED
    return 4_096 if encoder.device.type == "cpu" else 32_768


def pass_cost(encoder: TorchEncoder) -> int:
    """What a pass costs beside its tokens, in tokens: starting its operations, and adding up its gradients.

    A guess by order of magnitude: with 128, the demo's steps of MiniLM have 8 passes and 7 percent padding, where
    passes that are as full as the budget allows are 5 and have 22 percent.
    """
    if not encoder.pads:
        return _UNLIMITED
    return 128 if encoder.device.type == "cpu" else 8_192


def cut(lengths: Sequence[int], budget: int, cost: int | None = None) -> list[Int64[np.ndarray, " text"]]:
    """Split texts into groups whose padded size, longest times count, stays within ``budget`` tokens.

    Of all such splits, one with the least padded tokens plus ``cost`` for each group; None for a quarter of the budget.
    Texts are sorted by length, ties by place, so the result is the same for the same lengths. A text longer than the
    budget goes alone.

    Raises:
        ConfigError: when the budget is below 1.
    """
    if budget < 1:
        raise ConfigError(f"A token budget must be at least 1, got {budget}.")
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    ascending = np.maximum(np.asarray(lengths, dtype=np.int64)[order], 1)
    if not len(order):
        return []
    cost = budget // 4 if cost is None else cost
    if len(order) * int(ascending[-1]) <= min(budget, cost):
        return [order]  # a second group would cost more than all padding
    return np.split(order, _starts(ascending, budget, cost)[1:])


def _starts(ascending: Int64[np.ndarray, " text"], budget: int, cost: int) -> list[int]:
    """Where each group of the best split starts, found by the best split of the first 1, 2, ... texts."""
    count = len(ascending)
    best = np.zeros(count + 1, dtype=np.int64)
    last_start = np.zeros(count + 1, dtype=np.int64)
    sizes = np.arange(count, 0, -1)
    for end in range(1, count + 1):
        longest = int(ascending[end - 1])
        first = max(0, end - max(1, budget // longest))
        totals = best[first:end] + sizes[count - end + first :] * longest
        chosen = int(totals.argmin())  # the first of equals: the larger last group
        best[end] = totals[chosen] + cost
        last_start[end] = first + chosen
    starts, end = [], count
    while end:
        end = int(last_start[end])
        starts.append(end)
    return starts[::-1]


def prepare(encoder: TorchEncoder, texts: Sequence[str], role: Role, budget: int) -> list[MicroBatch]:
    """The micro-batches of ``texts``, tokenised and padded each to its own longest text."""
    tokenised = encoder.tokenised(texts, role)
    return [
        MicroBatch(places, tokenised.features(places.tolist()), tokenised.lengths[places[-1]] * len(places))
        for places in cut(tokenised.lengths, budget, pass_cost(encoder))
    ]
