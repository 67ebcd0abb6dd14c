"""What weights from clusters refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.weights.clusters import ClusterCounts


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClusterCounts(clusters=0), "ClusterCounts: clusters must be a whole number above 0"),
        (lambda: ClusterCounts(runs=1.5), "runs must be a whole number above 0"),
        (lambda: ClusterCounts(steps=0), "steps must be a whole number above 0"),
        (lambda: ClusterCounts(normalised=1), "normalised must be true or false"),
        (lambda: ClusterCounts(seed=1.0), "seed must be a whole number"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
