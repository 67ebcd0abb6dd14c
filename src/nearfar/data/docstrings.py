"""A code-search set from installed Python packages: the first sentence of a docstring, and the function without it."""

import ast
import hashlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

from nearfar.errors import DataError

_WORDS = (4, 40)
"""The fewest and the most words of a sentence that can serve as a query."""

_LINES = (3, 120)
"""The fewest and the most lines of a function that can serve as a document."""

_SENTENCE = re.compile(r"(.+?[.!?])(\s|$)")


@dataclass(frozen=True, kw_only=True)
class Function:
    """A documented function.

    Attributes:
        id: where it is, as ``package/path.py:line``.
        package: the top package.
        sentence: the first sentence of its docstring.
        code: its source without the docstring.
    """

    id: str
    package: str
    sentence: str
    code: str


def functions(package: str, limit: int) -> list[Function]:
    """Up to ``limit`` documented functions of an installed package, tests left out.

    Files are visited in the order of a hash of their paths, so that a limited draw is spread over the package and the
    same for the same version. Nothing is imported or run.

    Raises:
        DataError: when the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"The package {package!r} is not installed here, or is a single file. Try: pip install {package}"
        )
    root = Path(spec.submodule_search_locations[0])
    files = [path for path in root.rglob("*.py") if not _is_test(path.relative_to(root))]
    files.sort(key=lambda path: hashlib.blake2b(path.relative_to(root).as_posix().encode()).digest())
    found: list[Function] = []
    for path in files:
        found += _functions_of(path, package, root)
        if len(found) >= limit:
            break
    return found[:limit]


def first_sentence(docstring: str) -> str:
    """The first sentence of the first paragraph, on one line."""
    paragraph = " ".join(re.split(r"\n\s*\n", docstring.strip())[0].split())
    match = _SENTENCE.match(paragraph)
    return match.group(1) if match else paragraph


def _functions_of(path: Path, package: str, root: Path) -> Iterator[Function]:
    try:
        source = path.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            tree = ast.parse(source)
    except (SyntaxError, ValueError, OSError):
        return
    lines = source.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 2:
            continue
        docstring = ast.get_docstring(node)
        if docstring is None:
            continue
        sentence, inside = first_sentence(docstring), node.body[0]
        code = lines[node.lineno - 1 : inside.lineno - 1] + lines[inside.end_lineno : node.end_lineno]
        if _WORDS[0] <= len(sentence.split()) <= _WORDS[1] and _LINES[0] <= len(code) <= _LINES[1]:
            place = f"{package}/{path.relative_to(root).as_posix()}:{node.lineno}"
            yield Function(id=place, package=package, sentence=sentence, code=dedent("\n".join(code)))


def _is_test(path: Path) -> bool:
    return any(part.startswith(("test", "_test", "conftest")) for part in path.parts)
