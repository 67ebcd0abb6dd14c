"""The identity of a text: equal after normalisation, equal key.

One definition for the whole house. A text that differs only in case, spacing or Unicode form is the same text,
so a duplicate under another id can never become a negative of its twin.
"""

import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from jaxtyping import UInt64

KEY_BYTES = 16


def normalise(text: str) -> str:
    """NFKC, lowercase, one space between words, none at the ends. Applying it twice changes nothing.

    Lowercasing can leave a letter and an accent that compose (J with caron has no capital of its own), so
    non-ASCII text is composed once more afterwards.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    lowered = unicodedata.normalize("NFKC", text).lower()
    return " ".join(unicodedata.normalize("NFKC", lowered).split())


def text_key(text: str) -> bytes:
    """The 128-bit identity of one text.

    Raises:
        UnicodeEncodeError: the text holds half a surrogate pair and is no Unicode text.
    """
    return blake2b(normalise(text).encode(), digest_size=KEY_BYTES).digest()


def keys_from_bytes(joined: bytes) -> UInt64[np.ndarray, "row 2"]:
    """Keys from the concatenated bytes of ``text_key``; the same numbers on every machine."""
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64).reshape(-1, 2)


def text_keys(texts: Iterable[str]) -> UInt64[np.ndarray, "row 2"]:
    """The 128-bit identity of each text, one row of two numbers a text. About 1.5 microseconds a short text."""
    return keys_from_bytes(b"".join(map(text_key, texts)))
