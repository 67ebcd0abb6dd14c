"""Approximate search for corpora that exact search is too slow for: FAISS finds candidates, float32 orders them.

An index looks at few documents, so it may miss some; ``measured_recall`` says how many. What it finds is scored and
ordered, ties too, exactly as ``dense.search`` does it. Indexes are built on one thread: with more, an HNSW graph
depends on which of them is first. The same vectors, settings and version of FAISS then give the same index.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32, Int64

from nearfar.errors import ConfigError, DataError, ShapeError, did_you_mean
from nearfar.events import Silent, Sink, track
from nearfar.files import replace_folder, write_json
from nearfar.retrieval.best import Best
from nearfar.retrieval.dense import SIMILARITIES, conditions, search, workers
from nearfar.retrieval.kinds import IVFPQ, IndexKind, parse_index
from nearfar.retrieval.ranking import check_depth, check_exclude, tie_ranks
from nearfar.retrieval.screen import score
from nearfar.retrieval.vectors import Block
from nearfar.statistics.paired import MeanInterval, interval_of_mean
from nearfar.types import Hits

_AT_ONCE = 16_384
"""Vectors that are read from the file together."""

_ASKED_AT_ONCE, _SCORED_AT_ONCE = 4_096, 256
"""Queries that FAISS searches for together, and those whose candidates are read and scored together."""


class Index:
    """A FAISS index of document vectors, and the vectors, which stay where they are."""

    def __init__(
        self,
        kind: IndexKind,
        documents: Float32[np.ndarray, "document dim"],
        *,
        similarity: str = "cosine",
        seed: int = 0,
        sink: Sink | None = None,
    ) -> None:
        """Build the index, on one thread.

        Args:
            kind: ``HNSW``, ``IVF`` or ``IVFPQ``.
            documents: one vector a row; an ``np.memmap`` is welcome, some are read at a time.
            similarity: ``cosine`` or ``dot``.
            seed: of the vectors and centroids that k-means starts from.
            sink: hears how many documents are in.

        Raises:
            DataError: there are no documents, or one holds NaN or infinity.
            ConfigError: FAISS is missing, or the settings do not fit the vectors.
        """
        if similarity not in SIMILARITIES:
            raise ConfigError(
                f"similarity must be one of {', '.join(SIMILARITIES)}, got {similarity!r}."
                + did_you_mean(similarity, SIMILARITIES)
            )
        if not len(documents):
            raise DataError("An index needs at least one document, it got none. Check the corpus.")
        _check_fit(kind, documents)
        self.kind, self.documents, self.similarity, self.seed = kind, documents, similarity, seed
        faiss = installed()
        with _one_thread(faiss):
            self._index = faiss.index_factory(
                documents.shape[1], kind.factory(len(documents)), faiss.METRIC_INNER_PRODUCT
            )
            kind.tune(self._index, 1)
            self._train(seed)
            starts = range(0, len(documents), _AT_ONCE)
            for start in track(starts, "index", sink or Silent(), len(documents), _AT_ONCE):
                self._index.add(Block(documents[start : start + _AT_ONCE], start, "document", similarity).vectors)

    def search(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        tie_order: Int[np.ndarray, " ordered"] | None = None,
        exclude: Int[np.ndarray, " excluded"] | None = None,
        sink: Sink | None = None,
    ) -> Hits:
        """The best documents among those that the index finds, scored and ordered as ``dense.search`` does it.

        A row ends early (document -1, score -inf) where fewer than ``k`` are found.

        Raises:
            ShapeError: queries are of another width, or ``exclude`` or ``tie_order`` of another length.
            DataError: a query holds NaN or infinity.
            ConfigError: ``k`` is below 1.
        """
        check_depth(k)
        check_exclude(exclude, len(queries), len(self.documents))
        if queries.shape[1] != self.documents.shape[1]:
            raise ShapeError(
                f"Queries are {queries.shape[1]} wide, the documents of the index {self.documents.shape[1]}. "
                "Encode both with the same model and the same truncation."
            )
        best = Best(len(queries), k, tie_ranks(tie_order, len(self.documents)))
        wanted = min(k * self.kind.oversampling + (exclude is not None), len(self.documents))
        self.kind.tune(self._index, wanted)
        starts = range(0, len(queries), _ASKED_AT_ONCE)
        for start in track(starts, "search", sink or Silent(), len(queries), _ASKED_AT_ONCE):
            block = Block(queries[start : start + _ASKED_AT_ONCE], start, "query", self.similarity)
            _, found = self._index.search(block.vectors, wanted)
            if exclude is not None:
                found = np.where(found == exclude[start : start + len(found), None], -1, found)
            self._score(block, found, best)
        return best.hits()

    def _score(self, block: Block, found: Int64[np.ndarray, "query wanted"], best: Best) -> None:
        """Score what was found for a block of queries, and offer it.

        Queries that found the same documents are scored together, so that each is read once for them: by the lowest row
        that they found, which is then mostly the same.
        """
        alike = np.argsort(np.where(found < 0, len(self.documents), found).min(axis=1), kind="stable")

        def score_some(start: int) -> bool:
            some = np.sort(alike[start : start + _SCORED_AT_ONCE])
            rows, places = np.nonzero(found[some] >= 0)
            columns, inverse = np.unique(found[some[rows], places], return_inverse=True)
            if len(columns):
                documents = Block(self.documents[columns], 0, "document", self.similarity)
                scores = score(block.vectors[some], documents.vectors, rows, inverse.reshape(-1))
                best.offer(some[rows] + block.first, columns[inverse.reshape(-1)], scores)
            return True

        starts = range(0, len(found), _SCORED_AT_ONCE)
        with conditions(), workers(len(starts), torch.device("cpu")) as run:
            all(run(score_some, starts))

    def save(self, folder: Path) -> None:
        """Write the index, with its settings and a fingerprint of the vectors.

        Raises:
            ResourceError: it cannot be written.
        """

        def write(partial: Path) -> None:
            installed().write_index(self._index, str(partial / "index.faiss"))
            write_json(partial / "index.json", self._record())

        replace_folder(folder, write)

    @classmethod
    def load(cls, folder: Path, documents: Float32[np.ndarray, "document dim"]) -> "Index":
        """An index that ``save`` wrote, over the same vectors.

        Raises:
            DataError: the folder holds no index, or one of other vectors.
        """
        try:
            record = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            index = installed().read_index(str(folder / "index.faiss"))
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f"Cannot read an index in {folder}. Build it again and save it there.") from error
        there = fingerprint(documents)
        if record["vectors"] != there:
            raise DataError(
                f"The index in {folder} is of other vectors: it was built of {record['documents']} with fingerprint "
                f"{record['vectors']}, these are {len(documents)} with {there}. Build it again, or give the vectors it "
                "was built of."
            )
        self = cls.__new__(cls)
        self.kind, self.documents = parse_index(record["kind"]), documents
        self.similarity, self.seed, self._index = record["similarity"], record["seed"], index
        return self

    def _record(self) -> dict[str, str | int]:
        return {
            "kind": str(self.kind),
            "similarity": self.similarity,
            "seed": self.seed,
            "documents": len(self.documents),
            "vectors": fingerprint(self.documents),
        }

    def _train(self, seed: int) -> None:
        count = self.kind.training(len(self.documents))
        rows = np.sort(np.random.default_rng(seed).choice(len(self.documents), count, replace=False))
        if hasattr(self._index, "cp"):
            self._index.cp.seed = seed + 1
            self._index.cp.min_points_per_centroid = 1  # it would print a warning
        self._index.train(Block(self.documents[rows], 0, "training", self.similarity).vectors)


def measured_recall(
    index: Index,
    queries: Float32[np.ndarray, "query dim"],
    k: int,
    *,
    sample: int = 1_000,
    seed: int = 0,
    tie_order: Int[np.ndarray, " ordered"] | None = None,
    sink: Sink | None = None,
) -> MeanInterval:
    """The share of the exact k best that the index finds: the mean over a seeded sample of queries, with its interval.

    Raises:
        DataError: there are no queries.
    """
    if not len(queries):
        raise DataError("Recall needs at least one query, it got none.")
    rows = np.sort(np.random.default_rng(seed).permutation(len(queries))[:sample])
    taken = queries[rows]
    exact = search(taken, index.documents, k, similarity=index.similarity, tie_order=tie_order, sink=sink)
    found = index.search(taken, k, tie_order=tie_order, sink=sink)
    return interval_of_mean(_overlap(found.documents, exact.documents), seed=seed)


def fingerprint(vectors: Float32[np.ndarray, "document dim"]) -> str:
    """A hash of all values and the shape, in hexadecimal; some rows are read at a time."""
    digest = hashlib.blake2b(repr(vectors.shape).encode(), digest_size=16)
    for start in range(0, len(vectors), _AT_ONCE):
        digest.update(np.ascontiguousarray(vectors[start : start + _AT_ONCE], dtype="<f4").data)
    return digest.hexdigest()


def _overlap(found: Int32[np.ndarray, "query rank"], exact: Int32[np.ndarray, "query rank"]) -> np.ndarray:
    """For each query, the share of the exact hits that were found."""
    shares = [np.isin(right[right >= 0], left).mean() for left, right in zip(found, exact, strict=True)]
    return np.array(shares, dtype=np.float64)


def _check_fit(kind: IndexKind, documents: Float32[np.ndarray, "document dim"]) -> None:
    if not isinstance(kind, IVFPQ):
        return
    if documents.shape[1] % kind.parts:
        raise ConfigError(f"IVFPQ: parts must divide the width of the vectors, {documents.shape[1]}; got {kind.parts}.")
    if len(documents) < 16:
        raise ConfigError(
            f"IVFPQ needs at least 16 documents to learn from, it got {len(documents)}. Use exact search."
        )


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def installed() -> Any:
    """FAISS, which is optional.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module("faiss")
    except ImportError as error:
        raise ConfigError(
            "Approximate search needs the package faiss-cpu. Install it: pip install 'nearfar[faiss]'"
        ) from error
