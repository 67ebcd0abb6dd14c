"""From pair numbers to a batch: the texts, each once, and their relation."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from nearfar.batches.relate import Judgements
from nearfar.batches.sample import Key
from nearfar.data.tables import Dataset
from nearfar.errors import DataError
from nearfar.types import Batch


class Keys(TorchDataset[Key]):
    """A dataset of pairs in which a key is its own item: the collator does the looking up."""

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return self.pairs

    def __getitem__(self, key: Key) -> Key:
        return key


class PairCollator:
    """Turns keys into a ``Batch``.

    A pair is a query and a node relevant to it. Where a node stands for several documents (a label), one of them is
    drawn, never the query's own text. Judged negatives of the queries join as hard negatives.

    Args:
        dataset: the tables.
        split: the split that is trained on.
        hard_negatives: at most so many judged negatives of each query.
        seed: decides what is drawn, together with epoch and pair.
        beyond: relations say also which texts outside of the step belong to its queries.

    Raises:
        DataError: when the split has no positive pair.
    """

    def __init__(self, dataset: Dataset, split: str, hard_negatives: int, seed: int, *, beyond: bool = False) -> None:
        self._dataset = dataset
        self._beyond = beyond
        self._hard_negatives = hard_negatives
        self._seed = seed
        self._judgements = Judgements(dataset, split)
        self._starts, self._documents = dataset.documents_by_node
        self._pairs = self._usable(dataset, split)
        if not len(self._pairs):
            raise DataError(f"The split {split!r} of {dataset.name} has no relevant pair to train on.")

    @property
    def dataset(self) -> Dataset:
        """The tables."""
        return self._dataset

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    def __call__(self, keys: Sequence[Key]) -> Batch:
        """The batch of ``keys``."""
        queries: dict[int, int] = {}
        labels: dict[int, int] = {}
        documents: dict[int, int] = {}
        hard: list[int] = []
        for epoch, pair in keys:
            query, node = (int(value) for value in self._pairs[pair])
            queries.setdefault(query, len(queries))
            labels.setdefault(query, node)
            documents.setdefault(self._draw(query, node, epoch, pair), len(documents))
        epoch = keys[0][0]
        for query in queries:
            for node in self._drawn_negatives(query, epoch):
                document = self._draw(query, node, epoch, query)
                if document not in documents:
                    hard.append(len(documents))
                    documents[document] = len(documents)
        rows, columns = (np.fromiter(side, dtype=np.int64) for side in (queries, documents))
        relation = self._judgements.relation(rows, columns, np.asarray(hard, dtype=np.int64), beyond=self._beyond)
        return Batch(
            self._dataset.queries.take(queries),
            self._dataset.documents.take(documents),
            relation,
            torch.from_numpy(rows),
            torch.from_numpy(np.fromiter(labels.values(), dtype=np.int64)),
            torch.from_numpy(columns),
        )

    def _members(self, node: int) -> np.ndarray:
        return self._documents[self._starts[node] : self._starts[node + 1]]

    def _draw(self, query: int, node: int, epoch: int, salt: int) -> int:
        """A document of ``node`` that is not the query's own text; the only one there is, or a random one."""
        members = self._members(node)
        if len(members) == 1:
            return int(members[0])
        query_ids, document_ids = self._dataset.identities
        others = members[document_ids[members] != query_ids[query]]
        return int(np.random.default_rng((self._seed, epoch, salt)).choice(others))

    def _drawn_negatives(self, query: int, epoch: int) -> list[int]:
        nodes = self._judgements.negatives(query)
        if len(nodes) > self._hard_negatives:
            nodes = np.random.default_rng((self._seed, epoch, query, 1)).choice(
                nodes, self._hard_negatives, replace=False
            )
        return [int(node) for node in nodes]

    def _usable(self, dataset: Dataset, split: str) -> np.ndarray:
        """(pair, 2): query and node, without pairs whose only document is the query's own text."""
        positives = dataset.positives(split)
        query_ids, document_ids = dataset.identities
        sizes = np.diff(self._starts)[positives.node]
        only = self._documents[self._starts[positives.node].clip(max=len(self._documents) - 1)]
        own = (sizes == 1) & (document_ids[only] == query_ids[positives.query])
        keep = (sizes > 0) & ~own
        return np.stack([positives.query[keep], positives.node[keep]], axis=1)
