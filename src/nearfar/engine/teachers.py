"""Vectors of a frozen encoder, computed once for the texts of training and read from files afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.data.tables import Texts
from nearfar.encoders.protocol import Role, Similarity, TorchEncoder
from nearfar.engine.embed import encode
from nearfar.errors import ShapeError
from nearfar.events import Event, Progress, Sink
from nearfar.files import atomic
from nearfar.types import Batch

_AT_ONCE = 8_192
"""Texts that are encoded before their vectors are written."""


@dataclass(frozen=True, eq=False)
class KeptVectors:
    """Vectors of some rows of a table.

    Attributes:
        rows: which rows, ascending.
        vectors: one for each of them; usually a memory-mapped file.
    """

    rows: Int64[np.ndarray, " row"]
    vectors: Float32[np.ndarray, "row dim"]

    def take(self, rows: Int[Tensor, " text"]) -> Float32[Tensor, "text dim"]:
        """The vectors of some rows, in their order.

        Raises:
            ShapeError: when a row is not among those that were kept.
        """
        wanted = rows.cpu().numpy()
        places = np.searchsorted(self.rows, wanted).clip(max=len(self.rows) - 1)
        missing = wanted[self.rows[places] != wanted]
        if len(missing):
            raise ShapeError(f"There is no vector of row {int(missing[0])} among the {len(self.rows)} that were kept.")
        return torch.from_numpy(self.vectors[places])


@dataclass(frozen=True, eq=False, kw_only=True)
class Teacher:
    """What a frozen encoder says of the texts of training.

    Attributes:
        queries, documents: its vectors.
        similarity: how it compares them.
    """

    queries: KeptVectors
    documents: KeptVectors
    similarity: Similarity

    @property
    def width(self) -> int:
        """Dimensions of its vectors."""
        return int(self.queries.vectors.shape[1])

    def of(self, batch: Batch) -> dict[str, Float32[Tensor, "text dim"]]:
        """Its vectors of the texts of a step, as ``taught`` takes them.

        Where it compares by cosine they are of length 1, so that their products are its scores.

        Raises:
            ShapeError: when the batch does not say which rows its texts are.
        """
        if batch.index is None or batch.documents is None:
            raise ShapeError("A teacher needs the rows of the texts of a step: Batch.index and Batch.documents.")
        found = {"teacher_anchors": self.queries.take(batch.index)}
        found["teacher_candidates"] = self.documents.take(batch.documents)
        if self.similarity == "cosine":
            return {name: normalize(vectors, dim=1) for name, vectors in found.items()}
        return found


def taught(needs: frozenset[str], given: Mapping[str, Tensor], followed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The keyword inputs of an objective from what a step has of other encoders.

    Guides are the moving average's vectors where there is one, the teacher's where there is none. The teacher's scores
    are the products of its vectors.

    Args:
        needs: the inputs that the objective cannot do without.
        given: what the batch came with, the teacher's vectors among it; weights of pairs are under ``teacher``.
        followed: ``guide_anchors`` and ``guide_candidates`` by the moving average, as far as they are needed.
    """
    inputs = {name: value for name, value in given.items() if not name.startswith("teacher_")}
    if "teacher_anchors" in given:
        anchors, candidates = given["teacher_anchors"], given["teacher_candidates"]
        if not followed:
            inputs |= {"guide_anchors": anchors, "guide_candidates": candidates}
        if "teacher" in needs and "teacher" not in given:
            inputs["teacher"] = anchors @ candidates.T
    return inputs | dict(followed)


def write_vectors(
    path: Path, encoder: TorchEncoder, texts: Texts, rows: Int64[np.ndarray, " row"], role: Role, sink: Sink
) -> None:
    """Encode rows of a table into a ``.npy`` file, some at a time; the file is there when all of it is.

    Raises:
        DataError: when a vector is not finite.
        ResourceError: when the file cannot be written.
    """
    with atomic(path) as partial, partial.open("wb") as stream:
        for start in range(0, len(rows), _AT_ONCE):
            part = texts.take(rows[start : start + _AT_ONCE])
            vectors = encode(encoder, part, role, _Part(sink, start, len(rows)))
            if not start:
                shape = (len(rows), vectors.shape[1])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(vectors.astype("<f4").tobytes())


def read_vectors(path: Path, rows: Int64[np.ndarray, " row"]) -> KeptVectors:
    """What ``write_vectors`` wrote for the same rows, left on disk.

    Raises:
        ValueError: when the file is cut short, or has other than one vector for each row.
    """
    vectors = np.load(path, mmap_mode="r")
    if len(vectors) != len(rows):
        raise ValueError(f"{path} has {len(vectors)} vectors, expected {len(rows)}")
    return KeptVectors(rows, vectors)


@dataclass(frozen=True)
class _Part:
    """Passes on the progress of a part as progress of the whole."""

    sink: Sink
    start: int
    total: int

    def emit(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Progress):
            task = event.task.replace("Encoding", "Teacher: encoding")
            event = Progress(task=task, done=self.start + event.done, total=self.total)
        self.sink.emit(event)
