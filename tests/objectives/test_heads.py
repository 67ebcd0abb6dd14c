"""What heads refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives import InfoNCE, MultiHead
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.heads import LinearHead, Projected


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearHead(seed=0.5), "LinearHead: seed must be a whole number"),
        (lambda: Projected(of=Softmax()), "Projected: of must be an objective"),
        (lambda: Projected(of=InfoNCE(), head=3), "head must be a head"),
        (lambda: MultiHead(heads=0), "MultiHead: heads must be a whole number above 0, at most 64, got 0"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
