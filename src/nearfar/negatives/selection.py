"""Which of the kept candidates are handed out. Lists that have fewer than are wanted stay short.

Draws follow from the texts and the seed (``draws.uniform``). A candidate without the score that a selection goes by is
taken last.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32, Shaped

from nearfar.config.component import is_number, is_whole, require
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.draws import uniform
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Selection, check_reference


class Counted(Selection):
    """A selection of at most so many candidates of each list."""

    count: int

    def __post_init__(self) -> None:
        require(is_whole(self.count) and self.count > 0, self, "count", "a whole number above 0")

    @property
    def wanted(self) -> int:
        """How many candidates a list has when there are enough."""
        return self.count


class Drawn(Counted):
    """A selection without replacement in which a candidate is as likely as e to the power of a number.

    Adding a Gumbel number to each and taking the highest draws just so (Kool, van Hoof, Welling 2019).
    """

    @abstractmethod
    def logits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The log of how likely each row is, up to a constant of its list; NaN where it is not known."""

    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""
        drawn = uniform(candidates, material, type(self).__name__)
        logits = self.logits(candidates)
        unknown = np.isnan(logits)
        keys = np.where(unknown, 0.0, logits) - np.log(-np.log(drawn))
        return _first(candidates, candidates.kept, self.count, unknown, -keys)


@dataclass(frozen=True, kw_only=True)
class Top(Counted):
    """The hardest.

    Attributes:
        count: how many of each list.
        by: the score that says how hard, highest first; none for the ranks of the sources.
    """

    count: int = 4
    by: str | None = None

    @property
    def reach(self) -> int:
        """Those that it takes."""
        return self.count

    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""
        return candidates.kept & (candidates.places(self.by) < self.count)


@dataclass(frozen=True, kw_only=True)
class Uniform(Counted):
    """Any, each as likely as the others, out of a window of what is left: the first ten for NV-Retriever's best.

    Attributes:
        count: how many of each list.
        first: the first place of the window, from 0.
        last: the place behind its last; none for no end.
        by: the score that orders a list, highest first; none for the ranks of the sources.
    """

    count: int = 4
    first: int = 0
    last: int | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.first) and self.first >= 0, self, "first", "a whole number of at least 0")
        behind = self.last is None or (is_whole(self.last) and self.last > self.first)
        require(behind, self, "last", f"a whole number above first ({self.first}), or none")

    @property
    def reach(self) -> int | None:
        """To the end of the window."""
        return self.last

    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""
        places = candidates.places(self.by)
        inside = (places >= self.first) & (places < (np.inf if self.last is None else self.last))
        return _first(candidates, candidates.kept & inside, self.count, uniform(candidates, material, "Uniform"))


@dataclass(frozen=True, kw_only=True)
class Stride(Counted):
    """Every ``step``-th place of what is left, then the places behind those: 0, 5, 10, ..., 1, 6, ... (UniME-V2).

    Attributes:
        count: how many of each list.
        step: from a place to the next.
        by: the score that orders a list, highest first; none for the ranks of the sources.
    """

    count: int = 10
    step: int = 5
    by: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.step) and self.step > 0, self, "step", "a whole number above 0")

    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""
        places = candidates.places(self.by)
        return _first(candidates, candidates.kept, self.count, places % self.step, places // self.step)


@dataclass(frozen=True, kw_only=True)
class MarginBins(Counted):
    """Spread over the margins: a list's scores are cut into bins of one width, and each bin gives in turn one.

    After TAS-Balanced (2104.06967), where bins are drawn. All candidates of a list have the same positive, so that bins
    of scores are bins of margins.

    Attributes:
        count: how many of each list.
        bins: between the lowest and the highest score of a list.
        by: name of the score.
    """

    count: int = 4
    bins: int = 10
    by: str = "teacher"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.bins) and self.bins > 0, self, "bins", "a whole number above 0")

    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""
        scores = candidates.score(self.by).astype(np.float64)
        rows = np.flatnonzero(candidates.kept & np.isfinite(scores))
        lists, drawn = candidates.lists[rows], uniform(candidates, material, "MarginBins")
        turn = np.full(len(candidates), np.inf)  # those without a score come last
        if len(rows):
            _, starts, place = np.unique(lists, return_index=True, return_inverse=True)
            lowest = np.minimum.reduceat(scores[rows], starts)[place]
            range_ = np.maximum.reduceat(scores[rows], starts)[place] - lowest
            share = np.divide(scores[rows] - lowest, range_, out=np.zeros(len(rows)), where=range_ > 0)
            bins = np.minimum(np.floor(share * self.bins), self.bins - 1).astype(np.int64)
            turn[rows] = _places_within(lists * self.bins + bins, drawn[rows])
        return _first(candidates, candidates.kept, self.count, turn, uniform(candidates, material, "MarginBins turns"))


@dataclass(frozen=True, kw_only=True)
class Softmax(Drawn):
    """Drawn, the likelier the harder: in proportion to ``exp(score / temperature)``.

    Attributes:
        count: how many of each list.
        temperature: divides scores; above 0.
        by: name of the score.
    """

    count: int = 4
    temperature: float = 0.05
    by: str = "teacher"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_number(self.temperature) and self.temperature > 0, self, "temperature", "a number above 0")

    def logits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """Scores over the temperature."""
        return candidates.score(self.by).astype(np.float64) / self.temperature


