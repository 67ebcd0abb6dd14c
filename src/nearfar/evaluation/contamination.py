"""What test queries that training has seen do for a score: the mean of all queries beside that of the clean ones."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from nearfar.auditing.finding import Ledger
from nearfar.auditing.leaks import SHARES, Part, find_contamination, find_leaks
from nearfar.auditing.subject import Subject
from nearfar.config.auditing import DEFAULTS
from nearfar.data.tables import Dataset
from nearfar.errors import ConfigError, DataError, did_you_mean, first_few
from nearfar.statistics.bootstrap import bootstrap_counts
from nearfar.statistics.values import check_draws, check_share, checked


@dataclass(frozen=True, kw_only=True)
class Contaminated:
    """Queries of a split that training data holds, by id, sorted.

    Attributes:
        queries: a training query is equal or nearly equal, or a training query or positive spells out at least a share
            of the query's words in one run of 8 words or more. A paraphrase is not found.
        pairs: those of them whose relevant document is in training as well: the kind that raises scores most.
    """

    queries: tuple[str, ...]
    pairs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much of a mean is owed to contaminated queries (estimated performance gain of ConTAM, arXiv 2411.03923).

    Attributes:
        all: the mean over all queries.
        clean: the mean over those that are not contaminated.
        gain: the first minus the second. It is no proof: contaminated queries may be easier in themselves; measure a
            model that was not trained on them, such as the base model, beside it.
        low, high: the bootstrap interval of the gain.
        confidence: of the interval.
        queries: how many there are.
        contaminated: how many of them are contaminated.
    """

    all: float
    clean: float
    gain: float
    low: float
    high: float
    confidence: float
    queries: int
    contaminated: int


def contaminated_queries(
    dataset: Dataset,
    split: str,
    training: Dataset | None = None,
    *,
    similarity: float = DEFAULTS.similarity,
    share: float = SHARES[0],
) -> Contaminated:
    """The queries of a split that training data holds.

    Args:
        dataset: the tables.
        split: whose queries are looked at.
        training: what was trained on, when that is another data set.
        similarity: from which Jaccard similarity of words and pairs of words on two queries are nearly equal.
        share: of a query's words, in one run that a training text has.

    Raises:
        ConfigError: there is no such split.
        DataError: there is no training split, or the data has labels, which all splits share.
    """
    if split not in dataset.qrels:
        raise ConfigError(f"{dataset.name} has no split {split!r}.{did_you_mean(split, dataset.splits)}")
    subject = Subject.of(dataset)
    source = subject if training is None else Subject.of(training)
    known = source.training_split
    if known is None or (source is subject and known == split):
        raise DataError(
            f"{source.dataset.name} has no training split to compare {split} with: it has "
            f"{', '.join(source.dataset.splits)}. Give the data that was trained on."
        )
    if subject.shares_documents or source.shares_documents:
        raise DataError("Contamination is looked for in pairs of queries and documents; this data has labels.")
    ledger, held, part = Ledger(), Part(subject, split), Part(source, known)
    find_leaks(held, part, similarity, ledger)
    find_contamination(held, part, ledger)
    queries, pairs = set(), set()
    for finding in ledger.findings:
        assert finding.query is not None  # these kinds have one
        spelt_out = finding.kind == "contaminated" and finding.score >= share
        if spelt_out or finding.kind in ("query_leak", "pair_leak"):
            queries.add(finding.query.id)
        if finding.kind == "pair_leak" or (spelt_out and finding.gap >= share):
            pairs.add(finding.query.id)
    return Contaminated(queries=tuple(sorted(queries)), pairs=tuple(sorted(pairs)))


def gain(
    values: Mapping[str, float],
    contaminated: Collection[str],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int,
) -> Gain:
    """The mean of all queries minus the mean of the clean ones, with a bootstrap interval over all queries.

    Without a contaminated query the gain is 0, and so is its interval. From one to three of them no gain can be shown
    at 95 % confidence: too many resamples have none. Resamples without a clean query are left out; below some twenty
    clean queries the interval is too narrow.

    Args:
        values: one measure of each query, by query id.
        contaminated: ids of the contaminated queries.
        confidence: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: there are no values, one is not finite, an id is unknown, or no query is clean.
        ConfigError: ``confidence`` is not between 0 and 1 or ``resamples`` below 1.
    """
    check_share("confidence", confidence, 0.95)
    check_draws(resamples)
    known = frozenset(contaminated)
    unknown = sorted(known - values.keys())
    if unknown:
        raise DataError(f"Contaminated queries without a value: {first_few(unknown)}. Are both of the same split?")
    names = sorted(values)
    measured = checked(np.array([values[name] for name in names], dtype=np.float64))
    clean = np.array([name not in known for name in names], dtype=np.float64)
    if not clean.any():
        raise DataError(f"All {len(names)} queries are contaminated: there is no clean one to compare them with.")
    sums = np.stack([measured, measured * clean, clean], axis=1)
    drawn = np.concatenate([counts @ sums for counts in bootstrap_counts(len(names), resamples, seed)])
    whole, kept, count = drawn[drawn[:, 2] > 0].T
    low, high = np.quantile(whole / len(names) - kept / count, [(1 - confidence) / 2, (1 + confidence) / 2])
    mean, mean_clean = float(measured.mean()), float(sums[:, 1].sum() / clean.sum())
    return Gain(
        all=mean,
        clean=mean_clean,
        gain=mean - mean_clean if known else 0.0,
        low=float(low) if known else 0.0,
        high=float(high) if known else 0.0,
        confidence=confidence,
        queries=len(names),
        contaminated=len(known),
    )
