"""The one place where identities and judgements become positives, negatives and ignored pairs.

Every objective, every direction and every kind of column takes its masks from here, so that a text that is
relevant to an anchor can nowhere become its negative.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from nearfar.errors import ShapeError
from nearfar.types import Masks, Relation


def masks(relation: Relation) -> Masks:
    """Positives and usable pairs of a relation.

    A pair of equal texts is ignored: it is no evidence, whatever was judged. Any other pair is positive when its grade
    reaches ``relation.positive_from``, ignored when it is listed as ignored, and negative otherwise. What is said of a
    pair holds for every pair of the same two texts, so that a copy of a positive is a positive.
    """
    anchors, candidates = _Texts.of(relation.anchor_ids), _Texts.of(relation.candidate_ids)
    reaches = relation.grades >= relation.positive_from
    positive = _spread(relation.rows[reaches], relation.columns[reaches], anchors, candidates)
    ignored = _spread(relation.ignored_rows, relation.ignored_columns, anchors, candidates)
    return _combine(positive, ignored, relation.anchor_ids, relation.candidate_ids)


def dense_masks(
    relevance: Shaped[Tensor, "anchor candidate"],
    ignored: Bool[Tensor, "anchor candidate"] | None = None,
    anchor_ids: Int[Tensor, " anchor"] | None = None,
    candidate_ids: Int[Tensor, " candidate"] | None = None,
) -> Masks:
    """Masks from a dense relevance matrix: above zero is positive, all else negative unless ignored.

    ``ignored`` wins over a negative and loses against a positive. With identities, what is said of a pair holds for
    every pair of the same two texts; with those of both sides, pairs of equal texts are ignored.

    Raises:
        ShapeError: when ``ignored`` or the identities do not fit the relevance.
    """
    given = {"ignored": ignored, "anchor_ids": anchor_ids, "candidate_ids": candidate_ids}
    shape = tuple(relevance.shape)
    check_companions(shape, given, lambda problem: ShapeError(f"With a relevance of {shape}, {problem}."))
    anchors, candidates = (
        _Texts(torch.arange(size, device=relevance.device), size) if ids is None else _Texts.of(ids)
        for size, ids in zip(relevance.shape, (anchor_ids, candidate_ids), strict=True)
    )
    rows, columns = (relevance > 0).nonzero(as_tuple=True)
    positive = _spread(rows, columns, anchors, candidates)
    rows, columns = (torch.zeros_like(positive) if ignored is None else ignored).nonzero(as_tuple=True)
    ignored = _spread(rows, columns, anchors, candidates)
    return _combine(positive, ignored, anchor_ids, candidate_ids)


@dataclass(frozen=True, eq=False)
class _Texts:
    """The texts of one side: which one each row or column holds, and how many different ones there are."""

    places: Int[Tensor, " text"]
    distinct: int

    @classmethod
    def of(cls, ids: Int[Tensor, " text"]) -> "_Texts":
        distinct, places = torch.unique(ids, return_inverse=True)
        if len(distinct) == len(ids):  # the usual case: any numbering will do
            places = torch.arange(len(ids), device=ids.device)
        return cls(places, len(distinct))


def _spread(
    rows: Int[Tensor, " pair"], columns: Int[Tensor, " pair"], anchors: _Texts, candidates: _Texts
) -> Bool[Tensor, "anchor candidate"]:
    """True at the listed pairs and at every other pair of the same two texts."""
    shape, device = (anchors.distinct, candidates.distinct), anchors.places.device
    listed = torch.zeros(shape, dtype=torch.bool, device=device)
    listed[anchors.places[rows], candidates.places[columns]] = True
    if len(anchors.places) > anchors.distinct:
        listed = listed[anchors.places]
    return listed[:, candidates.places] if len(candidates.places) > candidates.distinct else listed


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


def same_side(
    across: Masks,
    ids: Int[Tensor, " anchor"] | None = None,
    other_ids: Int[Tensor, " candidate"] | None = None,
) -> Bool[Tensor, "anchor anchor"]:
    """Which anchors may be negatives of one another, from the masks against the candidates.

    Not an anchor and itself, not two anchors of equal identity, not two anchors that share a positive (they ask for
    the same thing), and not two anchors of which one is, as a text, a positive of the other. For the candidates' side
    pass ``across.transpose()`` and exchange the identities.
    """
    related = across.positive.float()
    bound = (related @ related.T) > 0
    bound = bound | torch.eye(len(bound), dtype=torch.bool, device=bound.device)
    if ids is None:
        return ~bound
    bound = bound | (ids[:, None] == ids[None, :])
    if other_ids is not None:
        direct = (related @ (other_ids[:, None] == ids[None, :]).float()) > 0
        bound = bound | direct | direct.T
    return ~bound


def check_companions(shape: tuple[int, ...], given: Mapping[str, object], refuse: Callable[[str], ShapeError]) -> None:
    """Raise what ``refuse`` makes of the problem unless all that comes beside a relevance fits it.

    Args:
        shape: (anchors, candidates).
        given: the inputs by name; those that are None are not looked at.
        refuse: makes the error.
    """
    for name, (side, kind) in _COMPANIONS.items():
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, Tensor):
            raise refuse(f"{name} must be a tensor")
        wanted = {"anchor": shape[:1], "candidate": shape[1:], "pair": shape}
        if side in wanted and tuple(value.shape) != wanted[side] and not (name == "origin" and value.shape == shape):
            raise refuse(f"{name} must be {wanted[side]}")
        rows = {"anchor vectors": shape[0], "candidate vectors": shape[1]}
        if side in rows and (value.ndim != 2 or len(value) != rows[side]):
            raise refuse(f"{name} must be ({rows[side]}, width of the guide)")
        whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
        if (kind == "whole" and not whole) or (kind == "float" and not value.is_floating_point()):
            raise refuse(f"{name} must hold {'whole' if kind == 'whole' else 'floating-point'} numbers")
        if kind == "bool" and value.dtype != torch.bool:
            raise refuse(f"{name} must hold booleans")


_COMPANIONS = {
    "ignored": ("pair", "bool"),
    "anchor_ids": ("anchor", "whole"),
    "candidate_ids": ("candidate", "whole"),
    "index": ("anchor", "whole"),
    "guide_anchors": ("anchor vectors", "float"),
    "guide_candidates": ("candidate vectors", "float"),
    "teacher": ("pair", "float"),
    "labels": ("anchor", "any"),
    "origin": ("candidate", "whole"),
}
"""What may come beside a relevance: which side it belongs to, and what it holds."""
