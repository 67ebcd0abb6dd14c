"""The settings of reading and splitting data: the section ``data`` of a configuration."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nearfar.errors import did_you_mean

ROLES = ("query", "positive", "negative", "score", "text", "label", "query_id", "document_id", "split")
"""What a column can be. ``text`` and ``label`` belong to labelled data, the rest to pairs."""

Layout = Literal["auto", "beir", "pairs", "scored", "labels"]


class DataOptions(BaseModel):
    """How to read a source of data and how to split it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Role to column name, such as {query: my_question}. An empty name switches a role off. "
        f"Roles: {', '.join(ROLES)}.",
    )
    layout: Layout = Field(default="auto", description="The layout of the source; auto looks at its files and columns.")
    positive_from: float | None = Field(
        default=None,
        gt=0,
        description="A pair is relevant when its grade is at least this; 1 unless given. Give it for scored pairs "
        "whenever something needs to know which pairs are relevant.",
    )
    train: str | None = Field(
        default=None,
        description="A further file of training pairs, relative to a BEIR folder. Documents that the corpus lacks "
        "are trained on but not searched.",
    )
    dev: float = Field(default=0.1, ge=0, lt=1, description="Share of the queries for a dev split that we make.")
    test: float = Field(default=0.1, ge=0, lt=1, description="Share of the queries for a test split that we make.")
    minimum_queries: int = Field(default=20, ge=1, description="The fewest queries a split that we make may have.")
    group: str | None = Field(
        default=None, description="A column; queries with the same value stay together when splitting."
    )
    seed: int = Field(default=0, ge=0, description="Decides which queries go into the splits that we make.")

    @field_validator("columns")
    @classmethod
    def _known_roles(cls, columns: dict[str, str]) -> dict[str, str]:
        for role in columns:
            if role not in ROLES:
                raise ValueError(
                    f"There is no column role {role!r}.{did_you_mean(role, ROLES)} Roles: {', '.join(ROLES)}."
                )
        return columns

    @model_validator(mode="after")
    def _shares_leave_training_data(self) -> "DataOptions":
        if self.dev + self.test >= 1:
            raise ValueError(f"dev ({self.dev}) and test ({self.test}) together must be less than 1.")
        return self
