"""Configurations from files and from the command line, and back."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nearfar.config.data import DataOptions
from nearfar.config.read import build, explain, override, read_config, write_yaml
from nearfar.config.run import EvaluationOptions, ModelOptions, RunConfig, TrainingOptions
from nearfar.errors import ConfigError

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=20)
POSITIVE = st.floats(min_value=1e-12, max_value=1e12)
CONFIGS = st.builds(
    RunConfig,
    data=st.builds(
        DataOptions,
        columns=st.dictionaries(st.sampled_from(["query", "positive", "text"]), TEXTS),
        positive_from=st.none() | POSITIVE,
        group=st.none() | TEXTS,
    ),
    model=st.builds(ModelOptions, prompts=st.dictionaries(TEXTS, TEXTS, max_size=2), device=st.none() | TEXTS),
    objective=TEXTS,
    training=st.builds(TrainingOptions, learning_rate=st.none() | POSITIVE, steps=st.none() | st.integers(1, 10**9)),
    evaluation=st.builds(EvaluationOptions, measures=st.lists(TEXTS, max_size=3).map(tuple)),
)


@given(config=CONFIGS)
def test_yaml_and_back(config):
    assert build(RunConfig, yaml.safe_load(write_yaml(config)), source="test") == config
    assert build(RunConfig, yaml.safe_load(explain(config)), source="test") == config
    assert override(config, []) == config


def test_a_written_file_reads_back(tmp_path):
    config = override(RunConfig(), ["training.seed=3", "model.prompts.query=query: "])
    path = tmp_path / "run.yaml"
    path.write_text(write_yaml(config), encoding="utf-8")
    assert read_config(path) == config


def test_every_key_is_explained():
    lines = explain(RunConfig()).splitlines()
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("#"):
            assert lines[number - 1].lstrip().startswith("# "), line


def test_defaults_then_file_then_overrides(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("training:\n  epochs: 5\n  learning_rate: 1e-4\nbatches: {size: 8}\n", encoding="utf-8")
    config = read_config(str(path), ["training.epochs=7", "dev.patience=9"])
    assert config.training.epochs == 7
    assert config.training.learning_rate == 1e-4
    assert config.batches.size == 8
    assert config.dev.patience == 9
    assert config.training.seed == TrainingOptions().seed
    assert read_config() == RunConfig()


def test_an_empty_file_gives_the_defaults(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n", encoding="utf-8")
    assert read_config(path) == RunConfig()


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        ("training.learning_rate=1e-4", ("training", "learning_rate"), 1e-4),
        ("training.learning_rate= 2E-5 ", ("training", "learning_rate"), 2e-5),
        ("training.learning_rate=null", ("training", "learning_rate"), None),
        ("training.seed=1e3", ("training", "seed"), 1000),
        ("training.schedule=cosine", ("training", "schedule"), "cosine"),
        (
            "objective=InfoNCE(temperature=0.02, directions=gte)",
            ("objective",),
            "InfoNCE(temperature=0.02, directions=gte)",
        ),
        ("model.prompts.query=query: ", ("model", "prompts", "query"), "query: "),
        ("model.prompts.query=", ("model", "prompts", "query"), ""),
        ("model.prompts={query: 'q: ', document: ''}", ("model", "prompts"), {"query": "q: ", "document": ""}),
        ("evaluation.measures=[nDCG@10, R@5]", ("evaluation", "measures"), ("nDCG@10", "R@5")),
        ("data.group='2'", ("data", "group"), "2"),
        ("data.columns.query='1e5'", ("data", "columns", "query"), "1e5"),
        ("data.group=a=b", ("data", "group"), "a=b"),
        ("data.group=[", ("data", "group"), "["),
        ("data.group=#tag", ("data", "group"), "#tag"),
        ("data.group=2024-01-01", ("data", "group"), "2024-01-01"),
        ("data.group=- a", ("data", "group"), "- a"),
        ("model.prompts.query=Represent this text ", ("model", "prompts", "query"), "Represent this text "),
    ],
)
def test_what_an_override_means(text, place, value):
    found = read_config(None, [text])
    for key in place:
        found = found[key] if isinstance(found, dict) else getattr(found, key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainig.epochs=1", r"--set: unknown key 'trainig'. Did you mean 'training'\? Known here: data, model"),
        ("training.epoch=1", r"unknown key 'training.epoch'. Did you mean 'epochs'\? Known here: epochs, steps"),
        ("data.colums.query=a", r"unknown key 'data.colums'. Did you mean 'columns'"),
        ("data.columns.querry=a", r"data.columns: there is no column role 'querry'. Did you mean 'query'"),
        ("training.epochs=many", r"training.epochs: input should be a valid number.*, got 'many'"),
        ("training.epochs=0", "training.epochs: input should be greater than 0, got 0"),
        ("training.epochs=inf", "training.epochs: input should be a finite number, got inf"),
        ("training.learning_rate=nan", "training.learning_rate: .*, got nan"),
        ("data.positive_from=.inf", "data.positive_from: input should be a finite number"),
        ("training.seed=1.5", "training.seed: .*integer.*, got 1.5"),
        ("batches.size=1", "batches.size: input should be greater than or equal to 2, got 1"),
        ("training.schedule=liner", "training.schedule: input should be 'linear', 'cosine' or 'constant', got 'liner'"),
        ("training=3", "training: .*, got 3"),
        ("objective.temperature.deep=1", "objective: input should be a valid string"),
        ("training.epochs", "--set takes key=value, such as training.epochs=1; got 'training.epochs'"),
        ("=3", "--set takes key=value"),
        ("dev.evaluations=[1]", r"dev.evaluations: .*, got \[1\]"),
    ],
)
def test_overrides_that_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        read_config(None, [text])


def test_every_mistake_is_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        read_config(None, ["training.epochs=0", "bathces.size=2"])
    assert "training.epochs" in str(caught.value)
    assert "Did you mean 'batches'" in str(caught.value)


def test_an_override_below_a_value_is_refused(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("training: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--set training.epochs=1: training holds the value 3, not further keys"):
        read_config(path, ["training.epochs=1"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"training: [unclosed", "run.yaml is not YAML: .*line 1, column"),
        (b"\xff\xfe\x00", "run.yaml is not YAML"),
        (b"- a\n- b\n", "must hold keys and values at its top, it holds a list"),
        (b"just words", "must hold keys and values at its top, it holds a str"),
        (b"training:\n  epoch: 1\n", r"run.yaml: unknown key 'training.epoch'. Did you mean 'epochs'"),
        (b"training: three\n", "run.yaml: training: .*, got 'three'"),
        (b"1: 2\n", "run.yaml: .*1"),
    ],
)
def test_files_that_are_refused(tmp_path, content, message):
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path):
    (tmp_path / "train.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"There is no configuration file .*trian.yaml. Did you mean 'train.yaml'"):
        read_config(tmp_path / "trian.yaml")
    with pytest.raises(ConfigError, match="There is no configuration file"):
        read_config(tmp_path / "nowhere" / "run.yaml")


def test_an_override_of_a_finished_configuration():
    config = override(RunConfig(), ["training.epochs=1"])
    assert config.training.epochs == 1
    assert RunConfig().training.epochs == 3
    with pytest.raises(ConfigError, match="Did you mean 'epochs'"):
        override(config, ["training.epoch=1"])
