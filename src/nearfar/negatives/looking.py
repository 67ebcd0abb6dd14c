"""How deep a job looks: for each query only so deep as decides what comes out.

A filter that goes by the score by which a search ranks drops a list from the top: behind the first candidate that it
keeps it keeps all. So once a list holds as many as the selection looks at, deeper candidates can neither be handed out
nor be suspected. They are then not searched for; lists that have fewer are looked at again, deeper. What is handed out
is the same as if every list were as long as its source may go; what was looked at, and so the account, is less.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int32, Int64

from nearfar.config.mining import MiningOptions
from nearfar.negatives.candidates import SOURCE, Candidates
from nearfar.negatives.filters.scores import ScoreFilter
from nearfar.negatives.lists import joined
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Part
from nearfar.negatives.plan import Plan
from nearfar.negatives.scorers import Model
from nearfar.negatives.sources.retrieved import Dense
from nearfar.negatives.windows import Window
from nearfar.retrieval.kinds import EXACT

_FIRST, _DEEPER = 32, 4
"""How deep every list is looked at, and how many times deeper those that need more."""

Look = Callable[[int, Int64[np.ndarray, " some"]], Candidates]
"""Gives the candidates of some of the job's queries, by their places, to a depth, after the filters."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Looked:
    """What was looked at.

    Attributes:
        candidates: of all queries, after the filters.
        depths: how many queries were looked at to which depth.
    """

    candidates: Candidates
    depths: Mapping[int, int]


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


def as_deep_as_needed(look: Look, levels: Sequence[int], plan: Plan, material: Material) -> Looked:
    """The candidates of every query, to the first of some depths at which its lists hold enough.

    Args:
        look: gives candidates.
        levels: the depths, ascending.
        plan: has the window and the selection.
        material: what the job is about.
    """
    places, settled, reached = np.arange(len(material.queries)), [], {}
    for depth in levels:
        found = look(depth, places)
        short = _short(found, material.queries[places], plan, material)
        if depth == levels[-1] or not short.any():
            settled.append(found)
            reached[depth] = len(places)
            break
        settled.append(found.about(material.queries[places[~short]]))
        reached[depth] = int((~short).sum())
        places = places[short]
    return Looked(candidates=joined(settled), depths={depth: count for depth, count in reached.items() if count})


def _short(
    candidates: Candidates, queries: Int32[np.ndarray, " query"], plan: Plan, material: Material
) -> Bool[np.ndarray, " query"]:
    """Which queries have a list, or might have one, that holds less than the selection looks at."""
    kept = candidates.kept
    if isinstance(plan.window, Window):
        kept = replace(plan.window, by=None).apply(candidates, material).kept  # by its score is by rank
    lists = candidates.lists
    first = np.flatnonzero(np.diff(lists, prepend=-1))
    enough = np.bincount(lists, kept, minlength=len(first)) >= (plan.selection.reach or 0)
    of_list = np.searchsorted(queries, candidates.query[first])
    short: Bool[np.ndarray, " query"] = np.bincount(of_list, minlength=len(queries)) == 0
    short[of_list[~enough]] = True
    return short
