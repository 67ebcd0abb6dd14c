"""Measures of rankings for every query, computed by ir-measures, under one stated tie rule.

A ranking is taken as it stands: its places are handed on as strictly falling scores, so that no library's own rule for
ties decides. Gains are linear, as in trec_eval: a document of grade 3 counts three times one of grade 1 in nDCG.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures.measures import registry
from jaxtyping import Bool, Float32, Float64, Int, Int32, Int64

from nearfar.data.tables import Dataset, Qrels
from nearfar.errors import ConfigError, DataError, ShapeError, did_you_mean, first_few
from nearfar.types import Hits

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10", "AP@100", "Success@1")
COMMON_MEASURES = (*DEFAULT_MEASURES, "P@10", "Rprec", "RR", "AP", "nDCG", "Success@10", "R@10", "Judged@10", "Bpref")
PROVIDERS = ("pytrec_eval", "msmarco", "judged")
HIGHEST_GRADE = 1_000_000
JUDGEMENTS_AT_ONCE = 1_000_000
"""Judged documents that are handed over in one call; a bound on memory for labelled data with large classes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PerQuery:
    """The value of every measure for every query.

    Attributes:
        query_rows: rows of the query table, ascending.
        measures: names of the measures, in their canonical form.
        values: the values.
    """

    query_rows: Int32[np.ndarray, " query"]
    measures: tuple[str, ...]
    values: Float64[np.ndarray, "query measure"]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.query_rows), len(self.measures)):
            raise ShapeError(
                f"Values of {len(self.query_rows)} queries and {len(self.measures)} measures have the shape "
                f"{self.values.shape}."
            )

    def of(self, measure: str) -> Float64[np.ndarray, " query"]:
        """The values of one measure.

        Raises:
            ConfigError: it was not computed.
        """
        if measure not in self.measures:
            raise ConfigError(
                f"The measure {measure!r} was not computed; there are {', '.join(self.measures)}."
                + did_you_mean(measure, self.measures)
            )
        return self.values[:, self.measures.index(measure)]


def parse_measures(names: Sequence[str]) -> tuple[ir_measures.Measure, ...]:
    """Measures from their text form, such as ``nDCG@10``, ``R@100`` or ``AP(rel=2)@100``.

    ``AP@k`` divides by the number of relevant documents, as trec_eval does, also where it exceeds k. ``RR@k`` is 0
    where the first relevant document is beyond place k. ``MRR`` and ``Recall`` are other names for ``RR`` and ``R``.

    Raises:
        ConfigError: a name is unknown, malformed, given twice, or its measure cannot be computed here.
    """
    if not names:
        raise ConfigError(f"Name at least one measure, such as {', '.join(DEFAULT_MEASURES)}.")
    measures = tuple(_parse(name) for name in names)
    for place, measure in enumerate(measures):
        if measure in measures[:place]:
            raise ConfigError(f"The measure {measure} is given twice. Leave one out.")
    return measures


def per_query(
    hits: Hits,
    query_rows: Int[np.ndarray, " query"],
    dataset: Dataset,
    split: str,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    exclude: Int[np.ndarray, " excluded"] | None = None,
) -> PerQuery:
    """The measures of every query of a split that has a positive. One without any hits has 0, it is not left out.

    A document is relevant when its node is judged relevant, so in labelled data every document of the label is. Only
    documents that are searched count: others are taken out of a ranking, places after them move up, and they are not
    among the relevant ones either. Queries of ``hits`` without a positive in the split are passed over.

    Grades below ``dataset.positive_from`` gain nothing. Grades from there on are gains, if all of those of the data set
    (over all splits, so that splits compare) are whole numbers of at least 1; if not, each gains 1.

    Args:
        hits: rankings over the rows of the document table.
        query_rows: the row of the query table that each ranking belongs to.
        dataset: queries, documents and judgements.
        split: the judgements to use.
        measures: their text forms, see ``parse_measures``.
        exclude: for each ranking a document row that was left out of the search, or -1; it does not count here either.

    Raises:
        ConfigError: a measure or the split is unknown, or the rankings are not deep enough for a measure.
        DataError: a ranking repeats a document or holds one that is not in the table, or a query has two rankings.
        ShapeError: ``query_rows`` or ``exclude`` does not have one entry for each ranking.
    """
    parsed = parse_measures(measures)
    check_split(dataset, split)
    _check(hits, query_rows, exclude, dataset, parsed)
    rows = dataset.query_rows(split)
    names = tuple(str(measure) for measure in parsed)
    values = np.zeros((len(rows), len(parsed)))
    place = {int(row): position for position, row in enumerate(query_rows)}
    column = {measure: index for index, measure in enumerate(parsed)}
    evaluate = _Judgements(dataset, split)
    for first, block in evaluate.blocks(rows):
        run: dict[str, dict[str, float]] = {}
        judged: dict[str, Mapping[str, int]] = {}
        for offset, row in enumerate(block.tolist()):
            left_out = -1 if exclude is None or row not in place else int(exclude[place[row]])
            judged[str(first + offset)] = evaluate.of(row, left_out)
            if row in place:
                run[str(first + offset)] = _ranking(hits.documents[place[row]], dataset.searched, left_out)
        for group in _groups(parsed):
            for metric in ir_measures.iter_calc(group, judged, run):
                values[int(metric.query_id), column[metric.measure]] = metric.value
    return PerQuery(query_rows=rows, measures=names, values=values)


