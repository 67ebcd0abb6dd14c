"""From pairs to a tuned model and its evidence, through the command line."""

import pytest

from tests import runs


def test_folder_is_complete(finished):
    assert (finished / "x").exists(), sorted(runs.contents(finished))
