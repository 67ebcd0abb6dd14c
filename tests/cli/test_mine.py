"""``nearfar mine`` as a user runs it: what it writes and says, what it refuses, and training on what it gives."""

import json

import numpy as np
import pyarrow.parquet as parquet
import pytest

from nearfar import api
from nearfar.data.load import load
from nearfar.errors import ConfigError, DataError, ResourceError
from tests import runs

OUTPUT = (
    "candidates.parquet",
    "negatives.parquet",
    "positives.parquet",
    "made.parquet",
    "account.json",
    "examples.json",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    runs.write_pairs(folder / "pairs.jsonl")
    return folder, folder / "pairs.jsonl", runs.static(runs.write_tokenizer(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def mined(place):
    folder, data, model = place
    arguments = {"model": model, "settings": ["mining.filters=[]", "mining.select=Top(count=3)"], "workers": 1}
    return api.mine(data, out=folder / "mined", **arguments), arguments


def test_the_command_says_what_became_of_candidates(place, capfd):
    folder, data, model = place
    out = folder / "by-command"
    sources = "mining.sources=[BM25(depth=20), Random(depth=5)]"
    assert runs.nearfar("mine", data, "--model", model, "--out", out, "--workers", "1", "--set", sources) == 0
    said = capfd.readouterr().out
    for word in ("proposed", "positive", "kept", str(out / "negatives.parquet"), f"nearfar train {out}"):
        assert word in said
    assert (out / "report.html").is_file()
    assert json.loads((out / "run.json").read_text())["state"] == "finished"


def test_what_is_written(mined, place):
    result, _ = mined
    for name in OUTPUT:
        assert (result.folder / name).is_file(), name
    account = json.loads((result.folder / "account.json").read_text())
    assert account == result.account
    negatives = parquet.read_table(result.negatives)
    assert len(negatives) == account["kept"] == 3 * account["queries"]
    assert result.candidates.is_file()
    assert result.report.is_file()


def test_the_same_job_elsewhere_gives_the_same_bytes(mined, place):
    folder, data, _ = place
    result, arguments = mined
    again = api.mine(data, out=folder / "again", **{**arguments, "workers": 2})
    for name in OUTPUT:
        assert (again.folder / name).read_bytes() == (result.folder / name).read_bytes(), name


def test_an_encoder_in_memory_gives_the_same(mined, place):
    from nearfar import load_model

    folder, data, model = place
    result, arguments = mined
    own = api.mine(data, out=folder / "own", **{**arguments, "model": load_model(model, device="cpu"), "workers": None})
    for name in OUTPUT[1:]:  # the first is stamped with the precision of the encoder as it was given
        assert (own.folder / name).read_bytes() == (result.folder / name).read_bytes(), name
    with pytest.raises(ConfigError, match="which other processes cannot open"):
        api.mine(data, out=folder / "own2", **{**arguments, "model": load_model(model, device="cpu"), "workers": 2})


def test_a_finished_job_answers_at_once_and_a_used_folder_is_refused(mined, place, monkeypatch):
    _, data, _ = place
    result, arguments = mined
    with pytest.raises(ResourceError, match="already holds a finished run"):
        api.mine(data, out=result.folder, **arguments)
    monkeypatch.setattr("nearfar.api.opening.load_data", lambda *given: pytest.fail("the data was read"))
    again = api.mine(data, out=result.folder, resume=True, **arguments)
    assert again.account == result.account
    other = {**arguments, "settings": ["mining.select=Top(count=1)", "mining.filters=[]"]}
    with pytest.raises(ConfigError, match=r"mining\.select: Top\(count=3\) -> Top\(count=1\)"):
        api.mine(data, out=result.folder, resume=True, **other)


def test_the_folder_is_data_for_training(mined, place):
    folder, _, model = place
    result, _ = mined
    dataset = load(result.folder)
    assert len(dataset.mined.query) == result.account["kept"]
    out = folder / "trained"
    trained = api.train(result.folder, model=model, out=out, settings=[*runs.FAST, "training.epochs=1"])
    assert trained.scores["systems"]["tuned"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("mining.filters=Percnt", r"Unknown filter 'Percnt'\. Did you mean 'Percent'"),
        ("mining.sources=Dense(deep=3)", r"Dense has no field 'deep'\. Did you mean 'depth'"),
        ("mining.select=Top(count=0)", "count must be a whole number above 0"),
        ("mining.filters=Judge", "goes by the score 'judge', which nobody gives"),
        ("mining.sources=Dense(index=HSNW)", r"HSNW.*Did you mean 'HNSW'"),
        ("mining.scorers={judge: LanguageModel(model=x)}", None),
        ("mining.filter=Percent", r"unknown key 'mining\.filter'\. Did you mean 'filters'"),
    ],
)
def test_wrong_settings(place, setting, message, tmp_path):
    _, data, model = place
    if message is None:  # nobody asks for that score, so nobody misses the server
        assert api.mine(data, model=model, out=tmp_path / "out", settings=[setting], workers=1).account["kept"]
        return
    with pytest.raises(ConfigError, match=message):
        api.mine(data, model=model, out=tmp_path / "out", settings=[setting], workers=1)


def test_a_judge_without_a_server(place, tmp_path):
    _, data, model = place
    settings = ["mining.scorers={judge: LanguageModel(model=small)}", "mining.filters=Judge"]
    with pytest.raises(ConfigError, match=r"'small' has no server\. .*--judge-url"):
        api.mine(data, model=model, out=tmp_path / "out", settings=settings, workers=1)


def test_a_threshold_that_drops_everything(place, tmp_path):
    _, data, model = place
    settings = ["mining.filters=Absolute(at_most=-2.0)"]
    with pytest.raises(DataError, match=r"No query keeps a negative\..*Absolute\(at_most=-2\.0\) dropped .*would drop"):
        api.mine(data, model=model, out=tmp_path / "out", settings=settings, workers=1)


def test_a_judge_that_answers_everything_the_same(place, tmp_path):
    """All scores are equal: that is said, not hidden in an empty result."""

    class Same:
        similarity = "dot"
        fingerprint = "same"

        def encode_queries(self, texts, sink=None):
            return np.ones((len(texts), 2), dtype=np.float32)

        encode_documents = encode_queries

    with pytest.raises(DataError, match="the same for all of them, so it tells nothing"):
        api.mine(place[1], model=Same(), out=tmp_path / "out")
