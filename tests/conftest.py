"""What all tests share."""

import jaxtyping
import pytest
from hypothesis import settings

# A first call imports and compiles; how long an example takes says nothing on a busy machine.
settings.register_profile("nearfar", deadline=None)
settings.load_profile("nearfar")


@pytest.fixture
def without_annotation_checks():
    """As for a user, whose annotations are not checked at run time: our own messages have to catch what is wrong."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
