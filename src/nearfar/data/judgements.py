"""Judgements: collecting them, joining repeats, and taking out what must not be trained on."""

from array import array
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int32, Int64

from nearfar.data.tables import DEV, TEST, TRAIN, Qrels


def merged(
    query: Int32[np.ndarray, " judgement"],
    node: Int32[np.ndarray, " judgement"],
    grade: Float32[np.ndarray, " judgement"],
) -> Qrels:
    """Sorted by (query, node), each pair once; of a pair's grades the highest counts."""
    order = np.lexsort((-grade, node, query))
    query, node, grade = query[order], node[order], grade[order]
    first = np.ones(len(query), dtype=np.bool_)
    first[1:] = (query[1:] != query[:-1]) | (node[1:] != node[:-1])
    return Qrels(query[first], node[first], grade[first])


class JudgementsBuilder:
    """Takes judgements one by one, twelve bytes each."""

    def __init__(self) -> None:
        self._query, self._node, self._grade = array("i"), array("i"), array("f")

    def __len__(self) -> int:
        return len(self._query)

    def add(self, query: int, node: int, grade: float) -> None:
        """Take one judgement."""
        self._query.append(query)
        self._node.append(node)
        self._grade.append(grade)

    def queries(self) -> set[int]:
        """The rows of the queries judged so far."""
        return set(self._query)

    def finish(self) -> Qrels:
        """All judgements, in order and without repeats."""
        return merged(
            np.array(self._query, dtype=np.int32),
            np.array(self._node, dtype=np.int32),
            np.array(self._grade, dtype=np.float32),
        )


def without_queries(qrels: Qrels, queries: Int32[np.ndarray, " query"] | Int64[np.ndarray, " query"]) -> Qrels:
    """The judgements of every query but ``queries``."""
    keep = ~np.isin(qrels.query, queries)
    return Qrels(qrels.query[keep], qrels.node[keep], qrels.grade[keep])


def with_positives(qrels: Mapping[str, Qrels], positive_from: float) -> tuple[dict[str, Qrels], int]:
    """Each split without the queries that have no positive in it, and how many those were."""
    kept: dict[str, Qrels] = {}
    dropped = 0
    for split, judgements in qrels.items():
        answered = np.unique(judgements.at_least(positive_from).query)
        kept[split] = judgements.of(answered)
        dropped += len(np.unique(judgements.query)) - len(answered)
    return kept, dropped


def without_leaks(qrels: Mapping[str, Qrels]) -> tuple[dict[str, Qrels], int, int]:
    """Each query in one split only: test before dev before train.

    Returns:
        The splits, how many queries train lost, and how many dev lost.
    """
    kept = dict(qrels)
    lost = {TRAIN: 0, DEV: 0}
    for split, guarded in ((TRAIN, (DEV, TEST)), (DEV, (TEST,))):
        if split not in kept:
            continue
        held_out = [qrels[other].query for other in guarded if other in qrels]
        if not held_out:
            continue
        leaked = np.intersect1d(kept[split].query, np.concatenate(held_out))
        kept[split] = without_queries(kept[split], leaked)
        lost[split] = len(leaked)
    return kept, lost[TRAIN], lost[DEV]
