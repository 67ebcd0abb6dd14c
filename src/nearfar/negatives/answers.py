"""Answers by the content of their questions, in a file that only grows and survives a kill in the middle of a line."""

import errno
import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from nearfar.files import cannot_write

Value = str | float | list[float] | None
"""What an answer was read as. None: asked as often as is allowed, and never answered."""


def key_of(*parts: object) -> bytes:
    """128 bits over everything that an answer follows from, which JSON can hold."""
    return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).digest()


class Answers:
    """A table from keys to answers, in memory and in a file of one JSON object a line.

    A line is written at once and whole, so that a process which is killed loses at most the line that it was writing:
    it has no end, and is cut off before the next one is written. Lines that cannot be read are as if never written.
    One process writes at a time; that is for whoever owns the folder to see to.

    Args:
        path: the file; it need not exist.

    Raises:
        ResourceError: when the file is there and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values: dict[bytes, Value] = {}
        try:
            self._whole = self._read() if path.exists() else 0
        except OSError as error:
            raise cannot_write(path, error) from error

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __getitem__(self, key: bytes) -> Value:
        return self._values[key]

    def put(self, answers: Sequence[tuple[bytes, Value, str]]) -> None:
        """Keep answers that are not there yet, each with a remark for whoever reads the file.

        Raises:
            ResourceError: when the disk is full or the file cannot be written.
        """
        new = [answer for answer in answers if answer[0] not in self._values]
        lines = b"".join(_line(*answer) for answer in new)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                file.truncate(self._whole)
                if file.write(lines) < len(lines):
                    raise OSError(errno.ENOSPC, "No space left on device")
            self._whole += len(lines)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._values.update((key, value) for key, value, _ in new)

    def _read(self) -> int:
        """Read the file; gives how many bytes of it are whole lines."""
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    found = json.loads(line)
                    key, value = bytes.fromhex(found["key"]), found["value"]
                except (ValueError, LookupError, TypeError):
                    continue
                if _is_value(value):
                    self._values.setdefault(key, value)
        return whole


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, float) for each in value)
    return value is None or isinstance(value, str | float)


def _line(key: bytes, value: Value, remark: str) -> bytes:
    record = {"key": key.hex(), "value": value} | ({"remark": remark} if remark else {})
    return json.dumps(record, allow_nan=False).encode() + b"\n"
