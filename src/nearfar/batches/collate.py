"""From pair numbers to a batch: the texts, each once, and their relation."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from nearfar.batches.negatives import HardNegatives, How
from nearfar.batches.relate import Judgements
from nearfar.batches.sample import Key
from nearfar.data.tables import Dataset, Mined
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
    drawn, never the query's own text. Mined and judged negatives of the queries join as hard negatives.

    Args:
        dataset: the tables.
        split: the split that is trained on.
        hard_negatives: at most so many of each query, or of each pair where they were mined for pairs.
        seed: decides what is drawn, together with epoch and pair.
        negatives: which of them; see ``HardNegatives``.
        weighed: batches have the weights that mining gave to its negatives.
        beyond: relations say also which texts outside of the step belong to its queries.

    Raises:
        DataError: when the split has no positive pair.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        hard_negatives: int,
        seed: int,
        *,
        negatives: How = "random",
        weighed: bool = False,
        beyond: bool = False,
    ) -> None:
        self._dataset = dataset
        self._weighed, self._beyond = weighed, beyond
        self._hard_negatives, self._how = hard_negatives, negatives
        self._seed = seed
        self._judgements = Judgements(dataset, split)
        self.use(dataset.mined)
        self._starts, self._documents = dataset.documents_by_node
        self._pairs = self._usable(dataset, split)
        if not len(self._pairs):
            raise DataError(f"The split {split!r} of {dataset.name} has no relevant pair to train on.")

    @property
    def dataset(self) -> Dataset:
        """The tables."""
        return self._dataset

    def use(self, mined: Mined | None) -> None:
        """Take other mined negatives from now on. Nothing in them may be relevant."""
        self._negatives = HardNegatives(self._judgements, mined, self._hard_negatives, self._how, self._seed)

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    def __call__(self, keys: Sequence[Key]) -> Batch:
        """The batch of ``keys``."""
        queries: dict[int, int] = {}
        labels: dict[int, int] = {}
        documents: dict[int, int] = {}
        lists: dict[tuple[int, int], None] = {}
        for epoch, pair in keys:
            query, node = (int(value) for value in self._pairs[pair])
            queries.setdefault(query, len(queries))
            labels.setdefault(query, node)
            document = self._draw(query, node, epoch, pair)
            documents.setdefault(document, len(documents))
            lists.setdefault((query, document))
        hard = self._add_negatives(lists, keys[0][0], documents)
        rows, columns = (np.fromiter(side, dtype=np.int64) for side in (queries, documents))
        relation = self._judgements.relation(
            rows,
            columns,
            np.asarray(hard, dtype=np.int64),
            negative=self._negatives.among(rows, columns),
            ignored=self._negatives.ignored(rows, columns),
            beyond=self._beyond,
        )
        return Batch(
            self._dataset.queries.take(queries),
            self._dataset.documents.take(documents),
            relation,
            torch.from_numpy(rows),
            torch.from_numpy(np.fromiter(labels.values(), dtype=np.int64)),
            torch.from_numpy(columns),
            torch.from_numpy(self._negatives.weights(rows, columns)) if self._weighed else None,
        )

    def _add_negatives(self, lists: Iterable[tuple[int, int]], epoch: int, documents: dict[int, int]) -> list[int]:
        """Add the hard negatives of pairs of a query and a document to the documents; gives the new positions."""
        added: list[int] = []
        for query, positive in lists:
            mined, judged = self._negatives.of(query, positive, epoch)
            for document in [*mined, *(self._draw(query, node, epoch, query) for node in judged)]:
                if document not in documents:
                    added.append(len(documents))
                    documents[document] = len(documents)
        return added

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

    def _usable(self, dataset: Dataset, split: str) -> np.ndarray:
        """(pair, 2): query and node, without pairs whose only document is the query's own text."""
        positives = dataset.positives(split)
        query_ids, document_ids = dataset.identities
        sizes = np.diff(self._starts)[positives.node]
        only = self._documents[self._starts[positives.node].clip(max=len(self._documents) - 1)]
        own = (sizes == 1) & (document_ids[only] == query_ids[positives.query])
        keep = (sizes > 0) & ~own
        return np.stack([positives.query[keep], positives.node[keep]], axis=1)
