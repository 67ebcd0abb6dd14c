"""Linear classifiers on vectors: logistic regression (scikit-learn's) and naive Bayes with a shared variance."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

Predict = Callable[[Float32[np.ndarray, "text dim"]], Int64[np.ndarray, " text"]]
Scale = Callable[[Float32[np.ndarray, "text dim"]], Float32[np.ndarray, "text dim"]]

SMALLEST_VARIANCE = 1e-9
"""Part of the largest variance of a feature that is added to all, as scikit-learn does."""

MOST_STEPS = 100
TOLERANCE = 1e-3


def standardised(vectors: Float32[np.ndarray, "text dim"]) -> Scale:
    """What gives each feature mean 0 and standard deviation 1 on these vectors; a constant feature becomes 0."""
    mean, spread = vectors.mean(axis=0), vectors.std(axis=0)
    spread = np.where(spread > 1e-12, spread, 1).astype(np.float32)

    def scale(others: Float32[np.ndarray, "text dim"]) -> Float32[np.ndarray, "text dim"]:
        scaled: Float32[np.ndarray, "text dim"] = (others - mean) / spread
        return scaled

    return scale


def logistic(
    train: Float32[np.ndarray, "text dim"],
    labels: Int64[np.ndarray, " text"],
    dev: Float32[np.ndarray, "dev dim"],
    dev_labels: Int64[np.ndarray, " dev"],
    strengths: Sequence[float],
) -> tuple[Predict, float]:
    """Multinomial logistic regression with the C that has the best accuracy on dev; the smallest of several.

    Returns:
        The classifier and its C.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, max_iter=MOST_STEPS, tol=TOLERANCE)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    chosen = min(strengths)
    for strength in sorted(strengths):  # from the strongest penalty: its weights are near those of the next
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
            model.set_params(C=strength).fit(train, labels)
        accuracy = float((model.predict(dev) == dev_labels).mean()) if len(strengths) > 1 else 1.0
        if best is None or accuracy > best[0]:
            best, chosen = (accuracy, model.coef_.copy(), model.intercept_.copy()), strength
    assert best is not None  # strengths are never empty
    model.coef_, model.intercept_ = best[1], best[2]

    def predict(vectors: Float32[np.ndarray, "text dim"]) -> Int64[np.ndarray, " text"]:
        return np.asarray(model.predict(vectors), dtype=np.int64)

    return predict, chosen


@dataclass(frozen=True, eq=False, kw_only=True)
class NaiveBayes:
    """Gaussian naive Bayes whose labels share one diagonal variance, pooled within labels. Its decision is linear.

    Attributes:
        labels: the label of each class.
        weights: one row a class.
        offsets: one a class.
    """

    labels: Int64[np.ndarray, " class"]
    weights: Float64[np.ndarray, "class dim"]
    offsets: Float64[np.ndarray, " class"]

    @classmethod
    def fit(cls, vectors: Float32[np.ndarray, "text dim"], labels: Int64[np.ndarray, " text"]) -> "NaiveBayes":
        """Means, shared variance and shares of the labels of some examples.

        With one example of each label the variance is 0 everywhere, and the nearest example decides.
        """
        wide = vectors.astype(np.float64)
        names, place, count = np.unique(labels, return_inverse=True, return_counts=True)
        means = np.zeros((len(names), wide.shape[1]))
        np.add.at(means, place, wide)
        means /= count[:, None]
        variance = ((wide - means[place]) ** 2).mean(axis=0)
        variance = variance + max(SMALLEST_VARIANCE * float(wide.var(axis=0).max()), 1e-300)
        weights = means / variance
        offsets = np.log(count / len(labels)) - 0.5 * (means * weights).sum(axis=1)
        return cls(labels=names, weights=weights, offsets=offsets)

    def predict(self, vectors: Float32[np.ndarray, "text dim"]) -> Int64[np.ndarray, " text"]:
        """The most probable label of each."""
        best: Int64[np.ndarray, " text"] = self.labels[
            (vectors.astype(np.float64) @ self.weights.T + self.offsets).argmax(axis=1)
        ]
        return best
