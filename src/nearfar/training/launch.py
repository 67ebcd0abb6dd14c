"""Meeting the other processes of a run, without importing torch where there are none."""

from collections.abc import Callable
from typing import TypeVar

from nearfar.config.launch import Launch

Result = TypeVar("Result")


def meet(launch: Launch, device: str | None) -> str | None:
    """Join the other processes of a run, if a launcher started them; gives the device of this one.

    Raises:
        ConfigError: when the device cannot serve all processes of this machine.
        ResourceError: when the others do not come.
    """
    if not launch.launched:
        return device

    from nearfar.engine.together import device_of, join

    here = device_of(device, launch)
    join(launch, here)
    return here


def first(launch: Launch, work: Callable[[], Result]) -> Result:
    """What the first process makes of ``work``, on every process."""
    if not launch.several:
        return work()

    from nearfar.engine import together

    return together.first(work)
