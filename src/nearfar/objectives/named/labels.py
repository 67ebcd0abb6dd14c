"""Objectives over many labels, and over decisions that are counted: what is measured is the batch."""

from typing import Literal

from nearfar.objectives.candidates.anchors import SharedPositives
from nearfar.objectives.criteria.counts import DiceOverlap, Measure, SoftCounts
from nearfar.objectives.criteria.distributions import LabelFit
from nearfar.objectives.criteria.ensemble import RandomSlopes
from nearfar.objectives.criteria.pointwise import Pointwise
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.criteria.unlabelled import MixedTargets, Unlabelled
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.shift import Shift
from nearfar.objectives.logits.standardise import ColumnScale
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.named.classes import Similarity, columns
from nearfar.objectives.registry import entry
from nearfar.objectives.weights.frequency import ClassFrequency

__all__ = ["AnyLoss", "Dice", "EnsLoss", "LabelCorrelation", "MultiFocal", "PositiveUnlabelled"]


@entry(
    paper="Learning in Imperfect Environment: Multi-Label Classification with Long-Tailed Distribution and Partial"
    " Labels",
    arxiv="2304.10539",
    equation=r"\sum_{i,c} u_c (1 - q_{ic})^{\gamma} (-\log q_{ic}), \quad q = p \text{ of a positive, }"
    r" 1 - [p - c]_+ \text{ of a negative}",
    family="pointwise",
)
def MultiFocal(
    *,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    weight_in_exponent: bool = True,
    clip: float = 0.05,
    counts: tuple[float, ...] | None = None,
    root: float = 6.0,
    temperature: float = 1.0,
    similarity: Similarity = "dot",
    classes: int | None = None,
) -> Form:
    """Asymmetric focal cross-entropy of many labels, with rare classes weighing more: what is easy counts less.

    A sum over the batch and all classes, so that its size changes with both. Focal factors carry no gradient. Pairs
    whose label is unknown should be ignored. The co-occurrence variant of the paper is left out.

    Args:
        gamma_positive: focal power of positives; at least 0.
        gamma_negative: focal power of negatives; at least 0.
        weight_in_exponent: the weight of the class, 1 without ``counts``, is added to the power of its negatives.
        clip: taken off the probability of a negative first; from 0 to below 1.
        counts: how many examples each class has; none when all classes weigh the same.
        root: how gently rarity counts; at least 1. 3 in the prior-focal variant.
        temperature: divides the scores; above 0.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
        classes: number of classes to train weights for, with ``labels``; none when the candidates are the classes.
    """
    criterion = Pointwise(
        over="batch",
        positive_power=gamma_positive,
        negative_power=gamma_negative,
        weighted_power=weight_in_exponent,
        clip=clip,
    )
    return Composition(
        criterion=criterion,
        candidates=columns(classes, similarity),
        similarity=similarity,
        logits=(Temperature(temperature=temperature),),
        weights=() if counts is None else (ClassFrequency(counts=counts, by="root", root=root),),
    )


@entry(
    paper="Positive Label Is All You Need for Multi-Label Classification",
    arxiv="2306.16016",
    equation=r"\sum_c \Big( (\bar p_c)^{\gamma} \log \bar p_c - \operatorname{mean}_{i \in P_c} \log p_{ic} \Big),"
    r" \quad p_{ic} = \sigma(z_{ic} / \min(1, \alpha \operatorname{std}_c))",
    family="batch statistic",
)
def PositiveUnlabelled(
    *,
    alpha: float = 1.0,
    gamma: float = 0.55,
    mixup_weight: float = 0.0,
    temperature: float = 1.0,
    similarity: Similarity = "dot",
) -> Form:
    """Many labels of which only positive ones are known: everything else of a class is unlabelled, not negative.

    Depends on the composition of the batch: each class is seen through its deviation and its mean in it. The mixup
    regulariser mixes anchors, where the authors mix inputs and embed them again.

    Args:
        alpha: multiplies the deviation that a class's scores are divided by; above 0. 2 for few classes.
        gamma: power of the factor of the unlabelled term; at least 0. .85 for few classes.
        mixup_weight: of the regulariser; 0 for none.
        temperature: divides the scores; above 0.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
    """
    scaled = (Temperature(temperature=temperature),)
    main = Composition(
        criterion=Unlabelled(gamma=gamma), similarity=similarity, logits=(*scaled, ColumnScale(factor=alpha))
    )
    if not mixup_weight:
        return main
    mixed = Composition(criterion=MixedTargets(), similarity=similarity, logits=scaled)
    return Sum(terms=(main, mixed), weights=(1.0, mixup_weight))


