"""The softmax-row family: log-ratios of a positive against a denominator."""

from typing import Literal

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.criteria.softmax import Block, Softmax
from nearfar.objectives.form import Composition, Form
from nearfar.objectives.logits.temperature import LearnedTemperature, Temperature
from nearfar.objectives.registry import entry

__all__ = ["CLIP", "DCL", "GTE", "DecoupledSoftmax", "InfoNCE", "NTXent", "SupCon"]

Directions = Literal["query_to_document", "symmetric", "gte"]

_ROW = r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \left( -z_{ip} + \log D_{ip} \right)"


def contrast(directions: Directions, *, twice: bool = True) -> Softmax:
    """The softmax criterion over the blocks that ``directions`` names."""
    blocks: dict[str, tuple[Block, ...]] = {
        "query_to_document": ("row",),
        "symmetric": ("row", "column"),
        "gte": ("row", "column", "anchors", "candidates"),
    }
    partition: Literal["joint", "separate"] = "separate" if directions == "symmetric" else "joint"
    return Softmax(blocks=blocks[directions], partition=partition, twice=twice)


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
    row without negatives has loss 0 (log 2 for ``gte``).

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
def GTE(*, temperature: float = 0.01, twice: bool = True) -> Form:
    """InfoNCE with four blocks in one denominator: both directions, and each side among itself.

    With the pair counted twice, as in the paper, the loss cannot fall below log 2.

    Args:
        temperature: divides the similarities; above 0.
        twice: the pair is counted in its row and again in its column.
    """
    return Composition(criterion=contrast("gte", twice=twice), logits=(Temperature(temperature=temperature),))


@entry(
    paper="Supervised Contrastive Learning",
    arxiv="2004.11362",
    equation=_ROW + r", \quad D_i = \sum_{j \in V_i} e^{z_{ij}}",
    family="softmax row",
)
def SupCon(*, temperature: float = 0.1, form: Literal["out", "in"] = "out") -> Form:
    """NT-Xent with several positives, all of which are in the denominator.

    Texts of one side that share a positive are positives too. The loss of a row cannot fall below the log of its number
    of positives, so that values are not comparable across class balances.

    Args:
        temperature: divides the similarities; above 0.
        form: ``out`` averages over positives outside of the log, ``in`` inside.
    """
    return Composition(
        criterion=Softmax(others=True, inside="mean" if form == "in" else "none"),
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
