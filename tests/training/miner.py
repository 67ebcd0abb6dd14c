"""A small miner for tests: the nearest searched documents by the encoder that is given, without relevant ones."""

import os
import sys
import time

import numpy as np

from nearfar.data.content import data_hash
from nearfar.encoders.protocol import Role
from nearfar.engine.embed import encode
from nearfar.events import Silent
from nearfar.files import write_text
from nearfar.negatives.candidates import Reason
from nearfar.negatives.closure import Closure
from nearfar.negatives.lists import from_sources
from nearfar.negatives.output import write_output, write_record
from nearfar.retrieval.dense import search

DEPTH = 8
MOMENT = "half.txt"
"""A file that is written, and removed, in the middle of mining."""


def mine(folder, dataset, encoder, options, sink):
    """As ``negatives.job.mine_into``: three negatives for each query."""
    np.random.rand()  # a miner may draw as it likes
    closure = Closure(dataset)
    queries = closure.queries
    vectors = [
        encode(encoder, table.take(rows), role, Silent())
        for table, rows, role in (
            (dataset.queries, queries, Role.QUERY),
            (dataset.documents, np.arange(len(dataset.documents)), Role.DOCUMENT),
        )
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / MOMENT, "half")
    hits = search(*vectors, DEPTH, similarity=encoder.similarity)
    found = closure.apply(from_sources(queries, [(hits.documents, hits.scores)], closure.positives))
    found = found.drop(found.places() >= 3, Reason.BUDGET)
    write_output(folder, dataset, found, ["Dense()"])
    (folder / MOMENT).unlink()
    write_record(folder, "memory", {}, data_hash(dataset))


def mine_slowly(folder, dataset, encoder, options, sink):
    """The same, when the machine is busy; ``NEARFAR_TESTS_SLOW`` says for how many seconds."""
    time.sleep(float(os.environ.get("NEARFAR_TESTS_SLOW", "0")))
    mine(folder, dataset, encoder, options, sink)


def install(python, miner=mine_slowly):
    """Have training mine with it, and with a command for what is mined beside it."""
    from nearfar.training import refresh

    sys.executable = python
    refresh.miner = lambda: miner
