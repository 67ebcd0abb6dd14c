"""What temperatures of examples refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.logits.temperature_by_row import TemperatureByRow


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TemperatureByRow(initial=0.01), "initial must be a number from 0.05 to 0.7"),
        (lambda: TemperatureByRow(minimum=0), "minimum must be a number above 0"),
        (lambda: TemperatureByRow(maximum=0.01), "maximum must be at least the minimum"),
        (lambda: TemperatureByRow(beta=0), "beta must be a number above 0, and at most 1"),
        (lambda: TemperatureByRow(learning_rate=-1), "learning_rate must be a number of at least 0"),
        (lambda: TemperatureByRow(rho="high"), "rho must be a number"),
        (lambda: TemperatureByRow(limit=0), "limit must be a number above 0, or none"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
