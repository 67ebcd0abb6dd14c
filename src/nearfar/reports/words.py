"""The sentences and numbers of the report, computed from the scores of a run.

The headline claims a difference only when the interval of that difference leaves out zero.
"""

import math
from dataclasses import dataclass

from nearfar.reports.contents import Comparison, Scores

FIRST = "Success@1"
PRIMARY = "nDCG@10"
MINUS = "\N{MINUS SIGN}"
NAMES = {"bm25": "BM25", "base": "Base", "tuned": "Tuned"}
ORDER = ("bm25", "base", "tuned")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of a sentence; ``system`` is set when it names one and takes its colour."""

    text: str
    system: str = ""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """``parts`` is the sentence at the top, ``lede`` the sentences under it.

    ``verdict`` is ``better``, ``worse``, ``undecided`` or ``unknown`` (no comparison in the files).
    """

    parts: tuple[Part, ...]
    lede: tuple[str, ...]
    verdict: str

    @property
    def text(self) -> str:
        """The sentence without markup."""
        return "".join(part.text for part in self.parts)


def name_of(system: str) -> str:
    """How a system is called in text."""
    return NAMES.get(system, system)


def tint(system: str) -> str:
    """The class of the style sheet with the colour of a system, empty for one without a colour of its own."""
    return system if system in NAMES else ""


def systems_in_order(scores: Scores) -> tuple[str, ...]:
    """BM25, base, tuned, then whatever else was scored; not what was scored with vectors that are cut."""
    known = [system for system in ORDER if system in scores.systems]
    cut = {f"{system}@{width}" for system in scores.systems for width in widths(scores)}
    return (*known, *(system for system in scores.systems if system not in (*ORDER, *cut)))


def widths(scores: Scores) -> tuple[int, ...]:
    """The widths to which vectors of the tuned model were cut, as in ``tuned@96``."""
    cuts = [system.partition("@")[2] for system in scores.systems if system.startswith("tuned@")]
    return tuple(int(width) for width in cuts if width.isdecimal())


def primary_measure(scores: Scores) -> str | None:
    """nDCG@10 when it was measured, otherwise the first measure of the file."""
    return PRIMARY if PRIMARY in scores.measures else next(iter(scores.measures), None)


def decimal(value: float | None, places: int = 3) -> str:
    """``0.512``, or a dash for a number that is missing."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{value:.{places}f}".replace("-", MINUS)


def signed(value: float | None, places: int = 3) -> str:
    """``+0.059`` or ``\N{MINUS SIGN}0.012``; a difference that rounds to nothing has no sign."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{abs(value):.{places}f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else MINUS
    return sign + text


def count(value: int | float | None) -> str:
    """``18,432``."""
    return "\N{EN DASH}" if value is None else f"{value:,.0f}"


def p_value(p: float | None) -> str:
    """``p < 0.001`` or ``p = 0.021``; empty when no test was made."""
    if p is None or not math.isfinite(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(level: float) -> str:
    """``95 %``."""
    return f"{100 * level:g} %"


def duration(seconds: float | int) -> str:
    """``38 s``, ``6 min 53 s`` or ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def verdict_of(comparison: Comparison | None) -> str:
    """``better``, ``worse``, ``undecided``, or ``unknown`` when there is no comparison."""
    if comparison is None:
        return "unknown"
    if not comparison.distinguishable:
        return "undecided"
    return "better" if comparison.low > 0 else "worse"


def headline(scores: Scores) -> Headline:
    """The sentence at the top of the page and what follows it."""
    measure = FIRST if FIRST in scores.measures else primary_measure(scores)
    if measure is None or "tuned" not in scores.systems:
        return Headline(parts=(Part(text="The tuned model was not evaluated."),), lede=(), verdict="unknown")
    verdict = verdict_of(scores.comparison("tuned", "base", measure))
    tuned = scores.systems["tuned"].get(measure)
    base = scores.systems.get("base", {}).get(measure)
    parts = [Part(text="Tuned", system="tuned")]
    if measure == FIRST:
        mine, theirs, of = _of_queries(tuned, base, scores.queries, verdict)
        parts.append(Part(text=f" finds the right document first for {mine} of {of} queries"))
        if base is not None:
            parts += [Part(text=", "), Part(text="base", system="base"), Part(text=f" for {theirs}")]
    else:
        parts.append(Part(text=f" scores {decimal(tuned)} {measure}"))
        if base is not None:
            parts += [Part(text=", "), Part(text="base", system="base"), Part(text=f" {decimal(base)}")]
    endings = {
        "worse": ": training made it worse.",
        "undecided": ": too close to call.",
    }
    parts.append(Part(text=endings.get(verdict, ".")))
    return Headline(parts=tuple(parts), lede=tuple(_lede(scores)), verdict=verdict)


def _of_queries(tuned: float | None, base: float | None, queries: int, verdict: str) -> tuple[str, str, str]:
    """Both scores as counts of 100 queries: of all when there are fewer, of 1,000 when 100 would hide a difference."""
    of = min(100, queries)
    if of == 100 and verdict in ("better", "worse") and round(100 * (tuned or 0)) == round(100 * (base or 0)):
        of = min(1000, queries)

    def share(value: float | None) -> str:
        return "\N{EN DASH}" if value is None or not math.isfinite(value) else count(round(of * value))

    return share(tuned), share(base), count(of)


def _lede(scores: Scores) -> list[str]:
    """The primary measure in full, then BM25 as the yardstick."""
    measure = primary_measure(scores)
    if measure is None:
        return []
    tuned, base = (scores.systems.get(system, {}).get(measure) for system in ("tuned", "base"))
    where = f"Over {count(scores.queries)} {scores.split} queries"
    if scores.documents is not None:
        where += f" and {count(scores.documents)} documents"
    comparison = scores.comparison("tuned", "base", measure)
    if base is None or comparison is None:
        sentences = [f"{where}, {measure} of the tuned model is {decimal(tuned)}."]
    else:
        gap = difference(comparison, scores.confidence)
        verb = {"better": "rises", "worse": "falls"}.get(verdict_of(comparison), "goes")
        sentences = [f"{where}, {measure} {verb} from {decimal(base)} to {decimal(tuned)}: {gap}."]
        if verdict_of(comparison) == "undecided":
            sentences.append("The interval includes zero, so this run is no evidence for a change in either direction.")
    return [*sentences, *_against_bm25(scores, measure)]


def difference(comparison: Comparison, level: float) -> str:
    """``+0.059 (95 % interval +0.047 to +0.071, p < 0.001)``."""
    interval = f"{percent(level)} interval {signed(comparison.low)} to {signed(comparison.high)}"
    p = p_value(comparison.p)
    return f"{signed(comparison.mean)} ({interval}{', ' + p if p else ''})"


def _against_bm25(scores: Scores, measure: str) -> list[str]:
    bm25 = scores.systems.get("bm25", {}).get(measure)
    if bm25 is None:
        return []
    verdict = verdict_of(scores.comparison("tuned", "bm25", measure))
    ending = {
        "better": "; the tuned model is ahead of it.",
        "worse": " and is ahead of the tuned model.",
        "undecided": "; the tuned model cannot be told apart from it.",
    }.get(verdict, ".")
    return [f"BM25, which compares words and learns nothing, reaches {decimal(bm25)}{ending}"]
