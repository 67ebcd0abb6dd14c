"""Similarities against those to another vector for the same candidate."""

import pytest
import torch

from nearfar.errors import ShapeError
from nearfar.objectives.named.pointwise import CLIPN
from tests.objectives.relations import diagonal


def test_guides_of_another_width_are_refused():
    with pytest.raises(
        ShapeError, match=r"vectors of the encoder itself here, \(2, 4\) like the candidates, got \(2, 3\)"
    ):
        CLIPN()(torch.eye(2, 4), torch.eye(2, 4), diagonal(2), guide_candidates=torch.eye(2, 3))


def test_a_text_that_says_no_as_well_as_its_candidate_is_no_evidence():
    vectors = torch.eye(2, 4)
    problem = CLIPN().outcome(vectors, vectors, diagonal(2), guide_candidates=vectors).problems[0]
    assert (problem.z == 0).all()


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float32, torch.float64])
def test_guides_may_come_in_another_precision(precision):
    vectors = torch.eye(2, 4, requires_grad=True)
    loss = CLIPN()(vectors, vectors, diagonal(2), guide_candidates=torch.ones(2, 4, dtype=precision))
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, CLIPN()(vectors, vectors, diagonal(2), guide_candidates=torch.ones(2, 4)))
