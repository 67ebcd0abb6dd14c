"""Weights that are remembered, clustered, learned or given by a partner, and several heads."""

from nearfar.errors import ConfigError
from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.form import Composition, Form, Sum
from nearfar.objectives.heads import LinearHead, Projected
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.logits.temperature_by_pair import TemperatureByPair
from nearfar.objectives.part import Weight
from nearfar.objectives.registry import entry
from nearfar.objectives.weights.clusters import ClusterCounts
from nearfar.objectives.weights.history import LossHistory
from nearfar.objectives.weights.learned import PairNetworkWeight
from nearfar.objectives.weights.propensity import InversePropensity
from nearfar.objectives.weights.temperature_penalty import TemperaturePenalty

__all__ = ["BadPair", "ClusterWeight", "LearnedWeight", "MultiHead", "Propensity"]

_WEIGHTED = (
    r"\frac{1}{|P_i|} \sum_{p \in P_i} -z_{ip}"
    r" + \log \Big( e^{z_{ip}} + \sum_{n \in N_i} w_{in} e^{z_{in}} \Big)"
)


def _info_nce(temperature: float, weight: Weight) -> Form:
    return Composition(criterion=Softmax(), logits=(Temperature(temperature=temperature),), weights=(weight,))


@entry(
    paper="Towards Enhancing Time Series Contrastive Learning: A Dynamic Bad Pair Mining Approach",
    equation=r"w_i \ell_i, \quad w_i = e^{-(\ell_i - \mu)^2 / 2 \sigma^2} \text{ where } \bar\ell_i \le"
    r" \mu - b_n \sigma \text{ or } \bar\ell_i \ge \mu + b_f \sigma, \text{ else } 1",
    family="weights",
)
def BadPair(
    *,
    temperature: float = 0.2,
    noisy: float = 2.0,
    faulty: float = 2.0,
    warm_up: int = 50,
    density: bool = False,
    visits: int | None = None,
) -> Form:
    """NT-Xent in which pairs count less whose mean loss over the passes before stands out (DBPM).

    Until an example was visited ``warm_up`` times it is plain NT-Xent, so a run of few passes wants a low one. A batch
    of hard negatives raises the loss of its examples, which are then taken for faulty.

    Args:
        temperature: divides the similarities; above 0.
        noisy: so many deviations below the mean loss a pair is flagged as too easy.
        faulty: so many deviations above it, as wrong.
        warm_up: visits before an example can be flagged.
        density: weigh with the normal density itself, as the authors' code does; it can exceed 1.
        visits: visits of an example in the whole run, to weigh late ones more, as the authors' code does; none for
            plain means.
    """
    weight = LossHistory(noisy=noisy, faulty=faulty, warm_up=warm_up, density=density, visits=visits)
    return Composition(
        criterion=Softmax(),
        candidates=BothSides(),
        logits=(Temperature(temperature=temperature),),
        weights=(weight,),
    )


@entry(
    paper="Heterogeneous Graph Contrastive Learning with Meta-path Contexts and Adaptively Weighted Negative Samples",
    arxiv="2212.13847",
    equation=_WEIGHTED + r", \quad w_{in} \propto |\{r : k_r(i) \neq k_r(n)\}|",
    family="weights",
)
def ClusterWeight(
    *,
    temperature: float = 0.05,
    clusters: int = 8,
    runs: int = 10,
    steps: int = 10,
    normalised: bool = True,
    seed: int = 0,
) -> Form:
    """InfoNCE in which a negative weighs as many clusterings as hold it apart from the anchor (MEOW).

    Clusterings are made from each batch: of guide vectors where they are given, otherwise of the embeddings. The paper
    clusters the whole dataset, leaves the positive out of the denominator, and adds a contrast of prototypes.

    Args:
        temperature: divides the similarities; above 0.
        clusters: in each clustering.
        runs: number of clusterings.
        steps: of k-means in each of them.
        normalised: the negatives of a row have a mean weight of 1.
        seed: of the texts that k-means begins with.
    """
    return _info_nce(
        temperature, ClusterCounts(clusters=clusters, runs=runs, steps=steps, normalised=normalised, seed=seed)
    )


