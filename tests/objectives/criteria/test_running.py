"""What running averages refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives import SogCLR
from nearfar.objectives.criteria.running import LogMeanExp, RunningMean


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RunningMean(gamma=0), "RunningMean: gamma must be a number above 0, and at most 1, got 0"),
        (lambda: RunningMean(inner=1), "inner must be what is averaged"),
        (lambda: LogMeanExp(subtract_positive=1), "subtract_positive must be true or false"),
        (lambda: SogCLR(gamma=2), "SogCLR: gamma must be a number above 0, and at most 1, got 2"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
