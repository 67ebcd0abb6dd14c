"""The shared fixtures of the runs."""

import pytest

from nearfar.evaluation import evidence
from tests.shared_runs import finished, pairs, tokenizer

__all__ = ["finished", "pairs", "tokenizer"]


@pytest.fixture(autouse=True)
def _no_map(monkeypatch):
    """The map of the report takes longer than training and is not what is tested here."""
    monkeypatch.setattr(evidence, "_plane", lambda vectors, seed: vectors[:, :2].astype(float))
