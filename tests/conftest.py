"""What all tests share."""

import gc

import jaxtyping
import pytest
from hypothesis import settings

from tests import forked
from tests.shared_runs import commands, finished, no_map, pairs, tokenizer

__all__ = ["commands", "finished", "no_map", "pairs", "tokenizer"]

# A first call imports and compiles; how long an example takes says nothing on a busy machine.
settings.register_profile("nearfar", deadline=None)
settings.load_profile("nearfar")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported and collected stays to the end. Every training asks for a garbage collection, which takes longer
    than a short training when it looks at all of it.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
        forked.prepare()


@pytest.fixture
def without_annotation_checks():
    """As for a user, whose annotations are not checked at run time: our own messages have to catch what is wrong."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
