"""Objectives over class scores: margins on class weights, robust and bounded cross-entropies, class distributions.

The classes are the candidates that were given; with ``classes``, they are vectors that the objective trains itself.
"""

from typing import Literal

from nearfar.errors import ConfigError
from nearfar.objectives.candidates.classes import TrainedClasses
from nearfar.objectives.candidates.sides import OtherSide
from nearfar.objectives.candidates.single import EachPositive
from nearfar.objectives.criteria.distributions import RowDivergence
from nearfar.objectives.criteria.outer import Power
from nearfar.objectives.criteria.pointwise import Pointwise
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.margin import Margin
from nearfar.objectives.logits.robust import AdaptiveTemperature
from nearfar.objectives.logits.shift import Shift
from nearfar.objectives.logits.standardise import Standardise
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.part import Candidates, Logits
from nearfar.objectives.registry import entry
from nearfar.objectives.weights.pool import PooledPairs
from nearfar.objectives.weights.robust import Robust

__all__ = ["ALDR", "LDR", "PFID", "UNPG", "ArcFace", "CompSum", "CosFace", "NormFace", "ZLoss"]

Similarity = Literal["cosine", "dot"]

_FACE = r"\ell_i = -\log \frac{e^{g(s_{iy}) / \tau}}{e^{g(s_{iy}) / \tau} + \sum_{n \neq y} e^{s_{in} / \tau}}"


def columns(classes: int | None, similarity: str = "cosine") -> Candidates:
    """The candidates that were given, or trained class weights."""
    return OtherSide() if classes is None else TrainedClasses(classes=classes, normalised=similarity == "cosine")


def single(classes: int | None, similarity: str) -> Candidates:
    """The same for objectives that are defined for one label a row."""
    return EachPositive() if classes is None else columns(classes, similarity)


def margin_of(base: str, margin: float, gradient: Literal["exact", "straight_through"] = "exact") -> tuple[Logits, ...]:
    """The margin of a face objective."""
    if base == "normface":
        return ()
    on: Literal["score", "angle"] = "angle" if base == "arcface" else "score"
    return (Margin(margin=margin, on=on, gradient=gradient),)


def inverse(setting: str, value: float) -> float:
    """One over a setting, which must be above 0."""
    if value <= 0:
        raise ConfigError(f"{setting}: {setting} must be a number above 0, got {value!r}.")
    return 1 / value


@entry(
    paper="NormFace: L2 Hypersphere Embedding for Face Verification (ACM MM 2017)",
    arxiv="1704.06369",
    equation=_FACE + r", \quad g(s) = s",
    family="softmax row",
)
def NormFace(*, temperature: float = 1 / 64, classes: int | None = None) -> Form:
    """Cross-entropy over the cosines to class weights. With several labels each stands against the other classes alone.

    Args:
        temperature: divides the cosines; above 0. The scale of the literature is 1 over it.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    return Composition(criterion=Softmax(), candidates=columns(classes), logits=(Temperature(temperature=temperature),))


@entry(
    paper="CosFace: Large Margin Cosine Loss for Deep Face Recognition",
    arxiv="1801.09414",
    equation=_FACE + r", \quad g(s) = s - m",
    family="softmax row",
)
def CosFace(*, temperature: float = 1 / 64, margin: float = 0.35, classes: int | None = None) -> Form:
    """NormFace with a margin on the cosine of the own class.

    Args:
        temperature: divides the cosines; above 0. The scale of the literature is 1 over it.
        margin: taken off the cosine of a positive; at least 0.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    return Composition(
        criterion=Softmax(),
        candidates=columns(classes),
        logits=(*margin_of("cosface", margin), Temperature(temperature=temperature)),
    )


