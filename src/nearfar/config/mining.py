"""The settings of a mining job, as one frozen tree. A job is repeated from this, the data and the model alone."""

from typing import Literal

from pydantic import Field, field_validator

from nearfar.config.data import DataOptions
from nearfar.config.run import ModelOptions
from nearfar.config.section import Section


class MiningOptions(Section):
    """Which candidates are looked at, which of them are dropped and why, and which are kept."""

    sources: tuple[str, ...] = Field(
        default=("Dense(depth=100)",),
        min_length=1,
        description="Where candidates come from, such as [Dense(depth=100), BM25(depth=50)]. What two of them propose "
        "counts for the first.",
    )
    scorers: dict[str, str] = Field(
        default_factory=dict,
        description="Scores by name, for filters and weights: {cross_encoder: \"CrossEncoder(model='folder')\"}. "
        "teacher is the similarity by the model that is mined for, unless it is given here.",
    )
    filters: tuple[str, ...] = Field(
        default=("Percent(ratio=0.95)",),
        description="What drops candidates that may be relevant, in this order. Relevant ones that are known never "
        "get this far. Scores are computed for what is left by then, so put what costs most last.",
    )
    weights: tuple[str, ...] = Field(default=(), description="What weighs the kept candidates.")
    relabel: str | None = Field(
        default=None,
        description="What becomes of candidates that look relevant: ToPositive(...) or DropQuery(...). None: nothing; "
        "filters drop them.",
    )
    window: str | None = Field(
        default=None, description="Ranks that may be kept, such as Window(first=10, last=100); None: all."
    )
    select: str = Field(default="Top(count=4)", description="Which of the kept candidates are handed out.")
    order: Literal["filter", "select"] = Field(
        default="filter",
        description="filter: filters come first, so that as many as are wanted remain as long as there are enough. "
        "select: the hardest are chosen first, so that none is replaced by an easier one, and lists are shorter.",
    )
    lists: Literal["query", "pair"] = Field(
        default="query",
        description="One list of negatives for each query, or one for each pair of a query and a positive.",
    )
    look: Literal["enough", "all"] = Field(
        default="enough",
        description="How deep. enough: for each query only so deep that nothing deeper can be handed out or suspected, "
        "where the parts make that sure (one exact search, filters and a selection that go by its score). all: as deep "
        "as the sources go, for an account of everything; the negatives are the same.",
    )
    suspects: Literal["ignore", "forget"] = Field(
        default="ignore",
        description="What becomes of candidates that filters dropped as possibly relevant. ignore: where such a "
        "document stands in a batch for another query, it is no negative of this one either. forget: there it is one.",
    )
    suspects_per_list: int = Field(
        default=20, ge=1, description="At most so many of each list are ignored, the hardest."
    )
    queries: int | None = Field(default=None, ge=1, description="At most so many queries, drawn once. None: all.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Of the model while texts are encoded."
    )
    check: str | None = Field(
        default=None,
        description="A scorer that judges a sample of the negatives, for an estimate of how many are relevant after "
        "all, such as a CrossEncoder that no filter has used. None: no estimate.",
    )
    check_sample: int = Field(default=200, ge=1, description="Negatives in that sample.")
    check_from: float = Field(default=0.5, description="From which score on one of them counts as relevant.")
    recall_queries: int = Field(
        default=200, ge=1, description="Queries on which the recall of an approximate index is measured."
    )
    seed: int = Field(default=0, ge=0, description="Decides every draw.")

    @field_validator("sources", "filters", "weights", mode="before")
    @classmethod
    def _one_or_several(cls, parts: object) -> object:
        return (parts,) if isinstance(parts, str) else parts


class MineConfig(Section):
    """Everything that decides a mining job, next to the data and the model."""

    data: DataOptions = Field(default=DataOptions(), description="Reading and splitting.")
    model: ModelOptions = Field(default=ModelOptions(), description="Opening the encoder.")
    mining: MiningOptions = Field(default=MiningOptions(), description="Candidates, and what becomes of them.")