def mean_scores(scores: PerQuery) -> dict[str, float]:
    """The mean of each measure over all queries.

    Raises:
        DataError: there are no queries.
    """
    if not len(scores.query_rows):
        raise DataError("There is no query to average over: the split has no query with a relevant document.")
    return dict(zip(scores.measures, scores.values.mean(axis=0).tolist(), strict=True))


def check_split(dataset: Dataset, split: str) -> None:
    """Refuse a split that the data set does not have.

    Raises:
        ConfigError: there is no such split.
    """
    if split not in dataset.qrels:
        raise ConfigError(
            f"Data set {dataset.name!r} has no split {split!r}, it has {', '.join(dataset.splits)}."
            + did_you_mean(split, dataset.splits)
        )


class _Judgements:
    """Gains of documents for each query of a split. Queries with the same node share one dictionary."""

    def __init__(self, dataset: Dataset, split: str) -> None:
        self.qrels: Qrels = dataset.qrels[split]
        self.gains = _gains(dataset, self.qrels)
        self.searched = dataset.searched
        self.starts, self.order = dataset.documents_by_node
        self.by_node: dict[tuple[int, int], dict[str, int]] = {}

    def blocks(self, rows: Int32[np.ndarray, " query"]) -> Iterator[tuple[int, Int32[np.ndarray, " block"]]]:
        """The first position and the rows of consecutive parts with a bounded number of judged documents."""
        first = np.searchsorted(self.qrels.query, rows)
        last = np.searchsorted(self.qrels.query, rows, side="right")
        sizes = self._sizes()
        total = np.concatenate([[0], np.cumsum(sizes)])
        ends = np.concatenate([[0], np.cumsum(total[last] - total[first])])
        start = 0
        while start < len(rows):
            stop = int(np.searchsorted(ends, ends[start] + JUDGEMENTS_AT_ONCE, side="right")) - 1
            stop = max(stop, start + 1)
            yield start, rows[start:stop]
            start = stop

    def of(self, row: int, left_out: int) -> Mapping[str, int]:
        """``{document row: gain}`` of one query; the highest gain where two nodes share a document."""
        begin, end = np.searchsorted(self.qrels.query, [row, row + 1])
        parts = [
            self._node(node, gain)
            for node, gain in zip(self.qrels.node[begin:end].tolist(), self.gains[begin:end].tolist(), strict=True)
        ]
        if len(parts) == 1 and str(left_out) not in parts[0]:
            return parts[0]
        merged = {document: gain for part in parts for document, gain in part.items()}
        merged.pop(str(left_out), None)
        return merged

    def _node(self, node: int, gain: int) -> dict[str, int]:
        known = self.by_node.get((node, gain))
        if known is None:
            documents = self._documents(node)
            known = {str(document): gain for document in documents[self.searched[documents]].tolist()}
            self.by_node[node, gain] = known
        return known

    def _documents(self, node: int) -> Int32[np.ndarray, " document"]:
        if node + 1 >= len(self.starts):
            return self.order[:0]
        return self.order[self.starts[node] : self.starts[node + 1]]

    def _sizes(self) -> Int64[np.ndarray, " judgement"]:
        node = np.minimum(self.qrels.node.astype(np.int64), len(self.starts) - 1)
        sizes = np.append(np.diff(self.starts), 0)
        return np.asarray(sizes[node], dtype=np.int64)


