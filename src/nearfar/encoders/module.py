"""Any torch module as an encoder: bring the module and a function that turns texts into its features."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from nearfar.encoders.processor import quick_on_processor
from nearfar.encoders.protocol import Features, Role, Similarity, TorchEncoder
from nearfar.errors import ShapeError


class ModuleEncoder(TorchEncoder):
    """Wraps ``module`` so that it trains and searches like any other encoder.

    Args:
        module: called with the features, returns a (text, dim) tensor.
        tokenise: turns the texts of one forward pass, which share a role, into features.
        length: the length of a text, for sorting; None estimates it from the characters.
        similarity: how its vectors are compared.
    """

    def __init__(
        self,
        module: nn.Module,
        tokenise: Callable[[Sequence[str], Role], Features],
        length: Callable[[str], int] | None = None,
        similarity: Similarity = "cosine",
    ) -> None:
        super().__init__()
        self.module = module
        self._tokenise = tokenise
        self._length = length if length is not None else lambda text: len(text) // 4 + 1
        self.similarity = similarity

    def lengths(self, texts: Sequence[str], role: Role) -> list[int]:
        """The given length of each text."""
        return [self._length(text) for text in texts]

    def features(self, texts: Sequence[str], role: Role) -> Features:
        """What ``tokenise`` gives."""
        return self._tokenise(texts, role)

    def forward(self, features: Features) -> Float[Tensor, "text dim"]:
        """What the module gives.

        Raises:
            ShapeError: when that is not a matrix.
        """
        with quick_on_processor(self):
            embedded = self.module(features)
        if not isinstance(embedded, Tensor) or embedded.ndim != 2:
            got = tuple(embedded.shape) if isinstance(embedded, Tensor) else type(embedded).__name__
            raise ShapeError(f"{type(self.module).__name__} must return a (text, dim) tensor, got {got}.")
        return embedded

    def save(self, folder: Path) -> None:
        """Write the module's weights as ``model.safetensors``; the module's code is the caller's."""
        from safetensors.torch import save_model

        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.module, str(folder / "model.safetensors"))
