"""The settings of a training run, as one frozen tree. A run is repeated from this and the data alone."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nearfar.config.data import DataOptions
from nearfar.config.refresh import RefreshOptions
from nearfar.config.section import Section

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10", "AP@100", "Success@1")


class AdapterOptions(Section):
    """Low-rank adapters (LoRA, arXiv 2106.09685) that train in the place of the model's own weights."""

    rank: int | None = Field(
        default=None,
        ge=1,
        description="Of the matrices that are trained beside the weights, which stay as they are; a number such as 16 "
        "turns adapters on. None: no adapters, all weights are trained.",
    )
    alpha: float = Field(default=32.0, gt=0, description="What adapters add is multiplied by alpha over rank.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Of what enters an adapter.")
    target: tuple[str, ...] | Literal["all-linear"] = Field(
        default="all-linear",
        description="Which linear layers get one: all-linear, or a list of ends of names, such as [query, value].",
    )
    merge: bool = Field(
        default=True,
        description="Add the adapters to the weights after training, so that the model is like any other. Otherwise "
        "the model folder has the adapters alone, and opens only with peft and where the base model is.",
    )

    @field_validator("target", mode="before")
    @classmethod
    def _one_or_several(cls, target: object) -> object:
        return (target,) if isinstance(target, str) and target != "all-linear" else target

    @model_validator(mode="after")
    def _turned_on(self) -> "AdapterOptions":
        changed = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
        if self.rank is None and changed:
            raise ValueError(f"{changed[0]} is set and rank is not; a rank, such as 16, turns adapters on")
        return self


class ModelOptions(Section):
    """How the encoder is opened."""

    prompts: dict[str, str] = Field(
        default_factory=dict,
        description="Entries for the model's prompt table: query, document. Saved with the model and used everywhere.",
    )
    max_length: int | None = Field(default=None, ge=1, description="Tokens after which a text is cut.")
    similarity: Literal["cosine", "dot"] | None = Field(default=None, description="None keeps the model's own.")
    device: str | None = Field(default=None, description="A torch device; none takes the accelerator if there is one.")
    adapter: AdapterOptions = Field(default=AdapterOptions(), description="Training a few weights beside the model's.")


class BatchOptions(Section):
    """What a step is made of."""

    size: int = Field(default=64, ge=2, description="Positive pairs in a step. All other texts are negatives.")
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Batches in a step of the optimiser: loss and gradient are the mean of theirs. Each has its own "
        "negatives, so more batches make a calmer gradient, not more negatives. For those raise batches.size, which "
        "batches.at_once makes possible in little memory.",
    )
    hard_negatives: int = Field(
        default=4,
        ge=0,
        description="At most so many judged or mined negatives of each query join, when the data has any; of each pair "
        "where they were mined for pairs.",
    )
    negatives: Literal["random", "first", "groups"] = Field(
        default="random",
        description="Which of them. random: drawn from all, anew each epoch. first: mined ones, the hardest first. "
        "groups: mined ones of one group each epoch. Judged ones are drawn where those two find fewer.",
    )
    tokens: int | None = Field(
        default=None,
        ge=1,
        description="Padded tokens in one forward pass; the loss does not depend on it. "
        "None: 4096 on a processor, 32768 on an accelerator.",
    )
    at_once: int | str | None = Field(
        default=None,
        description="What the activations of a step may take: padded tokens (16384) or memory (800 MiB). Texts that do "
        "not fit are embedded twice (gradient caching); the result is the same. None: no limit.",
    )
    scores: int = Field(
        default=2**24,
        ge=1,
        description="Entries of an anchors x candidates matrix in memory at once. Beyond it the objective is computed "
        "in tiles, if it can be; the result is the same.",
    )


