"""Small tasks, in a module that worker processes can import."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearfar.errors import DataError
from nearfar.events import Silent


@dataclass(frozen=True)
class Square:
    number: int

    def run(self, sink=Silent()):
        return np.array([self.number**2])


@dataclass(frozen=True)
class Where:
    """The process it runs in, and how many threads it has there."""

    def run(self, sink=Silent()):
        import torch

        time.sleep(0.05)
        return np.array([os.getpid(), torch.get_num_threads()])


@dataclass(frozen=True)
class Wrong:
    kind: str

    def run(self, sink=Silent()):
        if self.kind == "nearfar":
            raise DataError("Broken by the user.")
        raise KeyError("broken by us")


@dataclass(frozen=True)
class Deadly:
    """Another task, which kills the process that runs it so many times before it is done."""

    task: object
    folder: Path
    times: int = 1

    def run(self, sink=Silent()):
        died = len(list(self.folder.glob("died*")))
        if died < self.times:
            (self.folder / f"died{died}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.task.run(sink)
