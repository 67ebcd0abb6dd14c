"""Two-sided log-sums: positives and negatives each with a log-sum, and a steepness, of their own."""

from typing import Literal

from nearfar.objectives.candidates.classes import TrainedClasses
from nearfar.objectives.candidates.sides import BothSides, OtherSide
from nearfar.objectives.criteria.meta_nodes import MetaNodes
from nearfar.objectives.criteria.two_sided import TwoSided
from nearfar.objectives.form import Composition, Form
from nearfar.objectives.logits.margin import Margin
from nearfar.objectives.logits.pace import CirclePace
from nearfar.objectives.logits.shift import Shift
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.masking.multi_similarity import NearlyReached
from nearfar.objectives.masking.sampling import SampledNegatives
from nearfar.objectives.part import Candidates
from nearfar.objectives.registry import entry

__all__ = ["MLCD", "Circle", "MultiSimilarity", "PamC"]

Sides = Literal["both", "other"]
Product = Literal["cosine", "dot"]


def who(sides: Sides) -> Candidates:
    """Both sides as one batch in which related texts are positives, or anchors against candidates."""
    return BothSides(related="positive") if sides == "both" else OtherSide()


@entry(
    paper="Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
    arxiv="1904.06627",
    equation=r"\ell_i = \tfrac1\alpha \log \Big( 1 + \sum_{p \in P_i} e^{-\alpha (s_{ip} - \lambda)} \Big)"
    r" + \tfrac1\beta \log \Big( 1 + \sum_{n \in N_i} e^{\beta (s_{in} - \lambda)} \Big)",
    family="two-sided log-sum",
)
def MultiSimilarity(
    *,
    alpha: float = 2.0,
    beta: float = 40.0,
    base: float = 0.5,
    mining_margin: float | None = 0.1,
    duplicate_from: float = 1 - 1e-5,
    sides: Sides = "both",
) -> Form:
    """A log-sum of positives below a base and one of negatives above it, over the pairs that are hard.

    A row that mining leaves without a positive or without a negative counts as 0 in the mean, as in the paper, so that
    the loss falls as pairs become easy. The paper's text has beta 50; whether its tables were made with base 0.5 or 1
    is not known.

    Args:
        alpha: steepness of the positives; above 0.
        beta: steepness of the negatives; above 0.
        base: the similarity around which either side begins to count.
        mining_margin: a negative is kept when it is within this margin of the weakest positive or above it, a positive
            when it is within this margin of the strongest negative or below it; none keeps all pairs.
        duplicate_from: with mining, positives of at least this similarity are taken for copies and left out.
        sides: ``both`` makes every text a row among the texts of both sides; ``other`` sets anchors against candidates.
    """
    mining = () if mining_margin is None else (NearlyReached(margin=mining_margin, copy_from=duplicate_from),)
    criterion = TwoSided(alpha=alpha, beta=beta, zeros_count=True)
    return Composition(criterion=criterion, candidates=who(sides), masks=mining, logits=(Shift(by=-base),))


@entry(
    paper="Circle Loss: A Unified Perspective of Pair Similarity Optimization",
    arxiv="2002.10857",
    equation=r"\ell_i = \log \Big( 1 + \sum_{p \in P_i} e^{-\gamma a_{ip} (s_{ip} - 1 + m)}"
    r" \sum_{n \in N_i} e^{\gamma a_{in} (s_{in} - m)} \Big),"
    r" \quad a_{ip} = [1 + m - s_{ip}]_+, \; a_{in} = [s_{in} + m]_+ \text{ detached}",
    family="two-sided log-sum",
)
def Circle(*, margin: float = 0.25, gamma: float = 256.0, sides: Sides = "both") -> Form:
    """Positives and negatives in one softplus, each pair at a pace that falls as it nears its optimum.

    Rows without a positive or a negative are left out. A negative of similarity below ``-margin`` has no gradient.

    Args:
        margin: relaxes both optima; 0.25 for faces, 0.4 was used for fine-grained retrieval.
        gamma: the steepness, what others call a scale; 80 to 256; above 0.
        sides: ``both`` makes every text a row among the texts of both sides; ``other`` sets anchors against candidates.
    """
    pace = CirclePace(margin=margin, gamma=gamma)
    return Composition(criterion=TwoSided(joined=True), candidates=who(sides), logits=(pace,))


