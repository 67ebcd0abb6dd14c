"""Who computes the pieces of a job: this process, or several that it starts. ``ray_engine`` has many machines.

An engine gives results in any order, each with the number of its task. It decides nothing about their content: a task
brings all that it needs and gives the same bytes wherever it runs.
"""

import multiprocessing
import signal
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from nearfar.errors import ConfigError, NearfarError, ResourceError
from nearfar.events import Message, Silent, Sink

Entered = TypeVar("Entered", bound="Engine")

_ATTEMPTS = 3
"""How often a task is given to a worker, where the one before has died of it."""


@runtime_checkable
class Task(Protocol):
    """A piece of work. For other processes it has to be one that can be pickled."""

    def run(self, sink: Sink = Silent()) -> np.ndarray:
        """The result; the same bytes in any process."""


class Engine(ABC):
    """Runs tasks. Used in a ``with`` statement, at whose end all that it has started is ended."""

    in_this_process: bool = False
    """Whether tasks run in this process, so that they may hold what no other process can have."""

    @abstractmethod
    def results(self, tasks: Iterable[Task], sink: Sink = Silent()) -> Iterator[tuple[int, np.ndarray]]:
        """The number of each task and its result, in the order in which they are done.

        Raises:
            ResourceError: when workers die, or cannot be started.
        """

    def close(self) -> None:  # noqa: B027, most have nothing to end
        """End what was started. It starts again when it is needed."""

    def __enter__(self: Entered) -> Entered:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Inline(Engine):
    """One task after another in this process."""

    in_this_process = True

    def results(self, tasks: Iterable[Task], sink: Sink = Silent()) -> Iterator[tuple[int, np.ndarray]]:
        """The number of each task and its result, in order."""
        for number, task in enumerate(tasks):
            yield number, task.run(sink)


class Processes(Engine):
    """Several processes on this machine, each with one thread unless a task asks for more.

    They are started when they are first needed. One that dies is replaced, and its task given to another. They end with
    this process, however it ends.

    Args:
        workers: how many.

    Raises:
        ConfigError: when it is below 1.
    """

    def __init__(self, workers: int) -> None:
        check_workers(workers)
        self._count, self._workers = workers, list[_Worker]()

    def results(self, tasks: Iterable[Task], sink: Sink = Silent()) -> Iterator[tuple[int, np.ndarray]]:
        """The number of each task and its result, in the order in which they are done."""
        waiting, attempts = enumerate(tasks), Counter[int]()
        again = [*islice(waiting, self._count)][::-1]  # all are started before one is waited for
        self._workers += [_Worker(_context()) for _ in range(len(again) - len(self._workers))]
        busy: dict[Connection, tuple[_Worker, int, Task]] = {}
        try:
            while True:
                while len(busy) < self._count and (given := again.pop() if again else next(waiting, None)):
                    worker = self._free()
                    attempts[given[0]] += 1
                    busy[worker.pipe] = (worker, *given)
                    worker.give(given[1])
                if not busy:
                    return
                for pipe in wait(list(busy)):
                    assert isinstance(pipe, Connection)
                    worker, number, task = busy.pop(pipe)
                    result = worker.result()
                    if result is not None:
                        self._workers.append(worker)
                        yield number, result
                        continue
                    _may_try_again(attempts[number], worker, sink)
                    again.append((number, task))
        finally:
            for worker, *_ in busy.values():
                worker.end()
            if busy:
                self.close()

    def close(self) -> None:
        """End the processes."""
        while self._workers:
            self._workers.pop().end()

    def _free(self) -> "_Worker":
        """A process that has nothing to do."""
        return self._workers.pop() if self._workers else _Worker(_context())


def local(workers: int = 1) -> Engine:
    """The process that calls for one worker, else so many processes."""
    check_workers(workers)
    return Inline() if workers == 1 else Processes(workers)


def check_workers(workers: int) -> None:
    """Refuse less than one worker.

    Raises:
        ConfigError: says so.
    """
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}.")


def _context() -> BaseContext:
    """How processes are started: from a clean one, since a fork of this one may hold locks of its threads."""
    known = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in known else "spawn")


class _Worker:
    """A process that takes a task, gives its result, and waits for the next."""

    def __init__(self, context: BaseContext) -> None:
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there,), daemon=True)  # type: ignore[attr-defined]
        self.process.start()
        there.close()

    def give(self, task: Task) -> None:
        """Have a task done. That the process has died is seen when the result is asked for."""
        try:
            self.pipe.send(task)
        except OSError:
            self.process.kill()

    def result(self) -> np.ndarray | None:
        """The result; None when the process has died of the task, which is removed then."""
        try:
            result, error = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return None
        if error is not None:
            self.end()
            raise error
        assert isinstance(result, np.ndarray)
        return result

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _may_try_again(attempts: int, worker: _Worker, sink: Sink) -> None:
    code = worker.process.exitcode
    how = f"was killed (signal {-code})" if code is not None and code < 0 else f"ended with code {code}"
    if attempts >= _ATTEMPTS:
        raise ResourceError(
            f"A worker process {how}, {attempts} times at the same task. Did memory run out? Use fewer workers. What "
            "is finished is kept. (A script that starts workers must do so under: if __name__ == '__main__'.)"
        )
    sink.emit(Message(text=f"A worker process {how}; another one does its task.", level="warning"))


def _serve(pipe: Connection) -> None:
    """Do tasks until the other end of the pipe is gone."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process at the other end says when it is over
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send(outcome(task))
        except OSError:
            return


def outcome(task: Task) -> tuple[np.ndarray | None, Exception | None]:
    """The result of a task or its error, which can be sent to another process."""
    try:
        return task.run(), None
    except NearfarError as error:
        return None, error
    except Exception as error:  # not every exception can be pickled, and its traceback never
        return None, RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
