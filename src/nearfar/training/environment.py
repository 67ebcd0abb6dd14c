"""What a result depends on beside its settings: versions, processor, and the content of weights and data."""

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import TorchEncoder

_PACKAGES = ("nearfar", "torch", "transformers", "sentence-transformers", "numpy", "tokenizers")

_ROWS_AT_ONCE = 10_000


def environment() -> dict[str, str | int]:
    """Versions of what computes, and on what processor."""
    found: dict[str, str | int] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package.replace("-", "_")] = version(package)
        except PackageNotFoundError:
            found[package.replace("-", "_")] = "not installed"
    found["cpu"] = _processor()
    found["threads"] = torch.get_num_threads()
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def encoder_hash(encoder: TorchEncoder) -> str:
    """128 bits over everything that decides the vectors: weights, prompts, tokenizer, length, similarity."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{encoder.similarity} {encoder.settings}".encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def data_hash(dataset: Dataset) -> str:
    """128 bits over all texts, letter by letter, and all judgements by split."""
    digest = hashlib.blake2b(digest_size=16)
    for table in (dataset.queries, dataset.documents):
        for start in range(0, len(table), _ROWS_AT_ONCE):
            digest.update("\0".join(table.texts[start : start + _ROWS_AT_ONCE].to_pylist()).encode())
    arrays = [dataset.nodes, dataset.searched]
    for split in sorted(dataset.qrels):
        qrels = dataset.qrels[split]
        digest.update(split.encode())
        arrays += [qrels.query, qrels.node, qrels.grade]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
