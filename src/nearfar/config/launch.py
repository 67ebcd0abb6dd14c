"""What a launcher such as torchrun says about this process: which of how many it is. Never imports torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from nearfar.errors import ConfigError

_NAMES = {
    "rank": ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK"),
    "world": ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"),
    "local_rank": ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK"),
    "local_world": ("LOCAL_WORLD_SIZE", "MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE"),
}
"""Of torchrun and accelerate, Intel MPI, Open MPI, MVAPICH. The first that is set counts."""
_START = "Start several processes with: torchrun --nproc-per-node 2 -m nearfar train ..."


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One of several processes that do one thing.

    Attributes:
        rank: which one, from 0.
        world: how many there are, on all machines.
        local_rank: which one on this machine.
        local_world: how many there are on this machine.
        launched: whether a launcher started it at all, be it as the only one.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    launched: bool = False

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.world > 1

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> "Launch":
        """What the environment says; one process alone when it says nothing.

        Raises:
            ConfigError: when it says one thing and leaves out another, or what it says cannot be.
        """
        given = os.environ if environment is None else environment
        found = {field: _number(given, names) for field, names in _NAMES.items()}
        if all(found[field] is None for field in ("rank", "world", "local_rank")):
            return cls()
        needed = ("rank", "world", "local_rank")
        missing = [_NAMES[field][0] for field in needed if found[field] is None]
        missing += [name for name in ("MASTER_ADDR", "MASTER_PORT") if not given.get(name) and found["world"] != 1]
        if missing:
            there = [name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if name in given]
            raise ConfigError(
                f"{' and '.join(f'{name}={given[name]}' for name in there) or 'The environment'} stands for one of "
                f"several processes, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set. "
                f"{_START}; for one process, unset what is set."
            )
        numbers = {field: value for field, value in found.items() if value is not None}
        numbers.setdefault("local_world", numbers["world"])
        for rank, world in (("rank", "world"), ("local_rank", "local_world")):
            if not 0 <= numbers[rank] < numbers[world]:
                raise ConfigError(
                    f"{_NAMES[rank][0]} is {numbers[rank]} of {numbers[world]} processes; it must be from 0 to "
                    f"{numbers[world] - 1}. {_START}"
                )
        return cls(**numbers, launched=True)


def fewer_than_asked_for(environment: Mapping[str, str] | None = None) -> str | None:
    """A warning when accelerate launch was asked for several processes and started one.

    On a processor it starts several by mpirun alone, and says nothing otherwise.
    """
    given = os.environ if environment is None else environment
    alone = not Launch.read(given).several
    if alone and given.get("ACCELERATE_USE_CPU", "").lower() == "true" and given.get("MASTER_PORT"):
        return (
            "accelerate launch --cpu starts a single process unless it is given --mpirun_hostfile, whatever "
            "--num_processes says; this run goes on with one. For several on a processor use torchrun "
            "--nproc-per-node, or accelerate launch --multi_gpu --num_processes."
        )
    return None


def _number(given: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        if given.get(name):
            try:
                return int(given[name])
            except ValueError:
                raise ConfigError(f"{name} is {given[name]!r}; it must be a whole number. {_START}") from None
    return None