@entry(
    paper="ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
    arxiv="1801.07698",
    equation=_FACE + r", \quad g(\cos\theta) = \cos(\theta + m)",
    family="softmax row",
)
def ArcFace(
    *,
    temperature: float = 1 / 64,
    margin: float = 0.5,
    gradient: Literal["exact", "straight_through"] = "exact",
    classes: int | None = None,
) -> Form:
    """NormFace with a margin on the angle to the own class.

    Where the angle would pass pi, the cosine is lowered by ``m sin m``. The authors' code computes the angle without
    gradient, which is ``straight_through`` and trains otherwise.

    Args:
        temperature: divides the cosines; above 0. The scale of the literature is 1 over it.
        margin: added to the angle of a positive, in radians (not degrees); from 0 to below pi.
        gradient: ``exact``, or ``straight_through`` with slope 1 through the margin.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    return Composition(
        criterion=Softmax(),
        candidates=columns(classes),
        logits=(*margin_of("arcface", margin, gradient), Temperature(temperature=temperature)),
    )


@entry(
    paper="Unified Negative Pair Generation toward Well-discriminative Feature Space for Face Recognition",
    arxiv="2203.11593",
    equation=_FACE[:-1] + r" + \sum_{u \in U} e^{u / \tau}}, \quad U \subset \{ x_i \cdot x_j : y_i \neq y_j \}",
    family="softmax row",
)
def UNPG(
    *,
    base: Literal["arcface", "cosface", "normface"] = "arcface",
    temperature: float = 1 / 64,
    margin: float = 0.5,
    whisker: float | None = 1.5,
    gradient: Literal["exact", "straight_through"] = "exact",
    classes: int | None = None,
) -> Form:
    """A margin softmax whose rows all contain, beside the other classes, the batch's own pairs of different classes.

    Never below the loss that it is based on. A constant added to a row changes it, since the pool does not move along.

    Args:
        base: the margin.
        temperature: divides the cosines; above 0.
        margin: of a positive, in radians for ``arcface``; at least 0. .35 to .4 is usual for ``cosface``.
        whisker: pairs farther from the quartiles of the pool than this many times their distance are left out, the
            hardest among them; none keeps all.
        gradient: of the angle: ``exact`` or ``straight_through``.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    return Composition(
        criterion=Softmax(),
        candidates=columns(classes),
        logits=(*margin_of(base, margin, gradient), Temperature(temperature=temperature)),
        weights=(PooledPairs(whisker=whisker),),
    )


@entry(
    paper="Label Distributionally Robust Losses for Multi-class Classification (ICML 2023)",
    arxiv="2112.14869",
    equation=r"\ell_i = \tau \log \tfrac1K \sum_k \exp \frac{c\,[k \neq y] + s_{ik} - s_{iy}}{\tau}",
    family="softmax row",
)
def LDR(
    *,
    temperature: float = 1.0,
    margin: float = 0.1,
    normalise: bool = False,
    similarity: Similarity = "dot",
    classes: int | None = None,
) -> Form:
    """The worst mean of margins under a distribution over classes that may not stray far from uniform.

    A low temperature gives the largest margin that is violated, a high one the mean of all; temperature 1 without
    margin is the cross-entropy less ``log K``. With several labels a row is the mean of the loss of each of them alone.

    Args:
        temperature: divides the brackets and multiplies the log; above 0. The paper's lambda.
        margin: by how much the own class should be ahead, before the temperature; at least 0. The paper's c.
        normalise: scores are made positive and divided by their mean in the row first, as the authors' code does.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    first: tuple[Logits, ...] = (Standardise(by="softplus"),) if normalise else ()
    return Composition(
        criterion=Softmax(),
        candidates=single(classes, similarity),
        similarity=similarity,
        logits=(*first, Margin(margin=margin), Temperature(temperature=temperature)),
        weights=(Robust(),),
    )


@entry(
    paper="Label Distributionally Robust Losses for Multi-class Classification (ICML 2023)",
    arxiv="2112.14869",
    equation=r"\ell_i = \text{LDR at } \tau_i - \frac{\alpha \log K}{2 \tau_0} (\tau_i - \tau_0)^2, \quad"
    r" \tau_i = \tau_0 \Big( 1 - \frac{\mathrm{KL}(p_i \| u)}{\alpha \log K} \Big)",
    family="softmax row",
)
def ALDR(
    *,
    initial_temperature: float = 1.0,
    margin: float = 0.1,
    alpha: float = 2.0,
    normalise: bool = False,
    similarity: Similarity = "dot",
    classes: int | None = None,
) -> Form:
    """LDR with a temperature for each example, found by its index: the surer the row, the lower.

    Examples whose label is noise stay at the initial temperature. The distance of a row from uniform is measured at the
    temperature that the example had before, and the new one counts at once, without gradient. Copies of an example that
    are augmented differently should have indices of their own.

    Args:
        initial_temperature: of an example that was never seen; above 0. Temperatures stay at or below it.
        margin: by how much the own class should be ahead; at least 0.
        alpha: temperatures stay above ``1 - 1 / alpha`` of the initial one; above 1.
        normalise: scores are divided by their mean absolute value in the row first, as the authors' code does.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    first: tuple[Logits, ...] = (Standardise(by="magnitude"),) if normalise else ()
    adaptive = AdaptiveTemperature(initial=initial_temperature, alpha=alpha)
    return Composition(
        criterion=Softmax(),
        candidates=single(classes, similarity),
        similarity=similarity,
        logits=(*first, Margin(margin=margin), adaptive),
        weights=(Robust(initial=initial_temperature, alpha=alpha),),
    )


