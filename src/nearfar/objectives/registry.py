"""The catalogue: named objectives, each a function of its settings that returns a composition.

An entry is written once, as a function::

    @entry(paper="Decoupled Contrastive Learning", arxiv="2110.06848", equation="...")
    def DCL(*, temperature: float = 0.1) -> Form:
        \"\"\"What it does, in a line ...\"\"\"
        return Composition(...)

Its signature is its settings, its docstring the documentation, its body the composition. What it returns when called
is an ``Objective``, whose text form is the name with the settings.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from types import NoneType, UnionType
from typing import Any, Generic, Literal, ParamSpec, Union, get_args, get_origin, get_type_hints

from nearfar.config.component import Component, is_number, is_whole, parse_component, print_call
from nearfar.errors import ConfigError, did_you_mean
from nearfar.objectives.form import Composition, Form, Sum, Transposed
from nearfar.objectives.matryoshka import Matryoshka
from nearfar.objectives.memory import Memory
from nearfar.objectives.objective import Objective
from nearfar.objectives.outline import Outline
from nearfar.objectives.part import Outcome, Scope
from nearfar.objectives.problem import Problem

Settings = ParamSpec("Settings")

ENTRIES: dict[str, "Entry[Any]"] = {}
"""The named objectives."""

Family = Literal[
    "softmax row",
    "two-sided log-sum",
    "pairwise",
    "pointwise",
    "list-wise",
    "expected cost",
    "running average",
    "regression",
    "batch statistic",
    "prediction",
    "synthesis",
    "weights",
]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""What the criterion of an objective is, or what else is special about it; the order of the catalogue."""


class Entry(Generic[Settings]):
    """A named objective: call it with its settings to make one.

    Attributes:
        name: its name.
        paper: title, or what stands for it where there is no paper.
        arxiv: number of the paper, or None.
        equation: the loss, as LaTeX.
        verified: whether the equation was read in the paper's own text or code. A reconstruction was not.
        family: what the criterion is, such as ``softmax row``.
    """

    def __init__(
        self,
        build: Callable[Settings, Form],
        *,
        paper: str,
        arxiv: str | None,
        equation: str,
        verified: bool,
        family: Family,
    ) -> None:
        update_wrapper(self, build)
        self.name = build.__name__
        self.build = build
        self.paper, self.arxiv, self.equation, self.verified, self.family = paper, arxiv, equation, verified, family

    def __call__(self, *args: Settings.args, **settings: Settings.kwargs) -> Objective:
        """An objective with these settings, given by name.

        Raises:
            ConfigError: for a value that is out of range or of the wrong kind.
        """
        if args:
            raise ConfigError(
                f"{self.name}: give every value by name, such as {Named(name=self.name)}; got {args[0]!r}."
            )
        return Objective(Named(name=self.name, settings=tuple(settings.items())))

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return (inspect.getdoc(self.build) or "").partition("\n")[0]

    @property
    def defaults(self) -> dict[str, object]:
        """The settings with their default values."""
        return {name: each.default for name, each in inspect.signature(self.build).parameters.items()}

    @property
    def form(self) -> Form:
        """The composition with default settings."""
        return self.build()  # type: ignore[call-arg]  # every setting has a default

    @property
    def parts(self) -> str:
        """The composition with default settings, as text."""
        return str(self.form)

    @property
    def needs(self) -> frozenset[str]:
        """The keyword inputs that it cannot do without, with default settings."""
        return self.form.needs

    @property
    def remembers(self) -> bool:
        """Whether it trains or remembers anything, with default settings."""
        return self().remembers  # type: ignore[call-arg]  # every setting has a default

    @property
    def scope(self) -> Scope:
        """``rows`` or ``batch``: whether the loss is a mean over anchors."""
        return self.form.scope

    def __repr__(self) -> str:
        return f"<objective {self.name}>"


def entry(
    *, paper: str, equation: str, family: Family, arxiv: str | None = None, verified: bool = True
) -> Callable[[Callable[Settings, Form]], Entry[Settings]]:
    """Put a function of settings into the catalogue; see ``Entry`` for the arguments."""

    def register(build: Callable[Settings, Form]) -> Entry[Settings]:
        made = Entry(build, paper=paper, arxiv=arxiv, equation=equation, verified=verified, family=family)
        assert made.name not in ENTRIES
        ENTRIES[made.name] = made
        return made

    return register


