"""Compiling the layers of an encoder with ``torch.compile`` for training.

What is compiled are the repeated blocks, one after the other, and not the model as a whole: blocks of one kind share
what was compiled, so that the start takes seconds where the whole takes minutes. Names of weights stay as they are.
Without gradients, as in a search, everything is computed as it is without compiling, so that what is measured during
training is what is measured in the end.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nearfar.encoders.module import ModuleEncoder
from nearfar.encoders.protocol import TorchEncoder
from nearfar.errors import ConfigError, ResourceError


def check_compiler(encoder: TorchEncoder) -> None:
    """Compile a trifle on the encoder's device, so that what is missing is known before training.

    Raises:
        ConfigError: the encoder has nothing that could be compiled.
        ResourceError: it cannot be compiled here.
    """
    if not blocks(encoder):
        raise ConfigError(
            "training.compile: this encoder has no layers to compile, it looks vectors up. Leave training.compile out."
        )
    try:
        torch.compile(lambda vector: (vector + 1).relu())(torch.zeros(8, device=encoder.device))
    except Exception as error:  # whatever the compilers underneath raise
        raise ResourceError(
            f"training.compile: torch.compile does not work here ({_reason(error)}). On a processor it needs a C++ "
            "compiler and the headers of Python, such as the packages g++ and python3-dev; or leave training.compile "
            "out."
        ) from error


def compile_blocks(encoder: TorchEncoder) -> Callable[[], None]:
    """Compile the blocks of an encoder, for texts of any length.

    Returns:
        what takes it back; compiled functions are not part of a checkpoint or of a copy anyway.
    """
    chosen = blocks(encoder)
    for block in chosen:
        block.compile(dynamic=True)
        compiled = block._compiled_call_impl
        assert compiled is not None
        block._compiled_call_impl = _WithGradients(block, compiled)

    def take_back() -> None:
        for block in chosen:
            block._compiled_call_impl = None

    return take_back


def blocks(encoder: TorchEncoder) -> list[nn.Module]:
    """The modules to compile: those that a list holds in a row, or else the whole module of the user's own."""
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList) and len(module)]
    inside = {id(part) for each in lists for block in each for part in block.modules()}
    found = [block for each in lists if id(each) not in inside for block in each]
    if not found and isinstance(encoder, ModuleEncoder):
        return [encoder.module]
    return found


class _WithGradients:
    """Calls what was compiled where gradients are wanted, and the block as it is elsewhere."""

    def __init__(self, block: nn.Module, compiled: Callable[..., Any]) -> None:
        self._plain, self._compiled = block._call_impl, compiled

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._plain(*inputs, **named)  # type: ignore[no-untyped-call]
        with warnings.catch_warnings():  # the compiler's, about its own looking around
            warnings.filterwarnings("ignore", module=r"torch\.")
            return self._compiled(*inputs, **named)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