@entry(
    paper="Heterogeneous Graph Contrastive Learning with Meta-path Contexts and Adaptively Weighted Negative Samples",
    arxiv="2212.13847",
    equation=_WEIGHTED + r", \quad w_{in} \propto \sigma(v^\top \tanh(W (x_i + c_n) + b) + a)",
    family="weights",
)
def LearnedWeight(*, temperature: float = 0.05, hidden: int = 16, normalised: bool = True, seed: int = 0) -> Form:
    """InfoNCE in which a small network learns how much each negative weighs (AdaMEOW).

    The network lowers the loss, so it learns to weigh easy negatives. Without ``normalised``, as in the authors' code,
    all weights go to 0 and with them the loss.

    Args:
        temperature: divides the similarities; above 0.
        hidden: width of the network's hidden layer.
        normalised: the negatives of a row have a mean weight of 1.
        seed: where the network starts.
    """
    return _info_nce(temperature, PairNetworkWeight(hidden=hidden, normalised=normalised, seed=seed))


@entry(
    paper="Addressing Pooling Bias of Training Data for Dense Retrieval by Coupled Estimation Technique",
    arxiv="2209.05072",
    equation=r"w_i \ell_i, \quad w_i \propto \operatorname{mean}_{n} \min(1 + e^{x_{in} / t}, w_{max}), \quad"
    r" x \text{ the partner's logit of a judged negative}",
    family="weights",
)
def Propensity(
    *,
    temperature: float = 0.05,
    partner_temperature: float = 2.0,
    maximum: float | None = 5.0,
    normalised: bool = True,
) -> Form:
    """InfoNCE with rows weighted by how sure a partner model is of their judged negatives (CET).

    ``teacher`` holds the partner's logits. Two models that train each other this way can exchange their roles. Without
    bounds a logit of 20 is a weight of 22027.

    Args:
        temperature: divides the similarities; above 0.
        partner_temperature: divides the partner's logits; above 0.
        maximum: bound of the weight of a negative; none, with ``normalised=false``, as in the authors' code.
        normalised: weights have a mean of 1 over the rows that have judged negatives.
    """
    weight = InversePropensity(temperature=partner_temperature, maximum=maximum, normalised=normalised)
    return _info_nce(temperature, weight)


@entry(
    paper="Adaptive Multi-head Contrastive Learning",
    arxiv="2310.05615",
    equation=r"\sum_h \frac{1}{|P_i|} \sum_{p \in P_i} \Big( -\frac{s^h_{ip}}{\tau^h_{ip}} + \log D^h_{ip} \Big)"
    r" + \beta \operatorname{mean}_{h,j} \Big( \frac d2 \log \tau^h_{ij} + \frac{1}{\tau^h_{ij}} \Big)",
    family="softmax row",
    verified=False,
)
def MultiHead(
    *,
    heads: int = 3,
    temperature: float = 0.5,
    minimum: float = 1e-5,
    maximum: float = 2.0,
    beta: float = 0.1,
    hidden: int = 16,
    seed: int = 0,
) -> Form:
    """NT-Xent behind several trained heads, with a learned temperature for each pair of each head (AMCL).

    A reconstruction from the Gaussian likelihood that the paper starts from; its public code is another loss. Heads
    belong to the objective and are not part of the model. Watch the temperatures: they tend to a bound where ``beta``
    does not suit the width of the embeddings.

    Args:
        heads: how many; at most 64.
        temperature: about where temperatures start, between the bounds.
        minimum: bound of the temperatures; above 0.
        maximum: bound of the temperatures.
        beta: weight of what a temperature costs.
        hidden: width of the networks that give temperatures.
        seed: where heads and networks start.
    """
    if not 0 < heads <= 64:
        raise ConfigError(f"MultiHead: heads must be a whole number above 0, at most 64, got {heads}.")
    seeds = range(seed, seed + heads)
    by_pair = [
        TemperatureByPair(initial=temperature, minimum=minimum, maximum=maximum, hidden=hidden, seed=each)
        for each in seeds
    ]
    rows = [
        Composition(
            criterion=Softmax(),
            candidates=BothSides(),
            logits=(logits,),
            weights=(TemperaturePenalty(weight=beta / heads),),
        )
        for logits in by_pair
    ]
    return Sum(terms=tuple(Projected(of=of, head=LinearHead(seed=each)) for of, each in zip(rows, seeds, strict=True)))