class TrainingOptions(Section):
    """How long and how fast."""

    epochs: float = Field(default=3.0, gt=0, description="Passes over the training pairs, unless stopped early.")
    steps: int | None = Field(default=None, ge=1, description="Steps instead of epochs.")
    learning_rate: float | None = Field(
        default=None, gt=0, description="None: 5e-5 for transformers, 5e-4 for adapters, 2e-2 for static encoders."
    )
    objective_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Of what the objective trains, such as a temperature or a head. None: as that of the model.",
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
        description="Of every layer. None keeps the model's own; 0 is somewhat faster on a processor.",
    )
    save_every: int | None = Field(
        default=None, ge=1, description="A checkpoint after every so many steps, beside those at the dev searches."
    )
    save_minutes: float | None = Field(
        default=10.0,
        gt=0,
        description="A checkpoint when the last one is so many minutes old, so that a kill loses no more. None: never.",
    )
    momentum: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share that a moving average of the encoder keeps at each step, such as 0.999 (0.995 for ESimCSE). "
        "It is the guide of objectives that need one: the keys of MoCo, what fills the queue of ESimCSE, the target of "
        "BYOL. None: there is no moving average.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the layers of the model with torch.compile. Needs a compiler, and a minute at the start.",
    )
    seed: int = Field(default=0, ge=0, description="Decides the order of pairs, dropout and random start vectors.")
    trainer: dict[str, Any] = Field(
        default_factory=dict,
        description="Further settings of Hugging Face's TrainingArguments by name, such as {optim: adafactor} or "
        "{deepspeed: zero2.json}. Those that nearfar decides itself are refused.",
    )


class TeacherOptions(Section):
    """Another encoder, frozen, that guides or teaches. Its vectors of the training texts are computed once, before."""

    model: str | None = Field(
        default=None,
        description="A model, named as for --model; base is the model that training starts from. For objectives that "
        "need a guide (GIST), or a teacher's scores (ListKL, MarginMSE), which are its similarities.",
    )
    prompts: dict[str, str] = Field(
        default_factory=dict, description="Entries for its prompt table: query, document. Not for base."
    )
    max_length: int | None = Field(
        default=None, ge=1, description="Tokens after which it cuts a text; none keeps its own. Not for base."
    )
    similarity: Literal["cosine", "dot"] | None = Field(
        default=None, description="How it compares vectors; none keeps its own. Not for base."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="While it encodes; see training.precision."
    )


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
    truncate: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        description="Widths: the models are also measured with vectors cut to so many dimensions, as tuned@96 and "
        "base@96 for 96.",
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Of the intervals.")
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap resamples and randomisation draws.")

    @field_validator("measures", mode="before")
    @classmethod
    def _one_or_several(cls, measures: object) -> object:
        return (measures,) if isinstance(measures, str) else measures

    @field_validator("truncate", mode="before")
    @classmethod
    def _widest_first(cls, truncate: object) -> object:
        widths = [truncate] if isinstance(truncate, int) else truncate
        if isinstance(widths, list | tuple) and all(isinstance(width, int) for width in widths):
            return sorted(set(widths), reverse=True)
        return widths


class TrackingOptions(Section):
    """Where the numbers of a run go beside its own folder."""

    to: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(),
        description="tensorboard writes into RUN/tensorboard, wandb sends to Weights & Biases. "
        "training.jsonl and the report have the same numbers.",
    )
    project: str = Field(default="nearfar", min_length=1, description="The project at Weights & Biases.")
    name: str | None = Field(default=None, description="Of the run there. None: the name of the run folder.")

    @field_validator("to", mode="before")
    @classmethod
    def _one_or_several(cls, to: object) -> object:
        return (to,) if isinstance(to, str) else to


class RunConfig(Section):
    """Everything that decides a run, next to the data and the base model."""

    data: DataOptions = Field(default=DataOptions(), description="Reading and splitting.")
    model: ModelOptions = Field(default=ModelOptions(), description="Opening the encoder.")
    objective: str = Field(
        default="InfoNCE(temperature=0.05, directions=symmetric)", description="What training minimises."
    )
    batches: BatchOptions = Field(default=BatchOptions(), description="What a step is made of.")
    training: TrainingOptions = Field(default=TrainingOptions(), description="How long and how fast.")
    teacher: TeacherOptions = Field(default=TeacherOptions(), description="Another encoder that guides or teaches.")
    mining: RefreshOptions = Field(default=RefreshOptions(), description="Mining again while the model trains.")
    dev: DevOptions = Field(default=DevOptions(), description="How training is watched.")
    evaluation: EvaluationOptions = Field(default=EvaluationOptions(), description="How results are measured.")
    tracking: TrackingOptions = Field(default=TrackingOptions(), description="Where the numbers go.")
