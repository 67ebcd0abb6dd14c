"""The named objectives, and the text form that finds them."""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import parse_component
from nearfar.objectives.info_nce import InfoNCE
from nearfar.types import Relation

NAMED = {"InfoNCE": InfoNCE}
"""The objectives by name."""


@runtime_checkable
class Objective(Protocol):
    """What the engine needs of an objective: embeddings and a relation in, losses out. It never sees a model."""

    @property
    def needs(self) -> frozenset[str]:
        """The keyword inputs that it cannot do without."""

    def __call__(
        self,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relevance: Relation,
    ) -> Float[Tensor, ""]:
        """The loss of a step."""

    def rows(
        self,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relevance: Relation,
    ) -> tuple[Float[Tensor, " anchor"], Bool[Tensor, " anchor"]]:
        """The loss of each anchor, and which anchors count."""


def parse(text: str) -> InfoNCE:
    """The objective that ``text`` names, such as ``InfoNCE(temperature=0.05, directions=symmetric)``.

    ``str`` of an objective parses back to an equal one.

    Raises:
        ConfigError: for an unknown name, an unknown field (with the nearest one) or a value out of range.
    """
    return parse_component(text, NAMED, "objective")
