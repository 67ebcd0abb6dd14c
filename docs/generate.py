"""Writes what the documentation takes from the code: the reference pages, and the snippets inside the pages.

``python docs/generate.py`` brings every page up to date; ``--check`` changes nothing, lists the pages that differ and
leaves with exit code 1 if there is one. The curves of all objectives are computed anew for it, and compared with those
that are kept within a tolerance; ``--texts`` leaves those out that
are there already.

A snippet is a file. In a page it stands between fences under a comment that names it::

    <!-- snippet: docs/snippets/first-run.sh -->
    (a fenced block, filled from the file)
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer.models
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nearfar.cli.main import app, options
from nearfar.config.comparison import ComparisonConfig, FinishedOptions
from nearfar.config.mining import MiningOptions
from nearfar.config.run import RunConfig
from nearfar.diagnosing.registry import CAUSES

# Beside this file, also when a test loads it from elsewhere.
sys.path.insert(0, str(Path(__file__).parent))

import negative_pages
import objective_pages
import plots
from objective_pages import GENERATED, row

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

LANGUAGES = {".py": "python", ".sh": "bash", ".jsonl": "json", ".json": "json", ".csv": "text", ".tsv": "text"}
FREE_LANGUAGES = ("text", "math")
"""Fenced blocks of these need no file behind them."""

FENCE = re.compile(r"(?:<!-- snippet: (?P<path>\S+) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.M)
KINDS = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path"}
BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def commands() -> str:
    """The page of the command line."""
    parts = ["# Commands", GENERATED, "Every command leaves with exit code 0, or with 2 and one message.", "## nearfar"]
    parts += [str(options.__doc__), parameters(options)]
    for command in app.registered_commands:
        name, callback = str(command.name), command.callback
        assert callback is not None
        parts += [f"## nearfar {name}", usage(name, callback), inspect.getdoc(callback) or "", parameters(callback)]
    return "\n\n".join(parts) + "\n"


def usage(name: str, callback: Callable[..., Any]) -> str:
    """One line that shows the arguments and the options that a command cannot do without."""
    words = [f"nearfar {name}"]
    for parameter, kind, declared, default in declared_parameters(callback):
        if isinstance(declared, typer.models.ArgumentInfo):
            words.append(declared.metavar or parameter.upper())
        elif default is inspect.Parameter.empty:
            words.append(f"{flags(parameter, declared)} {value_of(kind, declared)}")
    return f"`{' '.join(words)} [OPTIONS]`"


def parameters(callback: Callable[..., Any]) -> str:
    """A table of the arguments and options of a command."""
    rows = ["| argument or option | default | meaning |", "|---|---|---|"]
    for parameter, kind, declared, default in declared_parameters(callback):
        if isinstance(declared, typer.models.ArgumentInfo):
            name = declared.metavar or parameter.upper()
        else:
            name = " ".join(filter(None, (flags(parameter, declared), value_of(kind, declared))))
        shown = "required" if default is inspect.Parameter.empty else plain(default)
        rows.append(row(f"`{name}`", "" if default is False else shown, declared.help or ""))
    return "\n".join(rows)


def declared_parameters(callback: Callable[..., Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    """Name, type, declaration and default of each parameter."""
    hints = get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        hint = hints[name]
        assert get_origin(hint) is Annotated, f"{callback.__name__}: {name} is not declared with Annotated"
        kind, declared = get_args(hint)[:2]
        yield name, kind, declared, parameter.default


def flags(name: str, declared: typer.models.OptionInfo) -> str:
    """``--out``: the flags of an option. Inside Annotated, the first of them arrives in the place of the default."""
    given = [each for each in (declared.default, *(declared.param_decls or ())) if isinstance(each, str)]
    return " / ".join(given or [f"--{name.replace('_', '-')}"])


def value_of(kind: Any, declared: typer.models.OptionInfo) -> str:
    """``PATH``: what an option takes, nothing for a switch."""
    if declared.metavar:
        return str(declared.metavar)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    name = next(each for each in (*get_args(kind), kind) if each is not type(None)).__name__
    return "" if name == "bool" else {"str": "TEXT", "int": "NUMBER", "float": "NUMBER"}.get(name, name.upper())


def settings() -> str:
    """The page of the settings."""
    parts = [
        "# Settings",
        GENERATED,
        "A YAML file for `--config` has a key for each section. `--set section.key=value` sets one and comes after the "
        "file. `nearfar config` prints all of this as such a file.",
        "## At the top",
        settings_table("", {name: field for name, field in RunConfig.model_fields.items() if not is_section(field)}),
        *sections(RunConfig),
        "## Mining jobs",
        "`nearfar mine` has settings of its own, which `nearfar config --job mine` prints: the sections `data` and "
        "`model` as above, and `mining`. A run that mines while it trains has the latter in `mining.settings`.",
        settings_table("mining.", MiningOptions.model_fields),
        "## Comparisons",
        "`nearfar compare SPEC` reads a file with these keys; see [Comparison](../guide/comparison.md).",
        settings_table("", ComparisonConfig.model_fields),
        "Of runs that are finished already, it takes these by `--set`:",
        settings_table("", FinishedOptions.model_fields),
    ]
    return "\n\n".join(parts) + "\n"


def causes() -> str:
    """The page of what a diagnosis looks for."""
    parts = [
        "# Causes",
        GENERATED,
        "What `nearfar diagnose` looks for, those that explain others first; see [Diagnosis](../guide/diagnosis.md).",
    ]
    for cause in CAUSES:
        parts += [
            f"## {cause.title}",
            f"`{cause.name}`. {cause.measured}",
            f"*Limit:* {cause.limit}",
            f"*Advice:* {cause.advice} [More](../concepts/failure-modes.md#{cause.name})",
        ]
    return "\n\n".join(parts) + "\n"


def sections(tree: type[BaseModel]) -> Iterator[str]:
    """A heading, a sentence and a table for each section."""
    for name, field in tree.model_fields.items():
        if is_section(field):
            yield from (
                f"## {name}",
                field.description or "",
                settings_table(f"{name}.", field.annotation.model_fields),
            )


def is_section(field: FieldInfo) -> bool:
    """Whether a field holds further settings."""
    return inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)


def settings_table(prefix: str, listed: dict[str, FieldInfo]) -> str:
    """A table of settings."""
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *settings_rows(prefix, listed)])


def settings_rows(prefix: str, listed: dict[str, FieldInfo]) -> Iterator[str]:
    """A row for each setting; a section within a section is laid out in the same table."""
    for name, field in listed.items():
        if is_section(field):
            yield from settings_rows(f"{prefix}{name}.", field.annotation.model_fields)
            continue
        default = "required" if field.is_required() else plain(field.get_default(call_default_factory=True))
        bounds = [(word, getattr(bound, key, None)) for bound in field.metadata for key, word in BOUNDS.items()]
        allowed = " and ".join(f"{word} {limit:g}" for word, limit in bounds if limit is not None)
        value = kind_of(field.annotation)
        if allowed:  # of the number, not of the none after it
            value = re.sub(r"number", f"number {allowed}", value, count=1)
        yield row(f"`{prefix}{name}`", value, default, field.description or "")


def kind_of(annotation: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if origin in (Union, UnionType):
        return " or ".join("none" if each is type(None) else kind_of(each) for each in inner)
    if origin is tuple:
        return "list of text" if inner[0] is str else f"list of {kind_of(inner[0])}"
    if origin is Annotated:
        return kind_of(inner[0])
    if origin is dict:
        return "map from text to text" if inner[1] is str else "map by name"
    return KINDS.get(getattr(annotation, "__name__", str(annotation)), str(annotation))


def plain(value: Any) -> str:
    """A default as it would be written."""
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`" if value != "" else "empty"


OBJECTIVES = Path("reference") / "objectives"
CURVES = "curves.json"
PAGES = {
    "commands.md": commands,
    "settings.md": settings,
    "causes.md": causes,
    "parts.md": objective_pages.parts_page,
    "negatives.md": negative_pages.page,
}


def with_snippets(page: str, where: str) -> str:
    """A page with every snippet filled from its file.

    Raises:
        SystemExit: a snippet is missing, or a block of code has no file behind it.
    """

    def fill(match: re.Match[str]) -> str:
        path = match["path"]
        if path is None:
            if match["language"] not in FREE_LANGUAGES:
                raise SystemExit(
                    f"{where}: a block of {match['language'] or 'no language'} is not from a file. Put it into "
                    "docs/snippets and name it in a comment before the block, or call it text."
                )
            return match[0]
        file = ROOT / path
        if not file.is_file():
            raise SystemExit(f"{where}: there is no snippet {path}.")
        content = file.read_text(encoding="utf-8").strip("\n")
        return f"<!-- snippet: {path} -->\n```{LANGUAGES[file.suffix]}\n{content}\n```"

    return FENCE.sub(fill, page)


def objectives(known: Mapping[str, plots.Curve]) -> dict[Path, str]:
    """The pages of the objectives, and the file of their curves."""
    folder, described = DOCS / OBJECTIVES, objective_pages.described()
    pages = {folder / f"{name}.md": objective_pages.page(about, known[name]) for name, about in described.items()}
    return {folder.with_suffix(".md"): objective_pages.table(described), folder / CURVES: plots.written(known)} | pages


def up_to_date(recompute: bool) -> tuple[dict[str, plots.Curve], set[str]]:
    """The curve of each objective, and the names of those that are new.

    A curve that is the kept one, but for what machines differ by, stays as it is kept.

    Args:
        recompute: whether to compute the curves; else those that are kept are taken, and only others computed.
    """
    kept = plots.read(DOCS / OBJECTIVES / CURVES)
    found = plots.computed({} if recompute else kept)
    new = {name for name, curve in found.items() if name not in kept or not plots.close(curve, kept[name])}
    return {name: curve if name in new else kept[name] for name, curve in found.items()}, new


def expected(known: Mapping[str, plots.Curve]) -> dict[Path, str]:
    """Every page of the documentation as it should be."""
    pages = {DOCS / "reference" / name: page() for name, page in PAGES.items()}
    pages |= objectives(known) if known else {}
    for path in (*sorted(DOCS.rglob("*.md")), *DOCS.parent.glob("README.md")):
        if path not in pages:
            pages[path] = with_snippets(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    return pages


def main(arguments: list[str]) -> int:
    """Write or check the pages."""
    check, (known, new) = "--check" in arguments, up_to_date("--texts" not in arguments)
    folder = DOCS / OBJECTIVES
    differing = [
        (path, page)
        for path, page in expected(known).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != page
    ]
    drawings = {name: folder / "plots" / f"{name}.svg" for name in known}
    missing = [name for name, path in drawings.items() if name in new or not path.is_file()]
    stale = objective_pages.stale(folder, known)
    for path in (*(path for path, _ in differing), *(drawings[name] for name in missing), *stale):
        print(path.relative_to(ROOT))
    if not check:
        for path, page in differing:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8")
        for name in missing:
            plots.draw(known[name], drawings[name])
        for path in stale:
            path.unlink()
    elif differing or missing or stale:
        print("These pages are not up to date: run python docs/generate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
