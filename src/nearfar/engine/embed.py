"""Embedding of texts in length-sorted micro-batches, with gradient for training and without for search."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from nearfar.encoders.protocol import Features, Role, TorchEncoder
from nearfar.engine.microbatch import MicroBatch, cut, token_budget
from nearfar.errors import ConfigError, DataError
from nearfar.events import Progress, Sink

PRECISIONS = ("auto", "float32", "bfloat16")
_WINDOW = 8_192
"""Texts that are tokenised and sorted together when encoding; bounds memory without giving up on sorting."""


def resolve_precision(precision: str, device: torch.device) -> str:
    """``float32`` or ``bfloat16``: what ``auto`` means on this device.

    ``auto`` is bfloat16 where the processor computes in it (CUDA of compute capability 8.0, x86 with AVX512-BF16 or
    AMX, Apple's MPS is left at float32), else float32.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}.")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu":
        return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"
    return "float32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Autocast to bfloat16, or nothing. ``precision`` must be resolved."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def to_device(features: Features, device: torch.device) -> Features:
    """The features with every tensor on ``device``."""
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in features.items()}


def embed(
    encoder: torch.nn.Module, batches: Sequence[MicroBatch], precision: str, device: torch.device
) -> Float[Tensor, "text dim"]:
    """Embed micro-batches and put the rows back into the order of the texts, in float32 and with gradient."""
    with autocast(device, precision):
        parts = [encoder(to_device(batch.features, device)) for batch in batches]
    places = torch.from_numpy(np.concatenate([batch.places for batch in batches])).to(device)
    stacked = torch.cat([part if part.dtype == torch.float64 else part.float() for part in parts])
    return stacked[torch.argsort(places)]


def encode(encoder: TorchEncoder, texts: Sequence[str], role: Role, sink: Sink) -> Float32[np.ndarray, "text dim"]:
    """Embed any number of texts without gradient, in evaluation mode; the mode is put back afterwards.

    Raises:
        DataError: when there is no text, or when the model gives a vector that is not finite.
    """
    if not texts:
        raise DataError(f"There is no {role} to encode.")
    task = "Encoding queries" if role is Role.QUERY else "Encoding documents"
    device, parts, done = encoder.device, [], 0
    with _evaluation_mode(encoder), torch.inference_mode(), autocast(device, encoder.precision):
        for start in range(0, len(texts), _WINDOW):
            window = list(texts[start : start + _WINDOW])
            rows: Tensor | None = None
            for places in reversed(cut(encoder.lengths(window, role), token_budget(encoder.inference_tokens, encoder))):
                features = to_device(encoder.features([window[place] for place in places], role), device)
                vectors = encoder(features).float()
                if rows is None:
                    rows = torch.empty(len(window), vectors.shape[1])
                rows[torch.from_numpy(places)] = vectors.cpu()
                done += len(places)
                sink.emit(Progress(task=task, done=done, total=len(texts)))
            assert rows is not None  # a window is never empty
            parts.append(rows.numpy())
    vectors_of_all = np.concatenate(parts)
    broken = np.flatnonzero(~np.isfinite(vectors_of_all).all(axis=1))
    if len(broken):
        raise DataError(
            f"The model gives a vector that is not finite for {len(broken)} of {len(texts)} {role} texts, "
            f"the first of them {texts[int(broken[0])][:80]!r}. Its weights are broken or the precision is too low."
        )
    return vectors_of_all


@contextmanager
def _evaluation_mode(encoder: TorchEncoder) -> Iterator[None]:
    # A part that was frozen in evaluation mode stays in it, so every module's own mode is put back.
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
