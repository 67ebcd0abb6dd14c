"""What the penalty of a temperature refuses."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.weights.temperature_penalty import TemperaturePenalty


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TemperaturePenalty(weight="a"), "TemperaturePenalty: weight must be a number"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
