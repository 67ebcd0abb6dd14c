"""The shared fixtures of the runs."""

from tests.shared_runs import tokenizer

__all__ = ["tokenizer"]
