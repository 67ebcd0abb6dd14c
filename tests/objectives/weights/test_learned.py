"""What learned weights refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.weights.learned import PairNetworkWeight


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PairNetworkWeight(hidden=0), "PairNetworkWeight: hidden must be a whole number above 0"),
        (lambda: PairNetworkWeight(normalised=1), "normalised must be true or false"),
        (lambda: PairNetworkWeight(seed="a"), "seed must be a whole number"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
