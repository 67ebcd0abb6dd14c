"""The one place where identities and judgements become positives, negatives and ignored pairs.

Every objective, every direction and every kind of column takes its masks from here, so that a text that is
relevant to an anchor can nowhere become its negative.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from nearfar.errors import ShapeError
from nearfar.types import Masks, Relation


def masks(relation: Relation) -> Masks:
    """Positives and usable pairs of a relation.

    A pair of equal texts is ignored: it is no evidence, whatever was judged. Any other pair is positive when its grade
    reaches ``relation.positive_from``, ignored when it is listed as ignored, and negative otherwise.
    """
    shape = relation.shape
    positive = torch.zeros(shape, dtype=torch.bool, device=relation.rows.device)
    reaches = relation.grades >= relation.positive_from
    positive[relation.rows[reaches], relation.columns[reaches]] = True
    ignored = torch.zeros_like(positive)
    ignored[relation.ignored_rows, relation.ignored_columns] = True
    return _combine(positive, ignored, relation.anchor_ids, relation.candidate_ids)


def dense_masks(
    relevance: Shaped[Tensor, "anchor candidate"],
    ignored: Bool[Tensor, "anchor candidate"] | None = None,
    anchor_ids: Int[Tensor, " anchor"] | None = None,
    candidate_ids: Int[Tensor, " candidate"] | None = None,
) -> Masks:
    """Masks from a dense relevance matrix: above zero is positive, all else negative unless ignored.

    ``ignored`` wins over a negative and loses against a positive. With ``candidate_ids``, a candidate that is the
    same text as a positive of the row is positive too; with ``anchor_ids`` as well, equal texts are ignored.
    """
    positive = relevance > 0
    if candidate_ids is not None:
        same = candidate_ids[:, None] == candidate_ids[None, :]
        positive = (positive.float() @ same.float()) > 0
    return _combine(
        positive, torch.zeros_like(positive) if ignored is None else ignored, anchor_ids, candidate_ids
    )


def _combine(
    positive: Bool[Tensor, "anchor candidate"],
    ignored: Bool[Tensor, "anchor candidate"],
    anchor_ids: Int[Tensor, " anchor"] | None,
    candidate_ids: Int[Tensor, " candidate"] | None,
) -> Masks:
    valid = positive | ~ignored
    if anchor_ids is not None and candidate_ids is not None:
        valid = valid & (anchor_ids[:, None] != candidate_ids[None, :])
    return Masks(positive & valid, valid)


def same_side(across: Masks, ids: Int[Tensor, " anchor"] | None = None) -> Bool[Tensor, "anchor anchor"]:
    """Which anchors may be negatives of one another, from the masks against the candidates.

    Not an anchor and itself, not two anchors of equal identity, and not two anchors that share a positive: they ask
    for the same thing. For the candidates' side pass ``across.transpose()``.
    """
    related = across.positive.float()
    shared = (related @ related.T) > 0
    usable = ~shared & ~torch.eye(len(shared), dtype=torch.bool, device=shared.device)
    return usable if ids is None else usable & (ids[:, None] != ids[None, :])


def check_shapes(
    anchors: Float[Tensor, "..."], candidates: Float[Tensor, "..."], relation: tuple[int, ...], name: str
) -> None:
    """Raise ShapeError unless anchors are (A, D), candidates (C, D) and the relation (A, C)."""
    fits = (
        anchors.ndim == candidates.ndim == 2
        and anchors.shape[1] == candidates.shape[1]
        and tuple(relation) == (len(anchors), len(candidates))
    )
    if not fits:
        raise ShapeError(
            f"{name} takes anchors (A, D), candidates (C, D) and a relevance of (A, C); got "
            f"anchors {tuple(anchors.shape)}, candidates {tuple(candidates.shape)}, relevance {tuple(relation)}."
        )
