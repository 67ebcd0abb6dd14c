"""Columns are found by name."""

import pytest

from nearfar.config.data import DataOptions
from nearfar.data.columns import NAMES, find_roles
from nearfar.errors import DataError


def roles(*columns, **options):
    return find_roles(columns, DataOptions(**options), "here")


@pytest.mark.parametrize(
    ("columns", "layout"),
    [
        (("query", "positive"), "pairs"),
        (("Anchor", "Positive", "negative_1", "negative_2"), "pairs"),
        (("query", "document", "score"), "scored"),
        (("sentence1", "sentence2"), "pairs"),
        (("question1", "question2", "is_duplicate"), "scored"),
        (("query", "text"), "pairs"),
        (("text", "label"), "labels"),
        (("utterance", "intent"), "labels"),
        (("question", "answer", "category"), "pairs"),
    ],
)
def test_layouts_by_their_columns(columns, layout):
    assert roles(*columns).layout == layout


def test_order_case_spaces_and_dashes_do_not_matter():
    found = roles("Doc-ID", "Answer", "hard negatives", "neg_2", "Query ID", "QUESTION", "negation")
    assert (found.query, found.positive, found.query_id, found.document_id) == (
        "QUESTION",
        "Answer",
        "Query ID",
        "Doc-ID",
    )
    assert found.negatives == ("hard negatives", "neg_2")


def test_the_surest_name_wins_and_an_asked_layout_decides():
    assert roles("document", "positive", "query").positive == "positive"
    assert roles("query", "positive", "score", layout="pairs").score is None
    found = roles("query", "document", "text", "label", layout="labels")
    assert (found.layout, found.text, found.label, found.query) == ("labels", "text", "label", None)


def test_a_role_switched_off_is_not_found():
    assert roles("query", "positive", "score", columns={"score": ""}).score is None
    assert roles("query", "positive", "negative", columns={"negative": ""}).negatives == ()
    with pytest.raises(DataError, match="no column for the query"):
        roles("query", "positive", columns={"query": ""})


def test_every_known_name_is_in_folded_form():
    assert all(
        name == name.lower() and " " not in name and "-" not in name for names in NAMES.values() for name in names
    )
