"""Encoders in the form that the runner of mteb takes, and whether mteb is there at all."""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from nearfar.encoders.fingerprint import vectors_hash
from nearfar.encoders.protocol import Encoder, TorchEncoder
from nearfar.errors import ConfigError, DataError
from nearfar.events import Silent, Sink

_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")


class MTEBEncoder:
    """What ``mteb.models.EncoderProtocol`` asks for; made by ``as_mteb``."""

    def __init__(self, encoder: Encoder, name: str, sink: Sink = Silent()) -> None:
        from mteb.models.model_meta import ModelMeta, ScoringFunction

        self._encoder, self._sink = encoder, sink
        revision = vectors_hash(encoder) if isinstance(encoder, TorchEncoder) else uuid4().hex
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": f"nearfar/{_NOT_IN_A_NAME.sub('_', name).strip('_')}",
                "revision": revision,
                "modalities": ["text"],
                "similarity_fn_name": ScoringFunction(encoder.similarity),
            }
        )

    def encode(self, inputs: Iterable[Any], *, prompt_type: Any = None, **_: Any) -> Float32[np.ndarray, "text dim"]:
        """Vectors of all texts of a loader.

        Raises:
            DataError: a batch holds no texts, or a vector is not finite.
        """
        texts: list[str] = []
        for batch in inputs:
            if "text" not in batch:
                raise DataError(f"Only texts can be embedded, and mteb gave {', '.join(batch)}. Choose another task.")
            texts += batch["text"]
        documents = prompt_type is not None and str(prompt_type.value) == "document"
        encode = self._encoder.encode_documents if documents else self._encoder.encode_queries
        vectors = np.asarray(encode(texts, self._sink), dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise DataError("The model gives vectors that hold NaN or infinity. Did it diverge in training?")
        return vectors

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Float[Tensor, "left right"]:
        """The similarity of each row on the left and each on the right."""
        left, right = self._sides(embeddings1, embeddings2)
        return left @ right.T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Float[Tensor, " pair"]:
        """The similarity of each row on the left and the same row on the right."""
        left, right = self._sides(embeddings1, embeddings2)
        return (left * right).sum(dim=1)

    def _sides(self, *given: Any) -> list[Float[Tensor, "text dim"]]:
        sides = [torch.as_tensor(each).float() for each in given]
        sides = [side if side.ndim == 2 else side[None] for side in sides]
        if self._encoder.similarity == "cosine":
            sides = [torch.nn.functional.normalize(side, dim=1) for side in sides]
        return sides


def as_mteb(encoder: Encoder, name: str = "encoder", sink: Sink = Silent()) -> MTEBEncoder:
    """An encoder as a model of mteb: ``mteb.evaluate(as_mteb(encoder), task)``.

    What mteb calls a document is embedded as one, everything else as a query, each with the encoder's own prompt;
    prompts that mteb has for single tasks are not used. Similarity is the encoder's. Nothing is looked up on a hub.

    mteb keeps results by name and revision of a model. The revision is a hash of all that decides the vectors, so
    results of other weights are never taken for those of these. An encoder that is no torch module gets a new one
    every time.

    Args:
        encoder: what embeds.
        name: what mteb calls it, in ``nearfar/NAME``.
        sink: takes progress.

    Raises:
        ConfigError: mteb is not installed.
    """
    check_installed()
    return MTEBEncoder(encoder, name, sink)


def check_installed() -> None:
    """Raise ConfigError where mteb is not installed."""
    if find_spec("mteb") is None:
        raise ConfigError("Tasks of mteb need the package mteb: pip install 'nearfar[mteb]'.")
