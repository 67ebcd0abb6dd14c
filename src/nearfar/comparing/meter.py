"""What a piece of work costs: time, processor time, memory, and what went through an encoder."""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(kw_only=True)
class Spent:
    """What was spent, once it is over: seconds of wall clock and of all processor cores."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Inside, time runs."""
    spent, wall, cpu = Spent(), time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent.seconds, spent.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def memory_watched() -> Iterator[Callable[[], float | None]]:
    """Gives what tells the most memory that has been in use at once since, in bytes.

    That is memory of the accelerator where it was used, else of the process, less what it had before: earlier work may
    leave something behind. None where the system does not tell, or cannot count anew.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # else the memory that earlier work has freed would be used, and not be seen
    before = None
    with suppress(OSError):
        _RESET.write_text("5")
        before = _status("VmRSS")

    def peak() -> float | None:
        if torch.cuda.is_available() and (used := torch.cuda.max_memory_allocated()):
            return float(used)
        most = _status("VmHWM")
        return None if before is None or most is None else max(most - before, 0.0)

    yield peak


def _status(field: str) -> float | None:
    """Bytes of a field in what Linux tells of this process."""
    with suppress(OSError, ValueError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return float(line.split()[1]) * 1024
    return None


@dataclass(kw_only=True)
class Passed:
    """How many texts and tokens an encoder in training has embedded, padding not counted.

    A text that is embedded twice in a step, to save memory, counts twice.
    """

    texts: int = 0
    tokens: int = 0


@contextmanager
def counted(encoder: nn.Module) -> Iterator[Passed]:
    """Inside, what goes through an encoder while it is in training mode is counted; searches on dev are not."""
    passed = Passed()

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if module.training and isinstance(output, Tensor) and inputs:
            features = inputs[0]
            mask = features.get("attention_mask")
            ids = features.get("input_ids")
            passed.texts += len(output)
            passed.tokens += int(mask.sum()) if mask is not None else 0 if ids is None else ids.numel()

    handle = encoder.register_forward_hook(count)
    try:
        yield passed
    finally:
        handle.remove()
