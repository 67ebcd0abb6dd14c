"""What a held-out split shares with training data: queries, answers, both; exactly, nearly, or word by word."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from nearfar.auditing.finding import Finding, Ledger
from nearfar.auditing.near import best_partner, similar_pairs
from nearfar.auditing.spans import SEED, longest_shared
from nearfar.auditing.subject import Subject, places_by_key
from nearfar.auditing.words import Words
from nearfar.data.tables import Texts

SHARES = (0.5, 0.7, 0.9, 1.0)
"""The share of a query's words in one shared run, from which on a query is counted."""


@dataclass(frozen=True, eq=False)
class Part:
    """One split of a data set.

    Attributes:
        subject: the data set.
        split: its name.
    """

    subject: Subject
    split: str

    def texts_of(self, side: str) -> tuple[Texts, Words, Int64[np.ndarray, " _row"]]:
        """Table, words and rows of the queries or of the relevant documents, by identity."""
        dataset = self.subject.dataset
        queries, documents = self.subject.pairs(self.split)
        if side == "query":
            table, words, rows = dataset.queries, self.subject.queries, np.unique(queries)
        else:
            table, words, rows = dataset.documents, self.subject.documents, np.unique(documents)
        return table, words, rows[np.argsort(places_by_key(table)[rows])]

    def documents_of(self) -> dict[int, list[int]]:
        """The relevant documents of each query."""
        found: dict[int, list[int]] = {}
        for query, document in zip(*(each.tolist() for each in self.subject.pairs(self.split)), strict=True):
            found.setdefault(query, []).append(document)
        return found


@dataclass(frozen=True, eq=False)
class Matches:
    """Texts of a held-out split and the training texts that they equal or nearly equal, as rows of their tables."""

    held: Int64[np.ndarray, " match"]
    training: Int64[np.ndarray, " match"]
    similarity: Float64[np.ndarray, " match"]


def find_leaks(held: Part, training: Part, similarity: float, ledger: Ledger) -> None:
    """Queries and relevant documents of ``held`` that ``training`` has too. Of each query the gravest finding.

    A pair leak is a query whose match has an answer that matches one of the query's own.
    """
    queries, documents = (match(held, training, side, similarity) for side in ("query", "document"))
    leaked: dict[int, Finding] = {}
    for finding in _query_leaks(held, training, queries, documents):
        assert finding.query is not None
        known = leaked.get(finding.query.row)
        if known is None or finding.place < known.place:
            leaked[finding.query.row] = finding
    answers = list(_answer_leaks(held, training, documents, leaked))
    count = len(held.texts_of("query")[2])
    kinds = ("pair_leak", "query_leak", "positive_leak")
    ledger.add([*leaked.values(), *answers], {(kind, held.split): count for kind in kinds})


def match(held: Part, training: Part, side: str, similarity: float) -> Matches:
    """Equal and nearly equal texts of one side. Equal ones count 1, also where they have no words."""
    table, words, rows = held.texts_of(side)
    other_table, other_words, other_rows = training.texts_of(side)
    near = similar_pairs(
        Words.joined([words.take(rows), other_words.take(other_rows)]),
        similarity,
        np.arange(len(rows) + len(other_rows)),
    )
    across = (near.first < len(rows)) & (near.second >= len(rows))
    first, second = _equal(table.keys[rows], other_table.keys[other_rows])
    at_held = np.concatenate([first, near.first[across]])
    at_training = np.concatenate([second, near.second[across] - len(rows)])
    score = np.concatenate([np.ones(len(first)), near.similarity[across]])
    _, once = np.unique(at_held * max(len(other_rows), 1) + at_training, return_index=True)
    return Matches(rows[at_held[once]], other_rows[at_training[once]], score[once])


