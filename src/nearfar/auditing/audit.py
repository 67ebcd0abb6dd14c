"""The audit: every check that makes sense for a data set, in one ledger, ranked for a human."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nearfar.auditing.duplicates import find_duplicates
from nearfar.auditing.finding import KINDS, Finding, Ledger
from nearfar.auditing.leaks import Part, find_contamination, find_leaks
from nearfar.auditing.near import Pairs
from nearfar.auditing.oddities import find_oddities
from nearfar.auditing.relevance import Ranked, find_false_negatives, find_noisy_positives
from nearfar.auditing.subject import HELD_OUT, Subject, first_by_key
from nearfar.config.auditing import DEFAULTS, AuditOptions
from nearfar.data.facts import describe
from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Encoder
from nearfar.errors import DataError
from nearfar.evaluation.retrieve import Corpus
from nearfar.events import Silent, Sink
from nearfar.retrieval.bm25 import BM25
from nearfar.retrieval.dense import search
from nearfar.retrieval.tokens import Tokeniser

BM25_NAME = "bm25"
_LABEL_DEPTH = 10
"""Nearest texts that are asked for their label."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Audit:
    """What an audit found.

    Attributes:
        summary: what ``audit.json`` holds: the data in numbers, settings, counts, what was left out.
        findings: the gravest kind first, within a kind the surest first.
    """

    summary: Mapping[str, Any]
    findings: tuple[Finding, ...]

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)


def audit(
    dataset: Dataset,
    *,
    encoder: Encoder | None = None,
    model: str = BM25_NAME,
    against: Dataset | None = None,
    options: AuditOptions = DEFAULTS,
    sink: Sink = Silent(),
) -> Audit:
    """Run every check.

    Args:
        dataset: the tables.
        encoder: what ranks documents where judgements are doubted; None for BM25.
        model: its name.
        against: another data set, whose training data is compared with the held-out splits in place of its own.
        options: what counts as near.
        sink: takes progress.

    Raises:
        DataError: there is another training set to compare with, and nothing that is held out; or either has labels.
    """
    subject = Subject.of(dataset, sink)
    ledger = Ledger()
    twins = find_duplicates(subject, options.similarity, ledger)
    find_oddities(subject, ledger)
    contamination = _compare_splits(subject, against, options, ledger, sink)
    _doubt_judgements(subject, encoder, twins, options, ledger, sink)
    findings = tuple(sorted(ledger.findings, key=lambda finding: finding.place))
    summary = {
        "data": describe(dataset),
        "against": None if against is None else {"name": against.name, "source": against.facts.source},
        "model": model,
        "settings": asdict(options),
        "counts": [
            {"kind": kind, "level": KINDS[kind].level, "split": split, "found": found, "of": of}
            for kind, split, found, of in ledger.counts()
        ],
        "contamination": contamination,
        "left_out": ledger.left_out,
    }
    return Audit(summary=summary, findings=findings)


def _compare_splits(
    subject: Subject, against: Dataset | None, options: AuditOptions, ledger: Ledger, sink: Sink
) -> dict[str, Any]:
    """Leaks and contamination of every held-out split; gives the counts of contamination by split."""
    dataset = subject.dataset
    held_out = [split for split in HELD_OUT if split in dataset.qrels]
    training = subject if against is None else Subject.of(against, sink)
    split = training.training_split
    if against is not None and (subject.shares_documents or training.shares_documents):
        raise DataError("Only pairs can be compared with another training set; this data, or the other, has labels.")
    if against is not None and not held_out:
        raise DataError(
            f"{dataset.facts.source} has no dev or test split that {against.name} could be compared with. "
            "The first data set is the one that is measured on, the one after --against is trained on."
        )
    if against is not None and split is None:
        raise DataError(f"{against.facts.source} has no train split: found {', '.join(against.splits)}.")
    if subject.shares_documents:
        ledger.left_out.append(
            "Leaks and contamination between splits: in data with labels every split has the same labels."
        )
    elif not held_out:
        ledger.left_out.append("Leaks and contamination between splits: there is no dev or test split.")
    elif split is None:
        ledger.left_out.append("Leaks and contamination between splits: there is no train split. Name one: --against.")
    else:
        part = Part(training, split)
        counts = {}
        for name in held_out:
            held = Part(subject, name)
            find_leaks(held, part, options.similarity, ledger)
            counts[name] = find_contamination(held, part, ledger)
        return counts
    return {}


def _doubt_judgements(
    subject: Subject, encoder: Encoder | None, twins: Pairs, options: AuditOptions, ledger: Ledger, sink: Sink
) -> None:
    """Rank the documents for the queries of every split, and look where the ranking and the judgements disagree."""
    dataset = subject.dataset
    if len(dataset.documents) < 2:
        ledger.left_out.append("Suspected false negatives and wrong positives: there is one document.")
        return
    if subject.labelled:
        ledger.left_out.append("Suspected false negatives: in data with labels every text of another label is one.")
    depth = min(_LABEL_DEPTH if subject.labelled else options.depth, len(dataset.documents))
    chosen = {
        split: first_by_key(dataset.queries, dataset.query_rows(split), options.queries) for split in dataset.splits
    }
    for split, queries in chosen.items():
        total = len(dataset.query_rows(split))
        if total > len(queries):
            ledger.left_out.append(f"Suspected judgements: {total - len(queries):,} of {total:,} {split} queries.")
    for ranked in _rankings(subject, encoder, chosen, depth, sink):
        if not subject.labelled:
            find_false_negatives(ranked, twins, options.share, options.lead, ledger)
        find_noisy_positives(ranked, ledger)


def _rankings(
    subject: Subject, encoder: Encoder | None, chosen: Mapping[str, np.ndarray], depth: int, sink: Sink
) -> list[Ranked]:
    """The documents, searched or not, that the queries of each split find."""
    dataset = subject.dataset
    corpus = Corpus.of(dataset, np.arange(len(dataset.documents), dtype=np.int64))
    texts = corpus.texts()
    index = BM25(texts, tokenise=Tokeniser(), sink=sink) if encoder is None else None
    vectors = None if encoder is None else encoder.encode_documents(texts, sink)
    found = []
    for split, queries in chosen.items():
        if not len(queries):
            continue
        asked, own = dataset.queries.take(queries), corpus.own_text(queries)
        if index is not None:
            hits = index.search(asked, depth, sink, tie_order=corpus.tie_order, exclude=own)
        else:
            assert encoder is not None
            assert vectors is not None
            hits = search(
                encoder.encode_queries(asked, sink),
                vectors,
                depth,
                similarity=encoder.similarity,
                tie_order=corpus.tie_order,
                exclude=own,
                sink=sink,
            )
        found.append(Ranked(subject, split, queries, hits))
    return found
