"""The page of a training run: figures, tables and sentences from the files of its folder."""

from dataclasses import dataclass
from pathlib import Path

from nearfar.files import write_text
from nearfar.reports import distributions, figures, training_figures, words
from nearfar.reports.canvas import Figure
from nearfar.reports.contents import Comparison, DataFacts, Run, Scores, Training
from nearfar.reports.folder import read_run
from nearfar.reports.frame import REPORT, render_page
from nearfar.reports.shape import draw_shape, of_run, render_shape

MARKS = 100


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A score in the table: its value, its interval or an empty string, and whether it is the row's highest."""

    value: str
    interval: str
    best: bool


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A system at the top of the page: a hundred marks, ``found`` of them filled."""

    system: str
    value: str
    interval: str
    found: int
    filled: str
    empty: str


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write the report of the run folder ``run`` and return its path.

    Args:
        run: the folder that a training run wrote; only its files are read. Missing files leave a sentence.
        out: the file to write; ``report.html`` in the run folder when None. It is replaced in one step.

    Raises:
        DataError: ``run`` is not a run folder, or a file in it is broken.
        ResourceError: the report cannot be written.
    """
    page = render(read_run(run))
    target = out if out is not None else run / REPORT
    write_text(target, page)
    return target


def render(run: Run) -> str:
    """The page as text. The same run gives the same text."""
    drawn = draw(run)
    return render_page(
        "report.html.jinja",
        command="train",
        title=(run.about.name if run.about is not None else "") or "Training run",
        figures=drawn,
        run=run,
        headline=words.headline(run.scores) if run.scores is not None else None,
        strips=strips(run.scores) if run.scores is not None else [],
        systems=words.systems_in_order(run.scores) if run.scores is not None else (),
        table=score_table(run.scores) if run.scores is not None else [],
        cuts=cut_table(run.scores) if run.scores is not None else [],
        comparisons=_columns(run.scores) if run.scores is not None else {},
        primary=words.primary_measure(run.scores) if run.scores is not None else None,
        shape=render_shape(*of_run(run), drawn, "evaluation/"),
        splits=splits(run.data) if run.data is not None else [],
        mined=mined_facts(run.data) if run.data is not None else [],
    )


def draw(run: Run) -> dict[str, Figure]:
    """Every figure for which the run has the numbers, by name."""
    drawn: list[Figure | None] = []
    best_step = run.about.best_step if run.about is not None else None
    primary = words.primary_measure(run.scores) if run.scores is not None else None
    if run.scores is not None and run.scores.systems:
        drawn += [figures.scores_figure(run.scores), figures.differences_figure(run.scores)]
    if run.per_query is not None:
        measure = primary or words.PRIMARY
        gaps = run.per_query.differences("tuned", "base", measure)
        drawn.append(figures.gains_figure(gaps, measure) if len(gaps) else None)
    if run.training is not None:
        drawn += _training_figures(run.training, primary, best_step)
    if run.pair_scores is not None:
        drawn += [distributions.similarity_figure(system, run.pair_scores) for system in ("base", "tuned")]
    drawn += draw_shape(of_run(run)[0])
    if run.map is not None:
        drawn += [
            distributions.map_figure(system, run.map[system]) for system in ("base", "tuned") if system in run.map
        ]
    if run.data is not None:
        drawn += _data_figures(run.data)
    return {one.name: one for one in drawn if one is not None}


def _training_figures(training: Training, primary: str | None, best_step: int | None) -> list[Figure | None]:
    measure = primary if primary in training.dev else next(iter(training.dev), None)
    dev = training_figures.dev_figure(measure, training.dev[measure], best_step) if measure is not None else None
    inside = training_figures.inside_figures(training.train, best_step)
    return [training_figures.loss_figure(training.loss, best_step), dev, *inside]


def _data_figures(data: DataFacts) -> list[Figure | None]:
    drawn: list[Figure | None] = []
    if data.positives_per_query:
        labels, values = list(data.positives_per_query), [float(value) for value in data.positives_per_query.values()]
        drawn.append(
            distributions.bars_figure("positives", "Relevant documents per query", labels, values, "relevant documents")
        )
    for side in ("queries", "documents"):
        if side in data.words:
            name, title = f"words-{side}", f"Length of {side}"
            drawn.append(distributions.histogram_figure(name, title, data.words[side], "words"))
    return drawn


