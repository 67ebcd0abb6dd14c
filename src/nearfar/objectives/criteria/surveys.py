"""What rows tell of themselves when their losses need sums over all rows: two passes over tiles of rows.

In the first pass every tile is surveyed without gradient, and losses are concluded from all surveys. In the second pass
every tile is surveyed again, now with gradient, and each thing that it tells is multiplied by the slope of the loss in
it: the chain rule, with the tiles in the middle.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from nearfar.objectives.part import Outcome


@dataclass(frozen=True, eq=False)
class Positives:
    """The positive pairs of a problem, one after the other: losses are needed at these few places alone."""

    rows: Int[Tensor, " pair"]
    columns: Int[Tensor, " pair"]

    def of(self, values: Shaped[Tensor, "row column"]) -> Shaped[Tensor, " pair"]:
        """The value of each pair, of a matrix, of a column that stands for all, or of a row that does."""
        rows, columns = (
            place if size > 1 else torch.zeros_like(place)
            for place, size in zip((self.rows, self.columns), values.shape, strict=True)
        )
        return values[rows, columns]

    def equal_shares(self, like: Float[Tensor, " pair"]) -> Float[Tensor, " pair"]:
        """For each pair one over the number of pairs of its row, in the dtype of ``like``."""
        counts = torch.bincount(self.rows)
        return 1 / counts[self.rows].to(like.dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class Survey:
    """What some rows tell.

    Attributes:
        pairs: their positive pairs.
        told: by name, a number for each pair.
        log_sums: by name, for each column the log of a sum over the rows; minus infinity for an empty one.
        sums: by name, for each column a sum over the rows.
        importance: weight of each row, if they have one.
        rows: how many rows they are.
    """

    rows: int
    pairs: Positives
    told: Mapping[str, Float[Tensor, " pair"]]
    log_sums: Mapping[str, Float[Tensor, " column"]] = field(default_factory=dict)
    sums: Mapping[str, Shaped[Tensor, " column"]] = field(default_factory=dict)
    importance: Float[Tensor, " row"] | None = None

    def apart(self) -> "Survey":
        """The same numbers as leaves of a graph of their own."""

        def leaves(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {
                name: each.detach().requires_grad_(each.is_floating_point())  # counts have no slope
                for name, each in values.items()
            }

        weights = None if self.importance is None else self.importance.detach().requires_grad_()
        return replace(
            self,
            told=leaves(self.told),
            log_sums=leaves(self.log_sums),
            sums=leaves(self.sums),
            importance=weights,
        )


class Joined:
    """Surveys of some rows each, one after the other, as the survey of all rows, without gradient.

    They are copied into tensors that are made once: small ones that stay between large ones that go would break up the
    memory.

    Args:
        rows: how many rows there are.
        pairs: how many positive pairs there are at most.
    """

    def __init__(self, rows: int, pairs: int) -> None:
        self._rows, self._pairs = rows, pairs
        self._seen = 0
        self._whole: Survey | None = None
        self.counts: list[int] = []

    def add(self, survey: Survey) -> None:
        """Take in the next rows."""
        if self._whole is None:
            self._whole = self._empty(survey)
        whole, start, count = self._whole, sum(self.counts), len(survey.pairs.rows)
        place = slice(start, start + count)
        whole.pairs.rows[place] = survey.pairs.rows + self._seen
        whole.pairs.columns[place] = survey.pairs.columns
        for name, each in survey.told.items():
            whole.told[name][place] = each
        for name, each in survey.log_sums.items():
            torch.logaddexp(whole.log_sums[name], each, out=whole.log_sums[name])
        for name, each in survey.sums.items():
            whole.sums[name].add_(each)
        if survey.importance is not None and whole.importance is not None:
            whole.importance[self._seen : self._seen + survey.rows] = survey.importance
        self.counts.append(count)
        self._seen += survey.rows

    def survey(self) -> Survey:
        """The survey of all rows."""
        assert self._whole is not None
        whole, count = self._whole, sum(self.counts)
        return replace(
            whole,
            pairs=Positives(whole.pairs.rows[:count], whole.pairs.columns[:count]),
            told={name: each[:count] for name, each in whole.told.items()},
            rows=self._seen,
        )

    def _empty(self, like: Survey) -> Survey:
        return Survey(
            pairs=Positives(*(each.new_empty(self._pairs) for each in (like.pairs.rows, like.pairs.columns))),
            told={name: each.new_empty(self._pairs) for name, each in like.told.items()},
            log_sums={name: torch.full_like(each, float("-inf")) for name, each in like.log_sums.items()},
            sums={name: torch.zeros_like(each) for name, each in like.sums.items()},
            importance=None if like.importance is None else like.importance.new_empty(self._rows),
            rows=0,
        )


def concluded(
    surveys: Iterable[Survey], rows: int, pairs: int, losses: Callable[[Survey], Outcome]
) -> tuple[Outcome, Callable[[int, Survey], Float[Tensor, ""]]]:
    """The outcome of all rows, and what stands for the loss in the second pass.

    Args:
        surveys: those of the first pass, in order; looked at one by one.
        rows: how many rows there are.
        pairs: how many positive pairs there are at most.
        losses: the outcome, from the survey of all rows.

    Returns:
        the outcome, and a function of the place of a tile and its survey with gradient: a number whose gradient is
        that of the loss as far as it goes through these rows. Its value means nothing.
    """
    joined, heights = Joined(rows, pairs), []
    for survey in surveys:
        joined.add(survey)
        heights.append(survey.rows)
    whole = joined.survey()
    with torch.enable_grad():
        leaves = whole.apart()
        outcome = losses(leaves)
        slopes = _slopes(outcome.loss, leaves)

    def pulled(place: int, survey: Survey) -> Float[Tensor, ""]:
        of_pairs = slice(sum(joined.counts[:place]), sum(joined.counts[: place + 1]))
        own = slice(sum(heights[:place]), sum(heights[: place + 1]))
        terms = [_product(survey.told[name], slopes.told[name][of_pairs]) for name in survey.told]
        for name, partial in survey.log_sums.items():
            # The share of these rows in the sum of the column.
            share = torch.exp(partial.detach() - whole.log_sums[name])
            terms.append(_product(partial, torch.where(partial.isfinite(), slopes.log_sums[name] * share, 0.0)))
        terms += [_product(survey.sums[name], slope) for name, slope in slopes.sums.items()]
        if survey.importance is not None and slopes.importance is not None:
            terms.append(_product(survey.importance, slopes.importance[own]))
        return torch.stack(terms).sum()

    return outcome, pulled


def _slopes(loss: Float[Tensor, ""], leaves: Survey) -> Survey:
    """The derivative of the loss in everything that was told; nothing for what is counted."""
    named = [(kind, name) for kind in ("told", "log_sums", "sums") for name in getattr(leaves, kind)]
    named = [(kind, name) for kind, name in named if getattr(leaves, kind)[name].requires_grad]
    inputs = [getattr(leaves, kind)[name] for kind, name in named]
    weights = [] if leaves.importance is None else [leaves.importance]
    found = [torch.zeros_like(each) for each in (*inputs, *weights)]
    if loss.requires_grad:
        slopes = torch.autograd.grad(loss, [*inputs, *weights], allow_unused=True)
        found = [zero if slope is None else slope for zero, slope in zip(found, slopes, strict=True)]
    by_kind: dict[str, dict[str, Tensor]] = {"told": {}, "log_sums": {}, "sums": {}}
    for (kind, name), slope in zip(named, found, strict=False):
        by_kind[kind][name] = slope
    return replace(leaves, importance=found[-1] if weights else None, **by_kind)  # type: ignore[arg-type]


def _product(values: Float[Tensor, "..."], slopes: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """The sum of products, in which what has no slope may be infinite."""
    return torch.where(slopes != 0, values * slopes, 0.0).sum()
