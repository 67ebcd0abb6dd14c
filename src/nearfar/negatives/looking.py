"""How deep a job looks: for each query only so deep as decides what comes out.

A filter that goes by the score by which a search ranks drops a list from the top: behind the first candidate that it
keeps it keeps all. So once a list holds as many as the selection looks at, deeper candidates can neither be handed out
nor be suspected. They are then not searched for; lists that have fewer are looked at again, deeper.

The first search also counts the documents that score above what the filters of a query keep. Where these fill all
places that the source may reach, nothing can be handed out, and the list ends where it has its suspects. Where they
fill some, the next look goes behind them.

What is handed out is the same as if every list were as long as its source may go; what was looked at, and so the
account, is less. How far a list goes follows from the scores alone, not from what a count could make sure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from nearfar.config.mining import MiningOptions
from nearfar.negatives.candidates import SOURCE, Candidates, Positives
from nearfar.negatives.filters.scores import AtLeast, ScoreFilter
from nearfar.negatives.lists import by_pair, from_sources, joined
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Part
from nearfar.negatives.plan import Plan
from nearfar.negatives.scorers import Model
from nearfar.negatives.sources.retrieved import Dense
from nearfar.negatives.suspects import suspected
from nearfar.negatives.windows import Window
from nearfar.retrieval.kinds import EXACT

_FIRST, _DEEPER = 32, 4
"""How deep every list is looked at, and how many times deeper those that need more."""

Look = Callable[
    [int, Int64[np.ndarray, " some"], Float32[np.ndarray, " some"] | None],
    tuple[Candidates, Int64[np.ndarray, " some"] | None],
]
"""Gives the candidates of some of the job's queries, by their places, to a depth, after the filters; and, told a limit
for each, of how many documents it is certain that they score above it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Looked:
    """What was looked at.

    Attributes:
        candidates: of all queries, after the filters.
        depths: how many queries were looked at to which depth.
        hopeless: for how many of them filters drop everything that the source may reach.
    """

    candidates: Candidates
    depths: Mapping[int, int]
    hopeless: int


def depths(plan: Plan, options: MiningOptions, documents: int) -> tuple[int, ...]:
    """The depths after which a job sees which lists are too short; none where all has to be looked at at once.

    Args:
        plan: the parts. Exact search by one model, filters and selection that go by its score, and no relabelling are
            what makes it sure that deeper candidates do not matter.
        options: the settings.
        documents: how many are searched.
    """
    source = plan.sources[0]
    if options.look == "all" or plan.select_first or plan.relabel is not None or len(plan.sources) > 1:
        return ()
    if not isinstance(source, Dense) or source.index != EXACT or plan.selection.reach is None:
        return ()
    ranking = {SOURCE} | {name for name, scorer in plan.scorers.items() if scorer == Model(name=source.model)}
    parts: list[Part] = [*plan.filters, plan.selection] + ([] if plan.window is None else [plan.window])
    by_rank = all(getattr(part, "by", None) in {None, *ranking} for part in parts)
    if not by_rank or not all(isinstance(part, ScoreFilter) for part in plan.filters):
        return ()
    if not isinstance(plan.window, Window | None):
        return ()
    deepest, found = min(source.depth, documents), [max(_FIRST, _DEEPER * plan.selection.reach)]
    while found[-1] < deepest:
        found.append(found[-1] * _DEEPER)
    return (*found[:-1], deepest) if len(found) > 1 else ()


def limits(
    plan: Plan, queries: Int32[np.ndarray, " query"], positives: Positives, options: MiningOptions
) -> Float32[np.ndarray, " query"]:
    """The score above which the filters drop every candidate of a query, infinity where there is none.

    Args:
        plan: has the filters.
        queries: rows of the query table, ascending.
        positives: theirs, with the scores that the filters go by.
        options: say whether each positive has a list of its own; the mildest of a query counts.
    """
    nowhere = np.zeros((len(queries), 1))
    lists = from_sources(queries, [(nowhere.astype(np.int32), nowhere.astype(np.float32))], positives)
    lists = by_pair(lists) if options.lists == "pair" else lists
    strictest = np.full(len(lists), np.inf, dtype=np.float32)
    for part in plan.filters:
        if isinstance(part, ScoreFilter) and not isinstance(part, AtLeast):
            strictest = np.fmin(strictest, part.limits(lists).astype(np.float32))
    mildest: Float32[np.ndarray, " query"] = np.maximum.reduceat(strictest, np.searchsorted(lists.query, queries))
    return mildest


