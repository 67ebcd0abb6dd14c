"""What training minimises: compositions of a few parts, each with a text form, many of them with a name.

``parse`` makes an objective from its text, ``catalogue`` lists the named ones, and each name is importable from here.
"""

from nearfar.objectives.form import Composition, Sum, Transposed
from nearfar.objectives.matryoshka import Matryoshka
from nearfar.objectives.named import *
from nearfar.objectives.named import __all__ as _named
from nearfar.objectives.objective import Objective
from nearfar.objectives.part import Outcome
from nearfar.objectives.registry import Entry, catalogue, parse

__all__ = [
    "Composition",
    "Entry",
    "Matryoshka",
    "Objective",
    "Outcome",
    "Sum",
    "Transposed",
    "catalogue",
    "parse",
    *_named,
]
