"""Objectives that judge each pair on its own, as positive or as negative."""

from typing import Literal

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.criteria.noisy import NoisyLabels
from nearfar.objectives.criteria.opposite import Opposite
from nearfar.objectives.criteria.pointwise import Pointwise
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.against import AgainstGuide
from nearfar.objectives.logits.kernel import StudentKernel
from nearfar.objectives.logits.shift import Shift
from nearfar.objectives.logits.temperature import LearnedTemperature, Temperature
from nearfar.objectives.named.classes import Similarity, inverse
from nearfar.objectives.registry import entry
from nearfar.objectives.weights.hardness import Hardness
from nearfar.objectives.weights.kernel_targets import KernelTargets

__all__ = ["CLIPN", "SFT", "NoisyLabel", "SelfAdversarial", "SigLIP", "SoftContrast"]


@entry(
    paper="Sigmoid Loss for Language Image Pre-Training",
    arxiv="2303.15343",
    equation=r"\ell_i = \sum_{j \in V_i} \log \big( 1 + e^{-y_{ij} z_{ij}} \big), \quad z = s / \tau + b"
    r" \text{ with } \tau, b \text{ trained}",
    family="pointwise",
)
def SigLIP(*, temperature: float = 0.1, bias: float = -10.0, minimum: float = 0.001) -> Form:
    """Every pair is judged on its own, with a trained temperature and a trained bias against the many negatives.

    A row is a sum over its columns, so the loss grows with the batch. Without the bias it starts at log 2 for each
    negative and wastes a large first step on them. Rows without a positive are left out, as everywhere.

    Args:
        temperature: where it starts; above 0.
        bias: where it starts.
        minimum: the temperature does not fall below.
    """
    learned = LearnedTemperature(initial=temperature, minimum=minimum, bias=bias)
    return Composition(criterion=Pointwise(), logits=(learned,))


@entry(
    paper="CLIPN for Zero-Shot OOD Detection: Teaching CLIP to Say No",
    arxiv="2308.12213",
    equation=r"\tfrac12 \Big( -\operatorname{mean}_{P} \log p_{ij} - \operatorname{mean}_{N} \log (1 - p_{ij}) +"
    r" \operatorname{mean}_j (2 - \lVert d_j - \bar d_j \rVert) \Big), \quad p_{ij} = \sigma \Big( \frac{x_i \cdot d_j"
    r" - x_i \cdot \bar d_j}{\tau} \Big)",
    family="pointwise",
)
def CLIPN(*, temperature: float = 0.01) -> Form:
    """Each candidate has a text that says no, given as its guide: a pair is positive by which of the two is nearer.

    The no texts come as ``guide_candidates``, as wide as the vectors, and are pushed away from their candidates. Means
    are over all positive and all negative pairs of the batch. The authors train the no texts alone in this stage:
    whatever should stay as it is must come without gradient.

    Args:
        temperature: divides the cosines to both texts; above 0.
    """
    binary = Composition(
        criterion=Pointwise(reduction="sides", over="batch"),
        logits=(AgainstGuide(), Temperature(temperature=temperature)),
    )
    return Sum(terms=(binary, Composition(criterion=Opposite())), weights=(0.5, 0.5))


@entry(
    paper="Boosting Novel Category Discovery Over Domains with Soft Contrastive Learning and All in One Classifier",
    arxiv="2211.11262",
    equation=r"\ell_i = \frac{1}{2B} \sum_{j \neq i} \mathrm{BCE}(Q_{ij}, P_{ij}), \quad Q = \kappa(\lVert e_i - e_j"
    r" \rVert^2), \; P = \kappa'(\lVert h_i - h_j \rVert^2)",
    family="pointwise",
)
def SoftContrast(
    *,
    input_freedom: float = 100.0,
    input_sigma: float = 10.0,
    output_freedom: float = 10.0,
    output_sigma: float = 1.0,
) -> Form:
    """Pairs of both views are as positive as their features in another encoder are near, by a heavy-tailed kernel.

    Neither vectors nor guide are normalised, so their scale counts against sigma. The features of the other encoder
    come as guide; positives count as if they lay far closer than any other two. The kernel stays below 1, so that the
    loss does not reach 0. The authors add a tenth of it to a classification loss.

    Args:
        input_freedom: degrees of freedom of the kernel of the guide; above 0.
        input_sigma: unit of its squared distances; above 0.
        output_freedom: degrees of freedom of the kernel of the vectors; above 0.
        output_sigma: unit of their squared distances; above 0.
    """
    return Composition(
        criterion=Pointwise(reduction="columns", targets="grades"),
        candidates=BothSides(),
        similarity="euclidean",
        logits=(StudentKernel(freedom=output_freedom, sigma=output_sigma),),
        weights=(KernelTargets(freedom=input_freedom, sigma=input_sigma),),
    )


