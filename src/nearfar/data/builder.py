"""From a stream of (id, text, group) to a table that holds every text once.

Texts go straight into Arrow buffers. Beside them a builder keeps one dictionary entry for each distinct text and
one for each id that the data gave, never a second copy of the texts.
"""

from array import array
from typing import cast

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from nearfar.data.identity import keys_from_bytes, text_key
from nearfar.data.places import Place, shorten
from nearfar.data.tables import Texts
from nearfar.errors import DataError


class StringColumn:
    """An Arrow string column that grows: one run of bytes and the offsets into it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._offsets = array("q", [0])

    def append(self, encoded: bytes) -> None:
        """Add one string, given as UTF-8."""
        self._data += encoded
        self._offsets.append(len(self._data))

    def __getitem__(self, row: int) -> str:
        return self._data[self._offsets[row] : self._offsets[row + 1]].decode()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def finish(self) -> pa.LargeStringArray:
        """The column as an Arrow array over the same memory. Nothing can be appended afterwards."""
        return pa.LargeStringArray.from_buffers(len(self), pa.py_buffer(self._offsets), pa.py_buffer(self._data))


class TextsBuilder:
    """Builds a ``Texts`` with one row for each distinct text.

    Attributes:
        side: ``query``, ``document`` or ``text``, for messages.
        prefix: starts the ids that are made for texts without one.
        duplicates: ids so far whose text another id already had.
        mixed_groups: texts so far that came with more than one group; the first counts.
    """

    def __init__(self, side: str, prefix: str) -> None:
        self.side = side
        self.prefix = prefix
        self.duplicates = 0
        self.mixed_groups = 0
        self._texts = StringColumn()
        self._given_ids = StringColumn()
        self._row_of_key: dict[bytes, int] = {}
        self._row_of_id: dict[str, int] = {}
        self._alias_places: dict[str, Place] = {}
        self._files: dict[str, int] = {}
        self._places = (array("i"), array("q"))
        self._group_numbers: dict[str, int] = {}
        self._groups = array("i")

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str, place: Place, identifier: str | None = None, group: str | None = None) -> int:
        """Take one text and return its row, which is an earlier one when the text is known.

        Raises:
            DataError: the text is empty or no Unicode text, or the id already has another text.
        """
        try:
            key = text_key(text)
            encoded = text.encode()
            name = b"" if identifier is None else identifier.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{place}: the {self.side} {shorten(text)} or its id holds half a surrogate pair, "
                "which is not a character. Write the file again from its source, as UTF-8."
            ) from None
        row = self._row_of_key.get(key, -1)
        if identifier is not None:
            known = self._row_of_id.get(identifier)
            if known is not None and known != row:
                raise self._conflict(identifier, known, text, place)
        if row < 0:
            if not text.strip():
                raise DataError(f"{place}: the {self.side} is empty. Remove the row or fill in its text.")
            row = self._append(key, encoded, name, place)
            if identifier is not None:
                self._row_of_id[identifier] = row
            self._groups.append(self._group_number(group))
        else:
            self._repeat(row, place, identifier, group)
        return row

    def row_of(self, identifier: str) -> int:
        """The row of an id that the data gave, -1 when there is none."""
        return self._row_of_id.get(identifier, -1)

    def place(self, row: int) -> Place:
        """Where the text of a row was first read."""
        return Place(list(self._files)[self._places[0][row]], self._places[1][row])

    def given_ids(self) -> list[str]:
        """Every id that the data gave, in order."""
        return list(self._row_of_id)

    def finish(self) -> Texts:
        """The table. The builder cannot be used afterwards."""
        groups = None
        if self._group_numbers:
            names = pa.array([*self._group_numbers, None], type=pa.large_string())
            groups = names.take(pa.array(np.asarray(self._groups) % len(names)))
        return Texts(
            ids=self._finish_ids(),
            texts=self._texts.finish(),
            keys=keys_from_bytes(b"".join(self._row_of_key)),
            aliases={name: self._row_of_id[name] for name in self._alias_places},
            groups=groups,
        )

    def _append(self, key: bytes, encoded: bytes, name: bytes, place: Place) -> int:
        row = len(self._texts)
        self._row_of_key[key] = row
        self._texts.append(encoded)
        self._given_ids.append(name)
        self._places[0].append(self._files.setdefault(place.file, len(self._files)))
        self._places[1].append(place.line)
        return row

    def _repeat(self, row: int, place: Place, identifier: str | None, group: str | None) -> None:
        if identifier is not None and identifier not in self._row_of_id:
            self._row_of_id[identifier] = row
            self._alias_places[identifier] = place
            self.duplicates += 1
        if group is not None:
            number = self._group_number(group)
            if self._groups[row] < 0:
                self._groups[row] = number
            elif self._groups[row] != number:
                self.mixed_groups += 1

    def _group_number(self, group: str | None) -> int:
        return -1 if group is None else self._group_numbers.setdefault(group, len(self._group_numbers))

    def _conflict(self, identifier: str, row: int, text: str, place: Place) -> DataError:
        first = self._alias_places.get(identifier, self.place(row))
        return DataError(
            f"The {self.side} id {identifier!r} has two different texts: {shorten(self._texts[row])} at {first} "
            f"and {shorten(text)} at {place}. Give each text its own id, or keep one of the two rows."
        )

    def _finish_ids(self) -> pa.LargeStringArray:
        """Ids as given; a text without one is called by its row, unless another text already has that name."""
        ids = StringColumn()
        for row in range(len(self._given_ids)):
            name = self._given_ids[row]
            if not name:
                name = f"{self.prefix}{row}"
                while name in self._row_of_id:
                    name += "_"
            ids.append(name.encode())
        return ids.finish()


def subset(texts: Texts, rows: Int64[np.ndarray, " kept"]) -> Texts:
    """The given rows of a table, in that order; aliases of rows that are left out go with them."""
    if len(rows) == len(texts) and bool((rows == np.arange(len(texts))).all()):
        return texts
    position = np.full(len(texts), -1, dtype=np.int64)
    position[rows] = np.arange(len(rows))
    index = pa.array(rows)
    return Texts(
        ids=cast(pa.LargeStringArray, texts.ids.take(index)),
        texts=cast(pa.LargeStringArray, texts.texts.take(index)),
        keys=texts.keys[rows],
        aliases={name: int(position[row]) for name, row in texts.aliases.items() if position[row] >= 0},
        groups=None if texts.groups is None else texts.groups.take(index),
    )
