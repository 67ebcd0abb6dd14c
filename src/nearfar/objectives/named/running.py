"""Expected cost, and running averages over the dataset."""

from typing import Literal

from nearfar.objectives.candidates.sides import BothSides, OtherSide
from nearfar.objectives.criteria.expected_cost import ExpectedCost
from nearfar.objectives.criteria.running import LogMeanExp, RunningMean
from nearfar.objectives.criteria.running_ranks import RunningGain, RunningPrecision, TopGate
from nearfar.objectives.form import Composition, Form, Sum, Transposed
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.logits.temperature_by_row import TemperatureByRow
from nearfar.objectives.part import Logits
from nearfar.objectives.registry import entry

__all__ = ["CACR", "ISogCLR", "SOAP", "SONG", "SogCLR"]

Sides = Literal["each", "both"]

_GLOBAL = (
    r"\frac{1}{|N_i|} \sum_{n \in N_i} \mathrm{sg}\Big(\frac{e^{h_{in}/\tau}}{u_i}\Big) h_{in}, \quad"
    r" h_{in} = s_{in} - s_{ip}, \quad u_i \leftarrow (1 - \gamma) u_i"
    r" + \frac{\gamma}{|N_i|} \sum_{n \in N_i} e^{h_{in}/\tau}"
)


@entry(
    paper="Contrastive Attraction and Contrastive Repulsion for Representation Learning",
    arxiv="2105.03746",
    equation=r"\alpha \sum_{p \in P_i} \pi_{ip} c_{ip} - \beta \sum_{n \in N_i} \rho_{in} c_{in}, \quad c = 2 - 2 s,"
    r" \quad \pi_{ip} \propto e^{c_{ip}/\tau^+}, \quad \rho_{in} \propto e^{-c_{in}/\tau^-}",
    family="expected cost",
)
def CACR(
    *,
    positive_temperature: float = 1.0,
    negative_temperature: float = 1 / 0.9,
    attraction: float = 1.0,
    repulsion: float = 1.0,
    prior: float = 0.0,
    detach: bool = False,
) -> Form:
    """Squared distances of positives, mostly of the far ones, minus those of negatives, mostly of the near ones.

    Values can be negative; with the default weights they lie between -4 and 4. The paper's t+ and t- multiply the cost,
    a temperature here is one over that. With one positive the positive temperature has no effect. The authors' small
    code lets the gradient through the softmax, that for ImageNet does not.

    Args:
        positive_temperature: divides the costs of the positives in their softmax; above 0.
        negative_temperature: divides those of the negatives; above 0.
        attraction: weight of the positives.
        repulsion: weight of the negatives.
        prior: share of the negatives that is taken to be positive, as in HCL; 0 for none.
        detach: no gradient through the softmax.
    """
    return Composition(
        criterion=ExpectedCost(
            positive_temperature=positive_temperature,
            negative_temperature=negative_temperature,
            attraction=attraction,
            repulsion=repulsion,
            prior=prior,
            detach=detach,
        )
    )


def _global(logits: Logits, sides: Sides, gamma: float, subtract_positive: bool) -> Form:
    """The log-mean-exp over the dataset: of rows and of columns, each with its own memory, or of both sides at once."""
    form = Composition(
        criterion=RunningMean(inner=LogMeanExp(subtract_positive=subtract_positive), gamma=gamma),
        candidates=BothSides() if sides == "both" else OtherSide(),
        logits=(logits,),
    )
    return form if sides == "both" else Sum(terms=(form, Transposed(of=form)))


@entry(
    paper="Provable Stochastic Optimization for Global Contrastive Learning: Small Batch Does Not Harm Performance",
    arxiv="2202.12387",
    equation=_GLOBAL,
    family="running average",
)
def SogCLR(
    *, temperature: float = 0.1, gamma: float = 0.9, sides: Sides = "each", subtract_positive: bool = True
) -> Form:
    """The contrastive loss against all negatives of the dataset, whose mass each example remembers. For small batches.

    The gradient at an example's first visit, and at a gamma of 1, is that of ``t log mean exp(h / t)`` over the batch;
    the value of the loss is a surrogate's and says little. Gradients do not grow as the temperature falls. The weights
    of a row add up to 1 at its first visit; LibAUC's second version leaves the division by the number of negatives out,
    so that its learning rates do not carry over. What is remembered goes by an example's place in the dataset: another
    order of it needs a new objective.

    Args:
        temperature: divides the similarities; above 0.
        gamma: share of the batch in the running mean, above 0; 1 remembers nothing.
        sides: ``each`` adds up rows against columns and columns against rows, each with its own memory (bimodal);
            ``both`` takes both sides as views with one memory (unimodal).
        subtract_positive: the remembered mean is of similarities over that of the positive; without it, as in LibAUC's
            first version, of the similarities themselves, and a positive is always pulled with weight 1.
    """
    return _global(Temperature(temperature=temperature), sides, gamma, subtract_positive)


