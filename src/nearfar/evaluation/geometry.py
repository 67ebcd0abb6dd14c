"""The shape of an embedding: how vectors spread, whether pairs are close, and signs that a space has collapsed.

All numbers are of unit vectors, whatever the similarity, so they compare between models. They describe, they do not
rank: a model can be less uniform and better.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64
from scipy.special import logsumexp
from scipy.stats import spearmanr

from nearfar.errors import DataError, ShapeError, first_few

_BLOCK = 1024
"""Rows of the products that are held at once."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """How the vectors of one side spread.

    Attributes:
        vectors: how many were looked at.
        width: their dimensions.
        uniformity: the log of the mean of exp(-2 d^2) over pairs (2005.10242): 0 when all are equal, -4 when all are
            at right angles. Lower is more spread out.
        anisotropy: the mean cosine of two of them. 0 where no direction is preferred.
        effective_rank: in how many directions they vary: e to the entropy of the shares of the covariance's
            eigenvalues (Roy and Vetterli 2007). From 1 to ``width``; 0 where nothing varies.
        alike: the share of vectors that are equal to another one up to rounding.
    """

    vectors: int
    width: int
    uniformity: float
    anisotropy: float
    effective_rank: float
    alike: float


@dataclass(frozen=True, kw_only=True)
class Hubs:
    """How unevenly documents come up among the first ``depth`` hits (Radovanovic and others 2010).

    Attributes:
        depth: places of a ranking that count.
        skew: the skewness of how often each document comes up.
        skew_by_chance: what it would be if every ranking were drawn at random.
        most: how often the most frequent document comes up.
        most_share: the share of queries that have it.
        never: the share of documents that come up for no query.
    """

    depth: int
    skew: float
    skew_by_chance: float
    most: int
    most_share: float
    never: float


def unit(vectors: Float[np.ndarray, "text dim"], what: str = "vectors") -> Float32[np.ndarray, "text dim"]:
    """The vectors at length 1; a vector of zeros stays as it is.

    Raises:
        DataError: a vector holds NaN or infinity; the rows are named.
    """
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} of {len(vectors)} {what} hold NaN or infinity, rows {first_few(wrong.tolist())}. "
            "Did training diverge? Look at the loss, and lower the learning rate."
        )
    largest = np.abs(vectors).max(axis=1, initial=0.0, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1)  # so that squares stay within float32
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return (scaled / np.where(norms > 0, norms, 1)).astype(np.float32)


def cloud(vectors: Float32[np.ndarray, "text dim"]) -> Cloud:
    """How unit vectors spread; memory beside them is one block of rows against all.

    Raises:
        DataError: there are fewer than two.
    """
    _at_least_two(vectors)
    return Cloud(
        vectors=len(vectors),
        width=vectors.shape[1],
        uniformity=uniformity(vectors),
        anisotropy=anisotropy(vectors),
        effective_rank=effective_rank(vectors),
        alike=1 - len(np.unique(np.round(vectors, 5), axis=0)) / len(vectors),
    )


def uniformity(vectors: Float32[np.ndarray, "text dim"]) -> float:
    """``log mean exp(-2 |x - y|^2)`` over pairs of different rows of unit vectors (Wang and Isola, 2005.10242).

    Raises:
        DataError: there are fewer than two.
    """
    _at_least_two(vectors)
    sums = [logsumexp(4.0 * cosines - 4.0) for cosines in _cosines_of_pairs(vectors)]
    pairs = len(vectors) * (len(vectors) - 1) / 2
    return min(0.0, float(logsumexp(sums) - np.log(pairs)))


def anisotropy(vectors: Float32[np.ndarray, "text dim"]) -> float:
    """The mean cosine over pairs of different rows of unit vectors, exact from their sum.

    Raises:
        DataError: there are fewer than two.
    """
    _at_least_two(vectors)
    return _mean_of_pairs(vectors.astype(np.float64), len(vectors))


def tolerance(vectors: Float32[np.ndarray, "text dim"], labels: Int[np.ndarray, " _label"]) -> float | None:
    """The mean cosine over pairs of unit vectors of one class (2012.09740); None when no class has two.

    Raises:
        ShapeError: there is not one label for each vector.
    """
    if len(vectors) != len(labels):
        raise ShapeError(f"There are {len(labels)} labels for {len(vectors)} vectors.")
    classes, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), vectors.shape[1]))
    np.add.at(sums, place, vectors.astype(np.float64))
    pairs = float((sizes * (sizes - 1.0)).sum())
    if not pairs:
        return None
    return float((np.square(sums).sum() - np.square(vectors.astype(np.float64)).sum()) / pairs)


def effective_rank(vectors: Float32[np.ndarray, "text dim"]) -> float:
    """In how many directions vectors vary: e to the entropy of the shares of their covariance's eigenvalues.

    Raises:
        DataError: there are fewer than two.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    _at_least_two(vectors)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    short = centred.T @ centred if len(vectors) > vectors.shape[1] else centred @ centred.T
    with threadpool_limits(1):  # so small a matrix: threads that wait for one another take ten times as long
        values = np.linalg.eigvalsh(short).clip(min=0.0)
    if values.sum() <= 1e-10 * len(vectors):
        return 0.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def alignment(left: Float32[np.ndarray, "pair dim"], right: Float32[np.ndarray, "pair dim"]) -> float:
    """The mean squared distance of unit vectors that belong together (2005.10242): 0 to 4, lower is closer.

    Raises:
        DataError: there are no pairs.
    """
    if not len(left):
        raise DataError("Alignment needs at least one pair of texts that belong together, it got none.")
    return float(np.square(left.astype(np.float64) - right).sum(axis=1).mean())


