"""Pairwise links: what is better against what is worse, for each pair, the hardest pair, or all pairs at once."""

from typing import Literal

from nearfar.objectives.candidates.prototypes import Prototypes
from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.criteria.discounts import GainOfExchange
from nearfar.objectives.criteria.gaussian import GaussianClasses
from nearfar.objectives.criteria.links import Hinge, Logistic, Overlap
from nearfar.objectives.criteria.neighbours import NeighbourScore
from nearfar.objectives.criteria.one_list import OneList
from nearfar.objectives.criteria.ordered_pairs import OrderedPairs
from nearfar.objectives.criteria.pairwise import Pairwise, PooledPairwise
from nearfar.objectives.criteria.rows import Unjudged
from nearfar.objectives.form import Composition, Form
from nearfar.objectives.logits.pace import RoundedDistance
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.named.two_sided import Product, Sides, who
from nearfar.objectives.registry import entry
from nearfar.objectives.similarity import Similarity

__all__ = [
    "ICNN",
    "AnglE",
    "CoSENT",
    "Fidelity",
    "GaussianPrototype",
    "LambdaLoss",
    "ProtoTriplet",
    "RankNet",
    "Triplet",
]


@entry(
    paper="FaceNet: A Unified Embedding for Face Recognition and Clustering; In Defense of the Triplet Loss for Person"
    " Re-Identification (1703.07737)",
    arxiv="1503.03832",
    equation=r"\ell_i = \Big[ \max_{p \in P_i} d_{ip} - \min_{n \in N_i} d_{in} + m \Big]_+,"
    r" \quad d = 1 - s \text{ or the Euclidean distance}",
    family="pairwise",
)
def Triplet(
    *,
    kind: Literal["hard", "semi_hard", "all", "soft"] = "hard",
    distance: Literal["cosine", "euclidean"] = "cosine",
    margin: float = 0.2,
    sides: Sides = "other",
) -> Form:
    """A positive nearer than a negative, by a margin.

    A loss that stays at the margin, or at log 2 for ``soft``, says that all embeddings have become equal. ``all`` and
    ``semi_hard`` are one mean over the triplets, or positive pairs, of the batch. ``all`` takes those that still have a
    loss alone, so that gradients do not become smaller as fewer are left.

    Args:
        kind: ``hard`` the weakest positive of a row against its strongest negative; ``soft`` the same with a softplus
            in the place of hinge and margin; ``semi_hard`` each positive against the nearest negative that is farther,
            or against the farthest when none is; ``all`` every triplet.
        distance: ``cosine`` 1 minus the cosine, ``euclidean`` of the vectors as they are.
        margin: how much farther the negative should be; 0.2 for unit vectors, more for vectors that are not normalised.
        sides: ``both`` makes every text a row among the texts of both sides; ``other`` sets anchors against candidates.
    """
    hinge = Hinge(margin=margin)
    criterion = {
        "hard": Pairwise(link=hinge, select="hardest"),
        "soft": Pairwise(link=Logistic(), select="hardest"),
        "semi_hard": PooledPairwise(link=hinge, select="semi_hard"),
        "all": PooledPairwise(link=hinge, active=True),
    }[kind]
    return Composition(criterion=criterion, candidates=who(sides), similarity=distance)


@entry(
    paper="SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel"
    " distance-based loss functions",
    equation=r"\ell_i = \Big[ d(x_i, m_{y_i}) - \min_{c \neq y_i} d(x_i, m_c) + m \Big]_+,"
    r" \quad m_c \text{ the mean of class } c",
    family="pairwise",
)
def ProtoTriplet(*, margin: float = 0.5) -> Form:
    """Each row nearer to the mean of its class than to any other mean, by a margin.

    The classes of the candidates are those of the anchors that they belong to, by ``labels``. Distances are Euclidean,
    of the vectors as they are. A row whose class has no candidates, or is the only one, is left out. A mean with a
    candidate in it that is ignored for a row, or belongs to it, is none of its wrong ones.

    Args:
        margin: how much farther the nearest wrong mean should be.
    """
    return Composition(
        criterion=Pairwise(link=Hinge(margin=margin), select="hardest"),
        candidates=Prototypes(),
        similarity="euclidean",
        logits=(RoundedDistance(),),
    )