@dataclass(frozen=True, kw_only=True)
class SimANS(Drawn):
    """Drawn, the likelier the nearer to the positive's score: ``exp(-a * (score - positive - b) ** 2)`` (2210.11773).

    Attributes:
        count: how many of each list.
        a: how sharp; at least 0. Cosines, which are close together, want hundreds.
        b: how far from the positive's score the likeliest is; below 0 for lower scores.
        by: name of the score.
        positive: which of a query's positives counts: min, max, mean, or pair for that of the row's own pair.
    """

    count: int = 4
    a: float = 1.0
    b: float = 0.0
    by: str = "teacher"
    positive: str = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_number(self.a) and self.a >= 0, self, "a", "a number of at least 0")
        require(is_number(self.b), self, "b", "a number")
        check_reference(self, self.positive)

    def logits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The squared distance from where scores should be."""
        reference = candidates.reference(self.by, self.positive).astype(np.float64)
        return -self.a * (candidates.score(self.by) - reference - self.b) ** 2


@dataclass(frozen=True, kw_only=True)
class ByEpoch(Counted):
    """The hardest, dealt into groups of about ``count``, one for each of several epochs.

    Group g is for epochs g, g + epochs, and so on. Which group a candidate is in follows from the texts alone. A list
    that has fewer than ``count * epochs`` gives each epoch fewer.

    Attributes:
        count: how many of each list an epoch has.
        epochs: how many groups.
        by: the score that says how hard, highest first; none for the ranks of the sources.
    """

    count: int = 4
    epochs: int = 3
    by: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.epochs) and self.epochs > 0, self, "epochs", "a whole number above 0")

    @property
    def wanted(self) -> int:
        """Those of all epochs."""
        return self.count * self.epochs

    @property
    def reach(self) -> int:
        """Those that it takes."""
        return self.wanted

    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""
        return candidates.kept & (candidates.places(self.by) < self.wanted)

    def groups(self, candidates: Candidates, material: Material) -> Int32[np.ndarray, " row"]:
        """The group of each kept row, from 0."""
        rows = np.flatnonzero(candidates.kept)
        drawn = uniform(candidates, material, "ByEpoch")[rows]
        groups = np.zeros(len(candidates), dtype=np.int32)
        groups[rows] = _places_within(candidates.lists[rows], drawn) % self.epochs
        return groups


@dataclass(frozen=True, kw_only=True)
class Padded(Selection):
    """Another selection over all sources but one, whose candidates fill the lists that come out too short.

    Those of a ``Random`` source, say: they are real documents that went through closure and filters, and are marked by
    their source. Nothing is ever handed out twice.

    Attributes:
        selection: the other selection.
        source: which of the job's sources fills, by position from 0.
    """

    selection: Selection = Top()
    source: int = 1

    def __post_init__(self) -> None:
        require(
            isinstance(self.selection, Counted), self, "selection", "a selection with a count, such as Top(count=4)"
        )
        require(is_whole(self.source) and self.source >= 0, self, "source", "a whole number of at least 0")

    @property
    def asks(self) -> tuple[str, ...]:
        """What the other selection goes by."""
        return self.selection.asks

    @property
    def wanted(self) -> int:
        """As many as the other selection wants."""
        return self.selection.wanted

    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""
        reserve = candidates.kept & (candidates.source == self.source)
        chosen = self.selection.chosen(candidates.drop(reserve, Reason.BUDGET), material)
        have = np.bincount(candidates.lists[chosen], minlength=1 + int(candidates.lists.max(initial=0)))
        rows = np.flatnonzero(reserve)
        place = _places_within(candidates.lists[rows], candidates.rank[rows])
        filling = np.zeros(len(candidates), dtype=bool)
        filling[rows] = place < self.selection.wanted - have[candidates.lists[rows]]
        return chosen | filling

    def groups(self, candidates: Candidates, material: Material) -> Int32[np.ndarray, " row"]:
        """Those of the other selection."""
        return self.selection.groups(candidates, material)


def _first(
    candidates: Candidates, among: Bool[np.ndarray, " row"], count: int, *keys: Shaped[np.ndarray, " row"]
) -> Bool[np.ndarray, " row"]:
    """The first ``count`` rows of each list by some keys, the most important key first."""
    rows = np.flatnonzero(among)
    chosen = np.zeros(len(among), dtype=bool)
    chosen[rows] = _places_within(candidates.lists[rows], *(key[rows] for key in keys)) < count
    return chosen


def _places_within(
    groups: Shaped[np.ndarray, " item"], *keys: Shaped[np.ndarray, " item"]
) -> Int32[np.ndarray, " item"]:
    """The place of each item in its group by some keys, the most important key first, from 0."""
    order = np.lexsort((*reversed(keys), groups))
    sorted_groups = groups[order]
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order)) - np.searchsorted(sorted_groups, sorted_groups)
    return places
