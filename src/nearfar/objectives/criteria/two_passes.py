"""Every positive against the negatives of all rows by the logistic link, a tile of logits at a time."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.objectives.criteria.kernel_sums import NegativeSums, PositiveSlopes
from nearfar.objectives.criteria.narrow_bins import where


class TwoPasses:
    """The loss of ``AllRows()`` of each row, and its slopes, in two passes over tiles of the logits.

    First every tile is shown to ``collect``. Then there are ``losses``, and once the slope of the step's loss at each
    of them is known and given to ``begin``, the same tiles have ``slopes``. Tiles may be parts of rows. No gradient is
    recorded, and what is held grows with the positives only.

    Args:
        rows: how many rows there are in all.
        dtype: of the logits.
    """

    def __init__(self, rows: int, dtype: torch.dtype = torch.float32) -> None:
        self.negatives = NegativeSums(dtype)
        self.rows = rows
        self._found: list[tuple[Int[Tensor, " positive"], Float[Tensor, " positive"]]] = []
        self._weights: Float[Tensor, " row"] | None = None
        self._slopes: PositiveSlopes | None = None

    def collect(
        self,
        z: Float[Tensor, "row column"],
        positive: Bool[Tensor, "row column"],
        negative: Bool[Tensor, "row column"],
        first_row: int = 0,
    ) -> None:
        """Take in a tile.

        Args:
            z: its logits.
            positive: which of its pairs are positive.
            negative: which of its pairs are negative.
            first_row: the place of its first row among all.

        Raises:
            ResourceError: when logits are too far apart, see ``node_sums.MOST_NODES``; now, or in ``losses``.
        """
        rows, columns = _pairs(positive)
        self._found.append((rows + first_row, z.detach()[rows, columns]))
        self.negatives.add(z, negative)

    def merge(self, other: "TwoPasses", first_row: int = 0) -> None:
        """Take in what another one has collected, whose first row is at ``first_row`` here."""
        self._found += [(rows + first_row, z) for rows, z in other._found]
        self.negatives.merge(other.negatives)

    def losses(self) -> tuple[Float[Tensor, " row"], Bool[Tensor, " row"]]:
        """The loss of each row, 0 for those that do not count, and which count."""
        rows, z = self._positives()
        kept = torch.zeros(self.rows, dtype=torch.bool, device=z.device)
        kept[rows] = self.negatives.count > 0
        sums = self.negatives.softplus(z) / max(self.negatives.count, 1)
        return mean_of_positives(sums, rows, self.rows), kept

    def begin(self, slope: Float[Tensor, " row"]) -> None:
        """Make ready for the second pass.

        Args:
            slope: how the loss of the step rises with the loss of each row.
        """
        rows, z = self._positives()
        many = torch.bincount(rows, minlength=self.rows).clamp(min=1)
        self._weights = slope.detach().to(z.dtype) / (many * max(self.negatives.count, 1))
        self._slopes = PositiveSlopes(z, self._weights[rows])

    def slopes(
        self,
        z: Float[Tensor, "row column"],
        positive: Bool[Tensor, "row column"],
        negative: Bool[Tensor, "row column"],
        first_row: int = 0,
        out: Float[Tensor, "row column"] | None = None,
    ) -> Float[Tensor, "row column"]:
        """How the loss of the step rises with each logit of a tile; see ``collect`` for the tile.

        Args:
            z: as in ``collect``.
            positive: as in ``collect``.
            negative: as in ``collect``.
            first_row: as in ``collect``.
            out: where the slopes are to be; may be ``z`` itself.
        """
        assert self._slopes is not None
        assert self._weights is not None
        rows, columns = _pairs(positive)
        pulled = -self._weights[rows + first_row] * self.negatives.sigmoid(z.detach()[rows, columns])
        found = self._slopes.at(z, out).masked_fill_(~negative, 0.0)
        found[rows, columns] = pulled
        return found

    def _positives(self) -> tuple[Int[Tensor, " positive"], Float[Tensor, " positive"]]:
        """Row and logit of each positive."""
        if len(self._found) != 1:
            rows, values = zip(*self._found, strict=True) if self._found else ((), ())
            nothing = torch.zeros(0, dtype=self.negatives.dtype)
            self._found = [(torch.cat([nothing.long(), *rows]), torch.cat([nothing, *values]))]
        return self._found[0]


@dataclass(frozen=True, eq=False)
class RowSurvey:
    """What some rows tell for the losses of all.

    Attributes:
        passes: what was collected from them.
        importance: weight of each, if they have one.
    """

    passes: TwoPasses
    importance: Float[Tensor, " row"] | None


def _pairs(positive: Bool[Tensor, "row column"]) -> tuple[Int[Tensor, " positive"], Int[Tensor, " positive"]]:
    """Row and column of each positive pair."""
    places = where(positive.reshape(-1))
    columns = max(positive.shape[1], 1)
    return places // columns, places % columns


def mean_of_positives(
    values: Float[Tensor, " positive"], rows: Int[Tensor, " positive"], many: int
) -> Float[Tensor, " row"]:
    """For each of ``many`` rows the mean over its positives; 0 where it has none."""
    counts = torch.bincount(rows, minlength=many).clamp(min=1)
    return torch.zeros(many, dtype=values.dtype, device=values.device).index_add(0, rows, values) / counts
