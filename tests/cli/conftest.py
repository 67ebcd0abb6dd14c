"""The shared fixtures of the runs."""

from tests.shared_runs import finished, pairs, tokenizer

__all__ = ["finished", "pairs", "tokenizer"]
