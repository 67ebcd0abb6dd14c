import pytest

from nearfar.config.comparison import ComparisonConfig, arms, measure_of, read_comparison, summary_of
from nearfar.config.read import write_yaml
from nearfar.errors import ConfigError


def config(**changes):
    tree = {
        "base": {"start": "base-model", "training": {"epochs": 1, "learning_rate": 0.1}, "batches": {"size": 8}},
        "systems": {"plain": {}, "tried": {"objective": "DCL(temperature=0.1)", "training": {"epochs": 7}}},
        "data": {"one": "one.jsonl", "two": {"path": "two", "split": "dev", "training": {"epochs": 3}}},
    }
    return ComparisonConfig.model_validate(tree | changes)


def test_what_is_special_wins():
    """Base, then data set, then system."""
    found = arms(config())
    assert list(found) == [("plain", "one"), ("tried", "one"), ("plain", "two"), ("tried", "two")]
    epochs = {key: arm.options.training.epochs for key, arm in found.items()}
    assert epochs == {("plain", "one"): 1, ("tried", "one"): 7, ("plain", "two"): 3, ("tried", "two"): 7}
    arm = found["tried", "two"]
    assert (arm.kind, arm.model, arm.path, arm.split) == ("recipe", "base-model", "two", "dev")
    assert (arm.options.training.learning_rate, arm.options.batches.size) == (0.1, 8)
    assert arm.seeded(5).training.seed == 5
    assert arm.seeded(None) == arm.options


def test_kinds_of_systems():
    systems = {
        "words": "bm25",
        "parts": {"ready": "bm25", "evaluation": {"bm25": "identifiers"}},
        "e5": {"ready": "folder", "model": {"prompts": {"query": "query: "}}},
        "other": {"start": "elsewhere"},
    }
    given = config(systems=systems)
    found = arms(given)
    assert [(found[name, "one"].kind, found[name, "one"].model) for name in systems] == [
        ("bm25", None),
        ("bm25", None),
        ("model", "folder"),
        ("recipe", "elsewhere"),
    ]
    assert [summary_of(given, name) for name in systems] == [
        "bm25",
        "bm25, evaluation.bm25=identifiers",
        "folder, model.prompts.query=query: ",
        "start=elsewhere",
    ]
    assert summary_of(config(), "plain") == "as base"


def test_seeds_and_the_measure():
    assert config().seeds == (0, 1, 2, 3, 4)
    assert config(seeds=2).seeds == (0, 1)
    assert config(seeds=[7, 3]).seeds == (7, 3)
    assert measure_of(config()) == "nDCG@10"
    measures = {"start": "m", "evaluation": {"measures": ["RR@10", "AP"]}}
    assert measure_of(config(base=measures)) == "RR@10"
    assert measure_of(config(base=measures, measure="AP")) == "AP"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "plan"}, "no system 'plan'. Did you mean 'plain'"),
        ({"base": {}}, "system 'plain' is a recipe, and nothing says which model it trains"),
        ({"base": {"start": "m", "trainin": {}}}, "base: unknown key 'trainin'. Did you mean 'training'"),
        ({"base": {"start": "m", "training": {"epoch": 1}}}, "unknown key 'training.epoch'. Did you mean 'epochs'"),
        ({"systems": {"a": {"model": "folder"}}}, "system 'a': model holds settings .* with ready"),
        ({"systems": {"a": {"ready": "b", "start": "c"}}}, "has ready and start"),
        ({"systems": {"a": {"ready": 3}}}, "ready must be a text, got 3"),
        ({"systems": {"a": {}, "b": {"start": "base-model"}}}, "'a' and 'b' have the same settings"),
        ({"systems": {"a": {"evaluation": {"truncate": [8]}}}}, "truncate is not for comparisons"),
        ({"systems": {"a": {"evaluation": {"measures": "AP"}}}}, "'nDCG@10' decides, and system 'a' on 'one'"),
        ({"systems": {"a\nb": {}}}, "name of a system is one line"),
        ({"data": {"one": {"splt": "dev"}}}, "data set 'one' needs a path"),
        ({"data": {"one": {"path": "x", "splt": "dev"}}}, "data set 'one': unknown key 'splt'. Did you mean 'split'"),
        ({"seeds": [1, 2, 1]}, "seeds has 1 twice"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ConfigError, match=message):
        arms(config(**changes))


def test_files(tmp_path):
    path = tmp_path / "trial.yaml"
    path.write_text(write_yaml(config()), encoding="utf-8")
    read = read_comparison(path, ["seeds=2", "data.one=here.jsonl", "systems.more.objective=Focal(temperature=0.1)"])
    assert (read.name, read.seeds, read.data["one"]) == ("trial", (0, 1), "here.jsonl")
    assert list(read.systems) == ["plain", "tried", "more"]
    path.write_text("systems:\n  a: bm25\n  b: bm25\n  a: other\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"trial.yaml, line 4: 'a' is given twice"):
        read_comparison(path)
    for text, message in (
        ("systems: [a, b]\n", "systems: input should be a valid dictionary"),
        ("seeds: 0\n", "seeds: at least 1 is needed, got 0"),
        ("system: {}\n", "unknown key 'system'. Did you mean 'systems'"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            read_comparison(path)