@entry(
    paper="Multi-label Cluster Discrimination for Visual Representation Learning",
    arxiv="2407.17331",
    equation=r"\ell_i = \log \Big( 1 + \sum_{p \in P_i} e^{-z_{ip}} \Big) + \log \Big( 1 + \sum_{n \in N_i} e^{z_{in}}"
    r" \Big), \quad z_{ip} = (s_{ip} - m) / \tau, \; z_{in} = s_{in} / \tau",
    family="two-sided log-sum",
)
def MLCD(
    *,
    temperature: float = 1 / 64,
    margin: float = 0.3,
    rate: float = 1.0,
    seed: int = 0,
    classes: int | None = None,
    similarity: Product = "cosine",
) -> Form:
    """Classification with several labels, in which positive and negative classes have separate log-sums.

    The candidates are class vectors, several of which may belong to a row. Temperature and margin are not given in the
    paper; these are assumed. With many negatives the loss starts near the log of their number.

    Args:
        temperature: divides the similarities; above 0.
        margin: taken from the similarity of positives.
        rate: the part of the classes that are negatives in a step, drawn anew each time; the paper takes 0.1 of a
            million. Classes of the row itself are never negatives.
        seed: of these draws.
        classes: number of classes with trained vectors, one for each row by ``labels``; none for the candidates.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    return Composition(
        criterion=TwoSided(negatives_needed=False),
        candidates=OtherSide()
        if classes is None
        else TrainedClasses(classes=classes, normalised=similarity == "cosine"),
        similarity=similarity,
        masks=() if rate == 1 else (SampledNegatives(rate=rate, seed=seed),),
        logits=(Margin(margin=margin), Temperature(temperature=temperature)),
    )


@entry(
    paper="Parameter-free meta-node approximation for graph contrastive learning (PamC)",
    arxiv="2209.14067",
    equation=r"L = w_1 \Big( -\operatorname*{mean}_i \log \sum_{j \in P_i} e^{z_{ij}} + \operatorname*{mean}_k"
    r" \log \sum_l e^{\cos(m_k, m_l) / \tau} \Big) + w_2 \operatorname{KL}(p \,\|\, q),"
    r" \quad m_k \text{ the sum of the members of cluster } k",
    family="two-sided log-sum",
    verified=False,
)
def PamC(
    *,
    clusters: int = 8,
    temperature: float = 1.0,
    contrast_weight: float = 1.0,
    cluster_weight: float = 1.0,
    seed: int = 0,
) -> Form:
    """Graph clustering: neighbours attract each other, and instead of all other nodes the sums of clusters repel.

    Anchors are nodes, and the relation says who is whose neighbour, within a number of hops of your choice; a node is
    none of its own. The contrast was read in code; how rows are assigned to clusters is a RECONSTRUCTION, the usual
    Student kernel around trained centres and its sharpened target. Vectors are taken as they are. One number for the
    batch.

    Args:
        clusters: how many there are.
        temperature: divides the cosines; above 0. The paper multiplies by its inverse.
        contrast_weight: weight of attraction and repulsion.
        cluster_weight: weight of the divergence between the assignment and its sharpened form.
        seed: where the centres start.
    """
    criterion = MetaNodes(
        clusters=clusters,
        temperature=temperature,
        contrast_weight=contrast_weight,
        cluster_weight=cluster_weight,
        seed=seed,
    )
    return Composition(criterion=criterion, similarity="dot")
