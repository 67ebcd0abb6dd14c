"""What a page shows of single items: queries by their values, with texts, and items of tasks, the worst first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import rankdata

from nearfar.data.tables import Dataset
from nearfar.evaluation.evidence import EXAMPLES, document, first_three, short
from nearfar.evaluation.measures import PerQuery
from nearfar.evaluation.retrieve import Found
from nearfar.evaluation.tasks.outcome import Outcome

LISTED = 500
"""Queries that are listed with their values; of more, those with the lowest."""
ITEMS = 200
"""Items of a task that are listed; the page says that there are more."""

_CHARACTERS = 200


def query_examples(dataset: Dataset, split: str, scores: PerQuery, found: Found, *, seed: int = 0) -> dict[str, Any]:
    """Queries by the first measure, lowest first, and those at both ends with what was sought and found.

    Of equal queries, the seed draws. Where all are equal, none is best.

    Args:
        dataset: the tables.
        split: whose judgements count.
        scores: of the queries.
        found: the hits of these queries, in their order.
        seed: of the draw.
    """
    values = scores.values[:, 0]
    order = _lowest_first(values, seed)
    shown = min(EXAMPLES, (len(order) + 1) // 2)
    higher = [
        place for place in order[::-1][: min(EXAMPLES, len(order) - shown)].tolist() if values[place] > values.min()
    ]
    positives = dataset.positives(split)

    def show(place: int) -> dict[str, Any]:
        query = int(scores.query_rows[place])
        nodes = positives.node[positives.query == query]
        relevant = np.flatnonzero(np.isin(dataset.nodes, nodes) & dataset.searched)[:3]
        return {
            "id": dataset.queries.id(query),
            "query": short(dataset.queries.text(query)),
            "value": float(values[place]),
            "relevant": [document(dataset, int(row)) for row in relevant],
            "found": first_three(dataset, found, place, nodes),
        }

    return {
        "measures": list(scores.measures),
        "queries": len(order),
        "listed": [
            {
                "id": dataset.queries.id(int(scores.query_rows[place])),
                "text": short(dataset.queries.text(int(scores.query_rows[place])), _CHARACTERS),
                "values": scores.values[place].tolist(),
            }
            for place in order[:LISTED].tolist()
        ],
        "worst": [show(place) for place in order[:shown].tolist()],
        "best": [show(place) for place in higher],
    }


def item_examples(outcomes: Sequence[Outcome], dataset: Dataset, split: str, *, seed: int = 0) -> dict[str, Any]:
    """For each task its items, the worst first, with their texts where they are texts of the data.

    Worst are, where a cosine stands beside a grade, those whose ranks by the two are furthest apart; else those with
    the lowest first measure. Of equal ones, the seed draws.
    """
    texts = _texts(dataset, split)
    return {"tasks": [_items(outcome, texts, seed) for outcome in outcomes]}


def _items(outcome: Outcome, texts: Mapping[str, tuple[str, ...]], seed: int) -> dict[str, Any]:
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in outcome.columns.items()}
    truth = next((name for name in ("grade", "same") if name in columns and "cosine" in columns), None)
    if truth is not None:
        apart = np.abs(rankdata(columns["cosine"]) - rankdata(columns[truth]))
        order, by = _lowest_first(-apart, seed), f"cosine and {truth} rank them most differently"
    else:
        names = [score.measure for score in outcome.scores]
        first = next(name for name in (*names, *columns) if name in columns)
        order, by = _lowest_first(columns[first], seed), f"{first} is lowest"
    return {
        "task": outcome.task,
        "unit": outcome.unit,
        "items": len(order),
        "columns": list(columns),
        "by": by,
        "listed": [
            {
                "id": outcome.items[place],
                "texts": [short(text, _CHARACTERS) for text in texts.get(outcome.items[place], ())],
                "values": [float(values[place]) for values in columns.values()],
            }
            for place in order[:ITEMS].tolist()
        ],
    }


def _lowest_first(values: Float64[np.ndarray, " item"], seed: int) -> Int64[np.ndarray, " item"]:
    order: Int64[np.ndarray, " item"] = np.lexsort((np.random.default_rng(seed).permutation(len(values)), values))
    return order


def _texts(dataset: Dataset, split: str) -> dict[str, tuple[str, ...]]:
    """The texts of items by their name, as ``Setting`` names them: that of a query with its labels, those of a pair."""
    queries, judged = dataset.queries, dataset.qrels[split]
    found: dict[str, tuple[str, ...]] = {}
    for query, node in zip(judged.query.tolist(), judged.node.tolist(), strict=True):
        name, text = queries.id(query), queries.text(query)
        if dataset.labels is not None:
            found[name] = (*found.get(name, (text,)), dataset.labels[node])
        else:
            found[name] = (text,)
            found[f"{name} {dataset.documents.id(node)}"] = (text, dataset.documents.text(node))
    return found
