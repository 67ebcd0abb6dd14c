"""Synthesis: objectives whose negatives, or positives, are made from candidates."""

from typing import Literal

from nearfar.objectives.candidates.labelled import LabelledSides
from nearfar.objectives.criteria.mixed_pairs import ContrastiveHost, MixedPairs, MultiSimilarityHost
from nearfar.objectives.criteria.outer import FocalPower
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.logits.extrapolation import ExtrapolatePositives
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.named.queues import ROW, Keys, queued, seen_by
from nearfar.objectives.registry import entry
from nearfar.objectives.synthesis.interpolate import InterpolateNegatives
from nearfar.objectives.synthesis.labels import MixAroundLabels, MixTowardsLabels
from nearfar.objectives.synthesis.mix import Mix, MixList
from nearfar.objectives.synthesis.perturb import Perturb
from nearfar.objectives.weights.label_gap import LabelGap

__all__ = [
    "Adversarial",
    "HardMix",
    "Metrix",
    "MoCHi",
    "NegativeInterpolation",
    "PositiveExtrapolation",
    "SupReMix",
]


@entry(
    paper="Hard Negative Mixing for Contrastive Learning",
    arxiv="2010.01028",
    equation=ROW + r" + \sum_{m \in M_i} e^{z_{im}} \Big), \quad m \propto a\, n_j + (1 - a)\, n_k"
    r" \text{ or } b\, x_i + (1 - b)\, n_j",
    family="synthesis",
)
def MoCHi(
    *,
    temperature: float = 0.07,
    hardest: int = 64,
    mixed: int = 32,
    mixed_with_query: int = 8,
    warm_up: int = 0,
    queue: int = 0,
    keys: Keys = "given",
    seed: int = 0,
) -> Form:
    """InfoNCE with mixtures of each anchor's hardest negatives, and of them with the anchor, as further negatives.

    Mixtures carry no gradient and are seen by the row that made them alone. The hardest negatives are where false ones
    are: use it on clean data or with a guide. Mixtures with the query are much harder than any real negative.

    Args:
        temperature: divides the similarities; above 0.
        hardest: how many negatives of each anchor are drawn from.
        mixed: mixtures of two negatives for each anchor.
        mixed_with_query: mixtures of a negative with the anchor, whose share is at most a half.
        warm_up: calls in training mode before the first mixture.
        queue: how many candidates of earlier calls are negatives too; 0 for none.
        keys: ``guide`` compares with the guide's vectors of the candidates, such as those of a moving average of the
            encoder, as the paper does; ``given`` with the candidates as they are given, and trains them too.
        seed: of the draws.
    """
    pairs = Mix(hardest=hardest, count=mixed, warm_up=warm_up, seed=seed)
    query = Mix(first="anchor", hardest=hardest, count=mixed_with_query, ceiling=0.5, warm_up=warm_up, seed=seed + 1)
    return Composition(
        criterion=Softmax(),
        candidates=seen_by(keys),
        synthesis=(*queued(queue), pairs, query),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="KaLM-Embedding-V2: Superior Training Techniques and Data Inspire A Versatile Embedding Model",
    arxiv="2506.20923",
    equation=r"\ell_i = -(1 - q_{ip})^\gamma \log q_{ip}, \quad q_{ip} = e^{z_{ip}} / \Big( e^{z_{ip}}"
    r" + \sum_{n \in N_i} e^{z_{in}} + \sum_{m \in M_i} e^{z_{im}} \Big)",
    family="synthesis",
    verified=False,
)
def HardMix(
    *,
    temperature: float = 0.05,
    list_temperature: float = 0.05,
    gamma: float = 0.0,
    count: int = 7,
    detach: bool = False,
    seed: int = 0,
) -> Form:
    """InfoNCE with mixtures of each anchor's own hard negatives: pairs of them, and all of them weighted by similarity.

    A reconstruction: the authors' code for mixing is not public. An anchor with one hard negative makes no pairs, one
    without any makes nothing; everybody's hard negatives stay in the denominator.

    Args:
        temperature: divides the similarities; above 0.
        list_temperature: of the weights in the mixture of all; below 0.05 little but the hardest is left.
        gamma: of a focal weight ``(1 - q) ** gamma``; the paper's recipe has 0.5 with it.
        count: mixtures of two for each anchor.
        detach: no gradient flows through the mixtures.
        seed: of the draws.
    """
    pairs = Mix(pool="own", count=count, concentration=(2.0, 2.0), detach=detach, seed=seed)
    return Composition(
        criterion=Softmax(outer=FocalPower(gamma=gamma)),
        synthesis=(pairs, MixList(temperature=list_temperature, detach=detach)),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="It Takes Two to Tango: Mixup for Deep Metric Learning",
    arxiv="2106.04990",
    equation=r"\ell_i = h_i(C) + w\, h_i(M), \quad h_i(V) = \sigma_+\Big( \sum_{v \in V} y_v \rho_+(s_{iv}) \Big)"
    r" + \sigma_-\Big( \sum_{v \in V} (1 - y_v) \rho_-(s_{iv}) \Big)",
    family="synthesis",
    verified=False,
)
def Metrix(
    *,
    host: Literal["contrastive", "multi_similarity"] = "contrastive",
    partner: Literal["positive", "anchor", "either"] = "either",
    weight: float = 0.4,
    margin: float = 0.5,
    alpha: float = 2.0,
    beta: float = 40.0,
    base: float = 0.5,
    count: int = 8,
    renormalise: bool = True,
    seed: int = 0,
) -> Form:
    """A pair loss, and once more over mixtures of positives (or the anchor) with hard negatives under mixed labels.

    The general form is a reconstruction from memory of the paper; the contrastive host is that of the authors' code,
    but for the length of the mixtures. One mixing coefficient a call. Sums, not means, over pairs: the loss grows
    with the batch, and with the contrastive host it can fall below 0.

    Args:
        host: the pair loss.
        partner: what negatives are mixed with: a ``positive``, the ``anchor``, or one of the two for each call.
        weight: of the mixtures; the authors use 0.4, and 0.3 for mixtures with the anchor.
        margin: similarity below which a negative has no loss, for the contrastive host.
        alpha: steepness of the positives, for the multi-similarity host.
        beta: steepness of the negatives, for the multi-similarity host.
        base: threshold of the similarities, for the multi-similarity host.
        count: mixtures for each anchor.
        renormalise: bring mixtures back to length 1; the authors' code does not.
        seed: of the draws.
    """
    hosts = {
        "contrastive": ContrastiveHost(margin=margin),
        "multi_similarity": MultiSimilarityHost(alpha=alpha, beta=beta, base=base),
    }
    mixed = Mix(first=partner, count=count, concentration=(2.0, 2.0), shared=True, renormalise=renormalise, seed=seed)
    return Composition(criterion=MixedPairs(host=hosts[host], weight=weight), synthesis=(mixed,))


