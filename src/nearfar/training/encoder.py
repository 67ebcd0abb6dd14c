"""The encoder while it is trained: its dropout, what of it has gradients, and whether it is compiled."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pyarrow import compute

from nearfar.config.run import RunConfig
from nearfar.data.tables import Dataset
from nearfar.encoders.adapter import Adapters, add_adapters, check_adapters
from nearfar.encoders.compiled import check_compiler, compile_blocks
from nearfar.encoders.dropout import set_dropout
from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.engine.budget import Budget, check_length
from nearfar.engine.embed import encode
from nearfar.errors import ConfigError
from nearfar.evaluation.evaluate import check_cuts
from nearfar.events import Silent
from nearfar.objectives.registry import parse
from nearfar.training.arguments import check_layers
from nearfar.training.sharded import check_parts

_LONGEST = 64
"""So many texts of each side, the longest in characters, are tokenised to find the longest in tokens."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Readied:
    """An encoder that is ready for training.

    Attributes:
        adapters: what is trained beside the weights, if anything is.
        undo: what to take back when training is over.
    """

    adapters: Adapters | None = None
    undo: tuple[Callable[[], None], ...] = field(default=())

    @property
    def record(self) -> dict[str, str]:
        """What the record of a run says about it."""
        return {} if self.adapters is None else {"adapters": self.adapters.summary}

    def finish(self) -> None:
        """Make the encoder what will be saved and measured: adapters are merged, nothing is compiled."""
        for each in self.undo:
            each()


def check_fits(encoder: TorchEncoder, dataset: Dataset, config: RunConfig) -> None:
    """Refuse a budget of tokens that is smaller than a text, before training comes to that text.

    Raises:
        ConfigError: with the text.
    """
    budget = Budget.parse(config.batches.at_once)
    if budget.tokens is None:
        return
    for role, table in ((Role.QUERY, dataset.queries), (Role.DOCUMENT, dataset.documents)):
        characters = compute.utf8_length(table.texts).to_numpy()
        texts = table.take(characters.argsort(kind="stable")[-_LONGEST:])
        lengths = encoder.lengths(texts, role)
        check_length(texts[lengths.index(max(lengths))], max(lengths), budget)


def check_encoder(encoder: TorchEncoder, config: RunConfig) -> None:
    """Raise now, before anything is written, what an encoder that does not fit the settings would raise later.

    Raises:
        ConfigError: adapters or compiled layers are wanted of an encoder that can have none, or it gives vectors of
            fewer dimensions than the objective or the evaluation cuts them to.
        ResourceError: nothing can be compiled on this machine.
    """
    check_adapters(encoder, config.model.adapter)
    if config.training.compile:
        check_compiler(encoder)
    check_cuts(encoder, config.evaluation)
    check_layers(encoder, config)
    check_parts(encoder, config)
    if config.mining.beside and not isinstance(encoder, SentenceTransformerEncoder):
        raise ConfigError(
            "mining.beside is set, but a module of your own cannot be opened in another process. Leave it out: then "
            "training waits while negatives are mined."
        )
    least = parse(config.objective).least_width
    if least and least > (width := encode(encoder, ["width"], Role.QUERY, Silent()).shape[1]):
        raise ConfigError(
            f"The objective {config.objective} cuts vectors to {least} dimensions, and this model's have {width}. "
            f"Leave out every width above {width}."
        )


def ready(encoder: TorchEncoder, config: RunConfig) -> Readied:
    """Set dropout, put adapters in and compile, as the settings say. The encoder is changed in place."""
    if config.training.dropout is not None:
        set_dropout(encoder, config.training.dropout)
    adapters, undo = None, []
    if config.model.adapter.rank is not None:
        adapters = add_adapters(encoder, config.model.adapter, config.training.seed)
        undo.append(adapters.finish)
    if config.training.compile:
        undo.insert(0, compile_blocks(encoder))
    return Readied(adapters=adapters, undo=tuple(undo))