@dataclass(frozen=True, eq=False, kw_only=True)
class Looking:
    """Looks at every query of a job until what comes out of its lists is decided.

    Attributes:
        look: gives candidates.
        levels: the depths, ascending.
        above: as ``limits`` gives it.
        suspects: so many has every list of a query to have, of which nothing is kept.
        plan: has the filters, the window and the selection.
        material: what the job is about.
    """

    look: Look
    levels: Sequence[int]
    above: Float32[np.ndarray, " query"]
    suspects: int
    plan: Plan
    material: Material
    _settled: list[Candidates] = field(default_factory=list, init=False)
    _depths: dict[int, int] = field(default_factory=dict, init=False)

    def looked(self) -> Looked:
        """The candidates of all queries. Which levels a query skips, its list does not tell."""
        queries, last = self.material.queries, len(self.levels) - 1
        due, counted = np.zeros(len(queries), dtype=np.int64), np.zeros(len(queries), dtype=np.int64)
        hopeless = 0
        for level, depth in enumerate(self.levels):
            places = np.flatnonzero(due == level)
            if not len(places):
                continue
            limited = level == 0 and bool(np.isfinite(self.above).any())
            found, surely = self.look(depth, places, self.above[places] if limited else None)
            counted = counted if surely is None else surely
            if level == last:
                hopeless += self._end(found, places)
                break
            lost = counted[places] >= self.levels[last]
            settled = ~self._short(found, places)
            settled[lost] = ~self._unsuspected(found.about(queries[places[lost]]), places[lost])
            self._settle(found, places[settled], depth)
            hopeless += int((lost & settled).sum())
            wanted = np.where(lost, 0, counted[places] + self._reach)
            due[places] = np.searchsorted(self.levels, wanted).clip(level + 1, last)
            due[places[settled]] = -1
        depths = {depth: self._depths[depth] for depth in sorted(self._depths)}
        return Looked(candidates=joined(self._settled), depths=depths, hopeless=hopeless)

    @property
    def _reach(self) -> int:
        return self.plan.selection.reach or 0

    def _end(self, found: Candidates, places: Int64[np.ndarray, " some"]) -> int:
        """Keep what was found at the last level; how many queries turned out to be hopeless, whose lists end before."""
        queries = self.material.queries
        lowest = np.minimum.reduceat(found.score(SOURCE), np.searchsorted(found.query, queries[places]))
        lost = lowest > self.above[places]
        self._settle(found, places[~lost], self.levels[-1])
        found, places = found.about(queries[places[lost]]), places[lost]
        for depth in self.levels[:-1]:
            less = found.take(np.flatnonzero(found.rank < depth))
            wanting = self._unsuspected(less, places)
            self._settle(less, places[~wanting], depth)
            found, places = found.about(queries[places[wanting]]), places[wanting]
        self._settle(found, places, self.levels[-1])
        return int(lost.sum())

    def _settle(self, found: Candidates, places: Int64[np.ndarray, " some"], depth: int) -> None:
        """Keep the candidates of some queries as they are."""
        if len(places):
            self._settled.append(found.about(self.material.queries[places]))
            self._depths[depth] = self._depths.get(depth, 0) + len(places)

    def _short(self, found: Candidates, places: Int64[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
        """Which queries have a list, or might have one, that holds less than the selection looks at."""
        kept = found.kept
        if isinstance(self.plan.window, Window):
            kept = replace(self.plan.window, by=None).apply(found, self.material).kept  # by its score is by rank
        return self._fewer(found, kept, self._reach, places)

    def _unsuspected(self, found: Candidates, places: Int64[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
        """Which queries have a list, or might have one, with fewer suspects than are wanted."""
        return self._fewer(found, suspected(found, self.plan.filters), self.suspects, places)

    def _fewer(
        self, found: Candidates, rows: Bool[np.ndarray, " row"], wanted: int, places: Int64[np.ndarray, " some"]
    ) -> Bool[np.ndarray, " some"]:
        """Which queries have a list with fewer of some rows than are wanted, or none."""
        lists = found.lists
        first = np.flatnonzero(np.diff(lists, prepend=-1))
        enough = np.bincount(lists, rows, minlength=len(first)) >= wanted
        of_list = np.searchsorted(self.material.queries[places], found.query[first])
        fewer: Bool[np.ndarray, " some"] = np.bincount(of_list, minlength=len(places)) == 0
        fewer[of_list[~enough]] = True
        return fewer
