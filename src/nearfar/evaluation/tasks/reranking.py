"""Reranking: the order of a given list of candidates for each query."""

from dataclasses import dataclass

import numpy as np

from nearfar.config.component import require
from nearfar.errors import DataError
from nearfar.evaluation.measures import parse_measures, per_query
from nearfar.evaluation.tasks.outcome import Outcome, means_of, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask, pairwise
from nearfar.types import Hits


@dataclass(frozen=True, kw_only=True)
class Reranking(VectorTask):
    """Measures of the order in which a model puts the judged documents of each query.

    The candidates of a query are its judged documents, relevant or not; nothing else is searched. Queries without a
    negative are left out: any order of theirs is right. Scores are the model's own similarity of a query and a
    document; equal ones are ordered by a hash of the document's text.

    Attributes:
        measures: names as in ``evaluation.measures``.
    """

    measures: tuple[str, ...] = ("AP", "RR@10", "nDCG@10")

    layouts = frozenset({"pairs", "beir", "scored"})
    needs_relevance = True
    needs = "queries with relevant and irrelevant candidates, such as {query, positives, negatives}"

    def __post_init__(self) -> None:
        require(isinstance(self.measures, tuple), self, "measures", "a list of names, such as [AP, 'RR@10']")

    def measure(self, setting: Setting) -> Outcome:
        """Each measure over the queries of the split.

        Raises:
            DataError: no query of the split has candidates of both kinds.
            ConfigError: a measure is unknown.
        """
        cutoffs = (measure.params.get("cutoff") for measure in parse_measures(self.measures))
        rows, hits = _lists(setting, max([1, *(cutoff for cutoff in cutoffs if isinstance(cutoff, int))]))
        scored = per_query(hits, rows, setting.dataset, setting.split, self.measures)
        listed = np.isin(scored.query_rows, rows)
        values = scored.values[listed]
        left_out = int((~listed).sum())
        note = f"{left_out} queries were left out: none of their candidates is irrelevant."
        return outcome(
            self,
            "query",
            setting.query_names(scored.query_rows[listed]),
            scored.measures,
            means_of(values),
            {name: values[:, place] for place, name in enumerate(scored.measures)},
            confidence=setting.confidence,
            resamples=setting.resamples,
            notes=[note] if left_out else [],
        )


def _lists(setting: Setting, deepest: int) -> tuple[np.ndarray, Hits]:
    """Queries with candidates of both kinds, and the model's order of these, in rows of ``deepest`` places or more."""
    data, judged = setting.dataset, setting.judged()
    relevant = judged.grade >= data.positive_from
    rows = np.intersect1d(judged.query[relevant], judged.query[~relevant]).astype(np.int32)
    if not len(rows):
        raise DataError(
            f"Reranking needs candidates that are not relevant, and no query of {setting.split} in {data.facts.source} "
            "has both kinds. Add a column named negatives, or judgements of grade 0."
        )
    mine = judged.of(rows)
    scores = pairwise(setting.queries(mine.query), setting.documents(mine.node), setting.embedded.encoder.similarity)
    keys = data.documents.keys[mine.node]
    order = np.lexsort((keys[:, 1], keys[:, 0], -scores, mine.query))
    row = np.searchsorted(rows, mine.query[order])
    first = np.searchsorted(row, np.arange(len(rows)))
    place = np.arange(len(order)) - first[row]
    width = max(int(place.max()) + 1, deepest)
    documents = np.full((len(rows), width), -1, dtype=np.int32)
    padded = np.full((len(rows), width), -np.inf, dtype=np.float32)
    documents[row, place] = mine.node[order]
    padded[row, place] = scores[order]
    return rows, Hits(documents, padded)
