"""What nearfar asks of an encoder: two methods. What training asks besides: a torch module that embeds features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from nearfar.events import Silent, Sink

Similarity = Literal["cosine", "dot"]
Features = Mapping[str, Any]
"""What a module's forward takes: tensors by name, and possibly flags."""


class Role(StrEnum):
    """Which side a text is on. It decides the prompt, and in some models the weights."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, eq=False, kw_only=True)
class Tokenised:
    """Texts of one role, before they are put into groups that share a forward pass.

    Attributes:
        lengths: of each text in tokens.
        features: the input of ``forward`` for the texts at some places.
    """

    lengths: list[int]
    features: Callable[[Sequence[int]], Features]


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns texts into vectors: a model, an API, a table."""

    @property
    def similarity(self) -> Similarity:
        """How vectors are compared."""

    def encode_queries(self, texts: Sequence[str], sink: Sink = Silent()) -> Float32[np.ndarray, "text dim"]:
        """Vectors of queries, in the order of ``texts``."""

    def encode_documents(self, texts: Sequence[str], sink: Sink = Silent()) -> Float32[np.ndarray, "text dim"]:
        """Vectors of documents, in the order of ``texts``."""


class TorchEncoder(nn.Module, ABC):
    """An encoder that can be trained: a torch module with the two methods of ``Encoder``.

    A subclass says how long texts are, how they become features and how features become vectors. Batching, sorting
    by length, precision and the way back into order are the engine's.
    """

    similarity: Similarity = "cosine"
    inference_tokens: int | None = None
    """Padded tokens in one forward pass of ``encode_*``; None takes what suits the device."""

    pads: bool = True
    """Whether texts that share a forward pass are padded to the longest of them."""

    precision: str = "float32"
    """``float32`` or ``bfloat16`` (autocast), for ``encode_*``. Set by whoever encodes."""

    @abstractmethod
    def lengths(self, texts: Sequence[str], role: Role) -> list[int]:
        """The length of each text in tokens after truncation, prompt included. An estimate is good enough:
        lengths decide only which texts share a forward pass.
        """

    @abstractmethod
    def features(self, texts: Sequence[str], role: Role) -> Features:
        """The input of ``forward`` for texts that share a forward pass."""

    def tokenised(self, texts: Sequence[str], role: Role) -> Tokenised:
        """Lengths and features of texts. A subclass that gets both from one tokenisation says so here."""
        return Tokenised(
            lengths=self.lengths(texts, role),
            features=lambda places: self.features([texts[place] for place in places], role),
        )

    @abstractmethod
    def forward(self, features: Features) -> Float[Tensor, "text dim"]:
        """Vectors of the texts that ``features`` holds."""

    def way(self, role: Role) -> Hashable:
        """Equal for two roles that treat a text alike, so that a text on both sides is embedded once."""
        return role

    @property
    def settings(self) -> str:
        """What decides the vectors beside the weights, as text that is equal for equal settings."""
        return ""

    @property
    def device(self) -> torch.device:
        """Where the parameters are; the CPU for a module without any."""
        first = next(self.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def encode_queries(self, texts: Sequence[str], sink: Sink = Silent()) -> Float32[np.ndarray, "text dim"]:
        """Vectors of queries, in the order of ``texts``, without gradient and in evaluation mode."""
        return self._encode(texts, Role.QUERY, sink)

    def encode_documents(self, texts: Sequence[str], sink: Sink = Silent()) -> Float32[np.ndarray, "text dim"]:
        """Vectors of documents, in the order of ``texts``, without gradient and in evaluation mode."""
        return self._encode(texts, Role.DOCUMENT, sink)

    def _encode(self, texts: Sequence[str], role: Role, sink: Sink) -> Float32[np.ndarray, "text dim"]:
        from nearfar.engine.embed import encode  # the engine imports this protocol

        return encode(self, texts, role, sink)
