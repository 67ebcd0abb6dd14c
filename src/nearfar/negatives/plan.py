"""The parts of a mining job, read from its settings, and the order in which they work."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32

from nearfar.config.mining import MiningOptions
from nearfar.encoders.locate import locate
from nearfar.errors import ConfigError, did_you_mean
from nearfar.events import Silent, Sink
from nearfar.negatives.candidates import SOURCE, Candidates, Positives, named
from nearfar.negatives.filters.removing import Removing
from nearfar.negatives.filters.scores import ScoreFilter
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Filter, Part, Relabel, Scorer, Selection, Source, Weight
from nearfar.negatives.registry import (
    parse_filter,
    parse_relabel,
    parse_scorer,
    parse_selection,
    parse_source,
    parse_weight,
)
from nearfar.negatives.scorers import Model
from nearfar.negatives.sources.retrieved import Dense, Hybrid
from nearfar.retrieval.approximate import installed
from nearfar.retrieval.kinds import EXACT

_WIDTH = 2**32
"""More than there are documents."""

TEACHER = "teacher"
"""The name of the score that is there without being configured."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a job is composed of.

    Attributes:
        sources: where candidates come from.
        scorers: who gives a score, by its name.
        filters: what drops candidates, in order.
        window: which ranks are left.
        relabel: what becomes of those that look relevant.
        selection: which of the kept are handed out.
        weights: what weighs those.
        select_first: whether selection comes before the filters.
        judge: of a sample of what came out.
    """

    sources: tuple[Source, ...]
    scorers: Mapping[str, Scorer]
    filters: tuple[Filter, ...]
    window: Filter | None
    relabel: Relabel | None
    selection: Selection
    weights: tuple[Weight, ...]
    select_first: bool
    judge: Scorer | None

    @classmethod
    def of(cls, options: MiningOptions) -> "Plan":
        """The parts that the settings name.

        Raises:
            ConfigError: when a part is unknown or wrong, or goes by a score that nobody gives.
        """
        plan = cls(
            sources=tuple(parse_source(text) for text in options.sources),
            scorers={TEACHER: Model()} | {name: parse_scorer(text) for name, text in options.scorers.items()},
            filters=tuple(parse_filter(text) for text in options.filters),
            window=None if options.window is None else parse_filter(options.window),
            relabel=None if options.relabel is None else parse_relabel(options.relabel),
            selection=parse_selection(options.select),
            weights=tuple(parse_weight(text) for text in options.weights),
            select_first=options.order == "select",
            judge=None if options.check is None else parse_scorer(options.check),
        )
        for part in plan.parts():
            for name in part.asks:
                if name not in plan.scorers:
                    raise ConfigError(
                        f"{part} goes by the score {name!r}, which nobody gives.{did_you_mean(name, plan.scorers)} "
                        f"Say who: --set mining.scorers='{{{name}: \"CrossEncoder(model=...)\"}}'. "
                        f"There are: {', '.join(plan.scorers)}."
                    )
        return plan

    def parts(self) -> Iterator[Part]:
        """Everything after the sources, in the order in which it works."""
        chosen = [self.window, self.selection]
        judged = [*self.filters, self.relabel]
        stages = [*chosen, *judged] if self.select_first else [*judged, *chosen]
        yield from (part for part in (*stages, *self.weights) if part is not None)

    def with_settled(self, settled: Mapping[Filter, ScoreFilter]) -> "Plan":
        """The same with filters as they were settled."""
        return replace(self, filters=tuple(settled.get(part, part) for part in self.filters))

    @property
    def searches(self) -> tuple[Dense, ...]:
        """Every search by vectors, also those within another source."""
        found: list[Dense] = []
        waiting = list(self.sources)
        while waiting:
            source = waiting.pop(0)
            if isinstance(source, Dense):
                found.append(source)
            elif isinstance(source, Hybrid):
                waiting = [*source.sources, *waiting]
        return tuple(dict.fromkeys(found))

    def check(self) -> None:
        """Make sure that what the parts name is there, before anything is computed. Opens no model.

        Raises:
            ConfigError: there is no such model or template, or FAISS is wanted and not installed.
            DataError: there is no such run file.
            ResourceError: a model can only be on the hub, and the hub cannot be reached.
        """
        asked = {name for part in self.parts() for name in part.asks}
        scorers = [scorer for name, scorer in self.scorers.items() if name in asked]
        for source in self.sources:
            _ = source.fingerprint  # reads the files that it names
        users: list[Source | Scorer | Part] = [
            *self.sources,
            *scorers,
            *self.parts(),
            *([] if self.judge is None else [self.judge]),
        ]
        for name in dict.fromkeys(name for user in users for name in user.models):
            if name:
                locate(name)
        if any(search.index != EXACT for search in self.searches):
            installed()


@dataclass(eq=False)
class Scoring:
    """Computes each score when it is first asked for, of the rows that are still kept then.

    Attributes:
        material: what is scored.
        scorers: by the name of their score.
        models: for each source the model by whose vectors it has searched, None for one that has not.
        sink: takes progress.
        unanswered: by score, how many candidates and positives that it was asked for have none.
        settled: the filters whose limit candidates have given, and what they are then.
    """

    material: Material
    scorers: Mapping[str, Scorer]
    models: Sequence[str | None] = ()
    sink: Sink = field(default_factory=Silent)
    unanswered: dict[str, dict[str, int]] = field(default_factory=dict)
    settled: dict[Filter, ScoreFilter] = field(default_factory=dict)

    def after(self, parts: Iterable[Part], candidates: Candidates) -> Candidates:
        """The candidates after some parts, each of which has the scores it goes by."""
        for part in parts:
            for name in part.asks:
                if name not in candidates.scores:
                    candidates = self.scored(name, candidates)
            if isinstance(part, Removing):
                self.settled[part] = part = part.settled(candidates)
            candidates = part.apply(candidates, self.material)  # type: ignore[attr-defined]
        return candidates

    def scored(self, name: str, candidates: Candidates) -> Candidates:
        """The candidates with a score of their own and of their positives."""
        scorer = self.scorers[name]
        values = np.where(candidates.kept & self._found_by(scorer, candidates), candidates.score(SOURCE), np.nan)
        missing = candidates.kept & np.isnan(values)
        values[missing] = self._of(scorer, candidates.query[missing], candidates.document[missing])
        positives = self.known((name,), candidates.positives)
        without = int(np.isnan(named(positives.scores, name)).sum())
        silent = {"candidates": int(np.isnan(values[missing]).sum()), "positives": without}
        if any(silent.values()):
            self.unanswered[name] = silent
        return replace(candidates.with_scores(name, values), positives=positives)

    def known(self, names: Iterable[str], positives: Positives) -> Positives:
        """The positives with their scores of some names."""
        for name in names:
            if name not in positives.scores:
                found = self._of(self.scorers[name], positives.query, positives.document)
                positives = positives.with_scores(name, found)
        return positives

    def _found_by(self, scorer: Scorer, candidates: Candidates) -> Bool[np.ndarray, " row"]:
        """Rows whose source has compared by the vectors of this scorer: their score is the same, to the bit."""
        same = [number for number, model in enumerate(self.models) if model is not None and scorer == Model(name=model)]
        return np.isin(candidates.source, same)

    def _of(self, scorer: Scorer, queries: np.ndarray, documents: np.ndarray) -> Float32[np.ndarray, " pair"]:
        """The scores of pairs, each asked for once."""
        distinct, inverse = np.unique(queries.astype(np.int64) * _WIDTH + documents, return_inverse=True)
        if not len(distinct):
            return np.zeros(0, dtype=np.float32)
        query, document = (each.astype(np.int32) for each in np.divmod(distinct, _WIDTH))
        return scorer.score(self.material, query, document, self.sink)[inverse]
