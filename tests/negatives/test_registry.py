"""All parts by name."""

import pytest

from nearfar.config.mining import MiningOptions
from nearfar.negatives import registry
from nearfar.negatives.registry import METHODS, described

READ = {
    "sources": registry.parse_source,
    "filters": registry.parse_filter,
    "window": registry.parse_filter,
    "relabel": registry.parse_relabel,
    "select": registry.parse_selection,
    "weights": registry.parse_weight,
}


@pytest.mark.parametrize("name", METHODS)
def test_published_methods_are_settings_that_can_be_read(name):
    _, settings = METHODS[name]
    assert set(settings) <= set(MiningOptions.model_fields)
    for setting, text in settings.items():
        assert str(READ[setting](text)) == text


def test_every_kind_has_parts():
    assert [kind for kind, known in described().items() if known] == list(described())


def test_the_defaults_can_be_read():
    options = MiningOptions()
    assert [str(registry.parse_source(text)) for text in options.sources] == list(options.sources)
    assert [str(registry.parse_filter(text)) for text in options.filters] == list(options.filters)
    assert str(registry.parse_selection(options.select)) == options.select


def test_settings_of_a_part():
    settings = registry.FILTERS["Absolute"].settings
    assert settings == {"at_most": ..., "by": "teacher", "unscored": "drop"}
    assert registry.FILTERS["Absolute"].example == "Absolute(at_most=0.8)"
    assert registry.SELECTIONS["Padded"].example == "Padded(selection=Top(count=4))"
