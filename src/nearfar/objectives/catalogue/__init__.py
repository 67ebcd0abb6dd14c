"""The named objectives by family. Importing this package fills the catalogue."""

from nearfar.objectives.catalogue import lists, pairs, prediction, running, softmax, statistics, synthesis
from nearfar.objectives.catalogue.lists import *
from nearfar.objectives.catalogue.pairs import *
from nearfar.objectives.catalogue.prediction import *
from nearfar.objectives.catalogue.running import *
from nearfar.objectives.catalogue.softmax import *
from nearfar.objectives.catalogue.statistics import *
from nearfar.objectives.catalogue.synthesis import *

__all__: list[str] = []
for _family in (softmax, pairs, lists, running, statistics, prediction, synthesis):
    __all__ += _family.__all__
