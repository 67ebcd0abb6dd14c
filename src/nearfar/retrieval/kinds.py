"""Kinds of approximate index by name: how each is built and searched."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nearfar.config.component import Component, parse_component, require
from nearfar.errors import ConfigError

EXACT = "Exact"
"""The name of the search that looks at every document; any other is that of an index."""

_FOR_EACH_LIST = 256
"""Vectors that k-means sees for each list; FAISS itself takes no more."""

_CODES = {"float32": "Flat", "float16": "SQfp16", "int8": "SQ8"}


@dataclass(frozen=True, kw_only=True)
class HNSW(Component):
    """A graph of near neighbours, walked from far to near. Malkov and Yashunin 2018, arXiv 1603.09320.

    Attributes:
        links: neighbours of a document. Memory beside the vectors grows by 8 bytes a document for each.
        build_effort: documents kept in view while one is placed.
        effort: documents kept in view while searching, at least as many as are wanted.
        codes: how vectors are kept: ``float32``, ``float16`` or ``int8``. What is found is scored in float32 anyway.
    """

    links: int = 32
    build_effort: int = 80
    effort: int = 128
    codes: str = "float16"

    def __post_init__(self) -> None:
        require(self.links >= 2, self, "links", "at least 2")
        require(self.build_effort >= 1, self, "build_effort", "at least 1")
        require(self.effort >= 1, self, "effort", "at least 1")
        require(self.codes in _CODES, self, "codes", f"one of {', '.join(_CODES)}")

    oversampling: ClassVar[int] = 1
    """Candidates that are scored in float32 for each document that is wanted."""

    def factory(self, documents: int) -> str:
        """A graph over coded vectors."""
        return f"HNSW{self.links},{_CODES[self.codes]}"

    def training(self, documents: int) -> int:
        """Codes of 8 bits need the range of the values."""
        return min(documents, 65_536)

    def tune(self, index: Any, k: int) -> None:
        """Building and searching."""
        index.hnsw.efConstruction = self.build_effort
        index.hnsw.efSearch = max(self.effort, k)


@dataclass(frozen=True, kw_only=True)
class IVF(Component):
    """Lists of documents around centroids; a search reads the lists nearest to the query.

    Attributes:
        lists: how many; 0 for the square root of the number of documents.
        probes: lists that a search reads.
        codes: how vectors are kept: ``float32``, ``float16`` or ``int8``. What is found is scored in float32 anyway.
        oversampling: candidates that are scored again for each document that is wanted.
    """

    lists: int = 0
    probes: int = 16
    codes: str = "int8"
    oversampling: int = 2

    def __post_init__(self) -> None:
        require(self.lists >= 0, self, "lists", "at least 0")
        require(self.probes >= 1, self, "probes", "at least 1")
        require(self.codes in _CODES, self, "codes", f"one of {', '.join(_CODES)}")
        require(self.oversampling >= 1, self, "oversampling", "at least 1")

    def factory(self, documents: int) -> str:
        """Lists of coded vectors."""
        return f"IVF{_lists(self.lists, documents)},{_CODES[self.codes]}"

    def training(self, documents: int) -> int:
        """What k-means needs."""
        return min(documents, _FOR_EACH_LIST * _lists(self.lists, documents))

    def tune(self, index: Any, k: int) -> None:
        """Searching."""
        index.nprobe = min(self.probes, index.nlist)


@dataclass(frozen=True, kw_only=True)
class IVFPQ(Component):
    """As ``IVF``, with vectors cut into parts of which each is kept as half a byte. Jegou et al. 2011.

    The smallest index: a document takes ``parts / 2`` bytes. Its order is coarse, so more candidates are scored again.

    Attributes:
        lists: how many; 0 for the square root of the number of documents.
        probes: lists that a search reads.
        parts: pieces of a vector; they must divide its width.
        oversampling: candidates that are scored again for each document that is wanted.
    """

    lists: int = 0
    probes: int = 16
    parts: int = 96
    oversampling: int = 8

    def __post_init__(self) -> None:
        require(self.lists >= 0, self, "lists", "at least 0")
        require(self.probes >= 1, self, "probes", "at least 1")
        require(self.parts >= 1, self, "parts", "at least 1")
        require(self.oversampling >= 1, self, "oversampling", "at least 1")

    def factory(self, documents: int) -> str:
        """Lists of product-quantised vectors."""
        return f"IVF{_lists(self.lists, documents)},PQ{self.parts}x4fs"

    def training(self, documents: int) -> int:
        """What k-means needs."""
        return min(documents, _FOR_EACH_LIST * max(16, _lists(self.lists, documents)))

    def tune(self, index: Any, k: int) -> None:
        """Searching."""
        index.nprobe = min(self.probes, index.nlist)


IndexKind = HNSW | IVF | IVFPQ

KINDS: Mapping[str, Callable[..., IndexKind]] = {"HNSW": HNSW, "IVF": IVF, "IVFPQ": IVFPQ}


def parse_index(text: str) -> IndexKind:
    """The kind of index that a text names, such as ``IVF(probes=32)``.

    Raises:
        ConfigError: the text is not one.
    """
    return parse_component(text, KINDS, "index")


def check_search(text: str) -> None:
    """Refuse what is neither ``Exact`` nor the text form of an index.

    Raises:
        ConfigError: with the nearest name.
    """
    if text == EXACT:
        return
    try:
        parse_index(text)
    except ConfigError as error:
        raise ConfigError(f"{error} Without an index, the search is {EXACT}.") from error


def _lists(lists: int, documents: int) -> int:
    return min(lists or max(1, round(documents**0.5)), documents)
