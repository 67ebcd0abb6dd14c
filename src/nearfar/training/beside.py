"""Mining in a process of its own while training goes on.

The process is started as ``python -m nearfar.training.beside FOLDER TASK``. It ends with the one that started it,
whatever ends that: it watches its standard input, which the other keeps open.
"""

import os
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nearfar.config.mining import MiningOptions
from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Similarity, TorchEncoder
from nearfar.errors import NearfarError, ResourceError
from nearfar.events import Silent
from nearfar.files import atomic, write_json

LISTS, MODEL, DONE = "lists", "model", "done.json"
"""In the folder of a time of mining: what the miner writes, the weights, and the mark that all of it is there."""
_LOG, _TASK = "log.txt", "task.pickle"
_LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher has set for this process, and would have the other one join its group."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What the other process needs beside the weights.

    Attributes:
        dataset: the tables.
        options: what is mined and how.
        miner: a function of a module.
        device, precision, similarity: of the encoder.
        threads: of the processor.
    """

    dataset: Dataset
    options: MiningOptions
    miner: Any
    device: str
    precision: str
    similarity: Similarity
    threads: int

    @classmethod
    def of(cls, dataset: Dataset, encoder: TorchEncoder, options: MiningOptions, miner: Any) -> "Task":
        """To mine with an encoder as it is here."""
        return cls(
            dataset=dataset,
            options=options,
            miner=miner,
            device=str(encoder.device),
            precision=encoder.precision,
            similarity=encoder.similarity,
            threads=torch.get_num_threads(),
        )


class Beside:
    """A process that mines.

    Args:
        process: which was started.
        folder: that it mines into.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process, self._folder = process, folder

    @classmethod
    def start(cls, folder: Path, task: Task) -> "Beside":
        """Start mining with the weights that are in a folder, into that folder.

        Raises:
            ResourceError: when the task cannot be written.
        """
        with atomic(folder / _TASK) as partial:
            partial.write_bytes(pickle.dumps(task))
        environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHED}
        with (folder / _LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "nearfar.training.beside", str(folder.absolute())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the other: it ends this one
            )
        return cls(process, folder)

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            ResourceError: when it has failed.
        """
        code = self._process.wait()
        self._close()
        if code:
            said = (self._folder / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ResourceError(
                f"Mining beside training has failed: {said[-1] if said else f'it ended with code {code}'} The whole "
                f"is in {self._folder / _LOG}."
            )

    def end(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()


def work(folder: Path) -> None:
    """Do the task that is in a folder."""
    task: Task = pickle.loads((folder / _TASK).read_bytes())  # which this program has written
    torch.set_num_threads(task.threads)

    from nearfar.encoders.load import load

    encoder = load(str(folder / MODEL), device=task.device, similarity=task.similarity)
    encoder.precision = task.precision
    task.miner(folder / LISTS, task.dataset, encoder, task.options, Silent())
    write_json(folder / DONE, {"step": int(folder.name)})
    (folder / _TASK).unlink()


def _end_with_the_other() -> None:
    while os.read(0, 1):  # not through sys.stdin, which a thread must not hold when the program ends
        pass
    os._exit(1)


def main() -> None:
    """The program."""
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    try:
        work(Path(sys.argv[1]))
    except NearfarError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(2)


if __name__ == "__main__":
    main()
