"""What temperatures of pairs refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.logits.temperature_by_pair import TemperatureByPair


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TemperatureByPair(initial=3), "TemperatureByPair: initial must be a number between 1e-05 and 2.0"),
        (lambda: TemperatureByPair(minimum=0), "minimum must be a number above 0"),
        (lambda: TemperatureByPair(maximum=0), "maximum must be above the minimum"),
        (lambda: TemperatureByPair(hidden=0), "hidden must be a whole number above 0"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
