"""Random numbers of candidates. Each follows from the texts alone, so that other rows and queries do not matter."""

from hashlib import blake2b

import numpy as np
from jaxtyping import Float64, UInt64

from nearfar.negatives.candidates import Candidates
from nearfar.negatives.material import Material


def uniform(candidates: Candidates, material: Material, salt: str) -> Float64[np.ndarray, " row"]:
    """A number between 0 and 1 for each row, both excluded.

    It is a hash of the job's seed, the salt, and the texts of query, document and, in lists by pair, positive.

    Args:
        candidates: the rows.
        material: has the seed and the texts' keys.
        salt: tells the draws of one part from those of another.
    """
    own = (candidates.positive >= 0)[:, None]
    keys = material.document_keys
    state = hashed(
        f"{material.seed} {salt}",
        material.dataset.queries.keys[candidates.query],
        keys[candidates.document],
        np.where(own, keys[candidates.positive], np.uint64(0)),
    )
    drawn: Float64[np.ndarray, " row"] = ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return drawn


def hashed(salt: str, *keys: UInt64[np.ndarray, "row 2"]) -> UInt64[np.ndarray, " row"]:
    """A number for each row that looks random and follows from the salt and the keys of the row's texts."""
    start = blake2b(salt.encode(), digest_size=8).digest()
    state = np.repeat(np.frombuffer(start, dtype="<u8").astype(np.uint64), len(keys[0]))
    for words in keys:
        state = _mixed(_mixed(state ^ words[:, 0]) ^ words[:, 1])
    return state


def _mixed(state: UInt64[np.ndarray, " row"]) -> UInt64[np.ndarray, " row"]:
    """One step of SplitMix64 (Steele, Lea, Flood 2014): every bit of the result depends on every bit."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, " row"] = state ^ (state >> np.uint64(31))
    return mixed
