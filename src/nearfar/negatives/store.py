"""The vectors of a job and what is found with them, each computed once and kept in a folder.

What is kept is found again by a hash of all that it follows from: weights, modules, prompts, length, precision, threads
and texts; for hits the vectors themselves. So nothing stale is ever taken, and several runs may share a folder.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, Int64, Shaped

from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Encoder, Role, TorchEncoder
from nearfar.errors import ConfigError
from nearfar.evaluation.retrieve import Corpus
from nearfar.events import Silent, Sink
from nearfar.negatives.engines import Engine
from nearfar.negatives.material import Vectors
from nearfar.negatives.searching import Search, blocks, index_of, packed, rows_of, unpacked
from nearfar.negatives.shards import Kept, Shard, computed, folder_of, read_back
from nearfar.negatives.vectors import Encode, Identity, ModelName, check_same, identity
from nearfar.retrieval.approximate import Index, measured_recall
from nearfar.retrieval.best import merge
from nearfar.retrieval.kinds import EXACT
from nearfar.statistics.paired import MeanInterval
from nearfar.types import Hits

TEXTS = 2_048
"""Texts of a task: enough to be sorted by length, few enough that a small corpus keeps several processes busy."""

Read = Callable[[int, int], Sequence[str]]
"""Gives texts from a place to another."""

DOCUMENTS, PAIRS, HITS = 262_144, 2**33, 2**22
"""At most so many documents, pairs to compare and hits of a search task: with 384 dimensions, ten seconds of two cores
that are fast at bfloat16. To prepare the documents takes a twentieth of that."""


class KeptVectors:
    """Vectors and hits of a dataset by the name of a model (a ``material.Store``).

    Args:
        dataset: the tables.
        queries: the rows of the queries that are mined for, ascending.
        model: the model that is mined for: a name that other processes can open too, or an encoder in memory.
        folder: where everything is kept.
        engine: computes what is not there.
        others: how models that parts name are opened; its name does not count. None: each as it is.
        threads: of a task that encodes. Another number may give other bits, so it is part of what vectors follow from.
        searched: rows of the documents that are searched. None: those of the corpus.
    """

    def __init__(
        self,
        dataset: Dataset,
        queries: Int32[np.ndarray, " query"],
        model: ModelName | Encoder,
        folder: Path,
        engine: Engine,
        *,
        others: ModelName | None = None,
        threads: int = 1,
        searched: Int64[np.ndarray, " searched"] | None = None,
    ) -> None:
        if not isinstance(model, ModelName) and not engine.in_this_process:
            raise ConfigError(
                f"The model is an object in memory ({type(model).__name__}), which other processes cannot open. "
                "Save it and give its folder, or use one worker."
            )
        self._dataset, self._queries, self._model, self._engine = dataset, queries, model, engine
        self._folder, self._others, self._threads = folder.absolute(), others or ModelName(name=""), threads
        self._corpus = Corpus.of(dataset, searched)
        self._opened: dict[str, Encoder] = {}
        self._identities: dict[str, Identity] = {}
        self._sides: dict[tuple[Identity, Role], Kept] = {}

    def fingerprint(self, model: str = "") -> str:
        """A hash of what the vectors of a model follow from, beside the texts."""
        return hashlib.blake2b(repr(self._identity(model)).encode(), digest_size=16).hexdigest()

    def vectors(self, model: str, sink: Sink = Silent()) -> Vectors:
        """The vectors of a model; the empty name is the model that is mined for.

        Raises:
            ConfigError: when there is no such model, or it changes while it is used.
            DataError: when a vector is not finite.
            ResourceError: when they cannot be written, or workers die.
        """
        expected, queries, documents = self._both(model, sink)
        return Vectors(queries.array, documents.array, expected.similarity)

    def embed(self, model: str, texts: Sequence[str], sink: Sink = Silent()) -> Float32[np.ndarray, "text dim"]:
        """The vectors of texts that are in no table, as documents; left on disk.

        Raises:
            ConfigError: as ``vectors``; so are the other errors.
        """
        expected = self._identity(model)
        wanted = self._wanted(expected, Role.DOCUMENT, lambda first, last: texts[first:last], len(texts))
        kept = self._kept(model, expected, wanted, sink)
        self._opened.clear()
        return kept.array

    def search(
        self,
        model: str,
        depth: int,
        index: str,
        sink: Sink = Silent(),
        among: Int64[np.ndarray, " asked"] | None = None,
        above: Float32[np.ndarray, " asked"] | None = None,
    ) -> Hits:
        """The nearest searched documents of each query, as rows of the document table.

        Args:
            model: whose vectors are compared; the empty name is the model that is mined for.
            depth: documents for each query.
            index: the text form of a kind of search.
            sink: takes progress.
            among: the places of some of the job's queries, ascending; None: all.
            above: for exact search, for each of these the score above which documents are counted too.

        Raises:
            ConfigError: when there is no such index, and as ``vectors``; so are the other errors.
        """
        expected, queries, documents = self._both(model, sink)
        among = np.arange(len(self._queries)) if among is None else among
        key = {
            "queries": queries.digest,
            "among": _hash(among),
            "documents": documents.digest,
            "corpus": _hash(self._corpus.rows, self._corpus.tie_order),
            "similarity": expected.similarity,
            "depth": depth,
            "index": index,
        } | ({} if above is None else {"above": _hash(above)})
        depth, count, folder = min(depth, len(self._corpus.rows)), len(self._corpus.rows), None
        if index != EXACT:
            self._index(expected, documents, index, sink)
            folder = self._index_folder(expected, documents, index)
        corpus = list(blocks(count, DOCUMENTS if folder is None else count))
        most = HITS // depth if folder is not None else min(HITS // depth, PAIRS // corpus[0][1])
        whole = Search(
            queries=queries.path,
            documents=documents.path,
            asked=among,
            rows=self._corpus.rows,
            tie_order=self._corpus.tie_order,
            depth=depth,
            similarity=expected.similarity,
            device=expected.device,
            index=folder,
            above=above,
        )
        kept = computed(
            folder_of(self._folder, "hits", key),
            key,
            len(among),
            [
                Shard(size=piece[1] - piece[0], task=partial(whole.part, slice(*block), slice(*piece)))
                for block in blocks(len(among), max(1, most))
                for piece in corpus
            ],
            lambda parts: self._merged(parts, corpus, depth),
            self._engine,
            sink,
            "Searching",
        )
        return self._corpus.on_table(unpacked(kept.array))

    def recall(
        self, model: str, depth: int, index: str, *, sample: int = 200, seed: int = 0, sink: Sink = Silent()
    ) -> MeanInterval:
        """Which share of the exact nearest documents an index finds: the mean over some queries, and its interval."""
        expected, queries, documents = self._both(model, sink)
        return measured_recall(
            self._index(expected, documents, index, sink),
            queries.array,
            min(depth, len(self._corpus.rows)),
            sample=sample,
            seed=seed,
            tie_order=self._corpus.tie_order,
            sink=sink,
        )

    def _index(self, expected: Identity, documents: Kept, kind: str, sink: Sink) -> Index:
        """An index of the searched documents."""
        folder = self._index_folder(expected, documents, kind)
        return index_of(folder, kind, rows_of(documents.array, self._corpus.rows), expected.similarity, sink)

    def _index_folder(self, expected: Identity, documents: Kept, kind: str) -> Path:
        key = {
            "documents": documents.digest,
            "rows": _hash(self._corpus.rows),
            "kind": kind,
            "similarity": expected.similarity,
        }
        return folder_of(self._folder, "index", key)

    def _merged(
        self, parts: Sequence[np.ndarray], corpus: Sequence[tuple[int, int]], depth: int
    ) -> Iterator[np.ndarray]:
        """Of each block of queries, the best of what was found in the pieces of the corpus."""
        if len(corpus) == 1:
            yield from parts
            return
        for first in range(0, len(parts), len(corpus)):
            found = [unpacked(part) for part in parts[first : first + len(corpus)]]
            best = merge(
                found,
                [piece[0] for piece in corpus],
                depth,
                documents=len(self._corpus.rows),
                tie_order=self._corpus.tie_order,
            )
            counts = [each.above for each in found if each.above is not None]
            yield packed(replace(best, above=np.sum(counts, axis=0) if counts else None))

    def _both(self, model: str, sink: Sink) -> tuple[Identity, Kept, Kept]:
        """What a model is, and its vectors of queries and documents."""
        expected = self._identity(model)
        missing = [role for role in (Role.DOCUMENT, Role.QUERY) if (expected, role) not in self._sides]

        def look_up(role: Role) -> tuple[_Wanted, Kept | None]:
            wanted = self._wanted(expected, role, *self._table(role))
            return wanted, read_back(wanted.folder)

        with ThreadPoolExecutor(2) as both:  # to see that a file is whole takes as long as to read it
            found = list(both.map(look_up, missing))
        for wanted, kept in found:
            self._sides[expected, wanted.role] = kept or self._kept(model, expected, wanted, sink)
        self._opened.clear()
        return expected, self._sides[expected, Role.QUERY], self._sides[expected, Role.DOCUMENT]

    def _table(self, role: Role) -> tuple[Read, int]:
        """The texts of a side, and how many they are."""
        if role is Role.DOCUMENT:
            texts, rows = self._dataset.documents, np.arange(len(self._dataset.documents), dtype=np.int32)
        else:
            texts, rows = self._dataset.queries, self._queries
        return lambda first, last: texts.take(rows[first:last]), len(rows)

    def _wanted(self, expected: Identity, role: Role, read: Read, count: int) -> "_Wanted":
        """The vectors of some texts, whether or not they are there."""
        key = {**asdict(expected), "role": str(role), "texts": _texts_hash(read, count), "window": TEXTS}
        return _Wanted(role=role, read=read, count=count, key=key, folder=folder_of(self._folder, role, key))

    def _kept(self, model: str, expected: Identity, wanted: "_Wanted", sink: Sink) -> Kept:
        """The vectors, which are computed where they are not there."""
        return computed(
            wanted.folder,
            wanted.key,
            wanted.count,
            [self._encode(model, expected, wanted.role, wanted.read, *block) for block in blocks(wanted.count, TEXTS)],
            lambda parts: parts,
            self._engine,
            sink,
            "Encoding queries" if wanted.role is Role.QUERY else "Encoding documents",
        )

    def _encode(self, model: str, expected: Identity, role: Role, read: Read, first: int, last: int) -> Shard:
        """The encoding of a window of texts."""

        def task() -> Encode:
            here = self._engine.in_this_process
            given = self._encoder(model) if here else self._name(model)
            return Encode(model=given, expected=expected, role=role, texts=read(first, last))

        return Shard(size=last - first, task=task)

    def _name(self, model: str) -> ModelName | Encoder:
        """How a model is opened, or what it is."""
        return replace(self._others, name=model) if model else self._model

    def _encoder(self, model: str) -> Encoder:
        """A model, open. One that is opened again has to be what it was."""
        named = self._name(model)
        if not isinstance(named, ModelName):
            return named
        if model not in self._opened:
            encoder = named.open()
            found = identity(encoder, self._threads)
            check_same(named.name, found, self._identities.setdefault(model, found))
            self._opened = {model: encoder}
        return self._opened[model]

    def _identity(self, model: str) -> Identity:
        """What the vectors of a model follow from. A module in memory may have been trained since the last time."""
        named = self._name(model)
        if isinstance(named, TorchEncoder):
            return identity(named, self._threads)
        if model not in self._identities:
            encoder = self._encoder(model)
            if not isinstance(named, ModelName):
                self._identities[model] = identity(encoder, self._threads)
        return self._identities[model]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Wanted:
    """Vectors of so many texts, and the folder that has its name from all that they follow from."""

    role: Role
    read: Read
    count: int
    key: Mapping[str, Any]
    folder: Path


def _texts_hash(read: Read, count: int) -> str:
    """128 bits over some texts, letter by letter, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for first, last in blocks(count, TEXTS):
        for text in read(first, last):
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


def _hash(*arrays: Shaped[np.ndarray, " entry"]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
