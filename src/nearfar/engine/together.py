"""What several processes do together: meet, let the first one work while the others wait, and fail with one voice."""

import atexit
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from nearfar.config.launch import Launch
from nearfar.engine.ranks import Ranks
from nearfar.errors import ConfigError, NearfarError, ResourceError

Result = TypeVar("Result")

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one measures and reports on its own."""
MEETING = timedelta(minutes=10)
"""How long a process waits for the others to start."""
_TOLD = "nearfar/told"
_GRACE = timedelta(seconds=5)
"""How long the others let the first process tell what went wrong."""
_LINGER = 1.0
"""Seconds by which the others outlive it, so that a launcher names it as the one that failed."""


class FirstFailed(NearfarError):  # noqa: N818  # told elsewhere
    """The first process failed at what the others waited for; the message is that of its error."""


def device_of(asked: str | None, launch: Launch) -> str | None:
    """The torch device of this process: on a machine with several, each takes an accelerator of its own.

    Raises:
        ConfigError: when all were to take the same one, or there are fewer than processes.
    """
    kind, _, number = (asked or ("cuda" if torch.cuda.is_available() else "")).partition(":")
    if kind != "cuda" or launch.local_world == 1:
        return asked
    if number:
        raise ConfigError(
            f"model.device is {asked!r}, but {launch.local_world} processes run here, and each needs a GPU of its own. "
            "Leave out the number."
        )
    if torch.cuda.device_count() < launch.local_world:
        raise ConfigError(
            f"{launch.local_world} processes run here, and there are {torch.cuda.device_count()} GPUs. "
            "Start as many processes as GPUs, or set model.device=cpu."
        )
    return f"cuda:{launch.local_rank}"


def join(launch: Launch, device: str | None) -> Ranks:
    """Meet the other processes; does nothing when that was done, or when no launcher started this one.

    Collectives on processor tensors go over gloo, those on a GPU over NCCL.

    Raises:
        ResourceError: when the others do not come.
    """
    if not launch.launched or distributed.is_initialized():
        return Ranks.current()
    backend = "gloo"
    if (device or "").startswith("cuda"):
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    # Accelerate warns where it is not set, and would choose by itself.
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    names = {"RANK": launch.rank, "WORLD_SIZE": launch.world, "LOCAL_RANK": launch.local_rank}
    for name, value in names.items():  # mpirun has names of its own
        os.environ.setdefault(name, str(value))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "0")
    try:
        store, rank, world = next(rendezvous("env://", timeout=MEETING))
        distributed.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=PATIENCE)
    except (distributed.DistError, RuntimeError, ValueError) as error:
        raise ResourceError(
            f"Process {launch.rank} of {launch.world} cannot meet the others at {os.environ['MASTER_ADDR']}:"
            f"{os.environ['MASTER_PORT']}: {str(error).strip().splitlines()[0]}"
        ) from error
    atexit.register(leave)
    return Ranks.current()


def leave() -> None:
    """Leave the group of processes, if there is one."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def first(work: Callable[[], Result]) -> Result:
    """What the first process makes of ``work``, on every process; the others wait for it.

    Raises:
        FirstFailed: on the others, when the work fails.
    """
    ranks = Ranks.current()
    if ranks.world == 1:
        return work()
    if not ranks.first:
        result, failure = _sent(None)
        if failure is not None:
            raise FirstFailed(failure)
        return cast(Result, result)
    try:
        done = work()
    except Exception as error:
        _sent((None, str(error) if isinstance(error, NearfarError) else f"{type(error).__name__}: {error}"))
        raise
    _sent((done, None))
    return done


def _sent(value: Any) -> Any:
    """What the first process gave."""
    values = [value]
    distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]


def wait() -> None:
    """Wait until every process is here."""
    any_of(False)


def any_of(flag: bool) -> bool:
    """Whether the flag is set on any process. Every process must ask."""
    return each_of(flag)[0]


def each_of(*flags: bool) -> tuple[bool, ...]:
    """For each flag, whether it is set on any process. Every process must ask."""
    if Ranks.current().world == 1:
        return flags
    raised = torch.tensor(flags, dtype=torch.uint8)
    distributed.all_reduce(raised, distributed.ReduceOp.MAX)
    return tuple(bool(flag) for flag in raised)


def same(value: str) -> bool:
    """Whether every process has the same value."""
    if Ranks.current().world == 1:
        return True
    return not any_of(first(lambda: value) != value)


def is_lost(error: BaseException) -> bool:
    """Whether an error only says that another process is gone."""
    if isinstance(error, distributed.DistError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("gloo" in text or "Connection closed by peer" in text)


def may_tell(after_another: bool) -> bool:
    """Whether it is for this process to tell what went wrong: several often fail of one cause, one shall speak.

    The first process may, unless it failed only because another one is gone. Any other process gives the rest a moment
    to speak; if nobody does, whoever asks first may.
    """
    if not distributed.is_initialized():
        return Launch.read().local_rank == 0  # they have not met: one on each machine
    if Ranks.current().first and not after_another:
        return True
    store = distributed.distributed_c10d._get_default_store()
    try:
        store.wait([_TOLD], _GRACE)
    except RuntimeError:
        try:
            return bool(store.add(f"{_TOLD}/by", 1) == 1)
        except RuntimeError:  # the store went with the process that kept it
            return False
    time.sleep(_LINGER)
    return False


def told() -> None:
    """Say that what went wrong has been told; the others leave in silence."""
    if distributed.is_initialized():
        try:
            distributed.distributed_c10d._get_default_store().set(_TOLD, "1")
        except RuntimeError:
            return
