"""What weights from a history refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.weights.history import LossHistory


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LossHistory(noisy=-1), "LossHistory: noisy must be a number of at least 0, got -1"),
        (lambda: LossHistory(faulty=-1), "faulty must be a number of at least 0"),
        (lambda: LossHistory(warm_up=0), "warm_up must be a whole number above 0"),
        (lambda: LossHistory(density=1), "density must be true or false"),
        (lambda: LossHistory(visits=0), "visits must be a whole number above 0, or none"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
