"""What an audit finds: one kind of trouble with one query, document or pair, and how sure that is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nearfar.data.collect import SPLIT_ORDER
from nearfar.data.tables import Texts

SERIOUS, SUSPECT, NOTE = "serious", "suspect", "note"


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        level: ``serious`` (results of the data mean less than they say), ``suspect`` (judgements that may be wrong) or
            ``note`` (worth a look; often meant so).
        title: in a few words.
        meaning: what it is and what its score and gap are.
        advice: what to do.
    """

    level: str
    title: str
    meaning: str
    advice: str


KINDS: Mapping[str, Kind] = {
    "pair_leak": Kind(
        SERIOUS,
        "Held-out pairs that are trained on",
        "The query and one of its relevant documents, both equal or nearly so to a training pair. "
        "Score: similarity of the queries.",
        "Take the training pair out: a model may know this answer by heart.",
    ),
    "query_leak": Kind(
        SERIOUS,
        "Held-out queries in the training data",
        "The query is equal or nearly so to a training query, whose relevant documents are others. "
        "Score: similarity of the queries.",
        "Take the training query out. If both answers are right, judge both for both.",
    ),
    "contaminated": Kind(
        SERIOUS,
        "Held-out queries that a training text spells out",
        "A run of words of the query stands in a training query or positive. Score: its share of the query's words; "
        "gap: the same of the query's relevant documents.",
        "Measure with and without these queries. Where documents are spelt out too, take the training text out.",
    ),
    "false_negative": Kind(
        SUSPECT,
        "Suspected false negatives",
        "A document that is not judged relevant, but scores above the query's own relevant document, or is nearly the "
        "same text. Score: the document's; gap: how much higher than the relevant one's.",
        "Read both. If the document answers the query, judge it relevant; do not train on it as a negative.",
    ),
    "noisy_positive": Kind(
        SUSPECT,
        "Suspected wrong positives",
        "A relevant document that the model does not find. Score: the document's, or the least that was found; "
        "gap: how far below the best.",
        "Read both. If the document does not answer the query, remove the judgement.",
    ),
    "positive_leak": Kind(
        NOTE,
        "Held-out answers that training uses for other queries",
        "A relevant document of a held-out query is equal or nearly so to a positive of training. Score: similarity.",
        "Usual where all splits search one corpus; it makes the split easier than new documents would be.",
    ),
    "same_text": Kind(
        NOTE,
        "One text under several ids",
        "The id is an alias: its text is another's, after case, spacing and Unicode form are made equal.",
        "Nothing: nearfar reads both as one. Other tools may train on one as a negative of the other.",
    ),
    "near_duplicate": Kind(
        NOTE,
        "Nearly equal texts",
        "The two share most of their words and neighbouring words. Score: the shared part (Jaccard).",
        "Judge them alike, or keep one.",
    ),
    "query_is_document": Kind(
        NOTE,
        "Queries that are a document",
        "The text of the query is that of a document, or nearly so. Score: similarity.",
        "As a positive it teaches nothing; as a candidate it comes first everywhere.",
    ),
    "odd_length": Kind(
        NOTE,
        "Unusual lengths",
        "Far shorter or longer than the rest. Score: characters; gap: distance from the median in robust standard "
        "deviations of the logarithm.",
        "Look for cut, joined or empty texts. Long ones are cut at the model's maximum.",
    ),
    "odd_script": Kind(
        NOTE,
        "Unusual scripts",
        "Most letters are of a script that few texts of the table have. Score: share of such letters.",
        "Look for broken encodings and strays of another language.",
    ),
    "odd_content": Kind(
        NOTE,
        "Texts that say little",
        "Mostly markup, spaces or signs, or one word again and again. Score: that share.",
        "Clean or drop them.",
    ),
}
"""Every kind, the gravest first."""


class Cited(NamedTuple):
    """A text by its table and row."""

    table: Texts
    row: int

    @property
    def id(self) -> str:
        """Its id."""
        return self.table.id(self.row)

    @property
    def text(self) -> str:
        """The text."""
        return self.table.text(self.row)

    @property
    def key(self) -> tuple[int, int]:
        """Its identity, by which ties are ordered."""
        first, second = self.table.keys[self.row].tolist()
        return int(first), int(second)


@dataclass(frozen=True, eq=False, kw_only=True)
class Finding:
    """One thing that a human should look at.

    Attributes:
        kind: a name of ``KINDS``.
        split: the split of the query or judgement; empty for what belongs to none.
        query, document: what it is about.
        other: the other text: a training query or text, the query's own positive, a twin.
        alias: the other id of the text, where there is no other text.
        score, gap: as ``KINDS`` says.
        sure: 0 to 1, comparable within a kind: findings are in this order.
        note: what else there is to say.
    """

    kind: str
    split: str
    query: Cited | None = None
    document: Cited | None = None
    other: Cited | None = None
    alias: str = ""
    score: float
    gap: float = 0.0
    sure: float
    note: str = ""

    @property
    def place(self) -> tuple[Any, ...]:
        """What findings are sorted by: kind, the surest first, then the texts."""
        cited = tuple(each.key if each is not None else (-1, -1) for each in (self.query, self.document, self.other))
        return (_ORDER[self.kind], -round(self.sure, 6), self.split, cited, self.alias)

    def row(self) -> dict[str, Any]:
        """A row of ``findings.parquet``."""
        return {
            "kind": self.kind,
            "split": self.split,
            "query_id": self.query.id if self.query is not None else None,
            "document_id": self.document.id if self.document is not None else None,
            "other_id": self.alias or (self.other.id if self.other is not None else None),
            "score": self.score,
            "gap": self.gap,
            "sure": self.sure,
            "note": self.note,
        }


SPLITS = ("", *SPLIT_ORDER)
"""Where something is found, in order; empty for documents, which belong to no split."""

_ORDER = {name: place for place, name in enumerate(KINDS)}


@dataclass
class Ledger:
    """Grows while checks run.

    Attributes:
        findings: so far.
        looked_at: how many queries, documents or pairs each check has looked at, by kind and split.
        left_out: sentences about checks that were not made, and why.
    """

    findings: list[Finding] = field(default_factory=list)
    looked_at: dict[tuple[str, str], int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, findings: Iterable[Finding], looked_at: Mapping[tuple[str, str], int]) -> None:
        """Take what a check found and how much it looked at."""
        self.findings.extend(findings)
        for place, count in looked_at.items():
            self.looked_at[place] = self.looked_at.get(place, 0) + count

    def counts(self) -> Iterator[tuple[str, str, int, int]]:
        """Kind, split, findings, and how many were looked at; the gravest kind first, also where nothing was found."""
        found: dict[tuple[str, str], int] = {}
        for finding in self.findings:
            found[finding.kind, finding.split] = found.get((finding.kind, finding.split), 0) + 1
        for kind, split in sorted(self.looked_at, key=lambda place: (_ORDER[place[0]], SPLITS.index(place[1]))):
            yield kind, split, found.get((kind, split), 0), self.looked_at[kind, split]