@entry(
    paper="Improving Contrastive Learning by Visualizing Feature Transformation",
    arxiv="2108.02982",
    equation=r"-z'_{ip} + \log \Big( e^{z'_{ip}} + \sum_{n \in N_i} e^{z_{in}} \Big), \quad"
    r" s' = \cos(u x + (1 - u) c,\ u c + (1 - u) x)",
    family="synthesis",
)
def PositiveExtrapolation(
    *, temperature: float = 0.07, renormalise: bool = True, queue: int = 0, keys: Keys = "given", seed: int = 0
) -> Form:
    """InfoNCE whose positives are made harder: anchor and positive are pushed apart before they are compared.

    The coefficient u is 1 plus a draw from Beta(2, 2) for each anchor. Negatives are compared with the anchor as it is,
    which the paper's text says and the authors' code does not.

    Args:
        temperature: divides the similarities; above 0.
        renormalise: keep the cosine within -1 and 1; the authors' command does not.
        queue: how many candidates of earlier calls are negatives too; 0 for none.
        keys: ``guide`` compares with the guide's vectors of the candidates, such as those of a moving average of the
            encoder, as the paper does; ``given`` with the candidates as they are given, and trains them too.
        seed: of the draws.
    """
    harder = ExtrapolatePositives(renormalise=renormalise, seed=seed)
    return Composition(
        criterion=Softmax(),
        candidates=seen_by(keys),
        synthesis=queued(queue),
        logits=(harder, Temperature(temperature=temperature)),
    )