@dataclass(frozen=True, kw_only=True)
class Named(Form):
    """A form under its name in the catalogue.

    Attributes:
        name: the name.
        settings: the settings that were given, in any order.
    """

    name: str
    settings: tuple[tuple[str, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        found = ENTRIES[self.name]
        for key, _ in self.settings:
            if key not in found.defaults:
                names = list(found.defaults)
                raise ConfigError(
                    f"{self.name} has no field {key!r}.{did_you_mean(key, names)} Its fields are: {', '.join(names)}."
                )
        given = {key: _plain(value) for key, value in self.settings}
        complete = found.defaults | given
        object.__setattr__(self, "settings", tuple(complete.items()))
        hints = get_type_hints(found.build)
        for key, value in given.items():
            _check_kind(self.name, key, value, hints[key])
        try:
            _ = self.form
        except ConfigError as error:
            said = str(error).partition(": ")[2]
            raise ConfigError(f"{self.name}: {_in_settings(said, complete, given)}") from error

    @property
    def needs(self) -> frozenset[str]:
        """The keyword inputs that the form cannot do without."""
        return self.form.needs

    @property
    def tiles(self) -> bool:
        """Whether rows can be computed in tiles."""
        return self.form.tiles

    @cached_property
    def form(self) -> Form:
        """The composition that the name stands for."""
        return ENTRIES[self.name].build(**dict(self.settings))

    def outcome(self, problem: Problem | Outline, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem."""
        return self.form.outcome(problem, memory)

    def __str__(self) -> str:
        return print_call(self.name, dict(self.settings), ENTRIES[self.name].defaults)


def parse(text: str) -> Objective:
    """The objective that ``text`` names, such as ``InfoNCE(temperature=0.05, directions=symmetric)``.

    Besides the names of the catalogue, ``Composition``, ``Sum``, ``Transposed`` and ``Matryoshka`` can be written out
    with their parts. ``str`` of an objective parses back to an equal one.

    Raises:
        ConfigError: for an unknown name, an unknown field (with the nearest one) or a value out of range.
    """
    made = parse_component(text, _known(), "objective")
    if isinstance(made, Objective):
        return made
    if isinstance(made, Form):
        return Objective(made)
    raise ConfigError(f"{text!r} is a part of an objective, not an objective. Put it into Composition(criterion=...).")


def catalogue() -> tuple[Entry[Any], ...]:
    """Every named objective by family, with its paper, equation, parts and needs."""
    return tuple(sorted(ENTRIES.values(), key=lambda entry: (FAMILIES.index(entry.family), entry.name.lower())))


def _known() -> Mapping[str, Callable[..., object]]:
    """Everything that the text of an objective may name."""
    example = {"InfoNCE": ENTRIES["InfoNCE"]}  # the first one is the example in messages
    named = {entry.name: entry for entry in catalogue()}
    around = {kind.__name__: kind for kind in (Composition, Sum, Transposed, Matryoshka)}
    return {**example, **named, **around, **_kinds(Component)}


def _kinds(base: type[Component]) -> dict[str, type[Component]]:
    """The parts, which are the classes below ``Part`` and the components inside of them, by name."""
    found = {}
    for kind in base.__subclasses__():
        if kind.__module__.startswith(f"{__package__}.") and kind is not Named:
            if hasattr(kind, "__dataclass_fields__"):
                found[kind.__name__] = kind
            found |= _kinds(kind)
    return found


def _plain(value: Any) -> Any:
    return tuple(_plain(each) for each in value) if isinstance(value, list | tuple) else value


def _check_kind(name: str, key: str, value: object, hint: Any) -> None:
    """Raise ConfigError unless a setting is of the kind that the signature says."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if not any(_fits(value, option) for option in options):
        words = [_word(option) for option in options]
        raise ConfigError(f"{name}: {key} must be {' or '.join(words)}, got {value!r}.")


def _in_settings(said: str, complete: Mapping[str, object], given: Mapping[str, object]) -> str:
    """What a part says of its own field, said of the setting that has the value where the two have other names."""
    found = re.fullmatch(r"(\w+)( must be .*, got (.*)\.)", said, re.DOTALL)
    if found is None:
        return said
    field, rest, value = found.groups()
    alike = [key for key, each in complete.items() if repr(each) == value]
    if field in alike:
        return said
    alike = [key for key in alike if key in given] or alike
    return f"{alike[0]}{rest}" if len(alike) == 1 else said


def _fits(value: object, kind: Any) -> bool:
    if kind is NoneType:
        return value is None
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind is float:
        return is_number(value)
    if kind is int:
        return is_whole(value) and abs(value) < 2**63
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(each, get_args(kind)[0]) for each in value)
    return isinstance(value, kind) or isinstance(getattr(value, "form", None), kind)


def _word(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list, each {_word(get_args(kind)[0])}"
    return {float: "a number", int: "a whole number", bool: "true or false", NoneType: "none"}.get(
        kind, f"a {kind.__name__.lower()}"
    )
