"""The page of ``nearfar compare``: what could be told apart, by how much, at what cost, and what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearfar.evaluation.comparison import ALL, Comparison, Cost, FlipsOf, Score, Standing, Table, Versus
from nearfar.files import write_text
from nearfar.reports import comparison_figures, comparison_words, words
from nearfar.reports.canvas import Figure
from nearfar.reports.frame import REPORT, render_page

VERDICTS = {"better": "better", "worse": "worse", "open": "not told apart"}
"""What a verdict is called."""
_DEEPEST = 34
"""How much of its colour the best cell of the table by data set has, in per cent: text on it stays readable."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A system in the table of the result. ``versus`` is its difference from the baseline, or from the best."""

    standing: Standing
    settings: str
    versus: Versus | None
    cost: Cost | None


@dataclass(frozen=True, kw_only=True)
class HeatCell:
    """The mean of a system on a data set; ``deep`` is how much colour it has, in per cent."""

    standing: Standing | None
    deep: int


def write_page(folder: Path, out: Path | None = None) -> Path:
    """Write the page of the comparison in a folder and give its path; an older one is replaced.

    Args:
        folder: that ``nearfar compare`` wrote; only its files are read.
        out: the file to write; ``report.html`` in the folder when None.

    Raises:
        DataError: there is no comparison in the folder, or it is damaged.
        ResourceError: the page cannot be written.
    """
    target = folder / REPORT if out is None else out
    write_text(target, render(Comparison.read(folder)))
    return target


def render(comparison: Comparison) -> str:
    """The page as text. The same comparison gives the same text."""
    main = comparison.main
    drawn = draw(comparison)
    costs = comparison_figures.drawn_costs(comparison)
    return render_page(
        "comparison.html.jinja",
        command="compare",
        title=comparison.name,
        figures=drawn,
        comparison=comparison,
        main=main,
        every=ALL,
        headline=comparison_words.headline(comparison),
        lede=list(comparison_words.lede(comparison)),
        reading=comparison_words.reading(comparison, main) if main is not None else "",
        control=comparison_words.against(comparison, main) if main is not None else "",
        rows=list(rows(comparison, main)) if main is not None else [],
        pairs=[table for table in _tables(comparison) if table.versus],
        heat=list(heat(comparison)) if len(comparison.tables) > 1 else [],
        measured=list(by_measure(comparison)),
        cost_figures=[f"cost-{name.replace('_', '-')}" for name in costs],
        costs=[one for one in comparison.costs if one.quality is not None],
        cost_titles={name: comparison_figures.COSTS[name][0] for name in costs},
        cost_of=cost_in_words,
        flips=list(comparison.flips),
        flipped=[one for one in comparison.flips if one.worst],
        flip_rate=flip_rate,
        verdicts=VERDICTS,
        share=share,
        interval=words.percent(comparison.confidence),
    )


def draw(comparison: Comparison) -> dict[str, Figure]:
    """Every figure for which there are numbers, by name."""
    drawn = (
        comparison_figures.forest_figure(comparison),
        comparison_figures.seeds_figure(comparison),
        *(comparison_figures.pareto_figure(comparison, name) for name in comparison_figures.drawn_costs(comparison)),
    )
    return {one.name: one for one in drawn if one is not None}


def rows(comparison: Comparison, table: Table) -> Iterator[Row]:
    """The systems of a table, best mean first."""
    settings = {one.name: one.settings for one in comparison.systems}
    costs = {one.system: one for one in comparison.costs}
    control = comparison_words.against(comparison, table)
    for standing in table.standings:
        yield Row(
            standing=standing,
            settings=settings.get(standing.system, ""),
            versus=comparison_words.versus(table, standing.system, control),
            cost=costs.get(standing.system),
        )


def heat(comparison: Comparison) -> Iterator[tuple[str, Standing | None, list[HeatCell]]]:
    """A row for each system: its name, its standing over all, its cell on each data set, best of all first."""
    overall = {one.system: one for one in comparison.overall.standings} if comparison.overall is not None else {}
    by_table = [{one.system: one for one in table.standings} for table in comparison.tables]
    rest = [one.name for one in comparison.systems if one.name not in overall]
    for system in (*overall, *rest):
        cells = [_heat_cell(standings, system) for standings in by_table]
        if any(cell.standing is not None for cell in cells):
            yield system, overall.get(system), cells


def _heat_cell(standings: dict[str, Standing], system: str) -> HeatCell:
    found = standings.get(system)
    if found is None:
        return HeatCell(standing=None, deep=0)
    means = [one.mean for one in standings.values()]
    spread = max(means) - min(means)
    return HeatCell(standing=found, deep=round(_DEEPEST * (found.mean - min(means)) / spread) if spread else 0)


def by_measure(comparison: Comparison) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """For each data set the means of every measure by system, where there are several measures."""
    if len(comparison.measures) < 2:
        return
    known = {(one.system, one.data_set, one.measure): one for one in comparison.scores}
    for table in comparison.tables:
        listed = [
            (one.system, [_mean(known.get((one.system, table.name, measure))) for measure in comparison.measures])
            for one in table.standings
        ]
        yield table.name, listed


def _mean(score: Score | None) -> str:
    return words.decimal(score.mean if score is not None else None)


def cost_in_words(cost: Cost, name: str) -> str:
    """A cost as it stands in the table."""
    value = getattr(cost, name)
    if value is None:
        return words.decimal(None)
    value *= comparison_figures.COSTS[name][1]
    return words.count(value) if value >= 100 or value == 0 else words.decimal(value, 1)


def flip_rate(one: FlipsOf) -> str:
    """Whether a system makes more queries worse than training the baseline again does."""
    if one.again_rate is None:
        return ""
    if one.low > one.again_rate:
        return "more than training the baseline again"
    return "no more than training the baseline again"


def share(value: float) -> str:
    """``4.2 %``."""
    return f"{words.decimal(100 * value, 1)} %"


def _tables(comparison: Comparison) -> list[Table]:
    return [*([comparison.overall] if comparison.overall is not None else []), *comparison.tables]