@entry(
    paper="Not All Semantics are Created Equal: Contrastive Self-supervised Learning with Automatic Temperature"
    " Individualization",
    arxiv="2305.11965",
    equation=_GLOBAL + r", \quad \tau_i \leftarrow \tau_i - \eta\, \partial_{\tau_i} \tau_i (\log u_i + \rho)",
    family="running average",
)
def ISogCLR(
    *,
    temperature: float = 0.1,
    gamma: float = 0.9,
    rho: float = 0.3,
    learning_rate: float = 0.01,
    beta: float = 0.9,
    minimum: float = 0.05,
    maximum: float = 0.7,
    limit: float | None = None,
    sides: Sides = "each",
    subtract_positive: bool = True,
) -> Form:
    """SogCLR with a temperature for each example, which finds its own value.

    Defaults are those of LibAUC's first version. Runs on images and captions start at 0.01 with rho 6 to 8, a learning
    rate of 0.03, gamma 0.8, bounds 0.005 and 0.05 and a limit of 5. At equal temperatures the loss is that of SogCLR.

    Args:
        temperature: where the temperature of each example starts.
        gamma: share of the batch in the running mean, above 0.
        rho: a higher one gives lower temperatures.
        learning_rate: of the temperatures.
        beta: share of the new slope in the average of a temperature's slopes, above 0.
        minimum: of the temperatures; above 0.
        maximum: of the temperatures.
        limit: bound of the average of slopes; none for no such bound.
        sides: ``each`` (bimodal) or ``both`` (unimodal), as in ``SogCLR``.
        subtract_positive: as in ``SogCLR``.
    """
    by_row = TemperatureByRow(
        initial=temperature,
        rho=rho,
        learning_rate=learning_rate,
        beta=beta,
        minimum=minimum,
        maximum=maximum,
        limit=limit,
    )
    return _global(by_row, sides, gamma, subtract_positive)


@entry(
    paper="Stochastic Optimization of Areas Under Precision-Recall Curves with Provable Convergence",
    equation=r"\frac{1}{|P_i|} \sum_{p \in P_i} \frac{1}{|V_i|} \sum_{j \in V_i} \mathrm{sg}\Big("
    r" \frac{u^+_p - u_p [j \in P_i]}{u_p^2} \Big) [m + s_{ij} - s_{ip}]_+^2",
    family="running average",
)
def SOAP(*, margin: float = 1.0, gamma: float = 0.9, similarity: Literal["cosine", "dot"] = "cosine") -> Form:
    """The average precision of each row over the dataset, by running counts of what comes before each positive.

    The value is a surrogate's: 0 at a first visit. A row without negatives has loss 0. Counts are remembered for each
    pair of an example and a positive, told apart by its identity; without identities, for each example.

    Args:
        margin: how far a positive should be above all others; above 0.
        gamma: share of the batch in the running counts, above 0; 1 remembers nothing.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    return Composition(criterion=RunningMean(inner=RunningPrecision(margin=margin), gamma=gamma), similarity=similarity)


@entry(
    paper="Large-scale Stochastic Optimization of NDCG Surrogates for Deep Learning with Provable Convergence",
    arxiv="2202.12183",
    equation=r"\frac{1}{\mathrm{IDCG}_i} \sum_{p \in P_i} \mathrm{sg}(f'(u_{ip}))\, g_{ip}, \quad"
    r" f(u) = -\frac{2^{y} - 1}{\log_2(1 + N u)}, \quad g_{ip} = \frac{1}{|V_i|} \sum_j [m + s_{ij} - s_{ip}]_+^2",
    family="running average",
)
def SONG(
    *,
    margin: float = 1.0,
    gamma: float = 0.9,
    items: int | None = None,
    top: int | None = None,
    similarity: Literal["cosine", "dot"] = "cosine",
) -> Form:
    """The nDCG of each row over the dataset, by a running soft rank of each positive.

    The value is a surrogate's. Ranks are remembered as in ``SOAP``.

    Args:
        margin: how far a positive should be above all others; above 0.
        gamma: share of the batch in the running ranks, above 0; 1 remembers nothing.
        items: number of documents of the whole dataset; none takes the columns of the batch for all there is.
        top: only positives among about so many first ones count (the practical K-SONG); none for all.
        similarity: ``cosine`` normalises both sides, ``dot`` takes the vectors as they are.
    """
    gain = RunningGain(margin=margin, items=items, gate=None if top is None else TopGate(top=top))
    return Composition(criterion=RunningMean(inner=gain, gamma=gamma), similarity=similarity)
