"""Training on a processor with our dropout and attention, for models that know nothing of them."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from nearfar.encoders import processor
from nearfar.encoders.dropout import set_dropout
from nearfar.encoders.load import load
from nearfar.encoders.processor import quick_on_processor
from nearfar.encoders.protocol import Role
from tests.encoders.models import TINY

TEXTS = ["a cat sat on the mat", "dogs", "what is a very long question about something else entirely"]


class Spy:
    """Counts calls of a function and passes them on."""

    def __init__(self, monkeypatch, name):
        self.calls, self.function = 0, getattr(processor, name)
        monkeypatch.setattr(processor, name, self)

    def __call__(self, *arguments):
        self.calls += 1
        return self.function(*arguments)


@pytest.fixture
def encoder():
    found = load(TINY, device="cpu")
    set_dropout(found, 0.1)
    return found.train()


def test_a_model_in_training_takes_ours_and_only_then(encoder, monkeypatch):
    drops, attentions = Spy(monkeypatch, "dropped"), Spy(monkeypatch, "attend")
    features = encoder.features(TEXTS, Role.QUERY)
    encoder(features)
    # Two layers: one attention and two dropouts each, and one dropout after the token table.
    assert (drops.calls, attentions.calls) == (5, 2)
    with torch.no_grad():
        encoder(features)
    encoder.eval()(features)
    set_dropout(encoder.train(), 0.0)
    encoder(features)
    assert (drops.calls, attentions.calls) == (5, 2)
    functional.dropout(torch.ones(4), 0.5, True)
    assert drops.calls == 5


def test_vectors_vary_as_with_pytorch(encoder):
    features = encoder.features([TEXTS[0]] * 400, Role.QUERY)
    ours = encoder(features).detach()
    with torch.no_grad():  # leaves the model to PyTorch
        theirs = encoder(features)
    error = ((ours.var(dim=0) + theirs.var(dim=0)) / 400).sqrt()
    assert ((ours.mean(dim=0) - theirs.mean(dim=0)) / error).abs().max() < 5
    torch.testing.assert_close(ours.var(dim=0).mean(), theirs.var(dim=0).mean(), rtol=0.1, atol=0)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_a_checkpoint_and_a_state_repeat_a_pass(encoder, precision):
    features = encoder.features(TEXTS, Role.QUERY)

    def gradients(embed):
        torch.manual_seed(3)
        encoder.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision is not None):
            vectors = embed(features)
        vectors.float().square().sum().backward()
        return [parameter.grad.clone() for parameter in encoder.parameters() if parameter.grad is not None]

    plain = gradients(encoder)
    for again in (gradients(encoder), gradients(lambda given: checkpoint(encoder, given, use_reentrant=False))):
        assert len(plain) == len(again) > 0
        assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))


def test_bfloat16_without_dropout_is_what_it_was(encoder):
    set_dropout(encoder, 0.0)
    features = encoder.features(TEXTS, Role.QUERY)
    with torch.autocast("cpu", torch.bfloat16):
        ours = encoder(features)
        with torch.no_grad():
            theirs = encoder(features)
    torch.testing.assert_close(ours.float(), theirs.float(), atol=2e-2, rtol=0)
    assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("mask", [None, torch.tensor([[True, False]]), torch.tensor([[0.5, -1.0]])])
def test_bfloat16_without_dropout_takes_any_mask(mask):
    query = torch.randn(1, 2, 3, 4, dtype=torch.bfloat16)
    key = torch.randn(1, 2, 2, 4, dtype=torch.bfloat16)
    mask = mask if mask is None or mask.dtype == torch.bool else mask.bfloat16()
    wanted = functional.scaled_dot_product_attention(query, key, key, mask)
    with quick_on_processor(nn.Linear(1, 1)):
        found = functional.scaled_dot_product_attention(query, key, key, mask)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, wanted, atol=2e-2, rtol=0)


def test_nothing_of_it_is_saved(encoder, tmp_path):
    names = list(encoder.state_dict())
    encoder(encoder.features(TEXTS, Role.QUERY)).sum().backward()
    encoder.save(tmp_path / "model")
    assert list(encoder.state_dict()) == names
    assert names == list(load(str(tmp_path / "model"), device="cpu").state_dict())
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    assert not [name for name in config if "attn_implementation" in name]
    assert config["hidden_dropout_prob"] == load(TINY, device="cpu").model[0].auto_model.config.hidden_dropout_prob


@pytest.mark.parametrize(
    "options",
    [
        {"attn_mask": torch.tensor([[True, False], [False, False]])},
        {"enable_gqa": True},
        {"is_causal": True},
    ],
)
def test_calls_that_we_do_not_take_over_still_work(options):
    query = torch.ones(1, 2, 2, 3)
    key = torch.ones(1, 1, 2, 3) if "enable_gqa" in options else query
    with quick_on_processor(nn.Linear(1, 1)):
        found = functional.scaled_dot_product_attention(query, key, key, dropout_p=0.5, **options)
        blind = functional.dropout(torch.ones(3, dtype=torch.float64), 0.5)
    assert found.shape == (1, 2, 2, 3)
    assert found.isfinite().all()
    assert blind.dtype == torch.float64


def test_a_module_that_is_not_trained_is_left_alone():
    frozen = nn.Linear(1, 1).eval()
    for module in (frozen, nn.Identity(), nn.Linear(1, 1, device="meta")):
        with quick_on_processor(module):
            assert not torch.overrides._get_current_function_mode_stack()
    with quick_on_processor(nn.Linear(1, 1)):
        assert len(torch.overrides._get_current_function_mode_stack()) == 1
