"""The settings of a training run, as one frozen tree. A run is repeated from this and the data alone."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nearfar.config.data import DataOptions

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10", "AP@100", "Success@1")


class Section(BaseModel):
    """A part of the tree: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelOptions(Section):
    """How the encoder is opened."""

    prompts: dict[str, str] = Field(
        default_factory=dict,
        description="Entries for the model's prompt table: query, document. Saved with the model and used everywhere.",
    )
    max_length: int | None = Field(default=None, ge=1, description="Tokens after which a text is cut.")
    similarity: Literal["cosine", "dot"] | None = Field(default=None, description="None keeps the model's own.")
    device: str | None = Field(default=None, description="A torch device; none takes the accelerator if there is one.")


class BatchOptions(Section):
    """What a step is made of."""

    size: int = Field(default=64, ge=2, description="Positive pairs in a step. All other texts are negatives.")
    hard_negatives: int = Field(
        default=4, ge=0, description="At most so many judged negatives of each query join, when the data has any."
    )
    tokens: int | None = Field(
        default=None,
        ge=1,
        description="Padded tokens in one forward pass; the loss does not depend on it. "
        "None: 2048 on a processor, whose caches are small, 32768 on an accelerator.",
    )


class TrainingOptions(Section):
    """How long and how fast."""

    epochs: float = Field(default=3.0, gt=0, description="Passes over the training pairs, unless stopped early.")
    steps: int | None = Field(default=None, ge=1, description="Steps instead of epochs.")
    learning_rate: float | None = Field(
        default=None, gt=0, description="None: 5e-5 for transformers, 2e-2 for static encoders."
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="What the learning rate does after the warm-up."
    )
    warmup: float = Field(default=0.1, ge=0, lt=1, description="Share of the steps over which the rate rises.")
    weight_decay: float = Field(default=0.01, ge=0, description="Of AdamW; not applied to biases and norms.")
    max_gradient_norm: float = Field(default=1.0, ge=0, description="Gradients are scaled down to it; 0 never.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 autocast where the processor computes in it."
    )
    dropout: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Of every layer. None keeps the model's own; 0 needs far less memory on a processor.",
    )
    seed: int = Field(default=0, ge=0, description="Decides the order of pairs, dropout and random start vectors.")


class DevOptions(Section):
    """How training is watched: a search over the dev queries in a part of the corpus."""

    measure: str = Field(default="nDCG@10", description="What early stopping looks at.")
    evaluations: int = Field(default=10, ge=1, description="How often in a run, evenly spaced, the last at the end.")
    patience: int = Field(default=3, ge=1, description="Stop after so many evaluations in a row without a new best.")
    queries: int = Field(default=500, ge=1, description="At most so many dev queries, drawn once.")
    documents: int = Field(default=5000, ge=1, description="About so many documents: all relevant ones, then others.")


class EvaluationOptions(Section):
    """How results are measured."""

    measures: tuple[str, ...] = Field(default=DEFAULT_MEASURES, description="ir-measures names.")
    depth: int = Field(default=100, ge=1, description="Documents retrieved for a query.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="float32", description="Of the encoder while texts are encoded for the final evaluation."
    )
    bm25: Literal["words", "identifiers"] = Field(
        default="words",
        description="The terms of BM25: words, as everywhere, or also the parts of identifiers such as parse_url, "
        "which makes a far stronger baseline on code.",
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Of the intervals.")
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap resamples and randomisation draws.")

    @field_validator("measures", mode="before")
    @classmethod
    def _one_or_several(cls, measures: object) -> object:
        return (measures,) if isinstance(measures, str) else measures


class RunConfig(Section):
    """Everything that decides a run, next to the data and the base model."""

    data: DataOptions = Field(default=DataOptions(), description="Reading and splitting.")
    model: ModelOptions = Field(default=ModelOptions(), description="Opening the encoder.")
    objective: str = Field(
        default="InfoNCE(temperature=0.05, directions=symmetric)", description="What training minimises."
    )
    batches: BatchOptions = Field(default=BatchOptions(), description="What a step is made of.")
    training: TrainingOptions = Field(default=TrainingOptions(), description="How long and how fast.")
    dev: DevOptions = Field(default=DevOptions(), description="How training is watched.")
    evaluation: EvaluationOptions = Field(default=EvaluationOptions(), description="How results are measured.")
