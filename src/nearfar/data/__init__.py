"""Tables, readers, the identity of texts, splits."""

from nearfar.data.facts import describe
from nearfar.data.identity import normalise, text_key, text_keys
from nearfar.data.load import from_records, load
from nearfar.data.split import require_train, split
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset, Facts, Qrels, Texts
from nearfar.data.write import write_beir

__all__ = [
    "DEV",
    "TEST",
    "TRAIN",
    "UNSPLIT",
    "Dataset",
    "Facts",
    "Qrels",
    "Texts",
    "describe",
    "from_records",
    "load",
    "normalise",
    "require_train",
    "split",
    "text_key",
    "text_keys",
    "write_beir",
]
