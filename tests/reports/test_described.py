"""What is said about objectives is what they are."""

import re

import pytest

from nearfar.objectives import InfoNCE, Objective, Sum, catalogue, parse
from nearfar.reports.described import NEEDS, describe, documentation, kind_in_words, laid_out, value_in_words

ENTRIES = {entry.name: entry for entry in catalogue()}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_objective_of_the_catalogue(name):
    entry, about = ENTRIES[name], describe(ENTRIES[name]())
    assert (about.name, about.summary, about.equation) == (name, entry.summary, entry.equation)
    assert [each.name for each in about.settings] == list(entry.defaults)
    assert all(each.meaning and each.kind for each in about.settings)
    assert {need for need, _ in about.needs} == entry.needs
    assert bool(about.memory) == entry.remembers
    assert bool(about.keeps) == entry.remembers
    assert str(parse(about.parts)) == entry.parts
    assert max(map(len, about.parts.splitlines())) <= 96 or "=[" not in about.parts
    assert "``" not in about.details
    assert "Args:" not in about.details


def test_what_is_needed_has_a_meaning_for_everything_that_can_be_needed():
    assert frozenset().union(*(entry.needs for entry in ENTRIES.values())) <= set(NEEDS)


def test_settings_show_their_values():
    about = describe(InfoNCE(temperature=0.2))
    first, second = about.settings[:2]
    assert (first.name, first.value, first.default, first.kind) == ("temperature", "0.2", "0.05", "number")
    assert second.kind == "`query_to_document` or `symmetric` or `gte`"
    assert about.text == "InfoNCE(temperature=0.2)"
    assert "Temperature(temperature=0.2)" in about.parts


def test_one_that_is_written_out_has_no_paper():
    about = describe(Objective(Sum(terms=(parse("CLIP"), parse("SogCLR")))))
    assert (about.name, about.summary, about.paper, about.verified, about.settings) == ("Sum", "", "", None, ())
    assert about.needed == "index"
    assert about.keeps == "trains and remembers"
    assert {each.part: (each.trains, each.remembers) for each in about.memory}["LearnedTemperature"] == (True, False)


def test_a_docstring_in_pieces():
    def documented():
        """A line.

        More of ``it``.

        - one
        - two

        Args:
            first: what it
                means.
            second, third: both.
        """

    text, meanings = documentation(documented, "Args")
    assert text == "More of `it`.\n\n- one\n- two"
    assert meanings == {"first": "what it means.", "second": "both.", "third": "both."}


def test_texts_are_laid_out_and_still_parse():
    text = str(parse("Composition(criterion=Softmax(blocks=[row, column], partition=separate), logits=[Temperature])"))
    assert laid_out(text, len(text)) == text
    for width in (20, 40, 60):
        lines = laid_out(text, width)
        assert str(parse(lines)) == text
        assert len(lines.splitlines()) > 1
    assert re.sub(r"\s", "", laid_out("F(a='x, (y', b=[1, 2])", 5)) == "F(a='x,(y',b=[1,2,],)"


def test_values_and_kinds_in_words():
    assert value_in_words((1, None, True, "word")) == "[1, none, true, word]"
    assert kind_in_words(float | None) == "number or none"
    assert kind_in_words(tuple[int, ...]) == "list of whole number"