@entry(
    paper="Improving Arabic Multi-Label Emotion Classification using Stacked Embeddings and Hybrid Loss Function",
    arxiv="2410.03979",
    equation=r"\sum_c w_c \operatorname{mean}_i \mathrm{BCE}_{ic} + \lambda_r \lVert \operatorname{cov}(p) - R \rVert^2"
    r" + \lambda_s \, \text{SupCon over rows that share labels}",
    family="pointwise",
    verified=False,
)
def LabelCorrelation(
    *,
    counts: tuple[float, ...] | None = None,
    correlation: tuple[tuple[float, ...], ...] | None = None,
    correlation_form: Literal["covariance", "agreement"] = "covariance",
    correlation_weight: float = 1.0,
    contrast_weight: float = 1.0,
    overlap: float = 0.0,
    temperature: float = 1.0,
    contrast_temperature: float = 0.1,
    similarity: Similarity = "dot",
) -> Form:
    """Balanced binary cross-entropy of many labels, that probabilities go together as labels do, and rows as well.

    A reconstruction from the abstract: an example of composition rather than a result to reproduce. Rows without any
    label count in the second term alone.

    Args:
        counts: how many examples each class has; none when all classes weigh the same.
        correlation: how labels go together in the dataset, a list of rows; none for the batch's own covariance.
        correlation_form: ``covariance`` fits that of the probabilities to it, ``agreement`` rewards ``p R p``.
        correlation_weight: of that term.
        contrast_weight: of the contrast of rows.
        overlap: rows belong together that share more than this part of their labels.
        temperature: divides the scores; above 0.
        contrast_temperature: divides the cosines of rows; above 0.
        similarity: ``dot`` takes the scores of a linear classifier, ``cosine`` normalises both sides.
    """
    scaled = (Temperature(temperature=temperature),)
    balanced = () if counts is None else (ClassFrequency(counts=counts),)
    entropy = Composition(criterion=Pointwise(reduction="sum"), similarity=similarity, logits=scaled, weights=balanced)
    fit = Composition(
        criterion=LabelFit(form=correlation_form, matrix=correlation), similarity=similarity, logits=scaled
    )
    contrast = Composition(
        criterion=Softmax(others=True),
        candidates=SharedPositives(overlap=overlap),
        logits=(Temperature(temperature=contrast_temperature),),
    )
    return Sum(terms=(entropy, fit, contrast), weights=(1.0, correlation_weight, contrast_weight))


@entry(
    paper="EnsLoss: Stochastic Calibrated Loss Ensembles for Preventing Overfitting in Classification (ICML 2025)",
    arxiv="2409.00908",
    equation=r"\frac{\partial \ell}{\partial m_k} = g_{(k)} / n, \quad m = y z, \; g \text{ random, } \leq 0,"
    r" \text{ rising with } m",
    family="batch statistic",
)
def EnsLoss(
    *,
    temperature: float = 1.0,
    bias: float = 0.0,
    box_cox: float = 0.0,
    period: int = 0,
    similarity: Similarity = "dot",
    seed: int = 0,
) -> Form:
    """A new random calibrated loss in every step, given by its slopes alone. The value means nothing: do not log it.

    A pair's slope depends on its rank in the batch. The authors mean to draw the shape anew from time to time, but with
    the default of their code never do.

    Args:
        temperature: divides the scores; above 0.
        bias: added to the logits.
        box_cox: power that shapes the slopes, from -1 to 1; 0 is log-normal.
        period: how many calls until another power is drawn; 0 keeps the one that is given.
        similarity: ``dot`` takes the vectors as they are, ``cosine`` normalises both sides.
        seed: of what is drawn.
    """
    return Composition(
        criterion=RandomSlopes(power=box_cox, period=period, seed=seed),
        similarity=similarity,
        logits=(Temperature(temperature=temperature), Shift(by=bias)),
    )


