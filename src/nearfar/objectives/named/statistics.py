"""Batch statistics and regression: objectives that are one number of the whole batch, or squared errors of margins."""

from typing import Literal

from nearfar.objectives.criteria.correlation import (
    Covariance,
    CrossCorrelation,
    MixedCorrelation,
    ScoreCorrelation,
    Standardisation,
    VarianceHinge,
)
from nearfar.objectives.criteria.hypersphere import GaussianPotential, PairDistance
from nearfar.objectives.criteria.regression import Margins
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.named.lists import PlackettLuce, RankKL
from nearfar.objectives.named.softmax import contrast
from nearfar.objectives.registry import entry

__all__ = [
    "Alignment",
    "BarlowTwins",
    "CoDiEmbSTS",
    "ContrastiveGap",
    "DualTeacher",
    "MarginMSE",
    "MixedBarlowTwins",
    "Pearson",
    "Uniformity",
    "VICReg",
]

_BARLOW = r"\sum_d (1 - C_{dd})^2 + \lambda \sum_{d \neq e} C_{de}^2"


@entry(
    paper="Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere",
    arxiv="2005.10242",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \lVert x_i - c_p \rVert^{a}",
    family="batch statistic",
)
def Alignment(*, exponent: float = 2.0) -> Form:
    """The distance of each anchor to its positives on the unit sphere.

    Alone it is minimal when all embeddings are the same. It belongs beside ``Uniformity`` in a ``Sum``.

    Args:
        exponent: the power of the distance; at least 1.
    """
    return Composition(criterion=PairDistance(exponent=exponent))


@entry(
    paper="Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere",
    arxiv="2005.10242",
    equation=r"\tfrac12 \sum_{v \in \{x, c\}} \log \frac{1}{|\{j < k\}|} \sum_{j < k} e^{-t \lVert v_j - v_k \rVert^2}",
    family="batch statistic",
)
def Uniformity(*, decay: float = 2.0) -> Form:
    """How evenly the anchors, and their positives, are spread over the unit sphere.

    From -4 decay, where texts are opposite, to 0, where all are the same. Texts that have to do with each other do not
    repel each other. A crude estimate in small batches.

    Args:
        decay: multiplies the squared distance (the paper's t); above 0.
    """
    return Composition(criterion=GaussianPotential(decay=decay))


@entry(
    paper="It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
    arxiv="2405.18570",
    equation=r"L_{CLIP} + \tfrac12 \sum_{v} \log \frac1N \sum_{j,k} e^{-t \lVert v_j - v_k \rVert^2}"
    r" + \frac1N \sum_j \lVert x_j - c_j \rVert^2 + \log \frac1N \sum_{k \neq j} e^{-t \lVert x_j - c_k \rVert^2}",
    family="batch statistic",
    verified=False,
)
def ContrastiveGap(
    *,
    temperature: float = 0.01,
    decay: float = 2.0,
    clip_weight: float = 1.0,
    uniformity_weight: float = 1.0,
    alignment_weight: float = 1.0,
    cross_uniformity_weight: float = 1.0,
) -> Form:
    """Symmetric InfoNCE with alignment and uniformity terms that close the gap between the two sides.

    A reconstruction from notes on the paper, not from its own text or code. Its uniformity counts each text with itself
    and divides by the number of pairs, not by its square, so it is not the value of ``Uniformity`` and its gradient is
    weaker in small batches. Without the last term it is the paper's CUA.

    Args:
        temperature: divides the similarities in the InfoNCE term; above 0.
        decay: multiplies the squared distance in both uniformity terms; above 0.
        clip_weight: weight of the symmetric InfoNCE.
        uniformity_weight: weight of the uniformity of each side.
        alignment_weight: weight of the squared distance of each pair.
        cross_uniformity_weight: weight of the uniformity across the sides.
    """
    clip = Composition(criterion=contrast("symmetric"), logits=(Temperature(temperature=temperature),))
    sides = Composition(criterion=GaussianPotential(decay=decay, divisor="rows", itself=True))
    across = Composition(criterion=GaussianPotential(decay=decay, divisor="rows", between="across"))
    return Sum(
        terms=(clip, sides, Composition(criterion=PairDistance()), across),
        weights=(clip_weight, uniformity_weight, alignment_weight, cross_uniformity_weight),
    )


