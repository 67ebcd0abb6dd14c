"""Configurations in and out: YAML files, ``--set a.b=c``, and errors that name the place and the nearest key."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError, did_you_mean

Options = TypeVar("Options", bound=BaseModel)


def read_config(path: Path | str | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration of a run: defaults, then a YAML file, then ``a.b=c`` overrides.

    Raises:
        ConfigError: when the file cannot be read, or a key or value is not allowed (with the nearest key).
    """
    return read_options(RunConfig, path, overrides)


def read_options(kind: type[Options], path: Path | str | None = None, overrides: Sequence[str] = ()) -> Options:
    """The configuration of any job: defaults, then a YAML file, then ``a.b=c`` overrides.

    Raises:
        ConfigError: when the file cannot be read, or a key or value is not allowed (with the nearest key).
    """
    tree = _read_yaml(Path(path)) if path is not None else {}
    for override in overrides:
        _apply(tree, override)
    return build(kind, tree, source=str(path) if path is not None else "--set")


def override(config: Options, overrides: Sequence[str]) -> Options:
    """A configuration with ``a.b=c`` overrides applied."""
    tree = config.model_dump(mode="json")
    for each in overrides:
        _apply(tree, each)
    return build(type(config), tree, source="--set")


def build(kind: type[Options], tree: Mapping[str, Any], source: str) -> Options:
    """Validate a tree of settings; ``source`` says in messages where it came from."""
    # A section without anything under it, such as a lone "training:", is null in YAML.
    given = {key: value for key, value in tree.items() if value is not None or key not in _sections(kind)}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        lines = [_explain(kind, detail) for detail in error.errors()]
        raise ConfigError(f"{source}: " + " ".join(lines)) from error


def _sections(kind: type[BaseModel]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if isinstance(field.default, BaseModel)]


def write_yaml(config: BaseModel) -> str:
    """The configuration as YAML. Reading it back gives an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def explain(config: BaseModel) -> str:
    """The configuration as YAML, with the meaning of every key as a comment."""
    return "\n".join(_explained(config, indent="")) + "\n"


def _explained(config: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if field.description:
            yield f"{indent}# {field.description}"
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _explained(value, indent + "  ")
        else:
            plain = config.model_dump(mode="json")[name]
            flow = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=1000)
            yield f"{indent}{name}: {flow.removesuffix('...' + chr(10)).strip(chr(10))}"


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(f"There is no configuration file {path}.{did_you_mean(path.name, siblings)}")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold keys and values at its top, it holds a {type(tree).__name__}.")
    return {str(key): value for key, value in tree.items()}


def _apply(tree: dict[str, Any], override: str) -> None:
    """Set one ``a.b=c`` in the tree."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set takes key=value, such as training.epochs=1; got {override!r}.")
    *parents, last = key.strip().split(".")
    for parent in parents:
        below = tree.setdefault(parent, {})
        if not isinstance(below, dict):
            raise ConfigError(f"--set {override}: {parent} holds the value {below!r}, not further keys.")
        tree = below
    tree[last] = _value(text)


def _value(text: str) -> object:
    """A number, true, false, null, a list in brackets, a mapping in braces, a string in quotes; else the text itself.

    YAML would take ``query: `` for a mapping, ``#tag`` for a comment and ``1e-4`` for a string. Not so here.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    start = text.strip()[:1]
    if isinstance(value, str) and start not in ("'", '"'):
        return _number(text)
    as_written = {dict: start == "{", list: start == "[", type(None): text.strip().lower() in ("null", "~")}
    return value if as_written.get(type(value), isinstance(value, str | int | float)) else text


def _number(text: str) -> str | float:
    """``1e-4`` is a number to people, but a string to YAML 1.1."""
    try:
        return float(text)
    except ValueError:
        return text


def _explain(kind: type[BaseModel], detail: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _keys_at(kind, detail["loc"][:-1])
        name = str(detail["loc"][-1])
        return f"unknown key {place!r}.{did_you_mean(name, known)} Known here: {', '.join(known)}."
    message = str(detail["msg"]).removeprefix("Value error, ").rstrip(".")
    given = detail["input"]
    return f"{place or 'settings'}: {message[:1].lower() + message[1:]}, got {given!r}."


def _keys_at(kind: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    for part in path:
        field = kind.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        kind = field.annotation
    return list(kind.model_fields)
