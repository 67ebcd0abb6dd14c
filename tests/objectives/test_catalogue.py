"""Objectives as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.objectives import InfoNCE, catalogue, parse


@given(
    temperature=st.floats(min_value=1e-6, max_value=1e6),
    directions=st.sampled_from(["query_to_document", "symmetric", "gte"]),
    similarity=st.sampled_from(["cosine", "dot"]),
)
def test_text_and_back(temperature, directions, similarity):
    objective = InfoNCE(temperature=temperature, directions=directions, similarity=similarity)
    assert parse(str(objective)) == objective


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("InfoNCE", InfoNCE()),
        ("InfoNCE()", InfoNCE()),
        ("InfoNCE(temperature=1)", InfoNCE(temperature=1.0)),
        (" InfoNCE( temperature = 1e-2 ) ", InfoNCE(temperature=0.01)),
        ("InfoNCE(directions='gte', similarity=dot)", InfoNCE(directions="gte", similarity="dot")),
    ],
)
def test_ways_to_write_it(text, objective):
    assert parse(text) == objective


def test_what_is_printed():
    assert str(InfoNCE()) == "InfoNCE(temperature=0.05)"
    assert str(InfoNCE(temperature=0.02, directions="symmetric")) == "InfoNCE(temperature=0.02, directions=symmetric)"


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("InfoNEC", r"Unknown objective 'InfoNEC'. Did you mean 'InfoNCE'\? Known: "),
        ("infonce(temperature=1)", r"Did you mean 'InfoNCE'\?"),
        ("InfoNCE(temprature=1)", r"InfoNCE has no field 'temprature'. Did you mean 'temperature'\? Its fields are:"),
        ("InfoNCE(temperature=1, temperature=2)", "temperature is given twice"),
        ("InfoNCE(**{'temperature': 1})", r"no field '\*\*'"),
        ("InfoNCE(0.05)", "give every value by name"),
        ("InfoNCE(temperature=0)", "temperature must be a number above 0, got 0"),
        ("InfoNCE(temperature=-1)", "temperature must be a number above 0, got -1"),
        ("InfoNCE(temperature=true)", "InfoNCE: temperature must be a number, got True"),
        ("InfoNCE(temperature=none)", "InfoNCE: temperature must be a number, got None"),
        ("InfoNCE(temperature=nan)", "InfoNCE: temperature must be a number, got 'nan'"),
        ("InfoNCE(temperature=1e999)", "InfoNCE: temperature must be a number, got inf"),
        ("InfoNCE(temperature=[1, 2])", r"InfoNCE: temperature must be a number, got \(1, 2\)"),
        ("InfoNCE(temperature=1+1)", r"Cannot read the value '1 \+ 1'"),
        ("InfoNCE(temperature={[]: 1})", "Cannot read the value"),
        ("InfoNCE(temperature=InfoNCE)", "temperature must be a number, got InfoNCE"),
        ("InfoNCE(directions=both)", "directions must be query_to_document or symmetric or gte, got 'both'"),
        ("InfoNCE(similarity=euclidean)", "similarity must be cosine or dot, got 'euclidean'"),
        ("InfoNCE(temperature=", r"Cannot read the objective .* such as InfoNCE\(temperature=0.05\)"),
        ("nearfar.InfoNCE()", "Cannot read the objective"),
        ("__import__('os')", "Unknown objective '__import__'"),
        ("none", "Expected the name of an objective"),
        ("0.05", "Cannot read the objective"),
        ("", "Cannot read the objective"),
        ("(" * 500, "Cannot read the objective"),
        ("-" * 200_000 + "1", "Cannot read the objective"),
        ("\0", "Cannot read the objective"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("temperature", [0, 0.0, -0.1, float("nan"), float("inf"), True, "0.05"])
def test_a_temperature_is_a_number_above_zero(temperature):
    with pytest.raises(ConfigError, match="InfoNCE: temperature must be a number"):
        InfoNCE(temperature=temperature)


def test_the_default_configuration_names_a_known_objective():
    from nearfar.config.run import RunConfig

    assert parse(RunConfig().objective).label in [entry.name for entry in catalogue()]
