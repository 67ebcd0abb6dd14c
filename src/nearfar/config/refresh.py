"""The settings of mining while a model trains: the section ``mining`` of a training run."""

import re
from typing import Any

from pydantic import Field, field_validator, model_validator

from nearfar.config.section import Section

NEVER = "never"
_TIME = re.compile(r"(\d+) *(step|epoch)s?")


class RefreshOptions(Section):
    """Mining again with the model as it is by then (ANCE, STAR, ADORE, AR2)."""

    refresh: str = Field(
        default=NEVER, description="How often the negatives are mined anew: never, 500 steps, 1 epoch."
    )
    start: str | None = Field(
        default=None,
        description="When that is done first, such as 0 steps or 2 epochs. None: after as long as between two times.",
    )
    beside: int | None = Field(
        default=None,
        ge=1,
        description="Mine in a process of its own, and use what it finds so many steps later, whatever it takes: "
        "training waits for it then, so that a run can be repeated. None: training waits at once.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="What is mined and how, by the names of the section mining of nearfar mine, such as "
        "{sources: Dense(depth=200), select: Top(count=4)}.",
    )

    @field_validator("refresh", "start")
    @classmethod
    def _a_time(cls, text: str | None) -> str | None:
        if text is None or text == NEVER or _TIME.fullmatch(text):
            return text
        raise ValueError(f"{text!r} is no time. Expected a number of steps or epochs, such as 500 steps or 1 epoch")

    @model_validator(mode="after")
    def _together(self) -> "RefreshOptions":
        if self.start == NEVER:
            raise ValueError("start is never; leave it out, and set refresh to never")
        changed = [name for name in ("start", "beside", "settings") if getattr(self, name)]
        if self.refresh == NEVER and changed:
            raise ValueError(f"{changed[0]} is set and refresh is never; a time, such as 1 epoch, turns it on")
        if self.refresh != NEVER and int(self.refresh.split()[0]) < 1:
            raise ValueError("refresh is 0; the shortest time between two is 1 step")
        return self

    def steps(self, epoch: int) -> tuple[int, int]:
        """After how many steps it is done first, and how many steps are between two times.

        Args:
            epoch: steps of an epoch.
        """
        every = _steps(self.refresh, epoch)
        return every if self.start is None else _steps(self.start, epoch), every


def _steps(text: str, epoch: int) -> int:
    found = _TIME.fullmatch(text)
    assert found is not None
    return int(found[1]) * (epoch if found[2] == "epoch" else 1)
