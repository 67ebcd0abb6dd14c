"""How two vectors are compared. Higher is nearer, whatever the kind."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Similarity = Literal["cosine", "dot", "euclidean", "angle"]
KINDS: tuple[Similarity, ...] = ("cosine", "dot", "euclidean", "angle")


def similarities(
    anchors: Float[Tensor, "row dim"], candidates: Float[Tensor, "column dim"], kind: Similarity
) -> Float[Tensor, "row column"]:
    """The matrix of similarities.

    Args:
        anchors: vectors of the rows; of length 1 for ``cosine`` and ``angle``.
        candidates: vectors of the columns, likewise.
        kind: ``cosine`` and ``dot`` are products, ``euclidean`` is minus the distance, ``angle`` is that of AnglE
            (arXiv 2309.12871) for the two halves of a vector as real and imaginary parts.
    """
    if kind == "euclidean":
        return -distances(anchors, candidates)
    if kind == "angle":
        return angles(anchors, candidates)
    return anchors @ candidates.T


def distances(
    anchors: Float[Tensor, "row dim"], candidates: Float[Tensor, "column dim"]
) -> Float[Tensor, "row column"]:
    """Euclidean distances, with gradient 0 where two vectors are equal."""
    squares = anchors.square().sum(dim=1)[:, None] + candidates.square().sum(dim=1)[None, :]
    squared = (squares - 2 * anchors @ candidates.T).clamp(min=0)
    apart = squared > 0
    # The root has an infinite slope at 0, so what is 0 takes a finite detour.
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def angles(anchors: Float[Tensor, "row dim"], candidates: Float[Tensor, "column dim"]) -> Float[Tensor, "row column"]:
    """AnglE's similarity of unit vectors: the real and the imaginary part of their complex quotient, added up.

    It is not symmetric, and its absolute value makes opposite vectors similar. An odd last dimension is left out.
    """
    half = anchors.shape[1] // 2
    a, b = anchors[:, :half], anchors[:, half : 2 * half]
    c, d = candidates[:, :half], candidates[:, half : 2 * half]
    return (a @ c.T + b @ d.T + b @ c.T - a @ d.T).abs()
