"""From what is finished to a ``Comparison``: its tables, costs and flips, and the sentences that belong to them."""

from collections.abc import Sequence

import numpy as np

from nearfar.comparing.costs import costs
from nearfar.comparing.flips import Reader, flips
from nearfar.comparing.selection import Evidence, Selected
from nearfar.comparing.tables import tables
from nearfar.errors import first_few
from nearfar.evaluation.comparison import ALL, Comparison, FlipsOf, Score, Table

_FEW_QUERIES, _FEW_SEEDS = 20, 3
"""Below these, intervals are doubtful or very wide."""


def assemble(evidence: Evidence, read: Reader, go_on: str = "") -> Comparison:
    """All that can be said from what is finished.

    Args:
        evidence: what was asked for and what is finished.
        read: gives tables for texts.
        go_on: what to do to finish the rest.

    Raises:
        DataError: systems that were measured on different queries, or on one alone.
    """
    overall, single, selected = tables(evidence)
    main = overall or (single[0] if single else None)
    found = flips(evidence, selected, read)
    return Comparison(
        name=evidence.name,
        measure=evidence.measure,
        measures=tuple(dict.fromkeys(name for each in evidence.measured.values() for name in each.measures)),
        confidence=evidence.confidence,
        baseline=evidence.baseline,
        systems=evidence.systems,
        data_sets=evidence.data_sets,
        seeds=evidence.seeds,
        overall=overall,
        tables=single,
        scores=_scores(evidence, selected),
        costs=costs(evidence, main),
        flips=found,
        gaps=evidence.gaps,
        cells=len(evidence.measured) + len(evidence.gaps),
        notes=tuple(_notes(evidence, overall, single, selected)),
        method=tuple(_method(evidence, overall, single, found)),
        go_on=go_on,
    )


def _scores(evidence: Evidence, selected: Sequence[Selected]) -> tuple[Score, ...]:
    scores = []
    for part in selected:
        for system in part.values:
            seeds = part.seeds if system in part.trained else (None,)
            cells = [evidence.measured[system, part.data_set, seed] for seed in seeds]
            for measure in cells[0].measures:
                mean = float(np.mean([list(cell.of(measure).values()) for cell in cells]))
                scores.append(Score(system=system, data_set=part.data_set, measure=measure, mean=mean))
    return tuple(scores)


def _notes(
    evidence: Evidence, overall: Table | None, single: Sequence[Table], selected: Sequence[Selected]
) -> list[str]:
    """What a reader must know, the most important first."""
    notes = []
    total = len(evidence.measured) + len(evidence.gaps)
    for state, words in (("missing", "are not done yet"), ("failed", "have failed")):
        gaps = [gap for gap in evidence.gaps if gap.state == state]
        if gaps:
            names = first_few(dict.fromkeys(f"{gap.system} on {gap.data_set}" for gap in gaps))
            notes.append(
                f"{len(gaps)} of {total} runs {words}: {names}. Only what all systems of a table have finished is "
                "compared."
            )
    trained = sorted({len(part.seeds) for part in selected if part.trained})
    if any(system.kind == "run" for system in evidence.systems):
        notes.append(
            "These are finished models, each from one training at most. How much results vary when training is "
            "repeated is not covered: a difference may be luck. Compare recipes over several seeds to know."
        )
    elif trained and trained[0] == 1:
        notes.append(
            "There is one seed only: how much results vary when training is repeated is not covered, and a difference "
            "may be luck. Take at least 3 seeds, better 5."
        )
    elif trained and trained[0] < _FEW_SEEDS:
        notes.append(f"{trained[0]} seeds say little about training again, and intervals are wide. Take 3 to 5.")
    for table in (overall,) if overall is not None else single[:1]:
        notes += [f"{name} is not in the table of {table.name}: {reason}." for name, reason in table.left_out.items()]
    waiting = [data.name for data in evidence.data_sets if overall is None or data.name not in overall.data_sets]
    if len(evidence.data_sets) > 1 and waiting:
        notes.append(f"Not finished by all systems, and not in the table of {ALL}: {first_few(waiting)}.")
    notes += [
        f"{part.data_set} has {len(part.queries)} queries. Intervals from so few are doubtful."
        for part in selected
        if len(part.queries) < _FEW_QUERIES
    ]
    return [*notes, *_equal(selected)]


def _equal(selected: Sequence[Selected]) -> list[str]:
    """Systems that cannot differ: their values are the same for each query."""
    notes = []
    for part in selected:
        names = list(part.values)
        for place, name in enumerate(names):
            for other in names[place + 1 :]:
                if (part.values[name] == part.values[other]).all():
                    notes.append(f"{name} and {other} have the same value for each query of {part.data_set}.")
    return notes


def _method(evidence: Evidence, overall: Table | None, single: Sequence[Table], found: Sequence[FlipsOf]) -> list[str]:
    """How it was done, one sentence each."""
    if not single:
        return []
    what = f"each system with {evidence.baseline}" if evidence.baseline is not None else "each pair of systems"
    families = [
        f"{table.family} {where}"
        for table, where in ((overall, "over all data sets"), (single[0], "on single data sets"))
        if table is not None and table.family
    ]
    recipes = any(system.kind == "recipe" for system in evidence.systems)
    method = [
        f"{evidence.measure} decides: its mean over the test queries"
        + (" and seeds" if recipes else "")
        + ("; each data set weighs the same" if len(evidence.data_sets) > 1 else "")
        + ".",
        "Differences are paired: the same queries" + (", the same seeds" if recipes else "") + ".",
        f"Intervals are of {evidence.confidence:.0%}, by analysis of variance of queries"
        + (" and seeds, each with Student's t on its own degrees of freedom" if recipes else " with Student's t")
        + ". Each is of one comparison alone. "
        + (overall or single[0]).covers,
    ]
    if families:
        method.append(
            f"p is two-sided and corrected by Holm's procedure for the comparisons that were planned, {what}: "
            f"{', and '.join(families)}. Below {1 - evidence.confidence:.2g} a difference counts as found."
        )
    if evidence.baseline is None and len(evidence.systems) > 2:
        method.append(
            "Systems share a letter where no difference between them was found. That is no proof of equality."
        )
    if found:
        method.append(
            f"A negative flip is a query that loses more than {found[0].threshold} of {evidence.measure} against "
            f"{found[0].baseline}."
        )
    return method
