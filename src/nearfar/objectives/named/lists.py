"""List-wise objectives: permutation likelihoods, soft ranks, soft sorting, soft targets."""

from typing import Literal

from nearfar.objectives.candidates.same_side import SameSideNegatives
from nearfar.objectives.criteria.histogram import HistogramPrecision
from nearfar.objectives.criteria.one_list import OneList
from nearfar.objectives.criteria.plackett_luce import (
    PlackettLuceDistillation,
    PlackettLuceLikelihood,
    PreferenceRanking,
)
from nearfar.objectives.criteria.rows import Unjudged
from nearfar.objectives.criteria.soft_rank import SoftRank
from nearfar.objectives.criteria.soft_targets import Grades, Ranks, SoftTargets, TeacherScores
from nearfar.objectives.criteria.sorting import SoftSort
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.named.softmax import InfoNCE
from nearfar.objectives.part import Criterion
from nearfar.objectives.registry import entry

__all__ = [
    "LGANNA",
    "ApproxNDCG",
    "FastAP",
    "GroCo",
    "ListKL",
    "ListNet",
    "PlackettLuce",
    "RankKL",
    "SmoothAP",
    "UniMEV2",
]

Product = Literal["cosine", "dot"]


@entry(
    paper="Listwise Approach to Learning to Rank (ICML 2008); PLD: A Choice-Theoretic List-Wise Knowledge Distillation"
    " (2506.12542); Preference Ranking Optimization",
    arxiv="2506.12542",
    equation=r"\ell_i = \sum_k w_k \Big( -z_{ik} + \log \Big( e^{z_{ik}}"
    r" + \sum_{y_{ij} < y_{ik}} e^{z_{ij}} \Big) \Big)",
    family="list-wise",
)
def PlackettLuce(
    *,
    kind: Literal["list_mle", "pld", "pro"] = "list_mle",
    temperature: float = 0.05,
    teacher_temperature: float = 1.0,
    discount: Literal["none", "log", "exponential"] = "none",
    lists: Literal["rows", "batch"] = "rows",
    similarity: Product = "cosine",
) -> Form:
    """The likelihood of an order: each candidate against those that should come after it.

    Equal grades do not compete, so that unjudged candidates, which have grade 0, cost nothing among themselves. The sum
    is not divided by the length of the list.

    Args:
        kind: ``list_mle`` takes the order from the grades; ``pld`` has the positive first and the rest, as far as it
            was judged, in the order of a teacher, whose softmax gives the weights; ``pro`` multiplies logits by the
            differences in grade, as CoDiEmb does, and notices a constant that is added to a row.
        temperature: divides the similarities; above 0. The papers have logits, for which it is 1.
        teacher_temperature: divides the teacher's scores in the weights of ``pld``; above 0.
        discount: weight of rank r among n for ``list_mle``: ``log`` 1 / log2(1 + r), ``exponential`` 2^(n - r) - 1
            (p-ListMLE), which is huge for lists of more than 50.
        lists: ``rows``, or ``batch`` for all judged pairs of the batch as one list.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    kinds: dict[str, Criterion] = {
        "list_mle": PlackettLuceLikelihood(discount=discount),
        "pld": PlackettLuceDistillation(teacher_temperature=teacher_temperature),
        "pro": PreferenceRanking(),
    }
    criterion = kinds[kind] if lists == "rows" else OneList(of=kinds[kind])
    return Composition(criterion=criterion, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval",
    arxiv="2007.12163",
    equation=r"\ell_i = 1 - \frac{1}{|P_i|} \sum_{p \in P_i} \frac{1 + \sum_{p' \in P_i} \sigma(z_{ip'} - z_{ip})}"
    r"{1 + \sum_{j \in V_i} \sigma(z_{ij} - z_{ip})}, \quad p' \neq p, \; j \neq p",
    family="list-wise",
)
def SmoothAP(*, temperature: float = 0.01, similarity: Product = "cosine") -> Form:
    """1 minus average precision, with ranks counted by a sigmoid.

    Gradients vanish where candidates are many temperatures apart: it refines a model that ranks already. The public
    versions count the query itself as a positive at rank 1 and want groups of equal size; this one does not.

    Args:
        temperature: divides differences of similarities; above 0. Towards 0 the loss becomes 1 minus average precision.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    return Composition(criterion=SoftRank(), similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="A general approximation framework for direct optimization of information retrieval measures (2010)",
    equation=r"\ell_i = 1 - \frac{1}{\text{IDCG}_i} \sum_j \frac{2^{y_{ij}} - 1}{\log_2 (1 + r_{ij})},"
    r" \quad r_{ij} = 1 + \sum_{k \neq j} \sigma(z_{ik} - z_{ij})",
    family="list-wise",
)
def ApproxNDCG(*, temperature: float = 0.01, similarity: Product = "cosine") -> Form:
    """1 minus nDCG, with ranks counted by a sigmoid and gain 2^grade - 1. Unjudged candidates have grade 0.

    Args:
        temperature: divides differences of similarities; above 0. Towards 0 the loss becomes 1 minus nDCG.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    criterion = SoftRank(measure="ndcg")
    return Composition(criterion=criterion, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="Deep Metric Learning to Rank (CVPR 2019)",
    equation=r"\ell_i = 1 - \frac{1}{|P_i|} \sum_l \frac{h^+_l H^+_l}{H_l},"
    r" \quad h \text{ soft counts of } 2 - 2 s_{ij} \text{ in bins, } H \text{ cumulated}",
    family="list-wise",
)
def FastAP(*, bins: int = 10) -> Form:
    """1 minus average precision from histograms of squared distances; cheaper than comparing all pairs.

    Two candidates in one bin are not told apart.

    Args:
        bins: number of bins between squared distances of 0 and 4.
    """
    return Composition(criterion=HistogramPrecision(bins=bins))


@entry(
    paper="Learning by Sorting: Self-supervised Learning with Group Ordering Constraints",
    arxiv="2301.02009",
    equation=r"\ell_i = \operatorname*{mean}_k \operatorname{BCE} \Big( \sum_{j > n - |P_i|} X_{kj}, [k \in P_i] \Big),"
    r" \quad X \text{ of an odd-even network with swaps by } \tfrac1\pi \arctan (z_b - z_a) + \tfrac12",
    family="list-wise",
)
def GroCo(*, negatives: int = 10, temperature: float = 1.0, freeze_columns: bool = True) -> Form:
    """Positives come out last of a differentiable sorting network, into which the hardest negatives go with them.

    Both sides are rows, with positives on the other side and negatives on their own. Cosines at temperature 1 are all
    near one another for the network, so that gradients are small, as in the paper.

    Args:
        negatives: how many of the highest negatives of a row go in.
        temperature: divides the similarities, the inverse of the paper's steepness; above 0.
        freeze_columns: only the row is moved, not what it is compared with.
    """
    return Composition(
        criterion=SoftSort(negatives=negatives),
        candidates=SameSideNegatives(frozen=freeze_columns),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="Distilling the Knowledge in a Neural Network, over a list of candidates",
    equation=r"\ell_i = \operatorname{KL} \big( \operatorname{softmax}(T_i / t) \,\|\, \operatorname{softmax}(s_i /"
    r" \tau) \big)",
    family="list-wise",
)
def ListKL(
    *,
    temperature: float = 0.05,
    teacher_temperature: float = 1.0,
    symmetric: bool = False,
    similarity: Product = "cosine",
) -> Form:
    """The softmax of a row like that of a teacher, over the candidates that were judged.

    A row needs two judged candidates, and no positive. A pair without a score is given as a value that is not finite,
    and left out. The loss is not multiplied by the square of the temperature. Teachers whose scores are close to one
    another want a teacher temperature far below 1.

    Args:
        temperature: divides the similarities; above 0.
        teacher_temperature: divides the teacher's scores; above 0.
        symmetric: the mean of both directions of the divergence, instead of that from teacher to student.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    criterion = SoftTargets(
        target=TeacherScores(temperature=teacher_temperature), measure="symmetric" if symmetric else "divergence"
    )
    return Composition(criterion=criterion, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="UniME-V2: MLLM-as-a-Judge for Universal Multimodal Embedding Learning",
    arxiv="2510.13515",
    equation=r"\ell_i = \tfrac12 \operatorname{KL}(P_i \| Q_i) + \tfrac12 \operatorname{KL}(Q_i \| P_i),"
    r" \quad P_i = \operatorname{softmax}(T_i / \tau), \; Q_i = \operatorname{softmax}(s_i / \tau)",
    family="list-wise",
)
def UniMEV2(*, temperature: float = 0.02) -> Form:
    """Symmetric divergence from the scores of a judge, over a positive and its hard negatives.

    The judge's score is a probability of yes. Candidates that were not judged, such as those of other rows, are left
    out.

    Args:
        temperature: divides similarities and scores alike; above 0.
    """
    return ListKL.build(temperature=temperature, teacher_temperature=temperature, symmetric=True)


