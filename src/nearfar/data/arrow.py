"""Arrow columns from NumPy arrays, without a copy.

``pyarrow.array`` imports pandas, where it is installed, to see whether it was given one of its series; that takes
longer than most of what is done here.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Shaped


def column(values: Shaped[np.ndarray, " row"], missing: Bool[np.ndarray, " row"] | None = None) -> pa.Array:
    """An array of numbers.

    Args:
        values: of a type that NumPy and Arrow lay out in the same way: not truth values.
        missing: which entries are null; None for none.
    """
    values = np.ascontiguousarray(values)
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, pa.py_buffer(values)])


def coded(codes: Shaped[np.ndarray, " row"], values: pa.Array) -> pa.DictionaryArray:
    """An array that has each of its values once; null where a code is below 0.

    Args:
        codes: the place in ``values`` of each entry.
        values: what entries can be.
    """
    missing = codes < 0
    return pa.DictionaryArray.from_arrays(column(codes, missing if missing.any() else None), values)


def taken(rows: Shaped[np.ndarray, " row"], values: pa.Array) -> pa.Array:
    """Some of the values in the order of their places; null where a place is below 0."""
    missing = rows < 0
    return values.take(column(rows, missing if missing.any() else None))


def strings(values: Iterable[str]) -> pa.LargeStringArray:
    """An array of texts."""
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
