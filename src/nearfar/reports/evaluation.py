"""The page of ``nearfar evaluate --out``: scores with intervals, the shape of what was found, and single items."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nearfar.data.tables import UNSPLIT
from nearfar.evaluation.calibrated import Calibration
from nearfar.files import write_text
from nearfar.reports import evaluation_figures, words
from nearfar.reports.canvas import Figure
from nearfar.reports.contents import Scores
from nearfar.reports.evaluation_contents import Measured, Result, Results, Retrieved, read_evaluation
from nearfar.reports.frame import REPORT, render_page
from nearfar.reports.page import strips
from nearfar.reports.shape import draw_shape, render_shape


def write_page(folder: Path, out: Path | None = None) -> Path:
    """Write the page of the evaluation in a folder and give its path; an older one is replaced.

    Args:
        folder: that ``nearfar evaluate --out`` wrote; only its files are read.
        out: the file to write; ``report.html`` in the folder when None.

    Raises:
        DataError: there is no evaluation in the folder, or a file in it is broken.
        ResourceError: the page cannot be written.
    """
    target = folder / REPORT if out is None else out
    write_text(target, render(read_evaluation(folder)))
    return target


def render(found: Retrieved | Measured) -> str:
    """The page as text. The same evaluation gives the same text."""
    return _render_search(found) if isinstance(found, Retrieved) else _render_tasks(found)


def _render_search(found: Retrieved) -> str:
    scores = found.scores
    system = next(iter(scores.systems))
    drawn = draw_search(found)
    return render_page(
        "evaluation.html.jinja",
        command="evaluate",
        title=found.name,
        figures=drawn,
        headline=search_headline(scores, system),
        lede=list(search_lede(scores, system)),
        strips=[replace(strip, system=called(strip.system)) for strip in strips(scores)[-1:]],
        scores=scores,
        systems=[called(name) for name in scores.systems] if len(scores.systems) > 1 else ["Value"],
        cells=score_cells(scores),
        examples=found.examples,
        shape=render_shape(_whole(found, system), {called(name): one for name, one in found.geometry.items()}, drawn)
        if found.geometry or found.calibration
        else "",
    )


def draw_search(found: Retrieved) -> dict[str, Figure]:
    """Every figure of a search for which there are numbers, by name."""
    scores = found.scores
    system, measure = next(iter(scores.systems)), words.primary_measure(scores)
    points = [
        (called(name), one, value, *scores.intervals.get(name, {}).get(one, (value, value)))
        for name, measured in scores.systems.items()
        for one, value in measured.items()
    ]
    values = found.per_query.values.get((system, measure or ""), {}) if found.per_query is not None else {}
    drawn = (
        evaluation_figures.values_figure("scores", "Scores", points, scores.confidence),
        evaluation_figures.spread_figure(measure or "", values),
        *draw_shape(_whole(found, system)),
    )
    return {one.name: one for one in drawn if one is not None}


def _whole(found: Retrieved, system: str) -> dict[str, Calibration]:
    """What the scores of the vectors as they are are good for, under the short name."""
    return {called(name): one for name, one in found.calibration.items() if name == system}


def search_headline(scores: Scores, system: str) -> str:
    """The main score in one sentence. It says nothing about being good: there is nothing to compare with."""
    value = scores.systems[system].get(words.FIRST)
    if value is None:
        measure = words.primary_measure(scores) or ""
        return f"{measure} is {words.decimal(scores.systems[system].get(measure))}."
    of = min(100, scores.queries)
    return f"The right document comes first for {words.count(round(of * value))} of {of} queries."


def search_lede(scores: Scores, system: str) -> Iterator[str]:
    """What was measured on what, and how sure it is."""
    measure = words.primary_measure(scores)
    where = f"{words.count(scores.queries)} queries" + (f" of {scores.split}" if scores.split != UNSPLIT else "")
    if scores.documents is not None:
        where += f" and {words.count(scores.documents)} documents"
    yield f"{words.name_of(system)}, over {where}."
    if measure is not None and measure in scores.systems[system]:
        bounds = scores.intervals.get(system, {}).get(measure)
        sure = f" ({words.percent(scores.confidence)} interval {_bounds(bounds)})" if bounds else ""
        yield f"{measure} is {words.decimal(scores.systems[system][measure])}{sure}."
    yield "Whether that is good can only be said beside another model on the same queries: nearfar compare does that."


def called(system: str) -> str:
    """A short name: of vectors that are cut, their width; of BM25, its own; of any other, that it is the model."""
    name, cut, width = system.rpartition("@")
    return f"cut to {width}" if cut and width.isdecimal() and name else system if system in words.NAMES else "Model"


def score_cells(scores: Scores) -> list[tuple[str, list[tuple[str, str]]]]:
    """A row for each measure: its name, then value and interval of each system."""
    return [
        (
            measure,
            [
                (words.decimal(measured.get(measure)), _bounds(scores.intervals.get(system, {}).get(measure)))
                for system, measured in scores.systems.items()
            ],
        )
        for measure in scores.measures
    ]


def _bounds(interval: tuple[float, float] | None) -> str:
    return " to ".join(words.decimal(bound) for bound in interval) if interval is not None else ""


def _render_tasks(found: Measured) -> str:
    results = found.results
    system = results.systems[0]
    first = {one.task: one for one in reversed(results.results) if one.system == system}
    units = {one.task: one.unit for one in results.results}
    names = short_names(results.tasks)
    drawn = draw_tasks(found)
    return render_page(
        "tasks.html.jinja",
        command="evaluate",
        title=found.name,
        figures=drawn,
        results=results,
        called=called,
        headline=task_headline(first[results.tasks[0]], names),
        lede=list(task_lede([first[task] for task in results.tasks], results, names)),
        tasks=[
            (place, task, units[task], [one for one in results.results if one.task == task])
            for place, task in enumerate(results.tasks)
        ],
        plural=plural,
        names=names,
        examples={one.task: one for one in found.examples.tasks} if found.examples is not None else {},
    )


def draw_tasks(found: Measured) -> dict[str, Figure]:
    """Every figure of some tasks for which there are numbers, by name."""
    results = found.results
    several, names = len(results.tasks) > 1, short_names(results.tasks)
    points = [
        (
            called(one.system),
            f"{names[one.task]} {one.measure}" if several else one.measure,
            one.value,
            one.low,
            one.high,
        )
        for one in results.results
    ]
    drawn = [evaluation_figures.values_figure("scores", "Scores", points, results.confidence)]
    units = {one.task: one.unit for one in results.results}
    for place, task in enumerate(results.tasks):
        columns = {column: values for (of, column), values in found.columns.items() if of == task}
        measures = [one.measure for one in results.results if one.task == task]
        drawn.append(evaluation_figures.item_figure(place, names[task], units[task], columns, measures))
    return {one.name: one for one in drawn if one is not None}


def task_headline(first: Result, names: Mapping[str, str]) -> str:
    """The first measure of the first task in one sentence."""
    return f"{first.measure} in {names[first.task]} is {words.decimal(first.value)}."


def task_lede(firsts: list[Result], results: Results, names: Mapping[str, str]) -> Iterator[str]:
    """What was measured on what, how sure it is, and the other tasks."""
    one = firsts[0]
    where = f" of {results.split}" if results.split != UNSPLIT else ""
    yield (
        f"{words.name_of(one.system)}, over {words.count(one.n)} {plural(one.unit, one.n)}{where} ({results.kind}), "
        f"with a {words.percent(results.confidence)} interval of {words.decimal(one.low)} to {words.decimal(one.high)}."
    )
    for other in firsts[1:]:
        yield (
            f"{names[other.task]}: {other.measure} {words.decimal(other.value)} "
            f"({words.decimal(other.low)} to {words.decimal(other.high)})."
        )
    yield "Whether that is good can only be said beside another model on the same data."


def short_names(tasks: Sequence[str]) -> dict[str, str]:
    """Each task by its name alone, without settings, unless two have the same name."""
    names = [task.partition("(")[0] for task in tasks]
    return {task: name if names.count(name) == 1 else task for task, name in zip(tasks, names, strict=True)}


def plural(unit: str, n: int) -> str:
    """``queries`` for ``query``, unless there is one."""
    return unit if n == 1 else {"query": "queries"}.get(unit, f"{unit}s")
