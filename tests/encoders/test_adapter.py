"""Low-rank adapters: what they train, that they start at nothing, and what is left of them in the end."""

import importlib.util

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar.config.run import AdapterOptions
from nearfar.encoders.adapter import add_adapters, check_adapters, transformers_of
from nearfar.encoders.fingerprint import encoder_hash
from nearfar.encoders.load import load
from nearfar.encoders.module import ModuleEncoder
from nearfar.encoders.protocol import Role
from nearfar.encoders.quiet import quiet
from nearfar.errors import ConfigError
from tests import runs
from tests.encoders.models import STATIC

TEXTS = ["how to borak calim", "where dusot of ferak", "haven jezop"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return runs.write_bert(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture
def encoder(folder):
    return load(str(folder), device="cpu")


def trained(encoder, steps=3):
    """Some steps on whatever has gradients."""
    optimiser = torch.optim.AdamW([each for each in encoder.parameters() if each.requires_grad], lr=1e-2)
    encoder.train()
    for _ in range(steps):
        optimiser.zero_grad()
        encoder(encoder.features(TEXTS, Role.QUERY))[:, 0].sum().backward()
        optimiser.step()
    encoder.eval()
    return encoder.encode_queries(TEXTS)


def weights_of(encoder):
    return {name: value.clone() for name, value in encoder.state_dict().items()}


def test_fresh_adapters_change_nothing(encoder):
    before = encoder.encode_queries(TEXTS)
    add_adapters(encoder, AdapterOptions(rank=4), seed=0)
    assert np.array_equal(encoder.encode_queries(TEXTS), before)


def test_only_adapters_are_trained(encoder):
    before = weights_of(encoder)
    adapters = add_adapters(encoder, AdapterOptions(rank=4), seed=0)
    moving = [name for name, each in encoder.named_parameters() if each.requires_grad]
    assert moving
    assert all(".lora_A." in name or ".lora_B." in name for name in moving)
    assert not any("pooler" in name for name in moving)
    # Two layers of 4 x (32, 32), (32, 64) and (64, 32), each with two factors of rank 4.
    assert sum(encoder.get_parameter(name).numel() for name in moving) == 2 * 4 * (4 * 64 + 2 * 96)
    trained(encoder)
    after = {name.replace(".base_layer", ""): value for name, value in encoder.state_dict().items()}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert adapters.summary == (
        "LoRA of rank 4 and alpha 32 on all linear layers, 3,584 trained numbers beside 21,536 frozen ones, added to "
        "the weights"
    )


def test_merged_adapters_leave_a_model_like_any_other(encoder, tmp_path):
    before = weights_of(encoder)
    adapters = add_adapters(encoder, AdapterOptions(rank=4), seed=0)
    with_adapters = trained(encoder)
    adapters.finish()
    merged = encoder.encode_queries(TEXTS)
    np.testing.assert_allclose(merged, with_adapters, atol=1e-5)
    assert encoder.state_dict().keys() == before.keys()
    assert all(each.requires_grad for each in encoder.parameters())
    encoder.save(tmp_path / "model")
    with quiet():
        opened = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert np.array_equal(opened.encode(TEXTS), merged)
    assert encoder_hash(load(str(tmp_path / "model"), device="cpu")) == encoder_hash(encoder)
    trained(encoder)  # as a whole again


def test_kept_adapters_are_all_that_is_saved(encoder, folder, tmp_path):
    adapters = add_adapters(encoder, AdapterOptions(rank=4, merge=False), seed=0)
    trained(encoder)
    adapters.finish()
    kept = encoder.encode_queries(TEXTS)
    encoder.save(tmp_path / "model")
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= files
    assert "model.safetensors" not in files
    with quiet():
        opened = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert np.array_equal(opened.encode(TEXTS), kept)
    again = load(str(tmp_path / "model"), device="cpu")
    assert encoder_hash(again) == encoder_hash(encoder)
    with pytest.raises(ConfigError, match="has adapters already"):
        check_adapters(again, AdapterOptions(rank=4))


def test_the_base_of_kept_adapters_is_found_from_everywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    encoder = load(folder.name, device="cpu")
    add_adapters(encoder, AdapterOptions(rank=2, merge=False), seed=0)
    (model,) = transformers_of(encoder)
    assert model.peft_config["default"].base_model_name_or_path == str(folder)


def test_a_seed_decides_where_they_start(folder):
    starts = []
    for seed, before in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(before)
        encoder = load(str(folder), device="cpu")
        state = torch.random.get_rng_state()
        add_adapters(encoder, AdapterOptions(rank=2), seed=seed)
        assert torch.equal(torch.random.get_rng_state(), state)
        starts.append(torch.cat([each.flatten() for each in encoder.parameters() if each.requires_grad]))
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


@pytest.mark.parametrize("target", [("query", "value"), ("attention.self.query", "attention.self.value")])
def test_some_layers_by_name(encoder, target):
    add_adapters(encoder, AdapterOptions(rank=4, target=target, dropout=0.5), seed=0)
    moving = [name for name, each in encoder.named_parameters() if each.requires_grad]
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in moving} == {"query", "value"}
    assert len(moving) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            AdapterOptions(rank=4, target=("qery",)),
            r"no linear layer is named 'qery'. Did you mean 'query'\? The names end in dense, key, query, value\.",
        ),
        (AdapterOptions(rank=4, target=("query", "layer")), "no linear layer is named 'layer'"),
    ],
)
def test_layers_that_are_not_there(encoder, options, message):
    before = weights_of(encoder)
    with pytest.raises(ConfigError, match=message):
        add_adapters(encoder, options, seed=0)
    assert all(each.requires_grad for each in encoder.parameters())
    assert encoder.state_dict().keys() == before.keys()


def test_encoders_without_a_transformer():
    check_adapters(load(STATIC, device="cpu"), AdapterOptions())
    with pytest.raises(ConfigError, match="A static encoder has no transformer that adapters could be put into"):
        check_adapters(load(STATIC, device="cpu"), AdapterOptions(rank=4))
    own = ModuleEncoder(torch.nn.Linear(2, 2), lambda texts, role: {})
    with pytest.raises(ConfigError, match="A module of your own has no transformer"):
        add_adapters(own, AdapterOptions(rank=4), seed=0)


def test_without_the_package(encoder, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("nearfar.encoders.adapter.find_spec", lambda name: None if name == "peft" else found(name))
    with pytest.raises(ConfigError, match=r"needs the package peft: pip install 'nearfar\[peft\]'"):
        check_adapters(encoder, AdapterOptions(rank=4))