def strips(scores: Scores) -> list[Strip]:
    """The systems at the top of the page, tuned first, by the share of queries with the right document first."""
    if words.FIRST not in scores.measures:
        return []
    shown = [system for system in reversed(words.systems_in_order(scores)) if words.FIRST in scores.systems[system]]
    made = []
    for system in shown:
        value = scores.systems[system][words.FIRST]
        found = min(MARKS, max(0, round(MARKS * value))) if value == value else 0
        made.append(
            Strip(
                system=system,
                value=words.decimal(100 * value, 1),
                interval=" to ".join(words.decimal(100 * bound, 1) for bound in _interval(scores, system, words.FIRST)),
                found=found,
                filled=_marks(0, found),
                empty=_marks(found, MARKS),
            )
        )
    return made


def _marks(start: int, stop: int) -> str:
    """The outline of marks ``start`` to ``stop`` as an SVG path, ten units apart."""
    return "".join(f"M{10 * at} 0h7v24h-7z" for at in range(start, stop))


def _interval(scores: Scores, system: str, measure: str) -> tuple[float, ...]:
    return scores.intervals.get(system, {}).get(measure, ())


def _columns(scores: Scores) -> dict[str, str]:
    """The comparisons that the table has a column for: ``{control: its heading}``."""
    controls = dict.fromkeys(one.control for one in scores.comparisons if one.treatment == "tuned")
    return {control: f"Tuned {words.MINUS} {words.name_of(control).replace('Base', 'base')}" for control in controls}


def score_table(scores: Scores) -> list[tuple[str, dict[str, Cell], dict[str, Comparison | None]]]:
    """A row for each measure: its name, a cell for each system, a comparison for each control."""
    rows = []
    for measure in scores.measures:
        values = {system: scores.systems[system].get(measure) for system in words.systems_in_order(scores)}
        highest = max((value for value in values.values() if value is not None), default=None)
        cells = {
            system: Cell(
                value=words.decimal(value),
                interval=" to ".join(words.decimal(bound) for bound in _interval(scores, system, measure)),
                best=value is not None and value == highest,
            )
            for system, value in values.items()
        }
        rows.append(
            (measure, cells, {control: scores.comparison("tuned", control, measure) for control in _columns(scores)})
        )
    return rows


def cut_table(scores: Scores) -> list[tuple[int, list[str], list[Comparison | None]]]:
    """A row for each width: base and tuned model with cut vectors, their difference, and what cutting costs."""
    measure = words.primary_measure(scores)
    if measure is None:
        return []
    return [
        (
            width,
            [words.decimal(scores.systems.get(f"{system}@{width}", {}).get(measure)) for system in ("base", "tuned")],
            [scores.comparison(f"tuned@{width}", control, measure) for control in (f"base@{width}", "tuned")],
        )
        for width in words.widths(scores)
    ]


def splits(data: DataFacts) -> list[tuple[str, int | None, int | None]]:
    """``(split, queries, pairs)`` in the order of the file."""
    names = dict.fromkeys([*data.queries, *data.pairs])
    return [(name, data.queries.get(name), data.pairs.get(name)) for name in names]


def mined_facts(data: DataFacts) -> list[tuple[str, str]]:
    """What is said of mined negatives; nothing where there are none."""
    known = data.mined
    if not known.get("queries"):
        return []
    negatives, without, queries = known.get("negatives", 0), known.get("without", 0), known["queries"]
    share = words.decimal(100 * without / queries, 1)
    said = [
        ("Mined negatives", f"{words.count(negatives)}, {words.decimal(negatives / queries, 1)} for a training query"),
        ("Training queries without mined negatives", f"{words.count(without)} ({share} %)"),
    ]
    ignored = known.get("ignored", 0)
    return [*said, ("Pairs ignored, since they may be relevant", words.count(ignored))] if ignored else said
