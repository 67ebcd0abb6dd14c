"""Splits for data that came without them, such that what belongs together stays together.

Queries that share a relevant document, directly or over other queries, are one component of the graph of queries
and documents, and a component never spans two splits. Otherwise the answer to a test query would have been
seen in training. Equal text joins a query with a document, and an optional group joins queries.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Int32, Int64

from nearfar.config.data import DataOptions
from nearfar.data.judgements import without_queries
from nearfar.data.labels import answerable, without_held_out
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset, Qrels
from nearfar.errors import DataError

BY_ROWS = ("labels", "multilabel")
"""Layouts in which documents are shared by design, so that only rows can be split."""


def split(dataset: Dataset, options: DataOptions) -> Dataset:
    """Make the splits that a data set lacks, out of its training data or its unsplit data.

    A share of 0 makes no such split. The result depends on the texts and the seed, not on the order of rows. Data with
    mined negatives was split before they were mined, and stays as it is.

    Args:
        dataset: as loaded.
        options: ``dev``, ``test``, ``minimum_queries`` and ``seed`` are used.

    Returns:
        The data set with the splits train, dev and test; ``all`` is gone.

    Raises:
        DataError: there are no training pairs, or a split would be too small.
    """
    pool_name = require_train(dataset)
    if dataset.mined is not None:
        return dataset
    shares = {TEST: options.test, DEV: options.dev}
    missing = {name: share for name, share in shares.items() if share > 0 and name not in dataset.qrels}
    pool = dataset.qrels[pool_name]
    qrels = {name: judgements for name, judgements in dataset.qrels.items() if name != pool_name}
    if not missing:
        return dataset.with_qrels({TRAIN: pool} | qrels)
    components = find_components(dataset, pool)
    parts, rest = draw(components, missing, options.seed)
    _check_sizes({**parts, TRAIN: rest}, components, options)
    for name, queries in parts.items():
        qrels[name] = pool.of(queries)
    held_out = np.concatenate([np.zeros(0, dtype=np.int32), *parts.values()])
    qrels[TRAIN] = without_queries(pool, held_out)
    result = dataset.with_qrels({name: qrels[name] for name in (TRAIN, DEV, TEST) if name in qrels})
    made = ", ".join(f"{name} ({len(parts[name])} queries)" for name in (DEV, TEST) if name in parts)
    notes = (*dataset.facts.notes, f"Splits made here with seed {options.seed}: {made}.")
    result = replace(result, facts=replace(dataset.facts, notes=notes))
    return answerable(without_held_out(result)) if dataset.labels is not None else result


def require_train(dataset: Dataset) -> str:
    """The name of the split that training data comes from: ``train``, else ``all``.

    Raises:
        DataError: the data set has neither.
    """
    for name in (TRAIN, UNSPLIT):
        if name in dataset.qrels and len(dataset.qrels[name]):
            return name
    raise DataError(
        f"{dataset.facts.source}: no training pairs: found splits {', '.join(dataset.splits)}. Add a train split, or "
        "for a BEIR folder name a file of pairs with --set data.train=FILE."
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Components:
    """The queries of a pool by component.

    Attributes:
        queries: rows of the queries, ordered by component.
        starts: component ``c`` is ``queries[starts[c]:starts[c + 1]]``. Components are ordered by the smallest
            text key among their queries, which does not depend on the order of rows.
    """

    queries: Int32[np.ndarray, " query"]
    starts: Int64[np.ndarray, " component_plus_one"]

    @property
    def sizes(self) -> Int64[np.ndarray, " component"]:
        """Queries in each component."""
        return np.diff(self.starts)


def find_components(dataset: Dataset, pool: Qrels) -> Components:
    """Connected components of the judged queries of ``pool``.

    Relevant pairs connect, in scored data all pairs do, equal text does, and equal group does. In labelled
    data only groups connect.
    """
    from scipy.sparse import coo_matrix  # a tenth of a second, which only splitting should cost
    from scipy.sparse.csgraph import connected_components

    queries = np.unique(pool.query)
    query_identity, document_identity = dataset.identities
    edges = [np.zeros((2, 0), dtype=np.int64)]
    if dataset.facts.layout not in BY_ROWS:
        linked = pool if dataset.facts.layout == "scored" else pool.at_least(dataset.positive_from)
        edges.append(np.stack([query_identity[linked.query], document_identity[linked.node]]))
    size = int(max(query_identity.max(initial=-1), document_identity.max(initial=-1))) + 1
    if dataset.queries.groups is not None:
        codes = dataset.queries.groups.take(pa.array(queries)).dictionary_encode().indices
        group = codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        grouped = group >= 0
        edges.append(np.stack([query_identity[queries[grouped]], size + group[grouped]]))
        size += int(group.max(initial=-1)) + 1
    rows, columns = np.concatenate(edges, axis=1)
    graph = coo_matrix((np.ones(len(rows), dtype=np.bool_), (rows, columns)), shape=(size, size))
    component = connected_components(graph, directed=False)[1][query_identity[queries]]
    return _in_order(queries, component, dataset)


def _in_order(
    queries: Int32[np.ndarray, " query"], component: Int32[np.ndarray, " query"], dataset: Dataset
) -> Components:
    """Number components by their smallest text key and sort queries by (component, key)."""
    keys = dataset.queries.keys[queries]
    by_key = np.lexsort((keys[:, 1], keys[:, 0]))
    _, first, inverse = np.unique(component[by_key], return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    numbers = number[inverse.reshape(-1)]
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(len(first) + 1)).astype(np.int64)
    return Components(queries=queries[by_key][order], starts=starts)


def draw(
    components: Components, shares: dict[str, float], seed: int
) -> tuple[dict[str, Int32[np.ndarray, " _part"]], Int32[np.ndarray, " _rest"]]:
    """Deal whole components, in random order, to the splits until each has its share of the queries.

    A component that is larger than what a split still needs is not dealt to it, so that very large ones end up
    in the rest.

    Returns:
        The query rows of each split, and the rest, all ascending.
    """
    order = np.random.default_rng(seed).permutation(len(components.sizes))
    sizes = components.sizes
    owner = np.full(len(sizes), -1, dtype=np.int64)
    for number, share in enumerate(shares.values()):
        room = round(share * len(components.queries))
        for component in order[owner[order] < 0].tolist():
            if room == 0:
                break
            if sizes[component] <= room:
                owner[component] = number
                room -= int(sizes[component])
    by_query = np.repeat(owner, sizes)
    parts = {name: np.sort(components.queries[by_query == number]) for number, name in enumerate(shares)}
    return parts, np.sort(components.queries[by_query == -1])


def _check_sizes(parts: dict[str, Int32[np.ndarray, " _part"]], components: Components, options: DataOptions) -> None:
    small = {name: len(queries) for name, queries in parts.items() if len(queries) < options.minimum_queries}
    if not small:
        return
    count, largest = len(components.sizes), int(components.sizes.max(initial=0))
    total = len(components.queries)
    advice = "raise data.dev and data.test, bring more data, or lower data.minimum_queries"
    if largest > total // 2:
        advice = (
            "most queries hang together over shared documents or groups and cannot be parted; bring dev and test files "
            f"of your own, {advice.partition(', ')[2]}"
        )
    found = " and ".join(f"{name} would have {size} queries" for name, size in small.items())
    raise DataError(
        f"Cannot split: {found}, fewer than data.minimum_queries={options.minimum_queries}. "
        f"There are {total} queries in {count} components (queries "
        f"that share relevant documents stay together), the largest with {largest}. What to change: {advice}."
    )
