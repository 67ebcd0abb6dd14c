"""The four ways in which nearfar refuses, and the near-name suggestion that all of them share.

Every message says what was expected, what came, where, and what to do next. The command line prints the
message alone and leaves with exit code 2; ``--debug`` shows the traceback as well.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class NearfarError(Exception):
    """Base of every error that nearfar raises on purpose."""


class DataError(NearfarError):
    """The data is not what it must be: a missing column, broken JSON, an unknown id, an empty file."""


class ConfigError(NearfarError):
    """A setting, a name or a combination of settings is wrong."""


class ShapeError(NearfarError):
    """Tensors whose shapes or dtypes do not fit together."""


class ResourceError(NearfarError):
    """The machine refused: a full disk, a folder that is in use or cannot be written, an unreachable hub."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name in ``known`` that ``name`` was probably meant to be, or None when nothing is close."""
    folded = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence to append to an error: `` Did you mean 'x'?``, or an empty string when nothing is close."""
    match = nearest(name, known)
    return f" Did you mean {match!r}?" if match is not None else ""


def first_few(items: Iterable[object], limit: int = 5) -> str:
    """``a, b, c, ...``: the first items of a list that may be long, for an error message."""
    listed = list(items)
    shown = ", ".join(str(item) for item in listed[:limit])
    return shown + (f", ... ({len(listed) - limit} more)" if len(listed) > limit else "")
