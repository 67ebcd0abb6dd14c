"""What training minimises: pure functions of embeddings and a relation, each with a text form."""

from nearfar.objectives.catalogue import NAMED, Objective, parse
from nearfar.objectives.info_nce import InfoNCE

__all__ = ["NAMED", "InfoNCE", "Objective", "parse"]
