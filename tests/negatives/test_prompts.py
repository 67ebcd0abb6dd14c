"""Templates: ours and a user's own."""

import re

import pytest

from nearfar.errors import ConfigError
from nearfar.negatives import prompts


def test_templates_are_filled_once_and_other_braces_stay():
    filled = prompts.fill('{query} {{"a": {b}}} {document}', query="{document}", document="{query}")
    assert filled == '{document} {{"a": {b}}} {query}'


def test_a_template_of_ones_own(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\nIs {document} about {query}?\n")
    assert prompts.read_template(path, ("query", "document")) == "Is {document} about {query}?"
    with pytest.raises(ConfigError, match=r"mine.txt has no place for \{documents\}"):
        prompts.read_template(path, ("query", "documents"))
    with pytest.raises(ConfigError, match=r"Cannot read the template .*nowhere.txt: No such file"):
        prompts.read_template(tmp_path / "nowhere.txt", ("query",))


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        (prompts.RELEVANT, {"query", "document"}),
        (prompts.RELEVANT_AMONG, {"query", "documents"}),
        (prompts.QUERY, {"document"}),
        (prompts.NEGATIVE, {"query", "document", "words"}),
    ],
)
def test_our_templates_have_their_places(template, fields):
    assert set(re.findall(r"\{(\w+)\}", template)) == fields
