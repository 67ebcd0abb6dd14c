import pytest

from nearfar.config.read import read_config
from nearfar.errors import ConfigError, ResourceError
from nearfar.events import Silent
from nearfar.training import job
from nearfar.training.folder import RunFolder
from nearfar.training.inputs import check_inputs
from nearfar.training.job import learning_rate
from tests import runs
from tests.data.memory import make

SPLITS = {"train": [(0, 0, 1)], "dev": [(1, 1, 1)], "test": [(2, 2, 1)]}


def data():
    return make(["a", "b", "c"], ["d", "e", "f"], SPLITS)


@pytest.mark.parametrize("setting", ["objective=Nothing()", "dev.measure=nDGC@10", "evaluation.measures=[RRR]"])
def test_wrong_settings_are_found_before_anything_is_written(setting):
    check_inputs(data(), read_config())
    with pytest.raises(ConfigError):
        check_inputs(data(), read_config(None, [setting]))


def test_static_vectors_take_larger_steps(tmp_path):
    from nearfar import load_model

    static = load_model(runs.static(runs.write_tokenizer(tmp_path / "tokenizer.json")))
    bert = load_model(str(runs.write_bert(tmp_path / "bert")))
    assert (learning_rate(read_config(), static), learning_rate(read_config(), bert)) == (2e-2, 5e-5)
    assert learning_rate(read_config(None, ["training.learning_rate=1e-4"]), static) == 1e-4


def test_a_model_that_cannot_be_written(tmp_path, monkeypatch):
    from nearfar import load_model

    encoder = load_model(runs.static(runs.write_tokenizer(tmp_path / "tokenizer.json")))

    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoder, "save", full)
    folder = RunFolder(tmp_path / "run")
    run = job.Run(dataset=data(), encoder=encoder, config=read_config(), folder=folder, sink=Silent())
    with pytest.raises(ResourceError, match=r"Cannot write the model .*: .*No space left on device. .* --resume"):
        job._save_model(run)
    assert not folder.model.exists()
