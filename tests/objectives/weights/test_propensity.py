"""What weights from a partner refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.weights.propensity import InversePropensity


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InversePropensity(temperature=0), "InversePropensity: temperature must be a number above 0"),
        (lambda: InversePropensity(maximum=0.5), "maximum must be a number of at least 1, or none"),
        (lambda: InversePropensity(normalised=1), "normalised must be true or false"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
