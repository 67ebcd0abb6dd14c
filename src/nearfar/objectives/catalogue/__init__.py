"""The named objectives by family. Importing this package fills the catalogue."""

from nearfar.objectives.catalogue import (
    classes,
    labels,
    lists,
    pairs,
    pointwise,
    prediction,
    reweighted,
    running,
    softmax,
    statistics,
    synthesis,
    two_sided,
    weighted,
)
from nearfar.objectives.catalogue.classes import *
from nearfar.objectives.catalogue.labels import *
from nearfar.objectives.catalogue.lists import *
from nearfar.objectives.catalogue.pairs import *
from nearfar.objectives.catalogue.pointwise import *
from nearfar.objectives.catalogue.prediction import *
from nearfar.objectives.catalogue.reweighted import *
from nearfar.objectives.catalogue.running import *
from nearfar.objectives.catalogue.softmax import *
from nearfar.objectives.catalogue.statistics import *
from nearfar.objectives.catalogue.synthesis import *
from nearfar.objectives.catalogue.two_sided import *
from nearfar.objectives.catalogue.weighted import *

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
):
    __all__ += _family.__all__
