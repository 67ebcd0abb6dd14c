"""What is known about an objective, as plain values: for the page of ``nearfar explain`` and for the documentation."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn

from nearfar.objectives.form import Form, parts
from nearfar.objectives.memory import Table
from nearfar.objectives.objective import Objective
from nearfar.objectives.part import Part
from nearfar.objectives.registry import ENTRIES, Entry, Named

NEEDS = {
    "index": "the place of each anchor's example in the dataset",
    "labels": "the class or value of each anchor",
    "origin": "where each candidate came from",
    "teacher": "a teacher's score for each pair",
    "guide_anchors": "the anchors' vectors by another encoder",
    "guide_candidates": "the candidates' vectors by another encoder",
}
"""The inputs by keyword, in the order in which they are listed; a training run has the first three."""

SCOPES = {
    "rows": "a mean over anchors, each of which needs only its own candidates",
    "batch": "one number of the whole batch, which cannot be computed piece by piece",
}

_WIDTH = 96
_SAMPLE = 8


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting: its kind and default in words, its value as text, and what it means."""

    name: str
    kind: str
    default: str
    value: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a part keeps: ``trains`` when it has parameters, ``remembers`` when it has other state."""

    part: str
    trains: bool
    remembers: bool
    what: str


@dataclass(frozen=True, kw_only=True)
class Described:
    """An objective in words. What only a named one has is empty for one that was written out.

    Attributes:
        name: of the entry, or what the text begins with.
        text: the text form.
        summary: one line.
        details: further paragraphs, as Markdown.
        settings: of the entry.
        equation: LaTeX.
        family: what the criterion is.
        parts: the composition, laid out over lines.
        needs: inputs by keyword with their meanings.
        memory: what its parts train or remember.
        scope: ``rows`` or ``batch``.
        tiles: whether a large step computes all of it in tiles of rows.
        detached: what carries no gradient, with the part that says so.
        verified: whether the equation was read in the paper; None without a paper.
        paper: its title.
        arxiv: its number.
    """

    name: str
    text: str
    summary: str = ""
    details: str = ""
    settings: tuple[Setting, ...] = ()
    equation: str = ""
    family: str = ""
    parts: str
    needs: tuple[tuple[str, str], ...]
    memory: tuple[Memory, ...]
    scope: str
    tiles: bool
    detached: tuple[tuple[str, str], ...]
    verified: bool | None = None
    paper: str = ""
    arxiv: str | None = None

    @property
    def keeps(self) -> str:
        """``trains``, ``remembers``, ``trains and remembers`` or an empty string."""
        words = [word for word in ("trains", "remembers") if any(getattr(each, word) for each in self.memory)]
        return " and ".join(words)

    @property
    def needed(self) -> str:
        """The names of the needs, or an empty string."""
        return ", ".join(name for name, _ in self.needs)


def describe(objective: Objective) -> Described:
    """What is known about an objective."""
    form = objective.form
    known: dict[str, Any] = {}
    composition = form
    if isinstance(form, Named):
        entry, composition = ENTRIES[form.name], form.form
        details, meanings = documentation(entry.build, "Args")
        known = {
            "summary": entry.summary,
            "details": details,
            "settings": tuple(_settings(entry, dict(form.settings), meanings)),
            "equation": entry.equation,
            "family": entry.family,
            "verified": entry.verified,
            "paper": entry.paper,
            "arxiv": entry.arxiv,
        }
    return Described(
        name=objective.label,
        text=str(objective),
        parts=laid_out(str(composition)),
        needs=tuple((name, NEEDS[name]) for name in NEEDS if name in objective.needs),
        memory=tuple(_memory(form)),
        scope=objective.scope,
        tiles=objective.form.tiles,
        detached=tuple(dict.fromkeys((what, type(part).__name__) for _, part in parts(form) for what in part.detached)),
        **known,
    )


def documentation(documented: object, section: str) -> tuple[str, dict[str, str]]:
    """The paragraphs of a docstring after its first line, as Markdown, and the meanings in one of its sections."""
    text = (inspect.getdoc(documented) or "").replace("``", "`")
    body, _, listed = text.partition(f"\n{section}:\n")
    entries = re.findall(r"^    ([\w, ]+): (.*(?:\n        .*)*)", listed, re.M)
    meanings = {name.strip(): " ".join(meaning.split()) for names, meaning in entries for name in names.split(",")}
    paragraphs = body.partition("\n\n")[2].split("\n\nRaises:")[0].strip()
    return paragraphs, meanings


def laid_out(text: str, width: int = _WIDTH) -> str:
    """The text of a component over as many lines as it needs; it still parses."""
    return "\n".join(_lines(text, width, ""))


def kind_in_words(annotation: Any) -> str:
    """A type in words: ``number or none``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if origin in (Union, UnionType):
        return " or ".join(kind_in_words(each) for each in inner)
    if origin is tuple:
        return f"list of {kind_in_words(inner[0])}"
    known = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        NoneType: "none",
        Form: "objective",
    }
    found: str | None = known.get(annotation)
    return found or str(getattr(annotation, "__name__", annotation)).lower()


def value_in_words(value: object) -> str:
    """A value as it is written in a text form."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(value_in_words, value)) + "]"
    return str(value)


def _settings(entry: Entry[Any], given: dict[str, Any], meanings: dict[str, str]) -> Iterator[Setting]:
    hints = get_type_hints(entry.build)
    for name, default in entry.defaults.items():
        yield Setting(
            name=name,
            kind=kind_in_words(hints[name]),
            default=value_in_words(default),
            value=value_in_words(given.get(name, default)),
            meaning=meanings.get(name, ""),
        )


def _memory(form: Form) -> Iterator[Memory]:
    """What each part with a memory keeps, by the first sentence of its module's documentation."""
    seen = set()
    for _, part in parts(form):
        module = part.make_memory(_SAMPLE if part.sized else 0)
        if module is None or type(part) in seen:
            continue
        seen.add(type(part))
        yield kept_by(part, module)


def kept_by(part: Part, module: nn.Module) -> Memory:
    """What the module of a part trains and remembers."""
    first = (inspect.getdoc(type(module)) or "").split("\n\n")[0].replace("``", "`")
    return Memory(
        part=type(part).__name__,
        trains=any(True for _ in module.parameters()),
        remembers=any(True for _ in module.buffers()),
        what=" ".join(first.split()) if not isinstance(module, Table) else "Some numbers for every example, by index.",
    )


def _lines(text: str, width: int, indent: str) -> list[str]:
    """A call or a list on one line if it fits, else its items each on lines of their own."""
    opening = re.match(r"(?:\w+=)?\w*[(\[]", text)
    if len(indent) + len(text) <= width or opening is None:
        return [indent + text]
    inside = text[opening.end() : -1]
    lines = [indent + opening[0]]
    for item in _items(inside):
        *most, last = _lines(item, width, indent + "  ")
        lines += [*most, last + ","]
    return [*lines, indent + text[-1]]


def _items(text: str) -> Iterator[str]:
    """The items between the commas of the outermost level."""
    depth, start, quoted = 0, 0, ""
    for place, character in enumerate(text):
        if quoted:
            quoted = "" if character == quoted else quoted
        elif character in "'\"":
            quoted = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    if text[start:].strip():
        yield text[start:].strip()
