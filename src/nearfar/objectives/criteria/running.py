"""C7, compositional averages: an outer function of inner means over the whole dataset, of which a batch sees a part.

The means are remembered for each example and run from batch to batch. The loss is a surrogate: the derivative of the
outer function at the remembered means, without gradient, times what the means are made of.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.config.component import Component, is_number, require
from nearfar.errors import ConfigError
from nearfar.objectives.criteria.rows import of_rows
from nearfar.objectives.memory import Memory, Table, mean_of_each
from nearfar.objectives.pair_table import PairTable
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, eq=False, kw_only=True)
class Terms:
    """What the inner means of a step are made of, and the means themselves.

    A row has one place for each of its positives, or a single one when its positives are taken together.

    Attributes:
        values: the terms, with gradient.
        used: the columns that a mean goes over.
        places: the column of each place; None for a single one.
        there: which places there are.
        means: for each place, the inner means of this batch, without gradient.
    """

    values: Float[Tensor, "row place column"]
    used: Bool[Tensor, "row #place column"]
    places: Int[Tensor, "row place"] | None
    there: Bool[Tensor, "row place"]
    means: Float[Tensor, "row place mean"]


class Inner(Component):
    """What is averaged, and the outer function of the averages.

    Class attributes:
        initial: the averages of what was never seen.
        logarithmic: the averages are remembered as logs of what is averaged.
        by_pair: averages belong to pairs of an example and a positive, not to the example.
        needs_negatives: a row without negatives has no loss.
    """

    initial: ClassVar[tuple[float, ...]] = (0.0,)
    logarithmic: ClassVar[bool] = False
    by_pair: ClassVar[bool] = False
    needs_negatives: ClassVar[bool] = False

    def terms(self, problem: Problem) -> Terms:
        """The terms of a step."""
        raise NotImplementedError

    def outer(
        self, problem: Problem, terms: Terms, averages: Float[Tensor, "row place mean"], memory: Memory
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row place column"], Bool[Tensor, " row"]]:
        """The outer function of each row, its derivative in each term, and the rows that have one. No gradient."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class LogMeanExp(Inner):
    """``t log mean_n exp(h / t)`` of the negatives' heights h over the mean positive, at the temperature t of the row.

    Averages are kept as logs, so that no temperature is too low for them.

    Attributes:
        subtract_positive: the remembered mean is that of heights over the positive. Without it is that of the
            similarities, and the positive is pulled with weight 1 whatever was remembered.
    """

    subtract_positive: bool = True
    logarithmic: ClassVar[bool] = True
    needs_negatives: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(isinstance(self.subtract_positive, bool), self, "subtract_positive", "true or false")

    def terms(self, problem: Problem) -> Terms:
        """Similarities, less the mean positive of the row, and their log-mean-exp."""
        there = problem.positive.any(dim=1) & problem.negative.any(dim=1)
        logits = problem.z
        if self.subtract_positive:
            logits = logits - (shares(problem.positive, logits) * logits).sum(dim=1, keepdim=True)
        used = problem.negative & there[:, None]
        whole = torch.logsumexp(torch.where(used | ~there[:, None], logits.detach(), float("-inf")), dim=1)
        means = torch.where(there, whole - _log_count(used, whole)[:, 0], 0.0)
        return Terms(
            values=(_temperature(problem) * logits)[:, None, :],
            used=used[:, None, :],
            places=None,
            there=there[:, None],
            means=means[:, None, None],
        )

    def outer(
        self, problem: Problem, terms: Terms, averages: Float[Tensor, "row 1 mean"], memory: Memory
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row 1 column"], Bool[Tensor, " row"]]:
        """``t log u``, and ``exp(h / t) / u / M`` for each of the M negatives."""
        used, temperature = terms.used[:, 0], _temperature(problem)[:, 0]
        heights = terms.values[:, 0].detach() / temperature[:, None]
        rest = averages[:, 0] + _log_count(used, averages)
        slopes = torch.where(used, torch.exp(torch.where(used, heights - rest, 0.0)), 0.0)
        value = temperature * averages[:, 0, 0]
        if not self.subtract_positive:
            own = shares(problem.positive, slopes)
            slopes = slopes - own
            value = value - (own * terms.values[:, 0].detach()).sum(dim=1)
        return value, slopes[:, None, :], terms.there[:, 0]


@dataclass(frozen=True, kw_only=True)
class RunningMean(Criterion):
    """``f(u)`` of means u over the dataset, by a surrogate with its gradient: ``sum_j sg(df/du_j) * term_j``.

    Each example remembers its means: ``u <- (1 - gamma) u + gamma * mean of the batch``, all of it at the first visit.
    At a gamma of 1 the gradient is that of f of the batch's own means. The value of the loss is the surrogate's and
    says little; what it stands for is in ``estimates``.

    Attributes:
        inner: what is averaged, and f.
        gamma: share of the new mean, above 0; 1 to remember nothing.
    """

    inner: Inner = LogMeanExp()
    gamma: float = 0.9
    needs: ClassVar[frozenset[str]] = frozenset({"index"})
    detached: ClassVar[tuple[str, ...]] = ("derivative of the outer function", "running means")

    @property
    def across_rows(self) -> bool:  # type: ignore[override]  # depends on a field here
        """Whether what is remembered belongs to pairs, whose places are given out for the whole step at once."""
        return self.inner.by_pair

    def __post_init__(self) -> None:
        require(isinstance(self.inner, Inner), self, "inner", "what is averaged, such as LogMeanExp()")
        require(is_number(self.gamma) and 0 < self.gamma <= 1, self, "gamma", "a number above 0, and at most 1")

    def make_memory(self, dim: int) -> Table:
        """The running means."""
        return (PairTable if self.inner.by_pair else Table)(*self.inner.initial)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The surrogate of each row that has an outer function."""
        terms = self.inner.terms(problem)
        with torch.no_grad():
            averages = self._averages(problem, terms, memory)
            estimates, slopes, kept = self.inner.outer(problem, terms, averages, memory.at("inner"))
        touched = slopes != 0
        losses = (slopes * torch.where(touched, terms.values, 0.0)).sum(dim=(1, 2))
        outcome = of_rows(problem, losses, kept)
        return Outcome(outcome.losses, outcome.kept, estimates=of_rows(problem, estimates, kept).losses)

    def _averages(self, problem: Problem, terms: Terms, memory: Memory) -> Float[Tensor, "row place mean"]:
        """The averages after this batch, which are remembered."""
        assert problem.index is not None
        table, shape = memory.of(Table), terms.means.shape
        keys = torch.where(terms.there, problem.index[:, None], -1)
        if isinstance(table, PairTable) and terms.places is not None and problem.column_ids is not None:
            keys = table.slots(keys, problem.column_ids[terms.places])
        elif isinstance(table, PairTable):
            keys = table.slots(keys, torch.zeros_like(keys))
        keys, means = keys.reshape(-1), terms.means.reshape(-1, shape[2])
        before, visits = table.read(keys)
        now = torch.where(visits[:, None] > 0, self._moved(before.to(means.dtype), means), means)
        table.write(keys, _log_mean(keys, now) if self.inner.logarithmic else now)
        return now.reshape(shape)

    def _moved(self, old: Float[Tensor, "place mean"], new: Float[Tensor, "place mean"]) -> Float[Tensor, "place mean"]:
        """Old averages on their way to new ones."""
        if not self.inner.logarithmic:
            return torch.lerp(old, new, self.gamma)
        gamma = torch.tensor(self.gamma, dtype=new.dtype, device=new.device)
        return torch.logaddexp(torch.log1p(-gamma) + old, gamma.log() + new)


def _log_mean(keys: Int[Tensor, " place"], logs: Float[Tensor, "place mean"]) -> Float[Tensor, "place mean"]:
    """For entries of one key, the log of the mean of what their values are the logs of."""
    distinct, place = torch.unique(keys, return_inverse=True)
    highest = logs.new_full((len(distinct), logs.shape[1]), float("-inf"))
    highest = highest.scatter_reduce(0, place[:, None].expand_as(logs), logs, "amax")[place]
    return highest + mean_of_each(keys, torch.exp(logs - highest)).log()


def shares(mask: Bool[Tensor, "row item"], like: Float[Tensor, "..."]) -> Float[Tensor, "row item"]:
    """Equal weights over what a mask holds in each row, in the precision of ``like``; 0 elsewhere."""
    return mask.to(like.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def _log_count(mask: Bool[Tensor, "row column"], like: Float[Tensor, "..."]) -> Float[Tensor, "row 1"]:
    """The log of how many a mask holds in each row, in the precision of ``like``; 0 for none."""
    return mask.sum(dim=1, keepdim=True).clamp(min=1).to(like.dtype).log()


def _temperature(problem: Problem) -> Float[Tensor, "row 1"]:
    """The temperature of each row."""
    assert problem.temperature is not None
    if problem.temperature.ndim == 2 and problem.temperature.shape[1] > 1:
        raise ConfigError(
            "RunningMean: it needs one temperature for each row, and there is one for each pair here. Take Temperature "
            "or TemperatureByRow."
        )
    return problem.temperature.detach().expand(len(problem.z), 1)
