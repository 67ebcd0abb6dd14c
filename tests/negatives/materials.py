"""A small mining job to write texts for."""

from tests.data.memory import make
from tests.negatives import jobs

QUERIES = ["how fast is a lynx", "where is the ministry", "who wrote parse_tree"]
DOCUMENTS = [
    "The lynx is one of 17 cats and reaches 80 kilometres an hour.",
    "The lynx, says Miller, was not slower in 1990.",
    "The ministry of Finland is in Helsinki, and has 12 floors.",
    "parse_tree was written by Ada, not by read_file.",
    "Cats sleep.",
]
TRAIN = [(0, 0, 1), (0, 1, 1), (1, 2, 1), (2, 3, 1), (2, 4, 0)]


def material(documents=DOCUMENTS, train=TRAIN, seed=0, queries=QUERIES):
    return jobs.material(make(list(queries), list(documents), {"train": train}), seed=seed)
