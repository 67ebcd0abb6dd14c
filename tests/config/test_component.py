"""Components as text, for components of every kind of field."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.config.component import Component, parse_component, require
from nearfar.errors import ConfigError

ANY = object


@dataclass(frozen=True, kw_only=True)
class Part(Component):
    weight: ANY = 1.0
    name: ANY = "plain"


@dataclass(frozen=True, kw_only=True)
class Whole(Component):
    first: ANY = None
    second: ANY = True
    parts: ANY = ()


KNOWN = {"Part": Part, "Whole": Whole}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["class", "lambda", "None", "true", "TRUE", "none", "Part", "Whole", "İ", "ﬁ", "_", "__x__", "a b"]
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.builds(Part, weight=inner, name=inner),
    max_leaves=6,
)


@given(first=VALUES, second=VALUES, parts=VALUES)
def test_text_and_back(first, second, parts):
    whole = Whole(first=first, second=second, parts=parts)
    assert parse_component(str(whole), KNOWN, "part") == whole


def test_the_first_field_is_always_printed_and_others_where_they_differ():
    assert str(Whole()) == "Whole(first=none)"
    assert str(Whole(second=False, parts=(Part(), Part(name="a b")))) == (
        "Whole(first=none, second=false, parts=[Part(weight=1.0), Part(weight=1.0, name='a b')])"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Part", Part()),
        ("Part(weight=-1)", Part(weight=-1)),
        ("Part(weight=None, name=False)", Part(weight=None, name=False)),
        ("Whole(first=Part)", Whole(first=Part())),
        ("Whole(parts=(1, 2))", Whole(parts=(1, 2))),
        ("Whole(parts=[Part(name=x), y])", Whole(parts=(Part(name="x"), "y"))),
    ],
)
def test_ways_to_write_it(text, expected):
    assert parse_component(text, KNOWN, "part") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Prat", r"Unknown part 'Prat'. Did you mean 'Part'\? Known: Part, Whole."),
        ("Whole(first=Prat())", "Unknown part 'Prat'. Did you mean 'Part'"),
        ("Part(wieght=1)", r"Part has no field 'wieght'. Did you mean 'weight'\? Its fields are: weight, name."),
        ("Part(zzz=1)", "Part has no field 'zzz'. Its fields are: weight, name."),
        ("Part(weight=x.y)", "Cannot read the value 'x.y'"),
        ("Part(weight=open('f'))", "Unknown part 'open'"),
        ("Part(weight={[1]: 2})", "Cannot read the value"),
        ("[Part]", "Cannot read the part"),
        ("Part; Part", "Cannot read the part"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_component(text, KNOWN, "part")


def test_a_wrong_value_is_named_with_its_field():
    require(True, Part(), "weight", "small")
    with pytest.raises(ConfigError, match=r"^Part: weight must be small, got 7\.$"):
        require(False, Part(weight=7), "weight", "small")


@dataclass(frozen=True, kw_only=True)
class Switched(Component):
    on: bool = True
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Counted(Switched):
    def __post_init__(self):
        require(self.count > 0, self, "count", "above 0")


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("kind", [Switched, Counted])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on": "maybe"}, "on must be true or false, got 'maybe'"),
        ({"on": 1}, "on must be true or false, got 1"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"count": 1.5}, "count must be a whole number, got 1.5"),
    ],
)
def test_truth_values_and_whole_numbers_take_nothing_else(kind, given, message):
    with pytest.raises(ConfigError, match=f"{kind.__name__}: {message}"):
        kind(**given)


def test_what_a_component_checks_itself_comes_first():
    with pytest.raises(ConfigError, match="Counted: count must be above 0, got 0"):
        Counted(count=0)
