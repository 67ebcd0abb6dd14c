"""Vectors of a frozen encoder in files."""

import numpy as np
import pytest
import torch

from nearfar.encoders.protocol import Role
from nearfar.engine import teachers
from nearfar.engine.teachers import KeptVectors, Teacher, read_vectors, write_vectors
from nearfar.errors import DataError, ResourceError, ShapeError
from nearfar.events import Progress, Silent
from nearfar.types import Batch
from tests.data.memory import table
from tests.engine.test_momentum import encoder
from tests.objectives.relations import relation

TEXTS = table(["abc", "cab", "dej", "fgh", "jia", "bhb", "aaa"], "d")
ROWS = np.array([0, 2, 3, 4, 6])


class Collected:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
def test_what_is_written_in_parts_is_what_is_encoded_at_once(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(teachers, "_AT_ONCE", at_once)
    sink = Collected()
    write_vectors(tmp_path / "v.npy", encoder(), TEXTS, ROWS, Role.DOCUMENT, sink)
    kept = read_vectors(tmp_path / "v.npy", ROWS)
    assert isinstance(kept.vectors, np.memmap)
    assert kept.vectors.dtype == np.float32
    np.testing.assert_allclose(kept.vectors, encoder().encode_documents(TEXTS.take(ROWS)), rtol=1e-6)
    done = [event.done for event in sink.events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == 5
    assert {(event.task, event.total) for event in sink.events} == {("Teacher: encoding documents", 5)}


def test_vectors_are_found_by_row():
    kept = KeptVectors(ROWS, np.arange(10, dtype=np.float32).reshape(5, 2))
    assert kept.take(torch.tensor([6, 0, 6])).tolist() == [[8, 9], [0, 1], [8, 9]]
    assert kept.take(torch.zeros(0, dtype=torch.int64)).shape == (0, 2)
    for row in (1, 7, 99):
        with pytest.raises(ShapeError, match=f"no vector of row {row} among the 5"):
            kept.take(torch.tensor([0, row]))


@pytest.mark.parametrize(("similarity", "expected"), [("cosine", [[0.6, 0.8]]), ("dot", [[3.0, 4.0]])])
def test_vectors_are_as_the_teacher_compares_them(similarity, expected):
    kept = KeptVectors(np.array([0]), np.array([[3.0, 4.0]], dtype=np.float32))
    teacher = Teacher(queries=kept, documents=kept, similarity=similarity)
    batch = Batch(["q"], ["d"], relation([[1]]), torch.tensor([0]), None, torch.tensor([0]))
    found = teacher.of(batch)
    torch.testing.assert_close(found["teacher_anchors"], torch.tensor(expected))
    torch.testing.assert_close(found["teacher_candidates"], torch.tensor(expected))
    with pytest.raises(ShapeError, match=r"Batch.index and Batch.documents"):
        teacher.of(Batch(["q"], ["d"], relation([[1]]), torch.tensor([0])))


def test_a_full_disk_says_so_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "_AT_ONCE", 2)
    calls = []

    def full(*given):
        calls.append(given)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return np.ones((2, 4), dtype=np.float32)

    monkeypatch.setattr(teachers, "encode", full)
    with pytest.raises(ResourceError, match=r"Cannot write .*v.npy: No space left on device"):
        write_vectors(tmp_path / "v.npy", encoder(), TEXTS, ROWS, Role.QUERY, Silent())
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_whose_vectors_are_not_finite(tmp_path):
    broken = encoder()
    with torch.no_grad():
        broken.module.letters[0] = float("nan")
    with pytest.raises(DataError, match="not finite for 5 of 5"):
        write_vectors(tmp_path / "v.npy", broken, TEXTS, ROWS, Role.QUERY, Silent())
    assert list(tmp_path.iterdir()) == []
