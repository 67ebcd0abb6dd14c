"""The named objectives by family. Importing this package fills the catalogue."""

from nearfar.objectives.named import (
    classes,
    labels,
    lists,
    pairs,
    pointwise,
    prediction,
    queues,
    reweighted,
    running,
    softmax,
    statistics,
    synthesis,
    two_sided,
    weighted,
)
from nearfar.objectives.named.classes import *
from nearfar.objectives.named.labels import *
from nearfar.objectives.named.lists import *
from nearfar.objectives.named.pairs import *
from nearfar.objectives.named.pointwise import *
from nearfar.objectives.named.prediction import *
from nearfar.objectives.named.queues import *
from nearfar.objectives.named.reweighted import *
from nearfar.objectives.named.running import *
from nearfar.objectives.named.softmax import *
from nearfar.objectives.named.statistics import *
from nearfar.objectives.named.synthesis import *
from nearfar.objectives.named.two_sided import *
from nearfar.objectives.named.weighted import *

__all__: list[str] = []
for _family in (
    softmax,
    weighted,
    classes,
    labels,
    two_sided,
    pairs,
    pointwise,
    lists,
    running,
    reweighted,
    statistics,
    prediction,
    synthesis,
    queues,
):
    __all__ += _family.__all__
