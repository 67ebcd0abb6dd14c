"""What rows tell of themselves when their losses need sums over all rows: two passes over tiles of rows.

In the first pass every tile is surveyed without gradient, and losses are concluded from all surveys. In the second pass
every tile is surveyed again, now with gradient, and each thing that it tells is multiplied by the slope of the loss in
it: the chain rule, with the tiles in the middle.
"""

from collections.abc import Callable, Mapping, Sequence
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
    """

    pairs: Positives
    told: Mapping[str, Float[Tensor, " pair"]]
    log_sums: Mapping[str, Float[Tensor, " column"]] = field(default_factory=dict)
    sums: Mapping[str, Shaped[Tensor, " column"]] = field(default_factory=dict)
    importance: Float[Tensor, " row"] | None = None

    @classmethod
    def joined(cls, surveys: Sequence["Survey"], rows: Sequence[int]) -> "Survey":
        """The survey of all rows, without gradient.

        Args:
            surveys: of some rows each, in order.
            rows: how many rows each of them has.
        """
        starts = [sum(rows[:place]) for place in range(len(rows))]
        first = surveys[0]
        weights = [each.importance for each in surveys if each.importance is not None]
        return cls(
            pairs=Positives(
                torch.cat([each.pairs.rows + start for each, start in zip(surveys, starts, strict=True)]),
                torch.cat([each.pairs.columns for each in surveys]),
            ),
            told={name: torch.cat([each.told[name].detach() for each in surveys]) for name in first.told},
            log_sums={
                name: torch.logsumexp(torch.stack([each.log_sums[name].detach() for each in surveys]), dim=0)
                for name in first.log_sums
            },
            sums={name: torch.stack([each.sums[name].detach() for each in surveys]).sum(dim=0) for name in first.sums},
            importance=torch.cat([each.detach() for each in weights]) if weights else None,
        )

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


def concluded(
    surveys: Sequence[Survey], rows: Sequence[int], losses: Callable[[Survey, int], Outcome]
) -> tuple[Outcome, Callable[[int, Survey], Float[Tensor, ""]]]:
    """The outcome of all rows, and what stands for the loss in the second pass.

    Args:
        surveys: those of the first pass.
        rows: how many rows each of them has.
        losses: the outcome, from the survey of all rows and their number.

    Returns:
        the outcome, and a function of the place of a tile and its survey with gradient: a number whose gradient is
        that of the loss as far as it goes through these rows. Its value means nothing.
    """
    whole = Survey.joined(surveys, rows)
    with torch.enable_grad():
        leaves = whole.apart()
        outcome = losses(leaves, sum(rows))
        slopes = _slopes(outcome.loss, leaves)
    starts = [sum(len(each.pairs.rows) for each in surveys[:place]) for place in range(len(surveys))]

    def pulled(place: int, survey: Survey) -> Float[Tensor, ""]:
        pairs = slice(starts[place], starts[place] + len(survey.pairs.rows))
        own = slice(sum(rows[:place]), sum(rows[: place + 1]))
        terms = [_product(survey.told[name], slopes.told[name][pairs]) for name in survey.told]
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
