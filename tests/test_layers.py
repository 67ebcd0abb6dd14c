"""The rules of the house about modules, read off the syntax trees of the package.

Who may import whom: each layer uses itself and the layers below it, at module level without cycles, inside functions
too. What is not said in the source cannot go wrong in review.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

LAYERS = (
    ("types", "errors", "events", "config", "files", "console"),
    ("objectives", "statistics"),
    ("data", "encoders", "retrieval", "negatives", "batches", "engine", "evaluation", "auditing"),
    ("training", "merging", "reports"),
    ("comparing", "diagnosing"),
    ("api",),
    ("recipes",),
    ("cli",),
    ("__main__",),
)
"""From the bottom to the top."""

PURE = ("objectives", "statistics")
"""Beside the layer below, these use only the packages of ``MATHEMATICS``."""

MATHEMATICS = frozenset({"torch", "numpy", "scipy", "jaxtyping"})

LINES_OF_A_FILE = 350
LINES_OF_A_FILE_AT_MOST = 500
LONG_FILES: Mapping[str, str] = {}
"""Files that may have up to ``LINES_OF_A_FILE_AT_MOST`` lines, each with the reason."""

LINES_OF_A_FUNCTION = 60


def sources(root: Path = SOURCE) -> dict[str, str]:
    """The source of every module of the package by its dotted name."""
    found = {}
    for path in sorted((root / "nearfar").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


MODULES = sources()
TREES = {name: ast.parse(source) for name, source in MODULES.items()}


def imports(tree: ast.AST, known: Mapping[str, object]) -> Iterator[tuple[int, str]]:
    """Line and module of every import; ``from package import module`` counts as the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the whole name instead of a relative import"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield node.lineno, below if below in known else str(node.module)


def at_module_level(tree: ast.Module) -> ast.Module:
    """The tree without the bodies of functions."""

    class WithoutFunctions(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

    return WithoutFunctions().visit(ast.parse(ast.unparse(tree)))


def layer_of(module: str) -> int:
    """The number of a module's layer; the package itself, which holds only a table of names, is under all."""
    parts = module.split(".")
    if len(parts) == 1:
        return -1
    for number, names in enumerate(LAYERS):
        if parts[1] in names:
            return number
    raise AssertionError(f"{module} has no layer: give {parts[1]!r} a place in LAYERS of tests/test_layers.py")


def upward(trees: Mapping[str, ast.Module]) -> list[str]:
    """Imports that go from a layer to a higher one."""
    return [
        f"{module}, line {line}: imports {target}, which is in a higher layer"
        for module, tree in trees.items()
        for line, target in imports(tree, trees)
        if target.split(".")[0] == "nearfar" and layer_of(target) > layer_of(module)
    ]


def impure(trees: Mapping[str, ast.Module]) -> list[str]:
    """Imports of other packages than those of mathematics in the layer that is for mathematics."""
    allowed = MATHEMATICS | {"nearfar"} | sys.stdlib_module_names
    return [
        f"{module}, line {line}: imports {target}; {' and '.join(PURE)} use only {', '.join(sorted(MATHEMATICS))}"
        for module, tree in trees.items()
        if module.split(".")[1:2] and module.split(".")[1] in PURE
        for line, target in imports(tree, trees)
        if target.split(".")[0] not in allowed
    ]


def cycle(trees: Mapping[str, ast.Module]) -> list[str]:
    """One cycle of imports at module level, or nothing."""
    graph = {
        module: {target for _, target in imports(at_module_level(tree), trees) if target in trees}
        for module, tree in trees.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def forbidden(trees: Mapping[str, ast.Module]) -> list[str]:
    """Calls of ``print`` and postponed annotations."""
    found = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found.append(f"{module}, line {node.lineno}: print(); emit an event to a sink, or typer.echo in cli")
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                found.append(f"{module}, line {node.lineno}: postponed annotations cannot be checked at run time")
    return found


def long_functions(trees: Mapping[str, ast.Module]) -> list[str]:
    """Functions with too many lines from ``def`` to the end, the docstring not counted."""
    found = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = length(node)
                if lines > LINES_OF_A_FUNCTION:
                    found.append(
                        f"{module}, line {node.lineno}: {node.name} has {lines} lines without its docstring, "
                        f"at most {LINES_OF_A_FUNCTION} are allowed"
                    )
    return found


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        docstring = node.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def test_the_package_is_found():
    assert {"nearfar", "nearfar.errors", "nearfar.cli.main"} <= set(MODULES)


def test_no_import_goes_up():
    assert upward(TREES) == []


def test_mathematics_stays_pure():
    assert impure(TREES) == []


def test_no_cycles_at_module_level():
    assert cycle(TREES) == []


def test_nothing_prints_and_annotations_are_real():
    assert forbidden(TREES) == []


def test_functions_are_short():
    assert long_functions(TREES) == []


def test_files_are_short():
    too_long = []
    for module, source in MODULES.items():
        limit = LINES_OF_A_FILE_AT_MOST if module in LONG_FILES else LINES_OF_A_FILE
        lines = source.count("\n")
        if lines > limit:
            too_long.append(f"{module} has {lines} lines, at most {limit} are allowed")
    assert too_long == []


def test_long_files_are_still_long():
    shrunk = [module for module in LONG_FILES if MODULES[module].count("\n") <= LINES_OF_A_FILE]
    assert shrunk == [], "take these out of LONG_FILES"


BROKEN = {
    "upward": ("nearfar.data.load", "def f():\n    from nearfar.training import job\n", upward, "line 2: imports"),
    "impure": ("nearfar.objectives.new", "import transformers\n", impure, "imports transformers"),
    "print": ("nearfar.data.load", "print(1)\n", forbidden, "line 1: print()"),
    "future": ("nearfar.data.load", "from __future__ import annotations\n", forbidden, "postponed annotations"),
    "long": (
        "nearfar.data.load",
        "def f():\n    '''Text.\n    More.\n    '''\n" + "    a = 1\n" * 60,
        long_functions,
        "f has 61 lines",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_finds_what_breaks_it(case):
    module, source, rule, message = BROKEN[case]
    found = rule({module: ast.parse(source)})
    assert len(found) == 1
    assert module in found[0]
    assert message in found[0]


def test_a_cycle_is_found_and_a_lazy_one_is_none():
    first = ast.parse("from nearfar.data.second import a\n")
    second = ast.parse("from nearfar.data import first\n")
    lazy = ast.parse("def f():\n    from nearfar.data import first\n")
    assert set(cycle({"nearfar.data.first": first, "nearfar.data.second": second})) == {
        "nearfar.data.first",
        "nearfar.data.second",
    }
    assert cycle({"nearfar.data.first": first, "nearfar.data.second": lazy}) == []


def test_a_new_package_needs_a_layer():
    with pytest.raises(AssertionError, match="give 'novel' a place in LAYERS"):
        layer_of("nearfar.novel.thing")
