"""What the expected cost refuses."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.criteria.expected_cost import ExpectedCost


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ExpectedCost(positive_temperature=0),
            "ExpectedCost: positive_temperature must be a number above 0",
        ),
        (lambda: ExpectedCost(negative_temperature=-1), "negative_temperature must be a number above 0"),
        (lambda: ExpectedCost(attraction=-1), "attraction must be a number of at least 0"),
        (lambda: ExpectedCost(prior=1), "prior must be a number from 0 to below 1"),
        (lambda: ExpectedCost(detach=1), "detach must be true or false"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
