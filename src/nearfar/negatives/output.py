"""What a mining job hands out: the chosen negatives, what they are held against, and the texts that sources made.

The same candidates give the same bytes. ``data.mined`` reads them back.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from jaxtyping import Bool, Int32

from nearfar.data.arrow import column, strings, taken
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
    suspects: Bool[np.ndarray, " row"] | None = None,
) -> None:
    """Write negatives, suspects, relabelled candidates, positives with their scores, and made texts.

    Kept rows are negatives, unless their label says that nobody knows. Suspects are in the file as unknown, and rows
    that were moved to the positives as such, both with rank -1. The negatives of each list are the hardest first.

    Args:
        folder: of the job.
        dataset: what was mined for.
        candidates: after all parts.
        sources: text forms, by the numbers of the candidates' sources.
        made: texts that sources wrote; None: there are none.
        by: the score by which lists are ordered, None for the ranks of the sources.
        group: the part of its list that each candidate belongs to; None: one part.
        suspects: which dropped candidates are no negatives of their queries in a batch either; None: no one.

    Raises:
        ResourceError: a file cannot be written.
    """
    made = Made() if made is None else made
    moved = candidates.reason == Reason.RELABELLED
    unknown = np.zeros(len(candidates), dtype=np.bool_) if suspects is None else suspects
    rank, rows = candidates.places(by), np.flatnonzero(candidates.kept | unknown | moved)
    place = np.where(moved[rows], 2, np.where(candidates.kept[rows], 0, 1))
    columns_of = (candidates.document, rank, candidates.positive, candidates.query)
    document, ranks, positive, query = (column[rows] for column in columns_of)
    rows = rows[np.lexsort((document, ranks, place, positive, query))]
    names = document_ids(dataset, made)
    labels = np.where(moved, Label.POSITIVE, np.where(unknown, Label.UNKNOWN, candidates.label))[rows]
    parts = np.zeros(len(candidates), dtype=np.int32) if group is None else group
    columns = {
        "query_id": taken(candidates.query[rows], dataset.queries.ids),
        "positive_id": taken(candidates.positive[rows], names),
        "document_id": taken(candidates.document[rows], names),
        "rank": column(rank[rows]),
        "source": taken(candidates.source[rows], strings(sources)),
        SCORE: column(candidates.score(SOURCE)[rows]),
        **{name: column(values[rows]) for name, values in sorted(candidates.scores.items()) if name != SOURCE},
        "weight": column(candidates.weight[rows]),
        "label": taken(labels - min(Label), strings(_WORDS[label] for label in sorted(Label))),
        "group": column(parts[rows]),
    }
    assert set(_WORDS.values()) == set(LABELS)
    write_table(folder / NEGATIVES, columns)
    positives = candidates.positives
    scores = {name: column(values) for name, values in sorted(positives.scores.items())}
    known = {
        "query_id": taken(positives.query, dataset.queries.ids),
        "document_id": taken(positives.document, names),
    }
    write_table(folder / POSITIVES, {**known, **scores})
    of_made = {
        "id": names[len(dataset.documents) :],
        "text": strings(made.texts),
        "parent_id": taken(made.parents, names),
    }
    write_table(folder / MADE, of_made)


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
    return pa.concat_arrays([dataset.documents.ids, strings(names)])


def write_table(path: Path, columns: Mapping[str, pa.Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write columns as Parquet. A list of the values that occur saves nothing for scores, so they have none.

    Raises:
        ResourceError: the file cannot be written.
    """
    few = [name for name, values in columns.items() if not pa.types.is_floating(values.type)]
    table = pa.table(dict(columns)).replace_schema_metadata(None if metadata is None else dict(metadata))
    with atomic(path) as partial:
        parquet.write_table(table, partial, compression="zstd", use_dictionary=few, write_statistics=False)