@entry(
    paper="SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel"
    " distance-based loss functions",
    equation=r"L = -\log \tfrac12 \Big( \tfrac12 (\Lambda_{\text{same}} + \Lambda_{\text{other}}) + \Gamma \Big)",
    family="pairwise",
    verified=False,
)
def ICNN(*, neighbours: int = 4, window: int | None = None) -> Form:
    """How near own neighbours are, how far others', and how many own ones: one score of the batch. Experimental.

    A reconstruction from a single implementation, in which the weighting is not certain. Every text is a row among the
    texts of both sides. The number of own neighbours carries no gradient.

    Args:
        neighbours: how many nearest texts of each are looked at.
        window: within how many nearest a text's nearest negative, which scales its distances, is sought; none for all.
    """
    return Composition(
        criterion=NeighbourScore(neighbours=neighbours, window=window),
        candidates=BothSides(related="positive"),
        similarity="euclidean",
        logits=(RoundedDistance(),),
    )


def graded(similarity: Similarity, temperature: float, unjudged: Unjudged) -> Form:
    """CoSENT's criterion over all pairs of the batch."""
    listed = OneList(of=OrderedPairs(), unjudged=unjudged)
    return Composition(criterion=listed, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="CoSENT: a more effective sentence embedding than Sentence-BERT (blog, 2022)",
    equation=r"L = \log \Big( 1 + \sum_{y_{ij} > y_{kl}} e^{z_{kl} - z_{ij}} \Big)",
    family="pairwise",
)
def CoSENT(*, temperature: float = 0.05, unjudged: Unjudged = "ignored") -> Form:
    """Pairs of higher grade more similar than pairs of lower grade, in one log-sum over all pairs of pairs.

    Only the order of grades counts, and equal grades are not compared. The sum is not divided by the number of pairs,
    so that its weight beside other objectives changes with the batch size. Batches must be gathered before it.

    Args:
        temperature: divides the similarities; above 0. Others call its inverse, 20, a scale.
        unjudged: whether a pair that nobody judged is a ``negative`` of grade 0 or ``ignored``.
    """
    return graded("cosine", temperature, unjudged)


@entry(
    paper="AnglE-optimized Text Embeddings",
    arxiv="2309.12871",
    equation=r"L = \log \Big( 1 + \sum_{y_{ij} > y_{kl}} e^{z_{kl} - z_{ij}} \Big),"
    r" \quad s = \Big| \sum_k \operatorname{Re} \tfrac{x_k}{w_k} + \operatorname{Im} \tfrac{x_k}{w_k} \Big|"
    r" \text{ of unit vectors}",
    family="pairwise",
)
def AnglE(*, temperature: float = 0.05, unjudged: Unjudged = "ignored") -> Form:
    """CoSENT on angles in complex space, where the two halves of a vector are real and imaginary parts.

    The similarity is not symmetric, and opposite vectors count as similar. The paper adds CoSENT and InfoNCE with
    weights that are not certain; a ``Sum`` of the three says which ones were used.

    Args:
        temperature: divides the similarities; above 0.
        unjudged: whether a pair that nobody judged is a ``negative`` of grade 0 or ``ignored``.
    """
    return graded("angle", temperature, unjudged)


