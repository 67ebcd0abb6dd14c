"""Opening a model that ``locate`` found."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from sentence_transformers.util import get_device_name
from tokenizers import Tokenizer
from torch import Tensor

from nearfar.encoders.locate import Located, locate
from nearfar.encoders.protocol import Similarity
from nearfar.encoders.quiet import quiet
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.errors import ConfigError


def load(
    name: str | Located,
    *,
    prompts: Mapping[str, str] | None = None,
    max_length: int | None = None,
    similarity: Similarity | None = None,
    device: str | None = None,
    seed: int = 0,
) -> SentenceTransformerEncoder:
    """Open a model by name (the forms are those of ``locate``).

    Args:
        name: what to open.
        prompts: entries to set in the model's prompt table.
        max_length: tokens after which a text is cut; None keeps the model's own.
        similarity: ``cosine`` or ``dot``; None keeps the model's own.
        device: a torch device; None takes the accelerator if there is one.
        seed: of the random vectors of a static encoder, and of weights that a model folder lacks.

    Raises:
        ConfigError: when the model cannot be found, its files cannot be read, or there is no such device.
    """
    located = locate(name) if isinstance(name, str) else name
    place = _device(device)
    if located.tokenizer is not None:
        model = static(located, seed).to(place)
    else:
        model = _sentence_transformer(str(located.folder or located.hub_id), located.name, place, seed)
    if similarity is not None:
        model.similarity_fn_name = similarity
    return SentenceTransformerEncoder(model, prompts=prompts, max_length=max_length)


def static(located: Located, seed: int = 0) -> SentenceTransformer:
    """A static encoder: the mean of token vectors, random (standard normal over the square root of the width) or given.

    Raises:
        ConfigError: when a file cannot be read or the vectors do not fit the tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(located.tokenizer))
    except Exception as error:  # the library raises bare Exception
        raise ConfigError(f"{located.name}: cannot read the tokenizer {located.tokenizer} ({error}).") from error
    size = tokenizer.get_vocab_size()
    if located.vectors is not None:
        vectors = _read_vectors(located.vectors)
        if len(vectors) < size:
            raise ConfigError(
                f"{located.name}: the tokenizer has {size} tokens, {located.vectors} has {len(vectors)} vectors."
            )
    else:
        assert located.dim is not None  # locate takes one of the two
        generator = torch.Generator().manual_seed(seed)
        vectors = torch.randn(size, located.dim, generator=generator) / located.dim**0.5
    tokenizer.no_truncation()
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)], device="cpu")


def _read_vectors(path: Path) -> Float[Tensor, "token dim"]:
    try:
        if path.suffix == ".npy":
            found = {path.name: torch.from_numpy(np.load(path))}
        else:
            from safetensors.torch import load_file

            found = load_file(path)
    except Exception as error:  # numpy and safetensors raise many kinds
        raise ConfigError(f"Cannot read token vectors from {path} ({error}). Give .npy or .safetensors.") from error
    matrices = [tensor for tensor in found.values() if tensor.ndim == 2]
    if len(matrices) != 1:
        raise ConfigError(f"{path} must hold one matrix of token vectors, it holds {len(matrices)}.")
    return matrices[0].float().contiguous()


def _device(name: str | None) -> str:
    """A device that works, given its name or None."""
    if name is None:
        return str(get_device_name())
    try:
        torch.empty(1, device=name)
    except Exception as error:  # an unknown name, a missing driver, a backend that is not built in
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"Cannot use the device {name!r}: {reason}. Try cpu, cuda, cuda:0 or mps.") from error
    return name


def _sentence_transformer(source: str, name: str, device: str, seed: int) -> SentenceTransformer:
    try:
        # A folder without, say, a pooler gets a random one. It has to be the same at every opening.
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            # Weights saved in half precision are trained in full: small updates would round away otherwise.
            return SentenceTransformer(source, device=device).float()
    except Exception as error:  # the libraries underneath raise many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f"Cannot open the model {name}: {reason}") from error
