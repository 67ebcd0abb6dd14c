"""The dev search: a small, fixed retrieval task that says during training whether the model gets better."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int32

from nearfar.config.run import DevOptions
from nearfar.data.tables import DEV, Dataset
from nearfar.encoders.protocol import TorchEncoder
from nearfar.errors import DataError
from nearfar.evaluation.measures import parse_measures, per_query
from nearfar.evaluation.retrieve import Corpus, retrieve


class DevSearch:
    """Searches for a fixed draw of dev queries among a fixed draw of documents.

    Every document that is relevant to a drawn query is among them (at most as many as allowed), the rest is drawn at
    random. Fewer documents than the corpus make the task easier, so its scores compare with one another only.

    Raises:
        DataError: when no drawn query has a relevant document in the corpus.
    """

    def __init__(self, dataset: Dataset, options: DevOptions, seed: int) -> None:
        generator = np.random.default_rng(seed)
        parse_measures((options.measure,))
        self.measure = options.measure
        queries = _draw(dataset.query_rows(DEV), options.queries, generator)
        positives = dataset.positives(DEV).of(queries)
        searched = np.flatnonzero(dataset.searched).astype(np.int32)
        relevant = searched[np.isin(dataset.nodes[searched], positives.node)]
        chosen = _draw(relevant, options.documents, generator)
        others = np.setdiff1d(searched, relevant)
        chosen = np.concatenate([chosen, _draw(others, options.documents - len(chosen), generator)])
        mask = np.zeros(len(dataset.documents), dtype=np.bool_)
        mask[chosen] = True
        present = np.isin(positives.node, dataset.nodes[chosen])
        self._queries = np.unique(positives.query[present])
        judged = {DEV: dataset.qrels[DEV].of(self._queries)}
        self._dataset = replace(dataset, searched=mask, qrels=judged)
        self._corpus = Corpus.of(self._dataset)
        if not len(self._queries):
            raise DataError(f"No dev query of {dataset.name} has a relevant document in the corpus.")

    @property
    def size(self) -> tuple[int, int]:
        """(queries, documents)."""
        return len(self._queries), len(self._corpus.rows)

    def __call__(self, encoder: TorchEncoder) -> float:
        """The mean of the measure."""
        found = retrieve(encoder, self._corpus, self._queries, depth=100)
        return float(per_query(found.hits, self._queries, self._dataset, DEV, (self.measure,)).values.mean())


def _draw(rows: Int32[np.ndarray, " row"], count: int, generator: np.random.Generator) -> Int32[np.ndarray, " drawn"]:
    if len(rows) <= count:
        return rows
    drawn: Int32[np.ndarray, " drawn"] = np.sort(generator.choice(rows, max(count, 0), replace=False))
    return drawn
