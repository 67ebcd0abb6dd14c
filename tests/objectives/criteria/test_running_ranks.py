"""What running ranks refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives import SONG
from nearfar.objectives.criteria.running_ranks import RunningGain, TopGate


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RunningGain(margin=0), "RunningGain: margin must be a number above 0"),
        (lambda: RunningGain(items=0), "items must be a whole number above 0, or none"),
        (lambda: RunningGain(gate=3), "gate must be TopGate"),
        (lambda: TopGate(top=0), "TopGate: top must be a whole number above 0"),
        (lambda: TopGate(temperature=0), "temperature must be a number above 0"),
        (lambda: TopGate(penalty=-1), "penalty must be a number of at least 0"),
        (lambda: SONG(top=0), "SONG: top must be a whole number above 0"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