@entry(
    paper="RotatE: Knowledge Graph Embedding by Relational Rotation in Complex Space",
    arxiv="1902.10197",
    equation=r"\ell_i = \tfrac12 \Big( -\operatorname{mean}_{p} \log \sigma(\gamma + s_{ip}) - \sum_n w_{in}"
    r" \log \sigma(-\gamma - s_{in}) \Big), \quad w_{in} = \operatorname{softmax}_n (s_{in} / \tau)",
    family="pointwise",
)
def SelfAdversarial(
    *, gamma: float = 12.0, temperature: float = 1.0, similarity: Literal["euclidean", "cosine", "dot"] = "euclidean"
) -> Form:
    """Binary cross-entropy of distances against a boundary, with hard negatives weighing more, without gradient.

    The similarity is minus the distance and does not contain gamma. Rows need a positive and a negative.

    Args:
        gamma: the distance at which a pair is as likely true as not; 6 to 24 in the literature, below 1 for cosines.
        temperature: of the weights of negatives; above 0. A high one makes them equal; 1 over the usual alpha.
        similarity: ``euclidean`` is minus the distance of the vectors as they are.
    """
    return Composition(
        criterion=Pointwise(reduction="sides", positive_weight=0.5, negative_weight=0.5),
        similarity=similarity,
        logits=(Shift(by=gamma),),
        weights=(Hardness(strength=inverse("temperature", temperature), of="logit", normalised=True),),
    )


@entry(
    paper="Sampler Design for Implicit Feedback Data by Noisy-label Robust Learning (SIGIR 2020)",
    arxiv="2007.07204",
    equation=r"\ell_i = -\sum_p \log \sigma(z_{ip}) (1 - g_{ip}) - \sum_n \log \big( \sigma(-z_{in}) + g_{in}"
    r" \sigma(z_{in}) \big), \quad g = \sigma(\rho)",
    family="pointwise",
)
def NoisyLabel(
    *,
    form: Literal["surrogate", "likelihood"] = "surrogate",
    flips: Literal["trained", "given"] = "trained",
    temperature: float = 1.0,
    similarity: Similarity = "dot",
) -> Form:
    """Negatives may be positives that nobody marked, with a probability for each pair that is learned as well.

    The equation is the likelihood. The surrogate, which the authors use, stops gradients in all factors: it is the
    gradient of no function, so that its value says nothing about progress. Flip logits need weight decay, or
    everything is called flipped. A row is a sum over its columns: sample few negatives.

    Args:
        form: ``surrogate`` or ``likelihood``.
        flips: ``trained``: the flip logit is a product of small projections of the vectors, which send no gradient into
            them; ``given``: it comes as ``teacher``.
        temperature: divides the scores; above 0.
        similarity: ``dot`` takes the vectors as they are, ``cosine`` normalises both sides.
    """
    return Composition(
        criterion=NoisyLabels(form=form, flips=flips),
        similarity=similarity,
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="Supervised Fine-Tuning or Contrastive Learning? Towards Better Multimodal LLM Reranking",
    arxiv="2510.14824",
    equation=r"\ell_i = \sum_{j \in V_i} \mathrm{BCE}(z_{ij}, y_{ij}) \quad \text{or} \quad -\operatorname{mean}_p \log"
    r" \operatorname{softmax}(z_i)_p",
    family="pointwise",
    verified=False,
)
def SFT(
    *,
    weighting: Literal["sigmoid", "softmax"] = "sigmoid",
    temperature: float = 1.0,
    similarity: Similarity = "dot",
) -> Form:
    """A reranker's yes or no for each candidate, or one softmax over them: the same directions, other weights.

    The gradient of a score is a weight times the direction of its label. With ``sigmoid`` the weight is how wrong the
    pair is by itself, with ``softmax`` how wrong it is in its list, and a row's weights cancel. The first is a sum over
    the list, so the two are not of one size. A reconstruction: own derivation, the paper's notation was not seen.

    Args:
        weighting: where the weights come from.
        temperature: divides the scores; above 0.
        similarity: ``dot`` takes the vectors as they are, ``cosine`` normalises both sides.
    """
    return Composition(
        criterion=Pointwise() if weighting == "sigmoid" else Softmax(others=True),
        similarity=similarity,
        logits=(Temperature(temperature=temperature),),
    )
