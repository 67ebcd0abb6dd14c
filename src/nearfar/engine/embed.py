"""Embedding of texts in length-sorted micro-batches, with gradient for training and without for search."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from nearfar.encoders.protocol import Features, Role, TorchEncoder
from nearfar.engine.again import embed_again
from nearfar.engine.budget import Budget
from nearfar.engine.microbatch import MicroBatch, cut, pass_cost, token_budget
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
    encoder: torch.nn.Module,
    batches: Sequence[MicroBatch],
    precision: str,
    device: torch.device,
    budget: Budget = Budget(),
) -> Float[Tensor, "text dim"]:
    """Embed micro-batches and put the rows back into the order of the texts, in float32 and with gradient.

    The first micro-batches, as many as the budget allows, keep their activations; the others compute them again in the
    backward pass, with the same random numbers. Values and gradients do not depend on the budget.

    Raises:
        ConfigError: when a single micro-batch takes more than a budget in bytes.
    """

    def run(batch: MicroBatch) -> Float[Tensor, "row dim"]:
        # Entered anew for each pass: within one autocast they would share a copy of each weight in bfloat16, and
        # gradients of many passes would add up in bfloat16.
        with autocast(device, precision):
            vectors: Tensor = encoder(to_device(batch.features, device))
        return vectors if vectors.dtype == torch.float64 else vectors.float()

    trained = [weight for weight in encoder.parameters() if weight.requires_grad and torch.is_grad_enabled()]
    room, parts = _Room(budget, batches, encoder), []
    for place, batch in enumerate(batches):
        if trained and not room.fits(batch):
            parts.append(embed_again(run, batches[place:], trained, device))
            break
        with room.measured(batch):
            parts.append(run(batch))
    places = torch.from_numpy(np.concatenate([batch.places for batch in batches])).to(device)
    return torch.cat(parts)[torch.argsort(places)]


class _Room:
    """What is left of a budget while the micro-batches of a step are embedded.

    Room for the largest micro-batch is set aside, since each one that is embedded again has to fit beside what is kept.
    """

    def __init__(self, budget: Budget, batches: Sequence[MicroBatch], encoder: torch.nn.Module) -> None:
        self._budget = budget
        # Only where it is needed: the storage of a weight that is shared out among ranks cannot be asked for.
        weights = () if budget.bytes is None else encoder.parameters()
        self._known = {parameter.untyped_storage().data_ptr() for parameter in weights}
        self._largest = max(batch.tokens for batch in batches)
        self._all_fit = budget.tokens is not None and sum(batch.tokens for batch in batches) <= budget.tokens
        self._tokens, self._bytes, self._bytes_per_token = 0, 0, 0.0

    def fits(self, batch: MicroBatch) -> bool:
        """Whether a micro-batch may keep its activations. The first one does, as long as nothing is known of bytes."""
        if not self._budget.limited or self._all_fit:
            return True
        if self._budget.tokens is not None:
            if self._tokens + batch.tokens + self._largest > self._budget.tokens:
                return False
            self._tokens += batch.tokens
            return True
        assert self._budget.bytes is not None
        return self._bytes + self._bytes_per_token * (batch.tokens + self._largest) <= self._budget.bytes

    @contextmanager
    def measured(self, batch: MicroBatch) -> Iterator[None]:
        """Inside, count the bytes that are kept for the backward pass, where the budget is in bytes."""
        if self._budget.bytes is None or not torch.is_grad_enabled():
            yield
            return
        taken = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal taken
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._known:  # weights and views of them are there anyway
                self._known.add(storage.data_ptr())
                taken += storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            yield
        if taken > self._budget.bytes:
            raise ConfigError(
                f"batches.at_once is {self._budget.bytes / 2**20:.0f} MiB, but the activations of one forward pass, "
                f"{batch.tokens} padded tokens in {len(batch.places)} texts, take {taken / 2**20:.0f} MiB. Set "
                "batches.tokens lower, so that fewer texts share a pass, or allow more memory."
            )
        self._bytes += taken
        self._bytes_per_token = max(self._bytes_per_token, taken / max(batch.tokens, 1))


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
            tokens = token_budget(encoder.inference_tokens, encoder)
            for places in reversed(cut(encoder.lengths(window, role), tokens, pass_cost(encoder))):
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
