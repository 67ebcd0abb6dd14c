"""Where something stands in the user's data, and how texts are quoted in messages."""

from typing import NamedTuple


class Place(NamedTuple):
    """A line of a text file, or a row of a table that has no lines. Counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def shorten(text: str, limit: int = 60) -> str:
    """A text in quotes on one line, cut after ``limit`` characters."""
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= limit else flat[: limit - 3] + "...")
