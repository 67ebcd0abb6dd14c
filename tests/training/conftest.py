"""Fixtures of the tests that train."""

from tests.shared_runs import finished, pairs, tokenizer

__all__ = ["finished", "pairs", "tokenizer"]