@entry(
    paper="LG-ANNA-Embedding",
    arxiv="2506.07438",
    equation=r"L = L_{\text{InfoNCE}} + w \operatorname{KL} \big( \operatorname{softmax}(T_i / t) \,\|\,"
    r" \operatorname{softmax}(s_i / \tau) \big)",
    family="list-wise",
    verified=False,
)
def LGANNA(*, temperature: float = 0.05, teacher_temperature: float = 1.0, distillation_weight: float = 0.2) -> Form:
    """InfoNCE and the divergence from a teacher's softmax over the judged candidates, added up.

    A RECONSTRUCTION: the paper does not give its soft-label loss. Each term is a mean over the rows that it needs.

    Args:
        temperature: divides the similarities; above 0.
        teacher_temperature: divides the teacher's scores; above 0.
        distillation_weight: weight of the divergence.
    """
    soft = ListKL.build(temperature=temperature, teacher_temperature=teacher_temperature)
    return Sum(terms=(InfoNCE.build(temperature=temperature), soft), weights=(1.0, distillation_weight))


@entry(
    paper="Learning to Rank: From Pairwise Approach to Listwise Approach (ICML 2007)",
    equation=r"\ell_i = -\sum_j \operatorname{softmax}(y_i / t)_j \log \operatorname{softmax}(s_i / \tau)_j",
    family="list-wise",
)
def ListNet(*, temperature: float = 1.0, label_temperature: float = 1.0, similarity: Product = "cosine") -> Form:
    """Cross-entropy between the softmax of grades and that of similarities. Unjudged candidates have grade 0.

    It cannot fall below the entropy of the targets. Grades of 0 and 1 give nearly flat targets at a label temperature
    of 1.

    Args:
        temperature: divides the similarities; above 0. Cosines want less than 1.
        label_temperature: divides the grades; above 0.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    criterion = SoftTargets(target=Grades(temperature=label_temperature), measure="cross_entropy")
    return Composition(criterion=criterion, similarity=similarity, logits=(Temperature(temperature=temperature),))


@entry(
    paper="CoDiEmb: A Collaborative yet Distinct Framework for Unified Representation Learning in Information Retrieval"
    " and Semantic Textual Similarity",
    arxiv="2508.11442",
    equation=r"L = \tfrac1n \operatorname{KL} \Big( \operatorname{softmax} \Big( \tfrac{n - 1 - r}{(n - 1) t} \Big)"
    r" \,\Big\|\, \operatorname{softmax}(s / \tau) \Big), \quad r \text{ the rank of the grade, from } 0",
    family="list-wise",
)
def RankKL(*, temperature: float = 0.05, target_temperature: float = 0.05, unjudged: Unjudged = "ignored") -> Form:
    """The softmax over all judged pairs of a batch like that of the ranks of their grades.

    Equal grades take their average rank. Divided by the number of pairs, so that its weight beside other objectives
    falls with the batch size. 0 when all grades are equal.

    Args:
        temperature: divides the similarities; above 0.
        target_temperature: divides the ranks, which go from 1 for the best to 0 for the worst; above 0.
        unjudged: whether a pair that nobody judged is a ``negative`` of grade 0 or ``ignored``.
    """
    target = SoftTargets(target=Ranks(temperature=target_temperature), per_item=True)
    criterion = OneList(of=target, unjudged=unjudged)
    return Composition(criterion=criterion, logits=(Temperature(temperature=temperature),))
