"""Positives as another encoder has them."""

from dataclasses import replace

import pytest
import torch

from nearfar.errors import ShapeError
from nearfar.objectives import parse
from nearfar.objectives.logits.earlier import GuidePositives
from nearfar.objectives.memory import Memory
from tests.objectives.relations import diagonal
from tests.oracles.cases import scored


def test_positives_are_compared_with_the_guide_and_negatives_with_the_candidate():
    anchors = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    guide = torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=torch.float64)
    problem = replace(scored(anchors, diagonal(2)), guide_candidates=guide)
    found = GuidePositives().apply(problem, Memory({}))
    torch.testing.assert_close(found.z, torch.tensor([[0.6, 0.0], [0.0, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(found.scores, found.z)


def test_a_guide_of_another_width_is_refused():
    with pytest.raises(ShapeError, match=r"of width 4, as the embeddings are.* Got guide_candidates \(2, 3\)"):
        parse("Coconut")(torch.ones(2, 4), torch.ones(2, 4), diagonal(2), guide_candidates=torch.ones(2, 3))
