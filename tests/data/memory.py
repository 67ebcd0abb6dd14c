"""Data sets made in memory, for the tests of splitting, counting and writing."""

import numpy as np

from nearfar.data.builder import TextsBuilder
from nearfar.data.judgements import JudgementsBuilder
from nearfar.data.places import Place
from nearfar.data.tables import Dataset, Facts


def table(texts, prefix, groups=None):
    builder = TextsBuilder("text", prefix)
    for line, text in enumerate(texts):
        builder.add(text, Place("memory", line), f"{prefix}{line}", None if groups is None else groups[line])
    return builder.finish()


def judged(rows):
    builder = JudgementsBuilder()
    for query, node, grade in rows:
        builder.add(query, node, float(grade))
    return builder.finish()


def make(queries, documents, splits, *, groups=None, layout="pairs", searched=None):
    """A data set from texts and ``{split: [(query row, document row, grade)]}``."""
    return Dataset(
        name="made",
        queries=table(queries, "q", groups),
        documents=table(documents, "d"),
        nodes=np.arange(len(documents), dtype=np.int32),
        qrels={name: judged(rows) for name, rows in splits.items()},
        searched=np.ones(len(documents), dtype=bool) if searched is None else np.array(searched),
        facts=Facts(source="memory", layout=layout, rows_read=0),
    )