@entry(
    paper="Improving Contrastive Learning by Visualizing Feature Transformation",
    arxiv="2108.02982",
    equation=r"\ell_i = -z_{ip} + \log \Big( e^{z_{ip}} + \sum_{j} e^{z(x_i, c'_j)} \Big),"
    r" \quad c'_j \propto a\, c_j + (1 - a)\, c_{\pi(j)}",
    family="synthesis",
)
def NegativeInterpolation(
    *,
    temperature: float = 0.07,
    renormalise: bool = True,
    replace: bool = True,
    queue: int = 0,
    keys: Keys = "given",
    seed: int = 0,
) -> Form:
    """InfoNCE whose negatives are mixtures of two candidates, or of two entries of a queue.

    A mixture is a negative of an anchor only where both of its components are. The coefficient is one draw from
    Beta(1.6, 1.6) a call; mixtures carry no gradient and never enter the queue.

    Args:
        temperature: divides the similarities; above 0.
        renormalise: bring mixtures back to length 1; the authors' command does not.
        replace: the mixtures take the place of the negatives; otherwise they come beside them.
        queue: how many candidates of earlier calls are mixed too; 0 for none.
        keys: ``guide`` compares with the guide's vectors of the candidates, such as those of a moving average of the
            encoder, as the paper does; ``given`` with the candidates as they are given, and trains them too.
        seed: of the draws.
    """
    mixed = InterpolateNegatives(replace=replace, renormalise=renormalise, seed=seed)
    return Composition(
        criterion=Softmax(),
        candidates=seen_by(keys),
        synthesis=(*queued(queue), mixed),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="Contrastive Learning with Adversarial Perturbations for Conditional Text Generation",
    arxiv="2012.07280",
    equation=r"\tfrac12 \ell(x, c_p, N \cup N') + \tfrac12 \ell(x, c_p', N \cup N'), \quad"
    r" d' \propto d \pm \epsilon\, (x - s\, d)",
    family="synthesis",
    verified=False,
)
def Adversarial(*, temperature: float = 0.1, epsilon: float = 0.1, unit_gradient: bool = False, count: int = 8) -> Form:
    """InfoNCE with negatives that are moved towards the anchor, half of the time with positives moved away from it.

    A reconstruction: the analogue for embeddings of a method for text generation, CLAPS. Moved vectors carry
    no gradient; those of an anchor are seen by it alone.

    Args:
        temperature: divides the similarities; above 0.
        epsilon: how far vectors are moved along the slope of the cosine; 0.05 to 0.3.
        unit_gradient: make the slope a unit vector.
        count: how many of the hardest negatives of an anchor are moved.
    """
    harder = Perturb(epsilon=epsilon, unit_gradient=unit_gradient, count=count)
    further = Perturb(of="positives", epsilon=epsilon, unit_gradient=unit_gradient)
    return Sum(
        terms=tuple(
            Composition(criterion=Softmax(), synthesis=made, logits=(Temperature(temperature=temperature),))
            for made in ((harder,), (harder, further))
        ),
        weights=(0.5, 0.5),
    )


@entry(
    paper="Mixup Your Own Pairs: Supervised Contrastive Learning for Regression",
    arxiv="2309.16633",
    equation=r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \Big( -z_{ip}"
    r" + \log \sum_{j \in V_i \cup M_i} (|y_i - y_j| + 1)\, e^{z_{ij}} \Big)",
    family="synthesis",
)
def SupReMix(
    *,
    temperature: float = 0.3,
    window: float = 5.0,
    weighting: Literal["growing", "shrinking", "none"] = "growing",
    negatives: int = 8,
    positives: int = 8,
    renormalise: bool = True,
    seed: int = 0,
) -> Form:
    """SupCon for labels that are numbers, with mixtures: negatives towards other labels, positives around the own one.

    Rows are both sides; a candidate has the label of its first anchor. Texts are positives of one another when their
    labels are exactly equal. Real and mixed columns share one log-sum, which the published code does not keep to.

    Args:
        temperature: divides the similarities; above 0.
        window: a positive is mixed from labels that are nearer than this.
        weighting: of a negative in the denominator, by the distance d of labels: d + 1, 1 / (d + 1), or none.
        negatives: mixtures of each text with texts of other labels.
        positives: mixtures of lower and higher labels for each text.
        renormalise: bring mixtures back to length 1; the authors' code does not.
        seed: of the draws.
    """
    towards = MixTowardsLabels(count=negatives, renormalise=renormalise, seed=seed)
    around = MixAroundLabels(count=positives, window=window, renormalise=renormalise, seed=seed + 1)
    return Composition(
        criterion=Softmax(others=True),
        candidates=LabelledSides(),
        synthesis=(towards, around),
        logits=(Temperature(temperature=temperature),),
        weights=(LabelGap(weighting=weighting),),
    )
