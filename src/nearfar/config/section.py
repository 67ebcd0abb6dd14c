"""A part of a tree of settings."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the tree: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
