"""The curves of a run, one JSON object a line, when training goes on from an earlier step."""

import json
from pathlib import Path

from nearfar.files import write_text


def cut_curves(path: Path, step: int) -> None:
    """Drop what the curves say about steps after ``step``: training goes on from there and will say it again."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if step else []
    write_text(path, "".join(line for line in lines if _is_before(line, step)))


def _is_before(line: str, step: int) -> bool:
    """Whether a line of the curves is not about a later step, and is whole: a kill or a full disk can tear the last."""
    try:
        return line.endswith("\n") and int(json.loads(line).get("step", 0)) <= step
    except (ValueError, AttributeError, TypeError):
        return False