@entry(
    paper="Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
    arxiv="2103.03230",
    equation=_BARLOW,
    family="batch statistic",
)
def BarlowTwins(
    *,
    redundancy: float = 0.005,
    scale: float = 1.0,
    standardisation: Standardisation = "population",
    epsilon: float = 1e-5,
) -> Form:
    """The dimensions of two views should agree each with itself and with no other.

    Vectors are standardised over the batch, so their length does not matter and a shift or positive scale of a
    dimension changes nothing. It grows with the width of the embeddings and cannot be computed in pieces.

    Args:
        redundancy: weight of the correlations of different dimensions.
        scale: multiplies the whole loss; matters beside other terms and with layer-wise learning rates.
        standardisation: ``population`` divides variances by the number of pairs, ``sample`` by one less.
        epsilon: added to variances.
    """
    criterion = CrossCorrelation(redundancy=redundancy, standardisation=standardisation, epsilon=epsilon)
    return Sum(terms=(Composition(criterion=criterion, similarity="dot"),), weights=(scale,))


@entry(
    paper="Guarding Barlow Twins Against Overfitting with Mixed Samples",
    arxiv="2312.02151",
    equation=_BARLOW + r" + \lambda \rho \sum_{v} \lVert C_{mv} - c\, C_{1v} - (1 - c)\, C_{\pi(2) v} \rVert_F^2",
    family="batch statistic",
    verified=False,
)
def MixedBarlowTwins(
    *,
    redundancy: float = 0.005,
    regularisation: float = 5.0,
    scale: float = 1.0,
    standardisation: Standardisation = "population",
    epsilon: float = 1e-5,
    seed: int = 0,
) -> Form:
    """Barlow Twins, where correlations of mixtures should be mixtures of correlations.

    A reconstruction for texts: the paper mixes the inputs of the encoder, here the embeddings themselves are mixed, so
    that the further term acts through the standardisation alone.

    Args:
        redundancy: weight of the correlations of different dimensions.
        regularisation: weight of the term of the mixtures, times ``redundancy``.
        scale: multiplies the whole loss.
        standardisation: ``population`` divides variances by the number of pairs, ``sample`` by one less.
        epsilon: added to variances.
        seed: of the mixtures.
    """
    plain = CrossCorrelation(redundancy=redundancy, standardisation=standardisation, epsilon=epsilon)
    mixed = MixedCorrelation(standardisation=standardisation, epsilon=epsilon, seed=seed)
    return Sum(
        terms=tuple(Composition(criterion=criterion, similarity="dot") for criterion in (plain, mixed)),
        weights=(scale, scale * redundancy * regularisation),
    )


@entry(
    paper="VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
    arxiv="2105.04906",
    equation=r"\frac{\lambda}{BD} \sum_i \lVert x_i - c_i \rVert^2"
    r" + \mu \sum_v \frac{1}{2D} \sum_d [1 - \sqrt{\mathrm{Var}_d(v) + \epsilon}]_+"
    r" + \nu \sum_v \frac1D \sum_{d \neq e} \mathrm{Cov}_{de}(v)^2",
    family="batch statistic",
)
def VICReg(
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    half_variance: bool = True,
    epsilon: float = 1e-4,
) -> Form:
    """Pairs together, each dimension spread out, different dimensions uncorrelated. Vectors are taken as they come.

    Encoders that give unit vectors can hardly reach a deviation of 1 in each dimension: use it before normalisation.

    Args:
        invariance: weight of the mean squared difference of a pair.
        variance: weight of the hinge on the deviation of each dimension.
        covariance: weight of the squared covariances, added up over both views.
        half_variance: take the mean over both views in the variance term, as the authors' code does; otherwise the sum.
        epsilon: added to variances.
    """
    criteria = (PairDistance(over="mean"), VarianceHinge(epsilon=epsilon), Covariance())
    return Sum(
        terms=tuple(Composition(criterion=criterion, similarity="dot") for criterion in criteria),
        weights=(invariance, variance if half_variance else 2 * variance, covariance),
    )