@entry(
    paper="Cross-Entropy Loss Functions: Theoretical Analysis and Applications (ICML 2023)",
    arxiv="2304.07288",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \frac{u_{ip}^{1 - r} - 1}{1 - r}, \quad"
    r" u_{ip} = \sum_{j \in V_i} e^{z_{ij} - z_{ip}}",
    family="softmax row",
    verified=False,
)
def CompSum(
    *,
    exponent: float = 1.0,
    temperature: float = 1.0,
    similarity: Similarity = "dot",
    classes: int | None = None,
) -> Form:
    """A family of cross-entropies by how much a label that looks wrong counts.

    Below 1 the loss grows exponentially with the margin and overflows for large logits; at 2 it is bounded by 1 and has
    hardly any gradient where the label is given a low probability. A reconstruction from memory, checked by the known
    members of the family; the adversarial variant of the paper is left out.

    Args:
        exponent: 0 is ``1/p - 1``, 1 the cross-entropy, between 1 and 2 generalised cross-entropy, 2 is ``1 - p``.
        temperature: divides the scores; above 0.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    return Composition(
        criterion=Softmax(others=True, outer=Power(exponent=exponent)),
        candidates=columns(classes, similarity),
        similarity=similarity,
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="The Z-loss: a shift and scale invariant classification loss belonging to the Spherical Family",
    arxiv="1604.08859",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \frac1a \log \Big( 1 + e^{a (b - \zeta_{ip})} \Big), \quad"
    r" \zeta_{ij} = \frac{s_{ij} - \mu_i}{\sigma_i}",
    family="pointwise",
)
def ZLoss(
    *, sharpness: float = 1.0, margin: float = 1.0, similarity: Similarity = "dot", classes: int | None = None
) -> Form:
    """How many deviations the own class is above the mean of its row: no scale or shift of the scores changes it.

    With K columns a score is at most ``sqrt(K - 1)`` deviations above the mean. Not the squared log-normaliser that
    goes by the same name. Rows need a positive and a negative.

    Args:
        sharpness: a, of the softplus; above 0.
        margin: b, in deviations, beyond which a positive costs little.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    width = inverse("sharpness", sharpness)
    return Composition(
        criterion=Pointwise(reduction="sides", positive_weight=width, negative_weight=0.0),
        candidates=columns(classes, similarity),
        similarity=similarity,
        logits=(Standardise(), Shift(by=-margin), Temperature(temperature=width)),
    )


@entry(
    paper="Primate Face Identification in the Wild",
    arxiv="1907.02642",
    equation=r"-\log p_{iy} + \beta \operatorname{mean}_{i<j} \big\{ D(p_i, p_j) \text{ if } y_i = y_j,"
    r" \text{ else } [m - D(p_i, p_j)]_+ \big\}",
    family="batch statistic",
    verified=False,
)
def PFID(
    *,
    margin: float = 2.0,
    beta: float = 0.1,
    temperature: float = 1.0,
    similarity: Similarity = "dot",
    classes: int | None = None,
) -> Form:
    """Cross-entropy, and class distributions of two rows that are near to each other for one class and apart for two.

    A reconstruction: the paper's divergence, margin and weight were not to be had. D is the symmetric divergence, and
    gradients flow into both rows.

    Args:
        margin: divergence that rows of different classes should have; at least 0.
        beta: weight of the divergences.
        temperature: divides the scores; above 0.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    shared = columns(classes, similarity)
    logits = (Temperature(temperature=temperature),)
    entropy = Composition(criterion=Softmax(), candidates=shared, similarity=similarity, logits=logits)
    apart = Composition(criterion=RowDivergence(margin=margin), candidates=shared, similarity=similarity, logits=logits)
    return Sum(terms=(entropy, apart), weights=(1.0, beta))
