"""Candidates that are drawn: from the whole corpus, or from the neighbourhood of a positive."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from nearfar.config.component import is_whole, require
from nearfar.events import Silent, Sink, track
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Proposed, Source
from nearfar.types import Hits

_RANDOM, _CLUSTERS = 1, 2
"""Salts of the draws."""


@dataclass(frozen=True, kw_only=True)
class Random(Source):
    """Documents of the corpus, each as likely as the others. ``Padded`` fills lists up with them.

    Attributes:
        depth: documents for each query.
    """

    depth: int = 16

    def __post_init__(self) -> None:
        require(is_whole(self.depth) and self.depth > 0, self, "depth", "a whole number above 0")

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries."""
        places = np.argsort(material.tie_order[material.searched])  # by text key: the order of a file means nothing
        found = _nothing(len(material.queries), min(self.depth, len(places)))
        for row, generator in _draws(material, _RANDOM, "random", sink):
            drawn = generator.choice(len(places), found.depth, replace=False)
            found.documents[row] = material.searched[places[drawn]]
            found.scores[row] = 0
        return Proposed(found)


@dataclass(frozen=True, kw_only=True)
class Clusters(Source):
    """Documents drawn from the k-means clusters of a query's positives (after LEMON, 2203.04703).

    Attributes:
        depth: documents for each query; fewer where the clusters have fewer.
        clusters: how many; never more than there are documents.
        model: whose vectors are clustered; empty for the model that is mined for.
    """

    depth: int = 16
    clusters: int = 256
    model: str = ""

    def __post_init__(self) -> None:
        for field in ("depth", "clusters"):
            value = getattr(self, field)
            require(is_whole(value) and value > 0, self, field, "a whole number above 0")

    @property
    def models(self) -> tuple[str, ...]:
        """The one whose vectors are clustered."""
        return (self.model,)

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries."""
        cluster = self._clusters(material, sink)
        places = material.searched[np.argsort(material.tie_order[material.searched])]
        order = places[np.argsort(cluster[places], kind="stable")]
        starts = np.searchsorted(cluster[order], np.arange(cluster.max(initial=0) + 2))
        positives = material.closure.positives
        ends = np.searchsorted(positives.query, [material.queries, material.queries + 1])
        found = _nothing(len(material.queries), min(self.depth, len(places)))
        for row, generator in _draws(material, _CLUSTERS, "clusters", sink):
            near = np.unique(cluster[positives.document[ends[0, row] : ends[1, row]]])
            members = np.concatenate([order[starts[each] : starts[each + 1]] for each in near])
            drawn = generator.choice(len(members), min(found.depth, len(members)), replace=False)
            found.documents[row, : len(drawn)] = members[drawn]
            found.scores[row, : len(drawn)] = 0
        return Proposed(found)

    def _clusters(self, material: Material, sink: Sink) -> Int64[np.ndarray, " document"]:
        """The cluster of each document. One thread: with several, sums and with them clusters may differ."""
        from sklearn.cluster import MiniBatchKMeans
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        vectors = material.store.vectors(self.model, sink).documents
        count = min(self.clusters, len(vectors))
        with threadpool_limits(1):
            model = MiniBatchKMeans(count, batch_size=max(1024, 4 * count), n_init=1, random_state=material.seed)
            found: Int64[np.ndarray, " document"] = model.fit_predict(np.asarray(vectors)).astype(np.int64)
        return found


def _nothing(queries: int, depth: int) -> Hits:
    return Hits(np.full((queries, depth), -1, dtype=np.int32), np.full((queries, depth), -np.inf, dtype=np.float32))


def _draws(material: Material, salt: int, task: str, sink: Sink) -> Iterator[tuple[int, np.random.Generator]]:
    """Each query's position and random numbers, which follow from its text, so that other queries do not matter."""
    keys: UInt64[np.ndarray, "query 2"] = material.dataset.queries.keys[material.queries]
    for row in track(range(len(keys)), task, sink, len(keys)):
        yield row, np.random.default_rng((material.seed, salt, *keys[row].tolist()))