@entry(
    paper="Pearson correlation of scores and grades, as in CoDiEmb",
    arxiv="2508.11442",
    equation=r"1 - \frac{\mathrm{cov}(s, y)}{\sqrt{\mathrm{var}(s) + \epsilon}\, \sqrt{\mathrm{var}(y)}}",
    family="batch statistic",
)
def Pearson(*, unjudged: Literal["ignored", "negative"] = "ignored", epsilon: float = 1e-12) -> Form:
    """One minus the Pearson correlation of cosine and grade over the judged pairs of the batch.

    From 0 to 2, unchanged by a shift or a positive scale of all scores. Noisy below some eight pairs. A batch whose
    grades are all the same has loss 0.

    Args:
        unjudged: ``ignored`` takes the judged pairs only, ``negative`` all valid ones, the others with grade 0.
        epsilon: added to the variance of the scores.
    """
    return Composition(criterion=ScoreCorrelation(unjudged=unjudged, epsilon=epsilon))


@entry(
    paper="CoDiEmb: A Collaborative yet Distinct Framework for Unified Representation Learning in Information Retrieval"
    " and Semantic Textual Similarity",
    arxiv="2508.11442",
    equation=r"2 L_{\text{Pearson}} + 5 L_{\text{RankKL}} + \tfrac12 L_{\text{PRO}}",
    family="batch statistic",
)
def CoDiEmbSTS(
    *,
    temperature: float = 0.05,
    pearson_weight: float = 2.0,
    rank_weight: float = 5.0,
    pro_weight: float = 0.5,
    epsilon: float = 1e-12,
) -> Form:
    """Correlation, rank and order of all judged pairs of the batch: CoDiEmb's loss for graded sentence pairs.

    Without its InfoNCE at a middle layer. The weight of the ranks falls with the number of pairs, see ``RankKL``. A
    batch whose grades are all the same has loss 0.

    Args:
        temperature: divides the similarities, and the ranks, in the last two terms; above 0.
        pearson_weight: weight of ``Pearson``.
        rank_weight: weight of ``RankKL``.
        pro_weight: weight of ``PlackettLuce`` with the kind ``pro`` over the batch.
        epsilon: added to the variance of the scores.
    """
    return Sum(
        terms=(
            Pearson.build(epsilon=epsilon),
            RankKL.build(temperature=temperature, target_temperature=temperature),
            PlackettLuce.build(kind="pro", lists="batch", temperature=temperature),
        ),
        weights=(pearson_weight, rank_weight, pro_weight),
    )


@entry(
    paper="Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation",
    arxiv="2010.02666",
    equation=r"\ell_i = \frac{1}{|P_i||N_i|} \sum_{p, n} \big( (s_{ip} - s_{in}) - (T_{ip} - T_{in}) \big)^2",
    family="regression",
)
def MarginMSE(*, similarity: Literal["dot", "cosine"] = "dot") -> Form:
    """The margins of the judged positives over the judged negatives should be those of a teacher, in its own scale.

    A constant that is added to a row of scores changes nothing, the scale of the teacher does: cosines cannot reach the
    margins of a cross-encoder, which are about 10, so the product of the vectors as they are is the default.

    Args:
        similarity: ``dot`` takes the vectors as they are, ``cosine`` normalises both sides.
    """
    return Composition(criterion=Margins(), similarity=similarity)


@entry(
    paper="Efficiently Teaching an Effective Dense Retriever with Balanced Topic Aware Sampling",
    arxiv="2104.06967",
    equation=r"\ell^{\text{own}}_i + \tfrac{w}{2} \big( \ell^{\text{others, hard}}_i + \ell^{\text{others}}_i \big)",
    family="regression",
)
def DualTeacher(
    *,
    in_batch_weight: float = 0.75,
    in_batch_teacher: Literal["given", "guide"] = "given",
    similarity: Literal["dot", "cosine"] = "dot",
) -> Form:
    """MarginMSE on each anchor's own hard negatives, and again on everybody else's candidates of the batch.

    The loss of TAS-B, where a cross-encoder scores the own triples and ColBERT all pairs of the batch. A pair without a
    score is given as a value that is not finite.

    Args:
        in_batch_weight: weight of the margins over everybody else's candidates.
        in_batch_teacher: who scores these: ``given`` takes the scores that the own triples have, ``guide`` the products
            of the vectors of another encoder, given as ``guide_anchors`` and ``guide_candidates``.
        similarity: ``dot`` takes the vectors as they are, ``cosine`` normalises both sides.
    """
    own = Composition(criterion=Margins(negatives="own"), similarity=similarity)
    others = Composition(criterion=Margins(negatives="others", teacher=in_batch_teacher), similarity=similarity)
    return Sum(terms=(own, others), weights=(1.0, in_batch_weight))
