"""The settings of the data section."""

import pytest
from pydantic import ValidationError

from nearfar.config.data import DataOptions


def test_every_field_is_described_and_the_options_are_frozen():
    assert all(field.description for field in DataOptions.model_fields.values())
    with pytest.raises(ValidationError, match="frozen"):
        DataOptions().seed = 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"columns": {"querry": "a"}}, "There is no column role 'querry'. Did you mean 'query'"),
        ({"dev": 0.5, "test": 0.5}, "together must be less than 1"),
        ({"dev": -0.1}, "greater than or equal to 0"),
        ({"positive_from": 0}, "greater than 0"),
        ({"layout": "beer"}, "'auto', 'beir', 'pairs'"),
        ({"colums": {}}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings(values, message):
    with pytest.raises(ValidationError, match=message):
        DataOptions(**values)
