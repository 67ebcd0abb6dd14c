"""The pieces of a job on many machines, as Ray Data tasks. Ray is optional: ``pip install "nearfar[ray]"``.

A Ray on this machine is started, or the cluster that ``RAY_ADDRESS`` names is joined. A task whose worker dies is given
to another one by Ray. Workers send results back to this process, which alone writes; what they read, models and for a
search vectors, has to be where they can read it.
"""

import logging
import os
import pickle
import socket
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nearfar.errors import ConfigError, ResourceError
from nearfar.events import Message, Silent, Sink
from nearfar.negatives.engines import Engine, Task, check_workers, outcome

ADDRESS = "RAY_ADDRESS"
"""The environment variable that names a cluster."""

_MEMORY = 256 * 2**20
"""Bytes of the object store of a Ray of our own: results wait there until they are written. More go to disk."""

_RETRIES = 2
"""How often a task is tried again whose worker has died of it. By itself Ray Data would go on for ever."""

_PATIENCE = 10.0
"""Seconds to wait for a cluster to answer."""


class Ray(Engine):
    """Workers that Ray runs, each with the processors that a task computes on.

    Args:
        workers: how many at most.
        threads: processors of each.

    Raises:
        ConfigError: when there are none.
    """

    def __init__(self, workers: int, threads: int = 1) -> None:
        check_workers(workers)
        self._workers, self._threads, self._started = workers, threads, False

    def results(self, tasks: Iterable[Task], sink: Sink = Silent()) -> Iterator[tuple[int, np.ndarray]]:
        """The number of each task and its result, in the order in which they are done.

        Raises:
            ConfigError: when Ray is not installed.
            ResourceError: when it cannot be started or joined, or a task cannot be done.
        """
        items = [{"number": number, "task": pickle.dumps(task)} for number, task in enumerate(tasks)]
        if not items:
            return
        ray = _imported()
        self._start(ray, sink)
        with _quiet():
            ray.data.DataContext.get_current().enable_progress_bars = False
            done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                _done,
                batch_size=1,
                num_cpus=self._threads,
                compute=ray.data.TaskPoolStrategy(size=min(self._workers, len(items))),
                max_retries=_RETRIES,
            )
        for row in _rows(ray, done):
            result, error = pickle.loads(row["outcome"])
            if error is not None:
                raise error
            yield int(row["number"]), result

    def close(self) -> None:
        """End the Ray that was started here, or leave the cluster that was joined."""
        if self._started:
            self._started = False
            _imported().shutdown()

    def _start(self, ray: Any, sink: Sink) -> None:
        """Start or join, unless the program has done so already; then it stays in charge."""
        if ray.is_initialized():
            return
        address = os.environ.get(ADDRESS)
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
        if address:
            _reach(address)
        else:
            options |= {
                "address": "local",
                "num_cpus": self._workers * self._threads,
                "object_store_memory": _MEMORY,
                "include_dashboard": False,
            }
        try:
            with _quiet(), _environment("RAY_USAGE_STATS_ENABLED", "0"):
                ray.init(**options)
        except Exception as error:  # it raises many kinds
            what = f"join the cluster at {address}" if address else "start Ray on this machine"
            raise ResourceError(f"Cannot {what}: {error} Or do without it: --engine local.") from error
        self._started = True
        where = f"the cluster at {address}" if address else "this machine"
        sink.emit(Message(text=f"Ray on {where}: {ray.cluster_resources().get('CPU', 0):g} processors."))


def _done(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """The outcome of one task, in a process that Ray keeps for the next one; so it keeps a model that is open."""
    import torch

    torch.set_num_threads(1)
    found = outcome(pickle.loads(batch["task"][0]))
    return {"number": batch["number"], "outcome": [pickle.dumps(found)]}


def _rows(ray: Any, done: Any) -> Iterator[dict[str, Any]]:
    """What Ray Data gives, with its own errors in words."""
    try:
        yield from done.iter_rows()
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        crashed = not isinstance(error, ray.exceptions.RayTaskError)  # else its last line says what the task raised
        raise ResourceError(
            f"Ray could not do a task: {lines[0] if crashed else lines[-1]} What is finished is kept."
            + (" Did memory run out? Use fewer workers." if crashed else " Do all machines have the same nearfar?")
        ) from error


def _imported() -> Any:
    """The package.

    Raises:
        ConfigError: when it is not installed.
    """
    try:
        with _quiet():
            import ray
            import ray.data
    except ImportError as error:
        raise ConfigError('--engine ray needs Ray: pip install "nearfar[ray]". Or take --engine local.') from error
    return ray


def _reach(address: str) -> None:
    """Refuse an address at which nobody answers, for which Ray itself would wait for minutes.

    Raises:
        ResourceError: says so.
    """
    host, separator, port = address.rpartition("://")[2].rpartition(":")
    if not separator or not port.isdigit():
        return  # auto, local: Ray knows what they mean
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE):
            pass
    except OSError as error:
        raise ResourceError(
            f"No Ray cluster answers at {ADDRESS}={address} ({error}). Start it, correct the address, or unset "
            f"{ADDRESS}, so that a Ray on this machine is started."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, Ray does not warn of its own settings, and says nothing about its plans afterwards."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ray\.")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"ray\.")
        # Of max_retries. Until it goes, in 2.64, nothing is in its place.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        yield


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Inside, an environment variable is set unless it is set already."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
