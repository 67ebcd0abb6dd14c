"""Vectors of texts by a model, as tasks that any process can do with the same bits.

The bits depend on which texts share a forward pass, which a task decides, and on the number of threads: measured with
MiniLM on a processor with AMX, bfloat16 gives other bits with one thread than with two, float32 the same. So a task
fixes its threads, one unless somebody asks for more; several processes use a machine better than several threads.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32

from nearfar.encoders.fingerprint import vectors_hash
from nearfar.encoders.load import load
from nearfar.encoders.protocol import Encoder, Role, Similarity, TorchEncoder
from nearfar.engine.embed import resolve_precision
from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.events import Silent, Sink


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """A model that any process can open; the fields are those of ``encoders.load``.

    Attributes:
        precision: of its vectors: ``auto``, ``float32`` or ``bfloat16``.
    """

    name: str
    prompts: tuple[tuple[str, str], ...] = ()
    max_length: int | None = None
    similarity: Similarity | None = None
    precision: str = "auto"
    device: str | None = None
    seed: int = 0

    def open(self) -> TorchEncoder:
        """The model.

        Raises:
            ConfigError: when it cannot be opened.
        """
        encoder = load(
            self.name,
            prompts=dict(self.prompts),
            max_length=self.max_length,
            similarity=self.similarity,
            device=self.device,
            seed=self.seed,
        )
        encoder.precision = resolve_precision(self.precision, encoder.device)
        return encoder


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the vectors of a model follow from, beside the texts.

    Attributes:
        model: the hash of weights, modules, prompts, tokenizer, length and similarity.
        similarity: how vectors are compared.
        precision: in which the model computes.
        device: the kind of device.
        tokens: padded tokens in a forward pass, where they are set.
        threads: of a task.
    """

    model: str
    similarity: Similarity
    precision: str = ""
    device: str = "cpu"
    tokens: int | None = None
    threads: int = 1


def identity(encoder: Encoder, threads: int = 1) -> Identity:
    """What the vectors of an encoder follow from.

    An encoder that is no torch module is known by its attribute ``fingerprint``. One without it gets a number of its
    own each time, so that no vector of another one is ever taken for its.
    """
    if isinstance(encoder, TorchEncoder):
        return Identity(
            model=vectors_hash(encoder),
            similarity=encoder.similarity,
            precision=encoder.precision,
            device=encoder.device.type,
            tokens=encoder.inference_tokens,
            threads=threads,
        )
    own = getattr(encoder, "fingerprint", None)
    model = f"{type(encoder).__qualname__} {own if isinstance(own, str) else secrets.token_hex(16)}"
    return Identity(model=model, similarity=encoder.similarity, threads=threads)


@dataclass(frozen=True, eq=False, kw_only=True)
class Encode:
    """Encodes texts.

    Attributes:
        model: with which model; an encoder itself stays in this process.
        expected: what the model has to be.
        role: the side of the texts.
        texts: a window; which of them share a forward pass depends on nothing else.
    """

    model: ModelName | Encoder
    expected: Identity
    role: Role
    texts: Sequence[str]

    def run(self, sink: Sink = Silent()) -> Float32[np.ndarray, "text dim"]:
        """The vectors, in the order of the texts.

        Raises:
            ConfigError: when the model is not what it has to be.
            DataError: when a vector is not finite.
            ShapeError: when there is not one vector for each text.
        """
        encoder = _opened(self.model, self.expected) if isinstance(self.model, ModelName) else self.model
        encode = encoder.encode_queries if self.role is Role.QUERY else encoder.encode_documents
        with fixed_threads(self.expected.threads):
            vectors = np.asarray(encode(self.texts, sink), dtype="<f4")
        if vectors.ndim != 2 or len(vectors) != len(self.texts):
            raise ShapeError(
                f"{type(encoder).__name__} gives {vectors.shape} for {len(self.texts)} texts; expected a vector each."
            )
        if not np.isfinite(vectors).all():
            raise DataError(f"{type(encoder).__name__} gives vectors that are not finite for {self.role} texts.")
        return vectors


def check_same(name: str, found: Identity, expected: Identity) -> None:
    """Refuse a model that is not what it was.

    Raises:
        ConfigError: says what differs.
    """
    if found != expected:
        raise ConfigError(
            f"There is another model under {name} than when the job began: {found}, expected {expected}. Do not change "
            "a model while it is used, and give all machines the same one."
        )


@contextmanager
def fixed_threads(count: int) -> Iterator[None]:
    """Inside, PyTorch computes with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _opened(model: ModelName, expected: Identity) -> TorchEncoder:
    """A model, opened once in a process for many tasks."""
    encoder = model.open()
    check_same(model.name, identity(encoder, expected.threads), expected)
    return encoder