@entry(
    paper="Dice Loss for Data-imbalanced NLP Tasks",
    arxiv="1911.02855",
    equation=r"\ell_i = \operatorname{mean}_{j \in V_i} \Big( 1 - \frac{2 q_{ij} y_{ij} + g}{q_{ij} + y_{ij} + g}"
    r" \Big), \quad q = (1 - p)^{\alpha} p, \; p = \sigma(z)",
    family="batch statistic",
)
def Dice(
    *,
    form: Literal["self_adjusting", "squared", "tversky"] = "self_adjusting",
    alpha: float = 0.0,
    smoothing: float = 1.0,
    false_positive_weight: float = 0.5,
    false_negative_weight: float = 0.5,
    level: Literal["pairs", "batch"] = "pairs",
    temperature: float = 1.0,
    bias: float = 0.0,
    similarity: Similarity = "dot",
) -> Form:
    """One minus the soft overlap of decisions with labels, pair by pair or over the batch: easy negatives count little.

    With an alpha of 1 or more a sure and right positive costs nearly 1 and is pushed down again.

    Args:
        form: ``self_adjusting`` (DSC), ``squared`` or ``tversky``.
        alpha: of ``self_adjusting``: how much less sure pairs count; at least 0.
        smoothing: added above and below; above 0. The authors' code has 1e-4.
        false_positive_weight: of ``tversky``; at least 0.
        false_negative_weight: of ``tversky``; at least 0.
        level: ``pairs`` is a mean over pairs and rows, ``batch`` one overlap of all pairs.
        temperature: divides the scores; above 0.
        bias: added to the logits.
        similarity: ``dot`` takes the vectors as they are, ``cosine`` normalises both sides.
    """
    criterion = DiceOverlap(
        form=form,
        alpha=alpha,
        smoothing=smoothing,
        false_positive_weight=false_positive_weight,
        false_negative_weight=false_negative_weight,
        over=level,
    )
    logits = (Temperature(temperature=temperature), Shift(by=bias))
    return Composition(criterion=criterion, similarity=similarity, logits=logits)


@entry(
    paper="AnyLoss: Transforming Classification Metrics into Loss Functions",
    arxiv="2405.14745",
    equation=r"1 - M(TP, FP, FN, TN), \quad TP = \sum y A, \; FP = \sum (1 - y) A, \ldots, \quad A = \sigma(L"
    r" (\sigma(z) - \tfrac12))",
    family="batch statistic",
    verified=False,
)
def AnyLoss(
    *,
    measure: Measure = "f_beta",
    beta: float = 1.0,
    sharpness: float = 73.0,
    temperature: float = 1.0,
    bias: float = 0.0,
    similarity: Similarity = "dot",
) -> Form:
    """One minus a measure of soft confusion counts over all pairs of the batch: trains F1 itself, or another one.

    In single precision a probability above .73 is a decision of exactly 1 without gradient: warm up with another
    objective, or take a lower sharpness. A reconstruction from second-hand sources.

    Args:
        measure: ``f_beta``, ``g_mean`` or ``balanced_accuracy``; the last two need a negative in the batch.
        beta: of ``f_beta``, how much more recall counts than precision; above 0.
        sharpness: of the soft decision; above 0. The paper's L.
        temperature: divides the scores; above 0.
        bias: added to the logits.
        similarity: ``dot`` takes the vectors as they are, ``cosine`` normalises both sides.
    """
    return Composition(
        criterion=SoftCounts(measure=measure, beta=beta, sharpness=sharpness),
        similarity=similarity,
        logits=(Temperature(temperature=temperature), Shift(by=bias)),
    )
