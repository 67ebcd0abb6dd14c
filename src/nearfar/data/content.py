"""What a data set holds, as one number: equal content, equal hash."""

import hashlib

import numpy as np
import pyarrow as pa

from nearfar.data.tables import Dataset

_ROWS_AT_ONCE = 10_000


def data_hash(dataset: Dataset) -> str:
    """128 bits over all texts, letter by letter, all judgements by split, and the negatives that were mined, if any."""
    digest = hashlib.blake2b(digest_size=16)
    for table in (dataset.queries, dataset.documents):
        for start in range(0, len(table), _ROWS_AT_ONCE):
            digest.update(_joined(table.texts[start : start + _ROWS_AT_ONCE]))
    arrays = [dataset.nodes, dataset.searched]
    for split in sorted(dataset.qrels):
        qrels = dataset.qrels[split]
        digest.update(split.encode())
        arrays += [qrels.query, qrels.node, qrels.grade]
    if (mined := dataset.mined) is not None:
        digest.update(b"mined")
        arrays += [mined.query, mined.positive, mined.document, mined.weight, mined.group]
        arrays += [mined.ignored_query, mined.ignored_document]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _joined(texts: pa.LargeStringArray) -> pa.Buffer:
    """Texts with zeros between them."""
    import pyarrow.compute as compute  # a tenth of a second, which only reading data should cost

    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], type=pa.int32()), texts)
    return compute.binary_join(whole, pa.scalar("\0", type=pa.large_string()))[0].as_buffer()
