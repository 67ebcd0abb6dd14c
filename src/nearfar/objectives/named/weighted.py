"""The softmax-row family, continued: weighted, masked, and with positives added up inside the log."""

from typing import Literal

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.criteria.outer import FocalPower
from nearfar.objectives.criteria.pairwise import Pairwise
from nearfar.objectives.criteria.partners import Partners
from nearfar.objectives.criteria.soft_targets import SoftTargets
from nearfar.objectives.criteria.softmax import Block, Softmax
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.earlier import GuidePositives
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.masking.beside import HardBeside
from nearfar.objectives.masking.guide import GuideMask
from nearfar.objectives.masking.origin import KeepNegatives
from nearfar.objectives.masking.own_scores import HardestNegatives, ScoreMask
from nearfar.objectives.named.softmax import contrast
from nearfar.objectives.registry import entry
from nearfar.objectives.weights.given import GivenWeights
from nearfar.objectives.weights.hardness import Hardness

__all__ = [
    "CWCL",
    "GIST",
    "HCL",
    "BagInstance",
    "Coconut",
    "ColloSSL",
    "Counterfactual",
    "Debiased",
    "Focal",
    "HardnessWeighted",
    "UniME",
]

_DEBIASED = (
    r"\ell_i = -\frac{1}{|P_i|} \sum_{p \in P_i} \log \frac{e^{z_{ip}}}{e^{z_{ip}} + G_{ip}}, \quad"
    r" G_{ip} = \max \Big( \frac{R_i - \tau^+ |N_i| e^{z_{ip}}}{1 - \tau^+}, |N_i| e^{-1/\tau} \Big)"
)


@entry(
    paper="Debiased Contrastive Learning",
    arxiv="2007.00224",
    equation=_DEBIASED + r", \quad R_i = \sum_{n \in N_i} e^{z_{in}}",
    family="softmax row",
)
def Debiased(*, temperature: float = 0.5, tau_plus: float = 0.1) -> Form:
    """NT-Xent that takes the share of false negatives that is to be expected out of the denominator.

    Where nothing would be left, the negatives are held at the least that cosines allow and have no gradient.

    Args:
        temperature: divides the similarities; above 0.
        tau_plus: probability that a negative is of the anchor's own class, from 0 to below 1.
    """
    return Composition(
        criterion=Softmax(prior=tau_plus), candidates=BothSides(), logits=(Temperature(temperature=temperature),)
    )


@entry(
    paper="Contrastive Learning with Hard Negative Samples",
    arxiv="2010.04592",
    equation=_DEBIASED + r", \quad R_i = |N_i| \frac{\sum_{n} e^{(1 + \beta) z_{in}}}{\sum_{n} e^{\beta z_{in}}}",
    family="softmax row",
)
def HCL(*, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0, detach_weights: bool = False) -> Form:
    """Debiased NT-Xent with weights on the negatives that rise with their logit and keep their sum.

    ``beta`` multiplies the logit, not the similarity: at a temperature of 0.5 a beta of 1 is a concentration of 2.

    Args:
        temperature: divides the similarities; above 0.
        tau_plus: probability that a negative is of the anchor's own class, from 0 to below 1.
        beta: how much harder negatives count; 0 for the debiased loss.
        detach_weights: no gradient flows through the weights. In the authors' code it does.
    """
    return Composition(
        criterion=Softmax(prior=tau_plus),
        candidates=BothSides(),
        logits=(Temperature(temperature=temperature),),
        weights=(Hardness(strength=beta, of="logit", normalised=True, detach=detach_weights),),
    )


