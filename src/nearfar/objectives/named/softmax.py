"""The softmax-row family: log-ratios of a positive against a denominator. Its weighted members are in ``weighted``."""

from typing import Literal

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.criteria.all_rows import AllRows
from nearfar.objectives.criteria.norms import SquaredNorm
from nearfar.objectives.criteria.soft_top_k import AmongTopK
from nearfar.objectives.criteria.softmax import Block, Softmax
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.temperature import LearnedTemperature, Temperature
from nearfar.objectives.masking.beside import HardBeside
from nearfar.objectives.masking.origin import KeepNegatives
from nearfar.objectives.registry import entry
from nearfar.objectives.weights.positives import HarderPositives

__all__ = [
    "CLIP",
    "DCL",
    "DCLW",
    "GTE",
    "MW",
    "DecoupledSoftmax",
    "InfoNCE",
    "NPair",
    "NTXent",
    "Sample4Geo",
    "SoftTopK",
    "SupCon",
]

Directions = Literal["query_to_document", "symmetric", "gte"]

_ROW = r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \left( -z_{ip} + \log D_{ip} \right)"


def contrast(directions: Directions, *, twice: bool = True, smoothing: float = 0.0) -> Softmax:
    """The softmax criterion over the blocks that ``directions`` names."""
    blocks: dict[str, tuple[Block, ...]] = {
        "query_to_document": ("row",),
        "symmetric": ("row", "column"),
        "gte": ("row", "column", "anchors", "candidates"),
    }
    partition: Literal["joint", "separate"] = "separate" if directions == "symmetric" else "joint"
    return Softmax(blocks=blocks[directions], partition=partition, twice=twice, smoothing=smoothing)


