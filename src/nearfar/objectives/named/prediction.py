"""Prediction without negatives: each text of a pair guesses the vector of the other."""

from typing import Literal

from nearfar.objectives.criteria.prediction import Perceptron, Prediction, Spectral
from nearfar.objectives.form import Composition, Form
from nearfar.objectives.registry import entry

__all__ = ["BYOL", "DirectPred", "SimSiam"]

_BOTH = r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \big( 2 - 2 \cos(h(x_i), \mathrm{sg}\, t(c_p))"
_BOTH += r" + 2 - 2 \cos(h(c_p), \mathrm{sg}\, t(x_i)) \big)"


@entry(
    paper="Exploring Simple Siamese Representation Learning",
    arxiv="2011.10566",
    equation=_BOTH + r", \quad t = \mathrm{id}",
    family="prediction",
)
def SimSiam(*, hidden: int = 512, seed: int = 0) -> Form:
    """A trained predictor guesses the partner's vector, which carries no gradient. There are no negatives.

    The sum of both directions, from 0 to 8; the paper's value is a quarter of it, less 1. The predictor has a layer
    normalisation where the paper has batch normalisation, so that no row depends on another. A loss near 0 may mean
    that all embeddings are the same: watch their spread.

    Args:
        hidden: width of the predictor between its two layers.
        seed: of the predictor's first weights.
    """
    return Composition(criterion=Prediction(predictor=Perceptron(hidden=hidden, seed=seed)), similarity="dot")


@entry(
    paper="Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning",
    arxiv="2006.07733",
    equation=_BOTH + r", \quad t \text{ a moving average of the encoder}",
    family="prediction",
)
def BYOL(*, hidden: int = 512, seed: int = 0) -> Form:
    """A trained predictor guesses the partner's vector by a target network. There are no negatives.

    The target network's vectors are given as ``guide_anchors`` and ``guide_candidates``, as wide as the embeddings; it
    is a moving average of the encoder, with a momentum from 0.996 towards 1. The predictor has a layer normalisation
    where the paper has batch normalisation, so that no row depends on another.

    Args:
        hidden: width of the predictor between its two layers.
        seed: of the predictor's first weights.
    """
    predictor = Perceptron(hidden=hidden, seed=seed)
    return Composition(criterion=Prediction(predictor=predictor, target="guide"), similarity="dot")


@entry(
    paper="Understanding Self-Supervised Learning Dynamics without Contrastive Pairs",
    arxiv="2102.06810",
    equation=_BOTH + r", \quad h(f) = U \big( \sqrt{\Lambda / \lambda_1} + \epsilon \big) U^\top f,"
    r" \quad F = U \Lambda U^\top",
    family="prediction",
)
def DirectPred(
    *,
    target: Literal["same", "guide"] = "same",
    momentum: float = 0.3,
    epsilon: float = 0.01,
    every: int = 1,
    scaling: Literal["relative", "absolute"] = "relative",
) -> Form:
    """A linear predictor that is set from the correlation of the embeddings, not trained. There are no negatives.

    The running correlation F of all embeddings is kept in a buffer; the predictor is the identity at first and uses
    what the calls before have set. Vectors are taken as they come: with unit vectors F has trace 1.

    Args:
        target: ``same`` takes the embeddings themselves as targets, ``guide`` a target network's vectors, given as
            ``guide_anchors`` and ``guide_candidates``.
        momentum: share of the former F in the new one.
        epsilon: added to the root of each eigenvalue.
        every: the predictor is set at every so many calls.
        scaling: ``relative`` divides eigenvalues by the largest, as the authors' code does; ``absolute`` multiplies
            ``epsilon`` by it, as the paper does.
    """
    predictor = Spectral(momentum=momentum, epsilon=epsilon, every=every, scaling=scaling)
    return Composition(criterion=Prediction(predictor=predictor, target=target), similarity="dot")
