"""Candidates that a search finds: by vectors, by words, by both, or by another system's run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from nearfar.config.component import is_number, is_whole, require
from nearfar.errors import DataError
from nearfar.evaluation.results import read_run
from nearfar.events import Silent, Sink
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Proposed, Source
from nearfar.retrieval import bm25
from nearfar.retrieval.fusion import fuse
from nearfar.retrieval.kinds import EXACT, check_search
from nearfar.retrieval.tokens import Tokeniser
from nearfar.types import Hits


def _require_depth(source: Source, depth: int) -> None:
    require(is_whole(depth) and depth > 0, source, "depth", "a whole number above 0")


@dataclass(frozen=True, kw_only=True)
class Dense(Source):
    """The documents whose vectors are nearest to that of the query.

    Attributes:
        depth: documents for each query.
        model: whose vectors, named as for ``--model``; empty for the model that is mined for.
        index: ``Exact``, or an approximate index such as ``HNSW(links=32)``, whose recall is measured.
    """

    depth: int = 100
    model: str = ""
    index: str = EXACT

    def __post_init__(self) -> None:
        _require_depth(self, self.depth)
        require(isinstance(self.index, str), self, "index", "the name of a search")
        check_search(self.index)

    @property
    def models(self) -> tuple[str, ...]:
        """The one whose vectors are searched."""
        return (self.model,)

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries."""
        depth = min(self.depth, len(material.searched))
        return Proposed(material.store.search(self.model, depth, self.index, sink))


@dataclass(frozen=True, kw_only=True)
class BM25(Source):
    """The documents that share the most telling words with the query (Robertson and Zaragoza 2009; DPR, 2004.04906).

    Attributes:
        depth: documents for each query; fewer where fewer share a word with it.
        identifiers: parts of identifiers such as ``parse_url`` are words too.
        k1: how fast a repeated word stops counting more.
        b: how much long documents are held back.
    """

    depth: int = 100
    identifiers: bool = False
    k1: float = 1.5
    b: float = 0.75

    def __post_init__(self) -> None:
        _require_depth(self, self.depth)
        require(is_number(self.k1) and self.k1 >= 0, self, "k1", "a number of at least 0")
        require(is_number(self.b) and 0 <= self.b <= 1, self, "b", "a number from 0 to 1")

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries."""
        searched = material.searched
        tokenise = Tokeniser(identifiers=self.identifiers)
        index = bm25.BM25(material.document_texts(searched), k1=self.k1, b=self.b, tokenise=tokenise, sink=sink)
        hits = index.search(
            material.query_texts(material.queries),
            min(self.depth, len(searched)),
            tie_order=material.tie_order[searched],
            sink=sink,
        )
        rows = np.where(hits.documents >= 0, searched[hits.documents.clip(min=0)], -1)
        return Proposed(Hits(rows.astype(np.int32), hits.scores))


@dataclass(frozen=True, kw_only=True)
class Hybrid(Source):
    """Several searches fused by reciprocal ranks, so that their scores need not be comparable (Cormack et al. 2009).

    Attributes:
        sources: the searches.
        depth: documents for each query.
        constant: how little the first places count more than the next.
    """

    sources: tuple[Source, ...] = (Dense(), BM25())
    depth: int = 100
    constant: float = 60.0

    def __post_init__(self) -> None:
        _require_depth(self, self.depth)
        searches = isinstance(self.sources, tuple) and all(isinstance(each, Source) for each in self.sources)
        require(searches and len(self.sources) > 1, self, "sources", "a list of two searches or more")
        require(is_number(self.constant) and self.constant >= 0, self, "constant", "a number of at least 0")

    @property
    def models(self) -> tuple[str, ...]:
        """Those of the searches."""
        return tuple(name for source in self.sources for name in source.models)

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries."""
        hits = [source.propose(material, sink).hits for source in self.sources]
        return Proposed(fuse(*hits, k=self.depth, constant=self.constant))

    @property
    def fingerprint(self) -> str:
        """What beside the material decides the result."""
        return f"{self} {[source.fingerprint for source in self.sources]}"


@dataclass(frozen=True, kw_only=True)
class RunFile(Source):
    """The ranking of another system, as a TREC run file: query id, Q0, document id, rank, score, name.

    Attributes:
        path: the file.
        depth: documents for each query.
    """

    path: str
    depth: int = 100
    example: ClassVar[str] = "RunFile(path='bm25.run')"

    def __post_init__(self) -> None:
        _require_depth(self, self.depth)
        require(isinstance(self.path, str) and bool(self.path), self, "path", "the path of a file")

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries.

        Raises:
            DataError: when the file is broken, or ranks nothing for any of the queries.
        """
        queries, hits = read_run(self._file(), material.dataset, self.depth)
        place = np.searchsorted(queries, material.queries).clip(max=max(len(queries) - 1, 0))
        known = queries[place] == material.queries if len(queries) else np.zeros(len(material.queries), dtype=bool)
        if not known.any():
            raise DataError(f"{self.path} ranks no document for any of the {len(known)} queries to mine for.")
        documents = np.where(known[:, None], hits.documents[place], -1)
        scores = np.where(known[:, None], hits.scores[place], -np.inf)
        return Proposed(Hits(documents.astype(np.int32), scores.astype(np.float32)))

    @property
    def fingerprint(self) -> str:
        """The text form and the content of the file."""
        return f"{self} {hashlib.blake2b(self._file().read_bytes(), digest_size=16).hexdigest()}"

    def _file(self) -> Path:
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise DataError(f"There is no run file {path}.")
        return path
