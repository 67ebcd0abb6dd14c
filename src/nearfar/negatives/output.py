"""What a mining job hands out: the chosen negatives, what they are held against, and the texts that sources made.

The same candidates give the same bytes. ``data.mined`` reads them back.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from jaxtyping import Int32

from nearfar.data.mined import FINISHED, LABELS, MADE, NEGATIVES, POSITIVES, RECORD, SCORE
from nearfar.data.tables import Dataset
from nearfar.files import atomic, write_json
from nearfar.negatives.candidates import SOURCE, Candidates, Label, Reason
from nearfar.negatives.material import Made

_WORDS = {Label.NEGATIVE: "negative", Label.POSITIVE: "positive", Label.UNKNOWN: "unknown"}


def write_output(
    folder: Path,
    dataset: Dataset,
    candidates: Candidates,
    sources: Sequence[str],
    *,
    made: Made | None = None,
    by: str | None = None,
    group: Int32[np.ndarray, " row"] | None = None,
) -> None:
    """Write negatives, relabelled candidates, positives with their scores, and made texts.

    Kept rows are negatives, unless their label says that nobody knows. Rows that were moved to the positives are in the
    file as such, with rank -1. Each list is the hardest first.

    Args:
        folder: of the job.
        dataset: what was mined for.
        candidates: after all parts.
        sources: text forms, by the numbers of the candidates' sources.
        made: texts that sources wrote; None: there are none.
        by: the score by which lists are ordered, None for the ranks of the sources.
        group: the part of its list that each candidate belongs to; None: one part.

    Raises:
        ResourceError: a file cannot be written.
    """
    made = Made() if made is None else made
    moved = candidates.reason == Reason.RELABELLED
    out = candidates.kept | moved
    rank = candidates.places(by)
    order = np.lexsort((candidates.document, rank, moved, candidates.positive, candidates.query))
    rows = order[out[order]]
    names = document_ids(dataset, made)
    labels = np.where(moved, Label.POSITIVE, candidates.label)[rows]
    parts = np.zeros(len(candidates), dtype=np.int32) if group is None else group
    columns = {
        "query_id": dataset.queries.ids.take(pa.array(candidates.query[rows])),
        "positive_id": names.take(pa.array(candidates.positive[rows], mask=candidates.positive[rows] < 0)),
        "document_id": names.take(pa.array(candidates.document[rows])),
        "rank": pa.array(rank[rows]),
        "source": pa.array([sources[number] for number in candidates.source[rows].tolist()], pa.large_string()),
        SCORE: pa.array(candidates.score(SOURCE)[rows]),
        **{name: pa.array(values[rows]) for name, values in sorted(candidates.scores.items()) if name != SOURCE},
        "weight": pa.array(candidates.weight[rows]),
        "label": pa.array([_WORDS[Label(label)] for label in labels.tolist()], pa.large_string()),
        "group": pa.array(parts[rows]),
    }
    assert set(_WORDS.values()) == set(LABELS)
    _write(folder / NEGATIVES, columns)
    positives = candidates.positives
    scores = {name: pa.array(values) for name, values in sorted(positives.scores.items())}
    known = {
        "query_id": dataset.queries.ids.take(pa.array(positives.query)),
        "document_id": names.take(pa.array(positives.document)),
    }
    _write(folder / POSITIVES, {**known, **scores})
    parents = pa.array(made.parents, mask=made.parents < 0)
    texts = pa.array(made.texts, pa.large_string())
    _write(folder / MADE, {"id": names[len(dataset.documents) :], "text": texts, "parent_id": names.take(parents)})


def write_record(folder: Path, data: str, data_options: dict[str, Any], content: str, **more: Any) -> None:
    """Write the record of a finished job; it is written last, and makes the folder one that ``load`` reads.

    Args:
        folder: of the job.
        data: a path or a hub name.
        data_options: how it was read and split.
        content: the ``data_hash`` of what was mined for.
        more: what else there is to say, such as the model, its hash, and the settings.
    """
    path = Path(data).expanduser()
    where = str(path.absolute()) if path.exists() else data
    record = {"data": where, "data_options": data_options, "data_hash": content, **more, "state": FINISHED}
    write_json(folder / RECORD, record)


def document_ids(dataset: Dataset, made: Made) -> pa.LargeStringArray:
    """The ids of all documents, made ones too, which are called by their number."""
    taken, names = dataset.documents.row_of if made.texts else {}, []
    for number in range(len(made.texts)):
        name = f"made{number}"
        while name in taken:
            name += "_"
        names.append(name)
    return pa.concat_arrays([dataset.documents.ids, pa.array(names, pa.large_string())])


def _write(path: Path, columns: dict[str, pa.Array]) -> None:
    with atomic(path) as partial:
        parquet.write_table(pa.table(columns), partial, compression="zstd")
