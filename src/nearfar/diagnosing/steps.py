"""The first steps of training made again: which documents each query had for negatives, and what they are."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from nearfar.auditing.near import similar_pairs
from nearfar.batches.sample import RandomBatches
from nearfar.config.auditing import DEFAULTS
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.errors import NearfarError
from nearfar.evaluation.geometry import unit
from nearfar.objectives.masks import masks
from nearfar.training.pairs import training_pairs

_ROWS = 512
"""Pairs of training that are looked at."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Negatives:
    """Pairs of a training query and a document that was its negative, with a positive of the query in that step.

    Attributes:
        query: rows of the query table.
        document: rows of the document table.
        positive: rows of the document table.
        given: judged or mined for the query; else the document of another pair of the step.
        same: nearly the same text as the positive.
    """

    query: Int64[np.ndarray, " negative"]
    document: Int64[np.ndarray, " negative"]
    positive: Int64[np.ndarray, " negative"]
    given: Bool[np.ndarray, " negative"]
    same: Bool[np.ndarray, " negative"]

    def __len__(self) -> int:
        return len(self.query)

    def at(self, keep: Bool[np.ndarray, " negative"]) -> "Negatives":
        """Some of them."""
        return Negatives(**{name: values[keep] for name, values in vars(self).items()})


def negatives(material: Material) -> Negatives:
    """The negatives of about ``_ROWS`` training pairs, in the batches of the run's first epoch.

    Raises:
        Unmeasured: the data has no training pairs, or cannot be had.
    """
    dataset, config = material.dataset, material.config
    try:
        pairs = training_pairs(dataset, config)
    except NearfarError as error:
        raise Unmeasured(str(error)) from error
    found: dict[str, list[np.ndarray]] = {"query": [], "document": [], "positive": [], "given": []}
    looked_at = 0
    for keys in RandomBatches(len(pairs), config.batches.size, config.training.seed):
        batch = pairs(keys)
        assert batch.index is not None  # a collator gives rows
        assert batch.documents is not None
        rows, documents, relation = batch.index.numpy(), batch.documents.numpy(), batch.relation
        known = masks(relation)
        given = np.zeros(relation.shape, dtype=np.bool_)
        given[relation.rows.numpy(), relation.columns.numpy()] = True
        positive = known.positive.numpy().argmax(axis=1)
        anchors, columns = known.negative.numpy().nonzero()
        keep = known.positive.any(dim=1).numpy()[anchors]
        anchors, columns = anchors[keep], columns[keep]
        parts = (rows[anchors], documents[columns], documents[positive[anchors]], given[anchors, columns])
        for name, part in zip(found, parts, strict=True):
            found[name].append(part)
        looked_at += len(rows)
        if looked_at >= _ROWS:
            break
    query, document, positive, given = (np.concatenate(parts) for parts in found.values())
    return Negatives(
        query=query, document=document, positive=positive, given=given, same=_same(material, document, positive)
    )


def scores(
    material: Material, encoder: SentenceTransformerEncoder, seen: Negatives
) -> tuple[Float32[np.ndarray, " negative"], Float32[np.ndarray, " negative"]]:
    """What an encoder says of each negative, and of the positive beside it."""
    queries, at = np.unique(seen.query, return_inverse=True)
    documents, places = np.unique(np.concatenate([seen.document, seen.positive]), return_inverse=True)
    left = encoder.encode_queries(material.dataset.queries.take(queries), material.sink)
    right = encoder.encode_documents(material.dataset.documents.take(documents), material.sink)
    if encoder.similarity == "cosine":
        left, right = unit(left, "query vectors"), unit(right, "document vectors")
    ways = (np.einsum("pd,pd->p", left[at], right[part]) for part in np.split(places, 2))
    one, other = (way.astype(np.float32) for way in ways)
    return one, other


def _same(
    material: Material, document: Int64[np.ndarray, " negative"], positive: Int64[np.ndarray, " negative"]
) -> Bool[np.ndarray, " negative"]:
    """Which of them share most of their words with the positive beside them."""
    rows = np.unique(np.concatenate([document, positive]))
    twins = similar_pairs(material.subject.documents.take(rows), DEFAULTS.similarity, np.arange(len(rows)))
    width = len(material.dataset.documents)
    known = np.concatenate(
        [rows[one] * width + rows[other] for one, other in ((twins.first, twins.second), (twins.second, twins.first))]
    )
    return np.asarray(np.isin(document * width + positive, known))
