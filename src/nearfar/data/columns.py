"""Which column is what. Columns are known by name, never by position."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nearfar.config.data import DataOptions
from nearfar.errors import ConfigError, DataError, did_you_mean, nearest

NAMES: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "anchor", "question", "q", "query_text", "sentence1", "text1", "sentence_1", "text_1",
              "question1", "sentence_a", "text_a", "search_term"),
    "positive": ("positive", "positives", "pos", "document", "passage", "answer", "doc", "positive_passages",
                 "response", "document_text", "passage_text", "documents", "passages", "answers", "sentence2", "text2",
                 "sentence_2", "text_2", "question2", "sentence_b", "text_b"),
    "score": ("score", "grade", "similarity", "similarity_score", "relevance"),
    "text": ("text", "sentence", "utterance", "content"),
    "label": ("label", "labels", "label_text", "class", "category", "intent", "is_duplicate"),
    "query_id": ("query_id", "queryid", "anchor_id", "question_id", "qid", "id", "_id"),
    "document_id": ("document_id", "documentid", "positive_id", "passage_id", "doc_id", "docid", "corpus_id", "pid"),
    "split": ("split",),
}  # fmt: skip
"""The names that each role is known by, the surest first."""

PAIR_LABELS = ("label", "labels", "is_duplicate")
"""Names under which pairs carry their grade instead of a class."""

NEGATIVE = re.compile(r"(hard_)?neg(ative)?s?(_?\d+)?|negative_passages")


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The column of each role, None where there is none.

    ``positive`` and ``negatives`` may be list columns. ``label`` with a list in it makes multi-label data.
    """

    query: str | None = None
    positive: str | None = None
    negatives: tuple[str, ...] = ()
    score: str | None = None
    text: str | None = None
    label: str | None = None
    query_id: str | None = None
    document_id: str | None = None
    split: str | None = None
    group: str | None = None

    @property
    def layout(self) -> str | None:
        """``scored``, ``pairs`` or ``labels``, or None when the columns are none of these."""
        if self.query is not None and self.positive is not None:
            return "pairs" if self.score is None else "scored"
        return "labels" if self.text is not None and self.label is not None else None


def folded(name: str) -> str:
    """A column name for comparison: lower case, words joined by underscores."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def find_roles(columns: Sequence[str], options: DataOptions, where: str) -> Roles:
    """Find the column of each role: the mapped one if the options map it, else the first known name.

    Args:
        columns: the column names of a file.
        options: ``columns``, ``layout`` and ``group`` are used.
        where: the file, for messages.

    Raises:
        DataError: a mapped column does not exist, or the layout's columns cannot be found.
    """
    by_name = {folded(name): name for name in reversed(columns)}
    found: dict[str, str | None] = {}
    for role, names in NAMES.items():
        if role in options.columns:
            found[role] = _mapped(role, options.columns[role], columns, where)
        else:
            found[role] = next((by_name[name] for name in names if name in by_name), None)
    if "negative" in options.columns:
        mapped = _mapped("negative", options.columns["negative"], columns, where)
        negatives: tuple[str, ...] = () if mapped is None else (mapped,)
    else:
        negatives = tuple(name for name in columns if NEGATIVE.fullmatch(folded(name)))
    if options.group is not None and options.group not in columns:
        raise DataError(_missing("group", options.group, columns, where, "data.group"))
    roles = Roles(**found, negatives=negatives, group=options.group)
    return _for_layout(_settled(roles, options), options, columns, where)


def _settled(roles: Roles, options: DataOptions) -> Roles:
    """Names that mean different things in pairs and in labelled data, decided."""
    if options.layout == "labels":
        return roles
    taken = {roles.query, roles.positive, roles.query_id, roles.document_id, None}
    if roles.query is not None and roles.positive is None and roles.label is None and roles.text not in taken:
        roles = replace(roles, positive=roles.text, text=None)
    two_sided = roles.query is not None and roles.positive is not None
    graded_by_label = roles.label is not None and folded(roles.label) in PAIR_LABELS
    if two_sided and graded_by_label and roles.score is None and "score" not in options.columns:
        roles = replace(roles, score=roles.label, label=None)
    if options.layout == "pairs":
        roles = replace(roles, score=None)
    return roles


def _for_layout(roles: Roles, options: DataOptions, columns: Sequence[str], where: str) -> Roles:
    """Keep only what the layout uses.

    Raises:
        DataError: a column that the layout needs is missing.
    """
    wanted = options.layout if options.layout in ("pairs", "scored", "labels") else roles.layout
    needed = {"pairs": ("query", "positive"), "scored": ("query", "positive", "score"), "labels": ("text", "label")}
    if wanted is None:
        started = "labels" if roles.text is not None or roles.label is not None else "pairs"
        wanted = "pairs" if roles.query is not None or roles.positive is not None else started
    for role in needed[wanted]:
        if getattr(roles, role) is None:
            raise DataError(_unknown(role, columns, where))
    if wanted == "labels":
        return replace(roles, query=None, positive=None, negatives=(), score=None)
    return replace(roles, text=None, label=None)


def _mapped(role: str, name: str, columns: Sequence[str], where: str) -> str | None:
    if not name:
        return None
    if name not in columns:
        raise DataError(_missing(role, name, columns, where, f"data.columns.{role}"))
    return name


def _missing(role: str, name: str, columns: Sequence[str], where: str, setting: str) -> str:
    return (
        f"{where}: there is no column {name!r}, which {setting} names as the {role}.{did_you_mean(name, columns)} "
        f"Found: {', '.join(columns)}."
    )


def _unknown(role: str, columns: Sequence[str], where: str) -> str:
    close = closest_column(NAMES[role], columns)
    hint = f" The nearest is {close!r}: map it with" if close is not None else " Map one with"
    return (
        f"{where}: no column for the {role}. Found: {', '.join(columns)}. Known names: {', '.join(NAMES[role][:6])}."
        f"{hint} --set data.columns.{role}={close or 'NAME'}."
    )


def closest_column(names: Iterable[str], columns: Sequence[str]) -> str | None:
    """The column that is most like one of ``names``, the surest name first."""
    return next((match for name in names if (match := nearest(name, columns)) is not None), None)


def reject_unused(options: DataOptions, layout: str) -> None:
    """Refuse settings that this layout would ignore.

    Raises:
        ConfigError: ``train`` was given for something that is no BEIR folder.
    """
    if options.train is not None:
        raise ConfigError(
            f"data.train={options.train} adds training pairs to a BEIR folder, but the layout here is {layout}. "
            "Put the pairs into a file named train beside the dev and test files instead."
        )
