"""The page of ``nearfar audit``: what is wrong with a data set, kind by kind, with the texts to judge it by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.auditing.finding import KINDS, NOTE, SERIOUS, SPLITS, SUSPECT, Cited, Finding, Kind
from nearfar.data.facts import WORD_EDGES
from nearfar.reports.canvas import Figure
from nearfar.reports.contents import Histogram
from nearfar.reports.distributions import bars_figure, histogram_figure
from nearfar.reports.frame import render_page

SHOWN = 25
"""Findings of a kind that have their texts on the page; the table has all."""

_CHARACTERS = 600


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A text on the page: what it is, its id, the text."""

    role: str
    id: str
    text: str
    cut: bool


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A finding on the page."""

    finding: Finding
    quoted: tuple[Quoted, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A kind on the page: by split how many were found and how many looked at, and its surest findings."""

    name: str
    kind: Kind
    counts: Mapping[str, tuple[int, int]]
    shown: tuple[Shown, ...]

    @property
    def found(self) -> int:
        """Findings in all splits."""
        return sum(found for found, _ in self.counts.values())


def render(summary: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    """The page as text. The same audit gives the same text.

    Args:
        summary: what ``audit.json`` holds.
        findings: in the order in which they are shown.
    """
    kinds = sections(summary["counts"], findings)
    return render_page(
        "audit.html.jinja",
        command="audit",
        title=summary["data"]["name"],
        figures=draw(summary["data"]),
        data=summary["data"],
        summary=summary,
        headline=headline(kinds),
        splits=[split for split in SPLITS if any(split in section.counts for section in kinds)],
        sections=kinds,
        most=SHOWN,
    )


def sections(counts: Sequence[Mapping[str, Any]], findings: Sequence[Finding]) -> list[Section]:
    """The kinds that were looked for, the gravest first."""
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    looked_for = dict.fromkeys(each["kind"] for each in counts)
    return [
        Section(
            name=name,
            kind=KINDS[name],
            counts={each["split"]: (each["found"], each["of"]) for each in counts if each["kind"] == name},
            shown=tuple(_shown(finding) for finding in by_kind.get(name, [])[:SHOWN]),
        )
        for name in looked_for
    ]


def headline(kinds: Sequence[Section]) -> str:
    """One sentence: the gravest level at which anything was found."""
    for level, sentence in (
        (SERIOUS, "Some of what is measured on is also trained on."),
        (SUSPECT, "No leaks were found; some judgements look wrong."),
        (NOTE, "Nothing serious was found, some texts are worth a look."),
    ):
        if any(section.found for section in kinds if section.kind.level == level):
            return sentence
    return "Nothing was found."


def draw(data: Mapping[str, Any]) -> dict[str, Figure]:
    """The data in figures, by name."""
    drawn: list[Figure | None] = []
    positives = data["positives_per_query"]
    title = "Relevant documents per query"
    drawn.append(bars_figure("positives", title, list(positives), list(map(float, positives.values())), "documents"))
    for side in ("queries", "documents"):
        lengths = data["words"][side]
        upper = (*WORD_EDGES[: len(lengths["edges"])][1:], 2 * lengths["edges"][-1] or 1)
        edges = (float(lengths["edges"][0]), *map(float, upper))
        histogram = Histogram(edges=edges, counts=tuple(map(float, lengths["counts"])))
        drawn.append(histogram_figure(f"words-{side}", f"Length of {side}", histogram, "words"))
    return {one.name: one for one in drawn if one is not None}


def _shown(finding: Finding) -> Shown:
    roles = {"query": finding.query, "document": finding.document, _other(finding): finding.other}
    return Shown(
        finding=finding,
        quoted=tuple(_quoted(role, cited) for role, cited in roles.items() if cited is not None),
    )


def _other(finding: Finding) -> str:
    """What the third text of a finding is."""
    return {
        "pair_leak": "training query",
        "query_leak": "training query",
        "contaminated": "training text",
        "positive_leak": "training positive",
        "false_negative": "judged relevant",
        "noisy_positive": "found first",
    }.get(finding.kind, "the other")


def _quoted(role: str, cited: Cited) -> Quoted:
    text = cited.text
    return Quoted(role=role, id=cited.id, text=text[:_CHARACTERS], cut=len(text) > _CHARACTERS)
