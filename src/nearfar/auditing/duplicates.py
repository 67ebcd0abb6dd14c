"""Texts that a data set holds more than once: exactly, nearly, and on both sides."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int64

from nearfar.auditing.finding import Cited, Finding, Ledger
from nearfar.auditing.near import Pairs, best_partner, similar_pairs
from nearfar.auditing.subject import Subject, places_by_key
from nearfar.auditing.words import Words


def find_duplicates(subject: Subject, similarity: float, ledger: Ledger) -> Pairs:
    """Equal texts under several ids, nearly equal texts of one side, queries that are documents.

    Gives the near-duplicates among documents, which also tell of missing judgements.
    """
    dataset, splits = subject.dataset, _queries_by_split(subject)
    ledger.add(_aliases(subject, "document"), {("same_text", ""): len(dataset.documents)})
    if not subject.labelled:
        ledger.add(_aliases(subject, "query"), {("same_text", name): count for name, count in splits.items()})
    if subject.labelled:
        pairs = similar_pairs(subject.documents, similarity, places_by_key(dataset.documents))
        ledger.add(_twins(subject, "document", pairs), {("near_duplicate", ""): len(dataset.documents)})
        return pairs
    count = len(dataset.queries)
    words = Words.joined([subject.queries, subject.documents])
    order = np.concatenate([places_by_key(dataset.queries), count + places_by_key(dataset.documents)])
    every = similar_pairs(words, similarity, order)
    among_queries = _part(every, every.second < count, 0, 0)
    among_documents = _part(every, every.first >= count, count, count)
    across = _part(every, (every.first < count) & (every.second >= count), 0, count)
    ledger.add(_twins(subject, "query", among_queries), {("near_duplicate", name): n for name, n in splits.items()})
    ledger.add(_twins(subject, "document", among_documents), {("near_duplicate", ""): len(dataset.documents)})
    ledger.add(_on_both_sides(subject, across), {("query_is_document", name): n for name, n in splits.items()})
    return among_documents


def _queries_by_split(subject: Subject) -> dict[str, int]:
    names, counts = np.unique(np.array(subject.split_of_query, dtype=object).astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _part(pairs: Pairs, keep: np.ndarray, before_first: int, before_second: int) -> Pairs:
    """Some of the pairs, with rows counted from the start of their own table."""
    return Pairs(pairs.first[keep] - before_first, pairs.second[keep] - before_second, pairs.similarity[keep])


def _aliases(subject: Subject, side: str) -> Iterator[Finding]:
    texts = subject.dataset.queries if side == "query" else subject.dataset.documents
    for alias, row in texts.aliases.items():
        cited = Cited(texts, row)
        if side == "query":
            split = subject.split_of_query[row]
            yield Finding(kind="same_text", split=split, query=cited, alias=alias, score=1.0, sure=1.0)
        else:
            yield Finding(kind="same_text", split="", document=cited, alias=alias, score=1.0, sure=1.0)


def _twins(subject: Subject, side: str, pairs: Pairs) -> Iterator[Finding]:
    """Each text with its most similar other, every pair once."""
    texts = subject.dataset.queries if side == "query" else subject.dataset.documents
    text, other, similarity = pairs.both_ways()
    order = places_by_key(texts)
    best = best_partner(text, other, similarity, order)
    answers = _answers(subject) if side == "query" else []
    low, high = np.minimum(text[best], other[best]), np.maximum(text[best], other[best])
    _, once = np.unique(low * max(len(texts), 1) + high, return_index=True)
    for entry in best[once].tolist():
        here, there = sorted((int(text[entry]), int(other[entry])), key=lambda row: int(order[row]))
        score, cited = float(similarity[entry]), Cited(texts, there)
        if side == "document":
            document = Cited(texts, here)
            yield Finding(kind="near_duplicate", split="", document=document, other=cited, score=score, sure=score)
            continue
        splits = subject.split_of_query[here], subject.split_of_query[there]
        apart = "" if splits[0] == splits[1] else f"the other query is in {splits[1]}"
        differ = "" if answers[here] & answers[there] else "their relevant documents differ"
        yield Finding(
            kind="near_duplicate",
            split=splits[0],
            query=Cited(texts, here),
            other=cited,
            score=score,
            sure=score,
            note="; ".join(filter(None, (apart, differ))),
        )


def _answers(subject: Subject) -> list[set[int]]:
    """The relevant documents of each query, of all splits."""
    found: list[set[int]] = [set() for _ in range(len(subject.dataset.queries))]
    for split in subject.dataset.splits:
        for query, document in zip(*(each.tolist() for each in subject.pairs(split)), strict=True):
            found[query].add(document)
    return found


def _on_both_sides(subject: Subject, near: Pairs) -> Iterator[Finding]:
    """Queries whose text is a document's, equal or nearly so: of several the most similar."""
    dataset = subject.dataset
    query_ids, document_ids = dataset.identities
    order = np.argsort(document_ids, kind="stable")
    place = np.searchsorted(document_ids[order], query_ids).clip(max=max(len(order) - 1, 0))
    equal = np.flatnonzero(document_ids[order][place] == query_ids)
    queries: Int64[np.ndarray, " pair"] = np.concatenate([equal, near.first])
    documents: Int64[np.ndarray, " pair"] = np.concatenate([order[place[equal]], near.second])
    similarity: Float64[np.ndarray, " pair"] = np.concatenate([np.ones(len(equal)), near.similarity])
    answers = _answers(subject)
    for entry in best_partner(queries, documents, similarity, places_by_key(dataset.documents)).tolist():
        query, document = int(queries[entry]), int(documents[entry])
        yield Finding(
            kind="query_is_document",
            split=subject.split_of_query[query],
            query=subject.query(query),
            document=subject.document(document),
            score=float(similarity[entry]),
            sure=float(similarity[entry]),
            note="judged relevant" if document in answers[query] else "not judged relevant",
        )
