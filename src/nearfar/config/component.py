"""Components that are their own configuration: a frozen dataclass that prints as text and loads from it.

``str(InfoNCE(temperature=0.05))`` is ``InfoNCE(temperature=0.05)``, and parsing that text gives an equal object.
The text is one call with keyword arguments; a value is a number, a string (quoted or a bare word), true, false,
none, a list, or another component. Nothing is evaluated: the text is read as a syntax tree.
"""

import ast
import inspect
import keyword
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from functools import wraps
from typing import Any, TypeGuard, TypeVar

from nearfar.errors import ConfigError, did_you_mean, first_few

_BARE = re.compile(r"[a-z_][a-z0-9_]*")
"""Strings that are printed without quotes. Not those with a capital, which could be the name of a component."""

_WORDS: Mapping[str, object] = {"true": True, "false": False, "none": None}


class Component:
    """Base of frozen, keyword-only dataclasses with a text form.

    The first field is always printed, the others where they differ from their default. A field that is annotated as
    ``bool`` or ``int`` takes nothing else, whatever a class checks beside it.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check = cls.__dict__.get("__post_init__")
        if check is not None:  # its own words come first, they say more

            @wraps(check)
            def both(self: Component) -> None:
                check(self)
                _require_kinds(self)

            cls.__post_init__ = both  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        _require_kinds(self)

    def __str__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in _fields(type(self))}
        return print_call(type(self).__name__, values, {field.name: _default(field) for field in _fields(type(self))})


def print_call(name: str, values: Mapping[str, object], defaults: Mapping[str, object]) -> str:
    """``Name(first=1, other=2)``: the first value always, the others where they differ from their default."""
    shown = [
        f"{key}={_print(value)}"
        for place, (key, value) in enumerate(values.items())
        if place == 0 or value != defaults[key]
    ]
    return f"{name}({', '.join(shown)})"


Parsed = TypeVar("Parsed")


def parse_component(text: str, known: Mapping[str, Callable[..., Parsed]], kind: str) -> Parsed:
    """Build the component that ``text`` names.

    Args:
        text: ``Name`` or ``Name(field=value, ...)``.
        known: what makes each component, by name: its class, or a function that takes keywords.
        kind: what they are, for messages, such as ``objective``.

    Raises:
        ConfigError: when the text is not a call, or a name or a field is unknown (with the nearest one).
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ConfigError(
            f"Cannot read the {kind} {text!r}. Write it as Name(field=value, ...), such as {_example(known)}."
        ) from error
    built = _build(tree, text, known, kind)
    if built is None or isinstance(built, bool):
        article = "an" if kind[0] in "aeiou" else "a"
        raise ConfigError(f"Expected the name of {article} {kind} in {text!r}, such as {_example(known)}.")
    return built  # type: ignore[return-value]  # a member of known


def require(condition: bool, component: Component, field: str, expected: str) -> None:
    """Raise the one sentence in which every component refuses a value."""
    if not condition:
        raise ConfigError(f"{type(component).__name__}: {field} must be {expected}, got {getattr(component, field)!r}.")


def _require_kinds(component: Component) -> None:
    """Raise ConfigError for a field that is to be a truth value or a whole number and is not."""
    for field in fields(component):  # type: ignore[arg-type]  # every subclass is a dataclass
        value = getattr(component, field.name)
        if field.type is bool:
            require(isinstance(value, bool), component, field.name, "true or false")
        elif field.type is int:
            require(is_whole(value), component, field.name, "a whole number")


def is_whole(value: object) -> TypeGuard[int]:
    """Whether ``value`` is a whole number, and not true or false."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number that a float can hold, and not true or false."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _build(node: ast.expr, text: str, known: Mapping[str, Callable[..., object]], kind: str) -> object:
    if isinstance(node, ast.Name):
        if node.id.lower() in _WORDS:
            return _WORDS[node.id.lower()]
        node = ast.Call(func=node, args=[], keywords=[])
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ConfigError(f"Cannot read the {kind} {text!r}. Write it as {_example(known)}.")
    name = node.func.id
    if name not in known:
        _unknown(name, known, kind)
    if node.args:
        raise ConfigError(f"{name}: give every value by name, such as {_example(known)}; got {text!r}.")
    parameters = inspect.signature(known[name]).parameters
    names = list(parameters)
    values: dict[str, Any] = {}
    for given_field in node.keywords:
        given = given_field.arg or "**"
        if given not in names:
            raise ConfigError(
                f"{name} has no field {given!r}.{did_you_mean(given, names)} Its fields are: {', '.join(names)}."
            )
        if given in values:
            raise ConfigError(f"{name}: {given} is given twice in {text!r}.")
        values[given] = _value(given_field.value, text, known, kind)
    missing = [each for each in names if each not in values and parameters[each].default is inspect.Parameter.empty]
    if missing:
        raise ConfigError(f"{name} cannot do without {', '.join(missing)}; got {text!r}.")
    return known[name](**values)


def _value(node: ast.expr, text: str, known: Mapping[str, Callable[..., object]], kind: str) -> object:
    if isinstance(node, ast.Name) and node.id not in known:
        if node.id[0].isupper() and node.id.lower() not in _WORDS:
            _unknown(node.id, known, kind)  # a string with a capital is written in quotes
        return _WORDS.get(node.id.lower(), node.id)
    if isinstance(node, ast.Name | ast.Call):
        return _build(node, text, known, kind)
    if isinstance(node, ast.List | ast.Tuple):
        return tuple(_value(item, text, known, kind) for item in node.elts)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"Cannot read the value {ast.unparse(node)!r} in {text!r}.") from error


def _unknown(name: str, known: Mapping[str, Callable[..., object]], kind: str) -> object:
    raise ConfigError(f"Unknown {kind} {name!r}.{did_you_mean(name, known)} Known: {first_few(known, 20)}.")


def _example(known: Mapping[str, Callable[..., object]]) -> str:
    return str(next(iter(known.values()))()) if known else "Name(field=value)"


def _print(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and not keyword.iskeyword(value) and value not in _WORDS
        return value if bare else repr(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_print(item) for item in value) + "]"
    return str(value)


def _fields(component: type[Component]) -> tuple[Field[Any], ...]:
    return fields(component)  # type: ignore[arg-type]  # every subclass is a dataclass


def _default(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default
