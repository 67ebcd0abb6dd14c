"""What tests of kept vectors share, also with the processes that they start."""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from nearfar.negatives import store
from nearfar.negatives.engines import Engine, Inline
from nearfar.negatives.store import KeptVectors
from nearfar.negatives.vectors import ModelName
from tests.data.memory import make
from tests.encoders.models import STATIC
from tests.negatives.tasks import Deadly


def data(last="the last of all texts"):
    """Tables of 20 queries and 101 documents of many lengths."""
    words = ["near", "far", "text", "vector", "of", "the", "search", "engine"]
    documents = [
        " ".join(words[(place * step) % 8] for step in range(1 + place % 23)) + f" {place}" for place in range(100)
    ]
    return make([f"what is {words[row % 8]} {row}" for row in range(20)], [*documents, last], {})


def small_pieces(change):
    """Make work of pieces that are small enough for a test: 7 + 2 of texts, 4 of search."""
    change(store, "TEXTS", 16)
    change(store, "DOCUMENTS", 64)
    change(store, "PAIRS", 10 * 64)


def content(folder):
    """Every file by its path, but for locks."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


class Counting(Engine):
    """Does tasks in this process or by another engine, and counts them; stops after so many."""

    in_this_process = True

    def __init__(self, stop=None, tell=lambda name: None):
        self.done, self.stop, self.tell = Counter(), stop, tell

    def results(self, tasks, sink=None):
        for number, task in enumerate(tasks):
            if self.stop is not None and sum(self.done.values()) == self.stop:
                raise RuntimeError("stopped")
            self.done[type(task).__name__] += 1
            self.tell(type(task).__name__)
            _, result = next(Inline().results([task], sink))
            yield number, result


class Killing(Engine):
    """Has the work done by another engine, of whose workers one dies in the middle of it."""

    def __init__(self, engine, folder, at=3):
        self.engine, self.folder, self.at = engine, folder, at

    def results(self, tasks, sink=None):
        deadly = (Deadly(task, self.folder) if number == self.at else task for number, task in enumerate(tasks))
        return self.engine.results(deadly, sink)


def search_and_tell(pipe, folder):
    """Search, and tell of each task before it is done; goes on when it is told to. For a process of its own."""

    def tell(name):
        pipe.send(name)
        pipe.recv()

    small_pieces(setattr)
    tables = data()
    engine = Counting(tell=tell)
    rows = np.arange(len(tables.queries), dtype=np.int32)
    KeptVectors(tables, rows, ModelName(name=STATIC, device="cpu"), Path(folder), engine).search("", 5, "Exact")
    pipe.send("done")
    os._exit(0)
