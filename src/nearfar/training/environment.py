"""What a result depends on beside its settings: versions, processor, and the content of weights and data."""

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nearfar.data.tables import Dataset

_PACKAGES = ("nearfar", "torch", "transformers", "sentence-transformers", "numpy", "tokenizers")


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


def weights_hash(module: nn.Module) -> str:
    """128 bits over names, dtypes, shapes and values of all parameters and buffers."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def data_hash(dataset: Dataset) -> str:
    """128 bits over the identities of all texts and all judgements by split."""
    digest = hashlib.blake2b(digest_size=16)
    arrays = [dataset.queries.keys, dataset.documents.keys, dataset.nodes, dataset.searched]
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
