"""What an encoder's vectors follow from, as one number: equal vectors can only be promised for equal fingerprints."""

import hashlib
import re

import torch

from nearfar.encoders.protocol import TorchEncoder
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""What a process adds to the text form of an object that has none of its own."""


def encoder_hash(encoder: TorchEncoder) -> str:
    """128 bits over everything that decides the vectors: weights, prompts, tokenizer, length, similarity."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{encoder.similarity} {encoder.settings}".encode())
    add_weights(digest, encoder)
    return digest.hexdigest()


def add_weights(digest: hashlib.blake2b, module: torch.nn.Module) -> None:
    """Add all weights of a module to a hash, with their names, types and shapes."""
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())


def vectors_hash(encoder: TorchEncoder) -> str:
    """128 bits over ``encoder_hash`` and over what has no weights: the modules, with how they pool and normalise."""
    modules = encoder.model if isinstance(encoder, SentenceTransformerEncoder) else encoder
    digest = hashlib.blake2b(encoder_hash(encoder).encode(), digest_size=16)
    digest.update(_ADDRESS.sub("", repr(modules)).encode())
    return digest.hexdigest()