def gap(queries: Float32[np.ndarray, "query dim"], documents: Float32[np.ndarray, "document dim"]) -> float:
    """The distance between the means of two sides of unit vectors (the modality gap): 0 to 2."""
    return float(np.linalg.norm(queries.mean(axis=0, dtype=np.float64) - documents.mean(axis=0, dtype=np.float64)))


def separator_accuracy(
    queries: Float32[np.ndarray, "query dim"], documents: Float32[np.ndarray, "document dim"], *, seed: int
) -> float | None:
    """How often a linear separator tells queries from documents that it has not seen; 0.5 is chance.

    A ridge classifier, five-fold, on equally many of both sides. None below ten of a side.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    count = min(len(queries), len(documents))
    if count < 10:
        return None
    generator = np.random.default_rng(seed)
    sides = [side[np.sort(generator.permutation(len(side))[:count])] for side in (queries, documents)]
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return float(cross_val_score(RidgeClassifier(), np.concatenate(sides), np.repeat([0, 1], count), cv=folds).mean())


def hubs(hits: Int[np.ndarray, "query rank"], documents: int, depth: int = 10) -> Hubs:
    """How unevenly documents come up in rankings of rows 0 to ``documents`` - 1; -1 is no document.

    Raises:
        DataError: there are no rankings, or no documents.
    """
    if not len(hits) or not hits.shape[1] or not documents:
        raise DataError(f"Hubs need rankings and documents: there are {len(hits)} rankings of {documents} documents.")
    depth = min(depth, hits.shape[1])
    first = hits[:, :depth]
    counts = np.bincount(first[first >= 0], minlength=documents)
    chance = counts.sum() / (len(hits) * documents)
    variance = len(hits) * chance * (1 - chance)
    return Hubs(
        depth=depth,
        skew=_skew(counts),
        skew_by_chance=float((1 - 2 * chance) / np.sqrt(variance)) if variance > 0 else 0.0,
        most=int(counts.max()),
        most_share=float(counts.max() / len(hits)),
        never=float((counts == 0).mean()),
    )


def length_bias(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "document dim"],
    lengths: Int64[np.ndarray, " document"],
) -> float | None:
    """Spearman's correlation of a document's length with its mean cosine to all queries.

    Above 0, long documents score higher whatever is asked. None when either does not vary.
    """
    means = documents.astype(np.float64) @ queries.mean(axis=0, dtype=np.float64)
    if len(means) < 3 or np.ptp(lengths) == 0 or np.ptp(means) < 1e-6:
        return None
    return float(spearmanr(means, lengths).statistic)


def _at_least_two(vectors: Float32[np.ndarray, "text dim"]) -> None:
    if len(vectors) < 2:
        raise DataError(f"The spread of vectors needs at least two of them, it got {len(vectors)}.")


def _cosines_of_pairs(vectors: Float32[np.ndarray, "text dim"]) -> Iterator[Float64[np.ndarray, " _pair"]]:
    """The dot products of all pairs of different rows, each pair once, block after block."""
    for start in range(0, len(vectors), _BLOCK):
        rows = vectors[start : start + _BLOCK]
        products = (rows @ vectors[start:].T).astype(np.float64)
        yield products[np.arange(len(vectors) - start) > np.arange(len(rows))[:, None]]


def _mean_of_pairs(vectors: Float64[np.ndarray, "text dim"], count: int) -> float:
    total = np.square(vectors.sum(axis=0)).sum() - np.square(vectors).sum()
    return float(total / (count * (count - 1)))


def _skew(counts: Int64[np.ndarray, " document"]) -> float:
    centred = counts - counts.mean()
    variance = float(np.square(centred).mean())
    return float((centred**3).mean() / variance**1.5) if variance > 0 else 0.0
