"""InfoNCE in its three directions: query to document, symmetric, and the four blocks of GTE."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.config.component import Component, require
from nearfar.objectives.masks import check_shapes, dense_masks, masks, same_side
from nearfar.objectives.softmax import masked_logsumexp, mean_over_positives, mean_over_rows
from nearfar.types import Masks, Relation

Directions = Literal["query_to_document", "symmetric", "gte"]


@dataclass(frozen=True, kw_only=True)
class InfoNCE(Component):
    """Softmax cross-entropy of each positive against the negatives of its row.

    With similarities ``S`` and logits ``Z = S / temperature``, the loss of a positive pair (i, p) is
    ``-Z[i, p] + log D[i, p]``, and of an anchor the mean over its positives. ``D`` depends on ``directions``:

    - ``query_to_document`` (van den Oord et al., arXiv 1807.03748): the pair itself and the negatives of row i.
    - ``symmetric`` (CLIP, arXiv 2103.00020): the mean of the loss above and of the same along column p.
      Candidates without a positive, such as hard negatives, take no column term.
    - ``gte`` (arXiv 2308.03281): one log-sum over the row, the column, the other anchors and the other candidates.
      The pair is counted twice, as in the paper, so the loss cannot fall below log 2.

    Other positives of the same anchor are never in a denominator. A row without positives is left out of the mean;
    a row without negatives has loss 0 (log 2 for ``gte``).

    Attributes:
        temperature: divides the similarities; above 0.
        directions: which blocks are contrasted.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """

    temperature: float = 0.05
    directions: Directions = "query_to_document"
    similarity: Literal["cosine", "dot"] = "cosine"

    def __post_init__(self) -> None:
        is_number = isinstance(self.temperature, int | float) and not isinstance(self.temperature, bool)
        require(is_number and 0 < self.temperature < float("inf"), self, "temperature", "a number above 0")
        known = ("query_to_document", "symmetric", "gte")
        require(self.directions in known, self, "directions", " or ".join(known))
        require(self.similarity in ("cosine", "dot"), self, "similarity", "cosine or dot")

    @property
    def needs(self) -> frozenset[str]:
        """The keyword inputs that the objective cannot do without: none."""
        return frozenset()

    def __call__(
        self,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relevance: Relation | Shaped[Tensor, "anchor candidate"],
        *,
        ignored: Bool[Tensor, "anchor candidate"] | None = None,
        anchor_ids: Int[Tensor, " anchor"] | None = None,
        candidate_ids: Int[Tensor, " candidate"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean loss over the anchors that have a positive; see ``rows`` for the inputs."""
        losses, kept = self.rows(
            anchors, candidates, relevance, ignored=ignored, anchor_ids=anchor_ids, candidate_ids=candidate_ids
        )
        return mean_over_rows(losses, kept)

    def rows(
        self,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relevance: Relation | Shaped[Tensor, "anchor candidate"],
        *,
        ignored: Bool[Tensor, "anchor candidate"] | None = None,
        anchor_ids: Int[Tensor, " anchor"] | None = None,
        candidate_ids: Int[Tensor, " candidate"] | None = None,
    ) -> tuple[Float[Tensor, " anchor"], Bool[Tensor, " anchor"]]:
        """The loss of each anchor, and which anchors count.

        Args:
            anchors: embeddings of the anchors.
            candidates: embeddings of the candidates.
            relevance: a ``Relation``, or a matrix in which a value above 0 marks a positive.
            ignored: with a matrix: pairs that are neither positive nor negative.
            anchor_ids: with a matrix: identities of the anchors, equal for equal texts.
            candidate_ids: with a matrix: identities of the candidates.

        Raises:
            ShapeError: when the shapes do not fit together.
        """
        if isinstance(relevance, Relation):
            check_shapes(anchors, candidates, relevance.shape, "InfoNCE")
            known = masks(relevance)
            anchor_ids, candidate_ids = relevance.anchor_ids, relevance.candidate_ids
        else:
            check_shapes(anchors, candidates, tuple(relevance.shape), "InfoNCE")
            known = dense_masks(relevance, ignored, anchor_ids, candidate_ids)
        # The house computes logits in at least float32, also inside autocast.
        with torch.autocast(anchors.device.type, enabled=False):
            left, right = self._prepared(anchors), self._prepared(candidates)
            logits = left @ right.T / self.temperature
            log_denominator = self._log_denominator(logits, left, right, known, anchor_ids, candidate_ids)
            losses = mean_over_positives(log_denominator - logits, known.positive)
        return losses, known.positive.any(dim=1)

    def _prepared(self, vectors: Float[Tensor, "text dim"]) -> Float[Tensor, "text dim"]:
        precise = vectors if vectors.dtype == torch.float64 else vectors.float()
        return normalize(precise, dim=1) if self.similarity == "cosine" else precise

    def _log_denominator(
        self,
        logits: Float[Tensor, "anchor candidate"],
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        known: Masks,
        anchor_ids: Int[Tensor, " anchor"] | None,
        candidate_ids: Int[Tensor, " candidate"] | None,
    ) -> Float[Tensor, "anchor candidate"]:
        """Log D of every pair (i, p); only its values at positives are used."""
        row = masked_logsumexp(logits, known.negative)[:, None]
        if self.directions == "query_to_document":
            return torch.logaddexp(logits, row)
        column = masked_logsumexp(logits.T, known.negative.T)[None, :]
        if self.directions == "symmetric":
            return (torch.logaddexp(logits, row) + torch.logaddexp(logits, column)) / 2
        beside = self._same_side(anchors, same_side(known, anchor_ids, candidate_ids))[:, None]
        below = self._same_side(candidates, same_side(known.transpose(), candidate_ids, anchor_ids))[None, :]
        across = torch.logaddexp(torch.logaddexp(logits, row), torch.logaddexp(logits, column))
        # One by one onto what is finite: the sum of two empty blocks would have no gradient.
        return torch.logaddexp(torch.logaddexp(across, beside), below)

    def _same_side(
        self, vectors: Float[Tensor, "text dim"], usable: Bool[Tensor, "text text"]
    ) -> Float[Tensor, " text"]:
        return masked_logsumexp(vectors @ vectors.T / self.temperature, usable)
