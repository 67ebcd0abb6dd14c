"""Texts that are embedded twice for want of memory: the gradient is that of texts embedded once, dropout included.

To the bit, for models that use each weight once in a pass; others may differ in rounding.
"""

import pytest
import torch
from transformers import TrainingArguments

from nearfar.config.run import AdapterOptions
from nearfar.encoders.adapter import add_adapters
from nearfar.encoders.load import load
from nearfar.engine import Step, prepare_step
from nearfar.engine.budget import Budget
from nearfar.errors import ConfigError
from nearfar.objectives import parse
from nearfar.training.arguments import checkpoint_activations
from tests.encoders.models import STATIC, TINY, Counted
from tests.equivalence.test_microbatch import batch

OBJECTIVES = ("InfoNCE(temperature=0.1, directions=gte)", "MoCHi(queue=6, hardest=4, mixed=2)", "VICReg", "MW")


def step(name, text, at_once, precision="float32", tokens=12, change=lambda encoder: None):
    """Loss and gradients of a step in training mode, from the same random state, and the random state after it."""
    encoder = load(name, device="cpu").train()
    change(encoder)
    budget = Budget.parse(at_once)
    module = Step(encoder, parse(text).prepare(128 if name == TINY else 16), precision, budget)
    torch.manual_seed(3)
    with Counted(encoder) as counted:
        loss = module(prepare_step(encoder, batch(), tokens, budget))
        after = torch.get_rng_state()
        loss.backward()
    slopes = {key: each.grad for key, each in module.named_parameters() if each.grad is not None}
    return loss.detach(), slopes, after, counted.calls


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("text", OBJECTIVES)
@pytest.mark.parametrize("at_once", [40, 80, "1.5 MiB"])
def test_the_budget_changes_nothing(text, at_once, precision):
    plain = step(TINY, text, None, precision)
    found = step(TINY, text, at_once, precision)
    assert torch.equal(found[0], plain[0])
    assert found[1].keys() == plain[1].keys()
    for name, slope in plain[1].items():
        torch.testing.assert_close(found[1][name], slope, rtol=0, atol=0, msg=name)
    assert torch.equal(found[2], plain[2])
    assert found[3] > plain[3]  # some were embedded twice


def with_adapters(encoder):
    add_adapters(encoder, AdapterOptions(rank=2, dropout=0.3), seed=1)
    for name, weight in encoder.named_parameters():
        if "lora_B" in name:  # else the gradient of the other factor is 0
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(2))


def with_layers_computed_again(encoder):
    arguments = TrainingArguments(use_cpu=True, report_to="none", gradient_checkpointing=True)
    checkpoint_activations(encoder, arguments)


@pytest.mark.parametrize("change", [with_adapters, with_layers_computed_again])
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of names that the Trainer is about to change
def test_the_budget_changes_nothing_of_other_ways_to_train(change):
    plain, found = (step(TINY, OBJECTIVES[0], at_once, change=change) for at_once in (None, 60))
    assert torch.equal(found[0], plain[0])
    assert found[1].keys() == plain[1].keys()
    assert all("lora" in name for name in plain[1]) == (change is with_adapters)
    for name, slope in plain[1].items():
        torch.testing.assert_close(found[1][name], slope, rtol=0, atol=0, msg=name)
    assert torch.equal(found[2], plain[2])


def test_without_anything_to_train_nothing_is_embedded_twice():
    found = step(TINY, "CLIP", 40, change=lambda encoder: encoder.requires_grad_(False))
    assert found[3] == step(TINY, "CLIP", None)[3]


def test_what_fits_is_embedded_once_and_as_much_as_fits_is_kept():
    calls = {at_once: step(TINY, OBJECTIVES[0], at_once)[3] for at_once in (None, 40, 60, 90, 100_000, "500 MiB")}
    assert calls[None] == calls[100_000] == calls["500 MiB"]
    assert calls[40] == 2 * calls[None]
    assert calls[40] > calls[60] > calls[90] > calls[None]


def test_a_static_encoder_takes_a_budget_too():
    assert torch.equal(step(STATIC, OBJECTIVES[0], 60)[0], step(STATIC, OBJECTIVES[0], None)[0])


def test_without_gradient_nothing_is_embedded_twice():
    encoder = load(TINY, device="cpu").eval()
    module = Step(encoder, parse("InfoNCE"), budget=Budget(tokens=40))
    with Counted(encoder) as counted, torch.no_grad():
        module(prepare_step(encoder, batch(), 12, Budget(tokens=40)))
    assert counted.rows == 8


def test_a_budget_below_one_text_is_refused_with_the_text():
    with pytest.raises(ConfigError, match=r"24 tokens, but one text alone has 38: 'The Eiffel .* model\.max_length"):
        step(TINY, "InfoNCE", 24)


def test_a_budget_below_one_pass_is_refused_with_the_size_of_a_pass():
    with pytest.raises(ConfigError, match=r"batches\.at_once is 0 MiB, .* padded tokens in . texts, take .* MiB"):
        step(TINY, "InfoNCE", "0.1 MiB")


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        (None, Budget()),
        (16_384, Budget(tokens=16_384)),
        ("16384", Budget(tokens=16_384)),
        ("800 MiB", Budget(bytes=800 * 2**20)),
        ("1.5GB", Budget(bytes=1_500_000_000)),
    ],
)
def test_how_a_budget_is_written(text, budget):
    assert Budget.parse(text) == budget
    assert budget.limited == (text is not None)


@pytest.mark.parametrize("text", ["much", "0", 0, -5, "10 miles", "0 MiB", ""])
def test_how_it_is_not(text):
    with pytest.raises(ConfigError, match=r"batches\.at_once is .*tokens above 0, such as 16384, or memory"):
        Budget.parse(text)