def _equal(
    one: UInt64[np.ndarray, "one 2"], other: UInt64[np.ndarray, "other 2"]
) -> tuple[Int64[np.ndarray, " equal"], Int64[np.ndarray, " equal"]]:
    """Places of equal keys in two lists without repeats."""
    _, inverse = np.unique(np.concatenate([one, other]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    _, first, second = np.intersect1d(inverse[: len(one)], inverse[len(one) :], assume_unique=True, return_indices=True)
    return first.astype(np.int64), second.astype(np.int64)


def _query_leaks(held: Part, training: Part, queries: Matches, documents: Matches) -> Iterator[Finding]:
    answers, known = held.documents_of(), training.documents_of()
    equal = set(zip(documents.held.tolist(), documents.training.tolist(), strict=True))
    where = _where(held, training)
    for query, other, score in zip(
        queries.held.tolist(), queries.training.tolist(), queries.similarity.tolist(), strict=True
    ):
        shared = [mine for mine in answers[query] if any((mine, theirs) in equal for theirs in known[other])]
        yield Finding(
            kind="pair_leak" if shared else "query_leak",
            split=held.split,
            query=held.subject.query(query),
            document=held.subject.document(shared[0]) if shared else None,
            other=training.subject.query(other),
            score=score,
            sure=score,
            note=f"the other query is in {where}",
        )


def _answer_leaks(held: Part, training: Part, documents: Matches, leaked: Container[int]) -> Iterator[Finding]:
    """Queries that are no leak themselves, with their relevant document that is most like a positive of training."""
    order = places_by_key(training.subject.dataset.documents)
    best = best_partner(documents.held, documents.training, documents.similarity, order)
    found = {int(documents.held[entry]): entry for entry in best.tolist()}
    for query, answers in held.documents_of().items():
        entries = [found[document] for document in answers if document in found]
        if query in leaked or not entries:
            continue
        entry = max(entries, key=lambda each: float(documents.similarity[each]))
        score = float(documents.similarity[entry])
        yield Finding(
            kind="positive_leak",
            split=held.split,
            query=held.subject.query(query),
            document=held.subject.document(int(documents.held[entry])),
            other=training.subject.document(int(documents.training[entry])),
            score=score,
            sure=score,
            note=f"the other document is a positive in {_where(held, training)}",
        )


def find_contamination(held: Part, training: Part, ledger: Ledger) -> dict[str, Any]:
    """Queries of ``held`` of which a training query or positive holds a run of words.

    Only queries of ``SEED`` words and more can be found; shorter ones are found as leaks only. Gives the counts for
    the report: of queries, of long ones, and of those with at least each share of ``SHARES``, alone and with a
    relevant document of which training holds as much.
    """
    sources = {side: training.texts_of(side) for side in ("query", "document")}
    known = Words.joined([words.take(rows) for _, words, rows in sources.values()])
    origins = [(side, row) for side, (_, _, rows) in sources.items() for row in rows.tolist()]
    documents, _ = _shares(held, "document", known)
    queries, best = _shares(held, "query", known)
    answers = {query: max(documents[each] for each in listed) for query, listed in held.documents_of().items()}
    found = []
    for query, share in queries.items():
        if share < SHARES[0]:
            continue
        side, row = origins[best[query]]
        other = training.subject.query(row) if side == "query" else training.subject.document(row)
        found.append(
            Finding(
                kind="contaminated",
                split=held.split,
                query=held.subject.query(query),
                other=other,
                score=share,
                gap=answers[query],
                sure=share * (1 + answers[query]) / 2,
                note=f"the other text is a {side} in {_where(held, training)}",
            )
        )
    ledger.add(found, {("contaminated", held.split): len(queries)})
    lengths = held.subject.queries.counts
    return {
        "queries": len(queries),
        "long_enough": sum(int(lengths[query]) >= SEED for query in queries),
        "seed": SEED,
        "shares": [
            {
                "share": limit,
                "queries": sum(share >= limit for share in queries.values()),
                "pairs": sum(share >= limit <= answers[query] for query, share in queries.items()),
            }
            for limit in SHARES
        ],
    }


def _shares(held: Part, side: str, known: Words) -> tuple[dict[int, float], dict[int, int]]:
    """By row: the share of each text's words in its longest run that a known text has, and that text."""
    _, words, rows = held.texts_of(side)
    texts = words.take(rows)
    length, origin = longest_shared(texts, known)
    shares = length / np.maximum(texts.counts, 1)
    return (
        dict(zip(rows.tolist(), shares.tolist(), strict=True)),
        dict(zip(rows.tolist(), origin.tolist(), strict=True)),
    )


def _where(held: Part, training: Part) -> str:
    same = held.subject is training.subject
    return training.split if same else f"{training.split} of {training.subject.dataset.name}"