@entry(
    paper="LLaVE: Large Language and Vision Embedding Models with Hardness-Weighted Contrastive Learning",
    arxiv="2503.04812",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \Big( -z_{ip} + \log \big( e^{z_{ip}} + \sum_{n \in N_i}"
    r" e^{z_{in} + \alpha \operatorname{sg}(s_{in})} \big) \Big)",
    family="softmax row",
)
def HardnessWeighted(
    *,
    temperature: float = 0.02,
    strength: float = 9.0,
    on: Literal["all", "in_batch", "own_hard"] = "all",
    directions: Literal["query_to_document", "symmetric"] = "symmetric",
) -> Form:
    """InfoNCE in which a negative counts more the more similar it is, by a weight without gradient.

    The weight is of the raw similarity, outside of the temperature. LLaVE has strength 9 on all negatives in both
    directions; EmbeddingGemma (arXiv 2509.20354) has strength 5 on the row's own hard negatives in one direction,
    beside a regulariser that spreads the vectors out. Duplicates get the greatest weight, so false negatives must be
    masked.

    Args:
        temperature: divides the similarities; above 0.
        strength: of the weight ``exp(strength * similarity)``; 0 for InfoNCE.
        on: ``all`` negatives, ``in_batch`` for all but the row's own hard ones, ``own_hard`` for those alone.
        directions: as for InfoNCE. A pair has the same weight along its row and along its column.
    """
    return Composition(
        criterion=contrast(directions),
        logits=(Temperature(temperature=temperature),),
        weights=(Hardness(strength=strength, on=on),),
    )


@entry(
    paper="KaLM-Embedding-V2: Superior Training Techniques and Data Inspire A Versatile Embedding Model",
    arxiv="2506.20923",
    equation=r"\ell_i = -\frac{1}{|P_i|} \sum_{p \in P_i} (1 - q_{ip})^{\gamma} \log q_{ip}, \quad"
    r" q_{ip} = e^{z_{ip}} / \big( e^{z_{ip}} + \sum_{n \in N_i} e^{z_{in}} \big)",
    verified=False,
    family="softmax row",
)
def Focal(*, temperature: float = 0.05, gamma: float = 0.5, detach_weights: bool = False) -> Form:
    """InfoNCE with a weight that falls as the positive is found: what is learned already counts less.

    A reconstruction: gamma and whether the weight carries gradient are not certain. Weights are not renormalised, so
    the size of a step falls as training succeeds. What stays hard weighs most, wrongly labelled pairs among it, and
    everybody's hard negatives are in the denominator: mask false negatives.

    Args:
        temperature: divides the similarities; above 0.
        gamma: 0 for InfoNCE; below 1 the slope is bounded where the loss is near 0.
        detach_weights: no gradient flows through the weight.
    """
    return Composition(
        criterion=Softmax(outer=FocalPower(gamma=gamma, detach=detach_weights)),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding Fine-tuning",
    arxiv="2402.16829",
    equation=r"\ell_i = -z_{ip} + \log \Big( e^{z_{ip}} + \sum_{n \in N_i} e^{z_{in}} + \sum_{k \neq i} e^{z(q_i,"
    r" q_k)} +"
    r" \sum_{k \neq p} e^{z(d_p, d_k)} \Big) \text{ over pairs with } g \leq g_{ip} - m",
    family="softmax row",
)
def GIST(
    *,
    temperature: float = 0.01,
    margin: float = 0.0,
    margin_strategy: Literal["absolute", "relative"] = "absolute",
    contrast_anchors: bool = True,
    contrast_positives: bool = True,
) -> Form:
    """InfoNCE without the negatives that another encoder finds nearer than the positive; also each side among itself.

    Exact ties stay negatives, so duplicates must be known by their identity. A row with several positives is held to
    the one that the guide finds least similar.

    Args:
        temperature: divides the similarities; above 0.
        margin: how far below the positive a negative must be for the guide.
        margin_strategy: ``absolute`` subtracts the margin from the guide's cosine of the positive, ``relative`` a share
            of its magnitude.
        contrast_anchors: anchors are contrasted among themselves.
        contrast_positives: positives are, too; hard negatives take no part in that.
    """
    beside: dict[Block, bool] = {"anchors": contrast_anchors, "candidates": contrast_positives}
    return Composition(
        criterion=Softmax(blocks=("row", *(block for block, wanted in beside.items() if wanted))),
        masks=(HardBeside(keep="nobody"), GuideMask(margin=margin, margin_strategy=margin_strategy)),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="CWCL: Cross-Modal Transfer with Continuously Weighted Contrastive Loss",
    arxiv="2309.14580",
    equation=r"\ell_i = -\frac{\sum_{j \in V_i} w_{ij} \log \operatorname{softmax}_{V_i}(z_i)_j}{\sum_{j \in V_i}"
    r" w_{ij}}"
    r" + \ell^{\text{column}}_i, \quad w_{ij} = \tfrac12 (1 + \operatorname{sg} \cos(u_i, u_j))",
    verified=False,
    family="softmax row",
)
def CWCL(*, temperature: float = 0.07, weights_from: Literal["anchors", "guide", "teacher"] = "anchors") -> Form:
    """A soft target on each row, from how alike the anchors are, and plain InfoNCE along the columns. Their sum.

    A reconstruction from second-hand sources. Meant for anchors whose encoder is good already, and frozen. Most of the
    target lies on columns that have nothing to do with the row; the loss cannot fall below its entropy.

    Args:
        temperature: divides the similarities; above 0.
        weights_from: ``anchors`` compares the anchors' own vectors, ``guide`` those of another encoder; ``teacher``
            takes the cosine of each anchor with the anchor of each candidate as it is given.
    """
    forth = SoftTargets(target=Partners(of_vectors=weights_from), measure="cross_entropy")
    divided = (Temperature(temperature=temperature),)
    return Sum(
        terms=(
            Composition(criterion=forth, logits=divided),
            Composition(criterion=Softmax(blocks=("column",)), logits=divided),
        )
    )


@entry(
    paper="Teaching CLIP to Count to Ten",
    arxiv="2302.12066",
    equation=r"\ell_i = \frac{1}{|P_i| |F_i|} \sum_{p \in P_i} \sum_{f \in F_i} \log (1 + e^{z_{if} - z_{ip}})",
    verified=False,
    family="softmax row",
)
def Counterfactual(*, temperature: float = 0.07) -> Form:
    """Each positive against its anchor's own hard negatives alone, such as its text with another number.

    A reconstruction: where the temperature goes is not certain. Add it to CLIP with a weight; rows without hard
    negatives of their own do not count.

    Args:
        temperature: divides the similarities; above 0.
    """
    return Composition(
        criterion=Pairwise(), masks=(KeepNegatives(which="own_hard"),), logits=(Temperature(temperature=temperature),)
    )


@entry(
    paper="End-to-End Learning of Visual Representations from Uncurated Instructional Videos",
    arxiv="1912.06430",
    equation=r"\ell_i = -\log \frac{\sum_{p \in P_i} e^{z_{ip}}}{2 \sum_{p \in P_i} e^{z_{ip}} + \sum_{n \in N_i}"
    r" e^{z_{in}} + \sum_{p \in P_i} \sum_{k : p \in N_k} e^{z_{kp}}}",
    family="softmax row",
)
def BagInstance(
    *,
    temperature: float = 1.0,
    directions: Literal["query_to_document", "both"] = "both",
    similarity: Literal["cosine", "dot"] = "dot",
) -> Form:
    """Multiple-instance InfoNCE: the positives of an anchor are added up inside the log, so that one of them may do.

    With ``both`` the pairs are counted along the row and along the columns, as in the authors' code, and the loss
    cannot fall below log 2.

    Args:
        temperature: divides the similarities; above 0.
        directions: ``query_to_document`` has the negatives of the anchor in the denominator; ``both`` has the other
            anchors of its positives as well.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    blocks: tuple[Block, ...] = ("row", "column") if directions == "both" else ("row",)
    return Composition(
        criterion=Softmax(inside="sum", blocks=blocks),
        similarity=similarity,
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="ColloSSL: Collaborative Self-Supervised Learning for Human Activity Recognition",
    arxiv="2202.00758",
    equation=r"\ell_i = -\log \frac{\sum_{p \in P_i} w_{ip} e^{z_{ip}}}{\sum_{p \in P_i} w_{ip} e^{z_{ip}} + \sum_{n"
    r" \in N_i}"
    r" w_{in} e^{z_{in}}}",
    family="softmax row",
)
def ColloSSL(*, temperature: float = 0.05) -> Form:
    """InfoNCE with given weights on all pairs, and the positives of an anchor added up inside the log.

    ``teacher`` holds the weights, such as one over the discrepancy of the two sources that a pair comes from. A common
    factor of a row's weights changes nothing; a weight of 0, or one that is not finite, leaves a pair out.

    Args:
        temperature: divides the similarities; above 0.
    """
    return Composition(
        criterion=Softmax(inside="sum"), logits=(Temperature(temperature=temperature),), weights=(GivenWeights(),)
    )


@entry(
    paper="Continual Contrastive Spoken Language Understanding (COCONUT)",
    arxiv="2310.02699",
    equation=r"\ell_i = -\frac{1}{|P_i|} \sum_{p \in P_i} \log \frac{e^{t_{ip}}}{\sum_{p' \in P_i} e^{t_{ip'}} +"
    r" \sum_{n \in N_i}"
    r" e^{z_{in}}}, \quad t_{ip} = x_i \cdot \operatorname{sg}(T_p) / \tau",
    verified=False,
    family="softmax row",
)
def Coconut(*, temperature: float = 0.1) -> Form:
    """SupCon with the positives as an earlier model has them and the negatives as the model has them now (NSPT).

    A reconstruction: denominator and temperature are not certain. For rehearsed examples only. ``guide_candidates``
    holds the earlier model's vectors, of the same width; no gradient flows to positives. The loss of a row cannot fall
    below the log of its number of positives.

    Args:
        temperature: divides the similarities; above 0.
    """
    return Composition(criterion=Softmax(others=True), logits=(GuidePositives(), Temperature(temperature=temperature)))


@entry(
    paper="Breaking the Modality Barrier: Universal Embedding Learning with Multimodal LLMs",
    arxiv="2504.17432",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \Big( -z_{ip} + \log \big( e^{z_{ip}} + \sum_{n \in H_i}"
    r" e^{z_{in}} \big) \Big), \quad H_i = \operatorname{top}_k \{ n \in N_i : s_{in} \leq \min_{p} s_{ip} + m \}",
    family="softmax row",
)
def UniME(*, temperature: float = 0.02, margin: float = 0.1, hardest: int | None = 8) -> Form:
    """InfoNCE against the hardest negatives of a row that do not beat its positive by more than a margin.

    The margin lies above the positive: what is about as similar as it stays. Below 0 it lies below, as in mining with
    ``Margin``. A row in which nothing is left has loss 0: a positive that all negatives beat clearly is not pulled, so
    that pairs which the model has quite wrong teach it nothing.

    Args:
        temperature: divides the similarities; above 0.
        margin: how far above the positive a negative may be, in cosines.
        hardest: how many negatives a row keeps, or ``none`` for all that are left.
    """
    suspects = ScoreMask(margin=0.0 - margin)  # 0 stays 0, without a sign
    return Composition(
        criterion=Softmax(),
        masks=(suspects,) if hardest is None else (suspects, HardestNegatives(count=hardest)),
        logits=(Temperature(temperature=temperature),),
    )
