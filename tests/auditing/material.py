"""Small data sets whose texts share no word unless a test plants it."""

import itertools

import nearfar
from nearfar.auditing.audit import audit
from nearfar.data.tables import Dataset

LETTERS = "bcdfghjklm"
VOWELS = "aeiou"


def words(count, start=0):
    """Distinct invented words."""
    syllables = ["".join(pair) for pair in itertools.product(LETTERS, VOWELS)]
    every = ("".join(three) for three in itertools.product(syllables, repeat=3))
    return list(itertools.islice(every, start, start + count))


def rows(count=24, held_out=6):
    """Rows of pairs with ids: a query of 9 words of its own, and a document of these in another order and more."""
    made = []
    for place in range(count):
        own = words(14, 14 * place)
        split = "train" if place < count - held_out else "test"
        document = " ".join([*own[9:], own[4], own[0], own[2]])
        made.append(
            {
                "query_id": f"q{place:03d}",
                "query": " ".join(own[:9]),
                "document_id": f"d{place:03d}",
                "positive": document,
                "split": split,
            }
        )
    return made


def dataset(listed) -> Dataset:
    return nearfar.from_records(listed, name="planted", options=nearfar.DataOptions())


def found(listed, *kinds, **options):
    """What an audit finds, as (kind, split, query, document, other) by id."""
    return named(audit(dataset(listed), **options).findings, *kinds)


def named(findings, *kinds):
    listed = (finding.row() for finding in findings)
    names = ("kind", "split", "query_id", "document_id", "other_id")
    return {tuple(row[name] for name in names) for row in listed if not kinds or row["kind"] in kinds}