@entry(
    paper="Learning to Rank using Gradient Descent (ICML 2005)",
    equation=r"\ell_i = \operatorname*{mean}_{y_{ia} > y_{ib}} \log \big( 1 + e^{z_{ib} - z_{ia}} \big)",
    family="pairwise",
)
def RankNet(*, temperature: float = 1.0, unjudged: Unjudged = "negative", similarity: Product = "cosine") -> Form:
    """The better of two candidates wins: logistic loss of every pair of unequal grades of a row, averaged.

    Args:
        temperature: divides the similarities; above 0. Cosines want less than 1.
        unjudged: whether a candidate that nobody judged is a ``negative`` of grade 0 or ``ignored``.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    criterion = Pairwise(compare="grades", unjudged=unjudged)
    return Composition(criterion=criterion, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="The LambdaLoss Framework for Ranking Metric Optimization (CIKM 2018)",
    equation=r"L = \operatorname*{mean}_{y_{ia} > y_{ib}} W_{iab} \log_2 \big( 1 + e^{z_{ib} - z_{ia}} \big), \quad"
    r" W = |G_a - G_b| \Big( \mu \Big| \tfrac{1}{D_{|r_a - r_b|}} - \tfrac{1}{D_{|r_a - r_b| + 1}} \Big|"
    r" + \Big| \tfrac{1}{D_{r_a}} - \tfrac{1}{D_{r_b}} \Big| \Big)",
    family="pairwise",
)
def LambdaLoss(
    *,
    temperature: float = 1.0,
    top: int | None = None,
    mu: float = 10.0,
    average: Literal["pairs", "rows"] = "pairs",
    unjudged: Unjudged = "negative",
    similarity: Product = "cosine",
) -> Form:
    """RankNet in which a pair weighs what its exchange would change in nDCG (NDCGLoss2++).

    The weights depend on the order alone and carry no gradient.

    Args:
        temperature: divides the similarities; above 0.
        top: only pairs of which one is among so many first ones; none for all pairs.
        mu: weight of the part that depends on the distance in ranks.
        average: ``pairs`` is one mean over the pairs of the batch, in which long lists weigh most; ``rows`` a mean over
            rows of the mean over their pairs.
        unjudged: whether a candidate that nobody judged is a ``negative`` of grade 0 or ``ignored``.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    mean = PooledPairwise if average == "pairs" else Pairwise
    criterion = mean(compare="grades", unjudged=unjudged, weight=GainOfExchange(top=top, mu=mu))
    return Composition(criterion=criterion, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="FRank: A Ranking Method with Fidelity Loss (SIGIR 2007)",
    equation=r"\ell_i = \operatorname*{mean}_{y_{ia} > y_{ib}} 1 - \sqrt{P^* P} - \sqrt{(1 - P^*) (1 - P)},"
    r" \quad P = \sigma(z_{ia} - z_{ib})",
    family="pairwise",
)
def Fidelity(
    *,
    temperature: float = 1.0,
    target_temperature: float | None = None,
    unjudged: Unjudged = "negative",
    similarity: Product = "cosine",
) -> Form:
    """RankNet's pairs with a loss that stays below 1, and has no gradient where a pair is hopelessly out of order.

    Args:
        temperature: divides the similarities; above 0.
        target_temperature: the wanted probability is the logistic of the difference in grade over this; none when the
            better one should always win.
        unjudged: whether a candidate that nobody judged is a ``negative`` of grade 0 or ``ignored``.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    link = Overlap(target_temperature=target_temperature)
    criterion = Pairwise(link=link, compare="grades", unjudged=unjudged)
    return Composition(criterion=criterion, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="Gaussian prototypes with adaptive margins for few-shot relation extraction (GPAM)",
    arxiv="2410.20320",
    equation=r"\ell_i = \operatorname{sp} \big( (D_{iy} - r + m_y) / \tau \big)"
    r" + \sum_{c \neq y} \operatorname{sp} \big( (r - D_{ic} + m_c) / \tau \big) - w \log \operatorname{softmax}(-D_i /"
    r" \tau)_y, \quad D_{ic} = \sum_k \tfrac{(x_{ik} - \mu_{ck})^2}{v_{ck} + \epsilon} + \log (v_{ck} + \epsilon)",
    family="pairwise",
    verified=False,
)
def GaussianPrototype(
    *, margin: float = 1.0, temperature: float = 1.0, contrast_weight: float = 1.0, epsilon: float = 1e-3
) -> Form:
    """Classes as Gaussians with a trained boundary, for rows that may belong to none of them.

    A RECONSTRUCTION throughout: the paper's formulas were not available. The classes of the candidates are those of the
    anchors that they belong to, by ``labels``. Distances are of the vectors as they are and grow with their width.

    Args:
        margin: how far inside or outside of the boundary, on average; larger for classes far from all others.
        temperature: divides the distances; above 0.
        contrast_weight: weight of the softmax over classes.
        epsilon: added to the variances; above 0. A class of one candidate has this variance.
    """
    criterion = GaussianClasses(
        margin=margin, temperature=temperature, contrast_weight=contrast_weight, epsilon=epsilon
    )
    return Composition(criterion=criterion, similarity="euclidean")