@entry(
    paper="Representation Learning with Contrastive Predictive Coding",
    arxiv="1807.03748",
    equation=_ROW + r", \quad D_{ip} = e^{z_{ip}} + \sum_{n \in N_i} e^{z_{in}}",
    family="softmax row",
)
def InfoNCE(
    *,
    temperature: float = 0.05,
    directions: Directions = "query_to_document",
    similarity: Literal["cosine", "dot"] = "cosine",
) -> Form:
    """Softmax cross-entropy of each positive against the negatives of its row.

    Other positives of the same anchor are never in a denominator. A row without positives is left out of the mean; a
    positive without any negative has loss 0 (log 2 for ``gte``).

    Args:
        temperature: divides the similarities; above 0.
        directions: ``query_to_document`` contrasts the candidates of each anchor; ``symmetric`` is the mean of that and
            of the anchors of each candidate (a hard negative takes no such term); ``gte`` puts both, and each side
            among itself, into one log-sum.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    return Composition(
        criterion=contrast(directions), similarity=similarity, logits=(Temperature(temperature=temperature),)
    )


@entry(
    paper="A Simple Framework for Contrastive Learning of Visual Representations",
    arxiv="2002.05709",
    equation=_ROW + r" \text{ over the } 2B \text{ rows of both views}",
    family="softmax row",
)
def NTXent(*, temperature: float = 0.5) -> Form:
    """InfoNCE over two views: each text of either side is a row against all others of both sides.

    Args:
        temperature: divides the similarities; above 0.
    """
    return Composition(criterion=Softmax(), candidates=BothSides(), logits=(Temperature(temperature=temperature),))


@entry(
    paper="Learning Transferable Visual Models From Natural Language Supervision",
    arxiv="2103.00020",
    equation=r"\tfrac12 \ell^{\text{row}}_i + \tfrac12 \ell^{\text{column}}_i, \quad z = s / \tau"
    r" \text{ with } \tau \text{ trained}",
    family="softmax row",
)
def CLIP(*, temperature: float = 0.07, minimum: float = 0.01) -> Form:
    """Symmetric InfoNCE with a trained temperature.

    Args:
        temperature: where it starts; above 0.
        minimum: it does not fall below.
    """
    learned = LearnedTemperature(initial=temperature, minimum=minimum)
    return Composition(criterion=contrast("symmetric"), logits=(learned,))


@entry(
    paper="Towards General Text Embeddings with Multi-stage Contrastive Learning",
    arxiv="2308.03281",
    equation=r"\ell_i = -z_{ip} + \log \Big( \sum_j e^{z(q_i, d_j)} + \sum_{j \neq i} e^{z(q_i, q_j)}"
    r" + \sum_j e^{z(q_j, d_p)} + \sum_{j \neq p} e^{z(d_p, d_j)} \Big)",
    family="softmax row",
)
def GTE(
    *, temperature: float = 0.01, twice: bool = True, hard_beside: Literal["all", "others", "nobody"] = "all"
) -> Form:
    """InfoNCE with four blocks in one denominator: both directions, and each side among itself.

    With the pair counted twice, as in the paper, the loss cannot fall below log 2.

    Args:
        temperature: divides the similarities; above 0.
        twice: the pair is counted in its row and again in its column.
        hard_beside: which hard negatives a positive is contrasted with among the candidates: ``all``, ``others`` for
            those of other anchors alone, as in sentence-transformers; ``nobody`` for none.
    """
    return Composition(
        criterion=contrast("gte", twice=twice),
        masks=() if hard_beside == "all" else (HardBeside(keep=hard_beside),),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="Supervised Contrastive Learning",
    arxiv="2004.11362",
    equation=_ROW + r", \quad D_i = \sum_{j \in V_i} e^{z_{ij}}",
    family="softmax row",
)
def SupCon(*, temperature: float = 0.07, form: Literal["outside", "inside"] = "outside") -> Form:
    """NT-Xent with several positives, all of which are in the denominator.

    Texts of one side that share a positive are positives too. The loss of a row cannot fall below the log of its number
    of positives, so that values are not comparable across class balances. There is no factor ``temperature / base`` in
    front, as some code has.

    Args:
        temperature: divides the similarities; above 0.
        form: the mean over positives is ``outside`` of the log, or ``inside``.
    """
    return Composition(
        criterion=Softmax(others=True, inside="mean" if form == "inside" else None),
        candidates=BothSides(related="positive"),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="Decoupled Contrastive Learning",
    arxiv="2110.06848",
    equation=_ROW + r", \quad D_i = \sum_{n \in N_i} e^{z_{in}}",
    family="softmax row",
)
def DCL(*, temperature: float = 0.1) -> Form:
    """NT-Xent without the positive in the denominator. The loss can fall below 0 without bound.

    Args:
        temperature: divides the similarities; above 0.
    """
    return Composition(
        criterion=Softmax(own=False), candidates=BothSides(), logits=(Temperature(temperature=temperature),)
    )


@entry(
    paper="Dual-Encoders for Extreme Multi-Label Classification",
    arxiv="2310.10636",
    equation=_ROW + r", \quad D_{ip} = e^{z_{ip}} + \sum_{n \in N_i} e^{z_{in}}",
    family="softmax row",
)
def DecoupledSoftmax(*, temperature: float = 0.05, similarity: Literal["cosine", "dot"] = "cosine") -> Form:
    """The softmax row for several positives: each against the negatives alone. InfoNCE keeps the same rule.

    Args:
        temperature: divides the similarities; above 0.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    return Composition(criterion=Softmax(), similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="Decoupled Contrastive Learning",
    arxiv="2110.06848",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \left( -w_{ip} z_{ip} + \log \sum_{n \in N_i} e^{z_{in}}"
    r" \right),"
    r" \quad w_{ip} = 2 - e^{s_{ip} / \sigma} / \overline{e^{s / \sigma}}",
    family="softmax row",
)
def DCLW(*, temperature: float = 0.1, sigma: float = 0.5) -> Form:
    """DCL with a stronger pull on positives that are far from their anchor.

    The weights have mean 1 over the batch and carry no gradient; that of a positive which is nearer than most by far is
    below 0. With several positives the mean is taken over the rows' means, which is our generalisation. The loss can
    fall below 0 without bound.

    Args:
        temperature: divides the similarities; above 0.
        sigma: divides the similarities that the weights are made of; above 0.
    """
    return Composition(
        criterion=Softmax(own=False),
        candidates=BothSides(),
        logits=(Temperature(temperature=temperature),),
        weights=(HarderPositives(sigma=sigma),),
    )


@entry(
    paper="Dual-Encoders for Extreme Multi-Label Classification",
    arxiv="2310.10636",
    equation=r"\ell_i = -\frac{1}{|P_i|} \sum_{p \in P_i} \log \theta_{ip}, \quad \theta_{ij} ="
    r" \operatorname{sig}(\alpha (z_{ij} + c_i)) \text{ with } \sum_{j \in V_i} \theta_{ij} = k",
    family="softmax row",
)
def SoftTopK(
    *,
    temperature: float = 0.05,
    k: int = 5,
    alpha: float = 2.0,
    similarity: Literal["cosine", "dot"] = "cosine",
) -> Form:
    """How surely each positive is among the best k of its row.

    Beyond the first k places nothing is asked of a positive. A row with k columns or fewer has loss 0.

    Args:
        temperature: divides the similarities; above 0.
        k: how many columns are to be found.
        alpha: how sharply a column is in or out; above 0.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    return Composition(
        criterion=AmongTopK(k=k, alpha=alpha), similarity=similarity, logits=(Temperature(temperature=temperature),)
    )


@entry(
    paper="Optimizing What Matters: AUC-Driven Learning for Robust Neural Retrieval",
    arxiv="2510.00137",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \frac{1}{|M|} \sum_{(k,n) \in M} \log (1 + e^{z_{kn} -"
    r" z_{ip}}),"
    r" \quad M = \{ (k, n) : n \in N_k \}",
    family="softmax row",
)
def MW(*, temperature: float = 0.01, hard: Literal["all", "private"] = "all") -> Form:
    """Each positive against the negatives of all rows, one by one: a bound on 1 minus the area under the ROC curve.

    Scores become comparable across anchors: unlike in InfoNCE, a constant added to a row changes the loss. The mean
    over the pairs is taken, not the paper's sum, so that the size of a step does not depend on the size of the batch.

    Args:
        temperature: divides the similarities; above 0.
        hard: whose hard negatives a row brings in: those of ``all`` rows, or its own (``private``).
    """
    return Composition(
        criterion=AllRows(),
        masks=() if hard == "all" else (KeepNegatives(which="private"),),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="Improved Deep Metric Learning with Multi-class N-pair Loss Objective (NIPS 2016)",
    equation=_ROW + r" + \lambda \, \frac{\|x_i\|^2 + \|c_p\|^2}{2}, \quad z_{ij} = x_i \cdot c_j",
    family="softmax row",
)
def NPair(*, norm_penalty: float = 0.002) -> Form:
    """InfoNCE on dot products without a temperature, and a price on the length of the vectors.

    Without the price lengths grow without bound.

    Args:
        norm_penalty: times the mean of the squared norms of a pair; 0 for none.
    """
    row = Composition(criterion=Softmax(), similarity="dot")
    if norm_penalty == 0:
        return row
    norms = Composition(criterion=SquaredNorm(), similarity="dot")
    return Sum(terms=(row, norms), weights=(1.0, norm_penalty))


@entry(
    paper="Sample4Geo: Hard Negative Sampling For Cross-View Geo-Localisation",
    arxiv="2303.11851",
    equation=r"\tfrac12 \ell^{\text{row}}_i + \tfrac12 \ell^{\text{column}}_i, \quad \ell_{ip} = \log D_{ip} - (1 -"
    r" \epsilon)"
    r" z_{ip} - \epsilon \, \overline{z}",
    family="softmax row",
)
def Sample4Geo(
    *,
    temperature: float = 0.07,
    label_smoothing: float = 0.1,
    directions: Literal["query_to_document", "symmetric"] = "symmetric",
) -> Form:
    """Symmetric InfoNCE with label smoothing and a trained temperature without a practical lower bound.

    The loss cannot fall below the entropy of the smoothed target. Smoothing pulls hard negatives as well as others.

    Args:
        temperature: where it starts; above 0.
        label_smoothing: share of the target that goes to the positive and all negatives alike, from 0 to 1.
        directions: as for InfoNCE.
    """
    learned = LearnedTemperature(initial=temperature, minimum=min(temperature, 1e-4))
    return Composition(criterion=contrast(directions, smoothing=label_smoothing), logits=(learned,))