def _gains(dataset: Dataset, qrels: Qrels) -> Int64[np.ndarray, " judgement"]:
    """Whole gains, 0 for everything that is not positive. See ``per_query``."""
    positive: Bool[np.ndarray, " judgement"] = qrels.grade >= dataset.positive_from
    grades = [part.grade[part.grade >= dataset.positive_from] for part in dataset.qrels.values()]
    every: Float32[np.ndarray, " positive"] = np.concatenate(grades)
    if every.max(initial=0.0) > HIGHEST_GRADE:
        raise DataError(
            f"Grades of relevance must not exceed {HIGHEST_GRADE}, {dataset.name!r} has {every.max():g}. "
            "Scale them, or set positive_from and write 1 for every relevant document."
        )
    if (every >= 1).all() and (every == np.floor(every)).all():
        return np.where(positive, qrels.grade, 0).astype(np.int64)
    return positive.astype(np.int64)


def _ranking(
    documents: Int32[np.ndarray, " rank"], searched: Bool[np.ndarray, " document"], left_out: int
) -> dict[str, float]:
    """``{document row: score}`` with scores that fall by one from place to place."""
    kept = documents[documents >= 0]
    kept = kept[searched[kept] & (kept != left_out)]
    return {str(document): float(len(kept) - place) for place, document in enumerate(kept.tolist())}


def _groups(measures: tuple[ir_measures.Measure, ...]) -> list[list[ir_measures.Measure]]:
    """What may be computed in one call. ir-measures 0.4.3 computes nDCG with the gains of another one beside it."""
    alone = [[measure] for measure in measures if "gains" in measure.params]
    together = [measure for measure in measures if "gains" not in measure.params]
    return [together, *alone] if together else alone


def _parse(name: str) -> ir_measures.Measure:
    """One measure that can be computed here."""
    try:
        measure = ir_measures.parse_measure(name)
        available = [provider for provider in ir_measures.DefaultPipeline.providers if provider.NAME in PROVIDERS]
        computable = any(provider.is_available() and provider.supports(measure) for provider in available)
    except NameError as error:
        base = name.replace("(", "@").split("@")[0]
        alike = did_you_mean(name, COMMON_MEASURES) or did_you_mean(base, registry)
        raise ConfigError(f"There is no measure {name!r}.{alike} Known are, for example, {_examples()}.") from error
    except (ValueError, AssertionError, TypeError, KeyError) as error:
        raise ConfigError(
            f"The measure {name!r} cannot be read: {error}. Write a name and a cutoff, such as {_examples()}."
        ) from error
    cutoff = _cutoff(measure)
    if cutoff is not None and cutoff < 1:
        raise ConfigError(f"The cutoff of {name!r} must be at least 1.")
    if not computable:
        raise ConfigError(
            f"The measure {name!r} cannot be computed by pytrec_eval. Choose among {_examples()}. "
            "Exponential gains are written out: nDCG(gains={1:1,2:3,3:7})@10."
        )
    return measure


def _cutoff(measure: ir_measures.Measure) -> int | None:
    """How many places a measure looks at; None for all."""
    cutoff = measure.params.get("cutoff")
    return cutoff if isinstance(cutoff, int) else None


def _examples() -> str:
    return ", ".join(COMMON_MEASURES)


def _check(
    hits: Hits,
    query_rows: Int[np.ndarray, " query"],
    exclude: Int[np.ndarray, " excluded"] | None,
    dataset: Dataset,
    measures: tuple[ir_measures.Measure, ...],
) -> None:
    """Refuse rankings that do not fit the data or the measures."""
    for name, given in (("query_rows", query_rows), ("exclude", exclude)):
        if given is not None and len(given) != len(hits):
            raise ShapeError(f"{name} must have one entry for each of the {len(hits)} rankings, it has {len(given)}.")
    unique, counts = np.unique(query_rows, return_counts=True)
    if len(unique) < len(query_rows):
        raise DataError(f"Query rows {first_few(unique[counts > 1].tolist())} have more than one ranking.")
    if len(hits) and hits.depth and int(hits.documents.max()) >= len(dataset.documents):
        raise DataError(
            f"The rankings hold document row {int(hits.documents.max())}, {dataset.name!r} has "
            f"{len(dataset.documents)} documents. Were they made on another corpus?"
        )
    ordered = np.sort(hits.documents, axis=1)
    repeated = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if repeated.any():
        raise DataError(f"Rankings of query rows {first_few(query_rows[repeated].tolist())} hold a document twice.")
    reachable = min(hits.depth, int(dataset.searched.sum()) - (exclude is not None))
    for measure in measures:
        cutoff = min(_cutoff(measure) or 0, int(dataset.searched.sum()) - (exclude is not None))
        if cutoff > reachable:
            raise ConfigError(
                f"{measure} looks at {cutoff} places, the rankings have {hits.depth}. Search with k={cutoff} or more, "
                "or choose a smaller cutoff."
            )
