"""The encoder while it trains: what is refused before it starts, and that everything is taken back in the end."""

import pytest

from nearfar.config.read import read_config
from nearfar.data.load import from_records
from nearfar.encoders.load import load
from nearfar.errors import ConfigError
from nearfar.training.encoder import check_encoder, check_fits, ready
from tests.encoders.models import STATIC, TINY, opened


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("objective=Sum(terms=[InfoNCE, Matryoshka(of=DCL, dims=[17, 4])])", "cuts vectors to 17 dimensions"),
        ("evaluation.truncate=[8, 32]", "evaluation.truncate cuts vectors to 32 dimensions, and this model's have 16"),
        ("model.adapter.rank=2", "A static encoder has no transformer"),
        ("training.compile=true", "no layers to compile"),
    ],
)
def test_what_does_not_fit(setting, message):
    with pytest.raises(ConfigError, match=message):
        check_encoder(opened(STATIC), read_config(None, [setting]))


def test_what_fits():
    settings = ["objective=Matryoshka(of=InfoNCE, dims=[16, 4])", "evaluation.truncate=[16, 8]"]
    check_encoder(opened(STATIC), read_config(None, settings))
    check_encoder(opened(TINY), read_config(None, ["model.adapter.rank=2", "model.adapter.target=[query]"]))


def test_a_budget_below_one_text_is_refused_before_training_comes_to_it():
    rows = [{"query": f"query {place}", "positive": f"document {place} " + "word " * place} for place in range(90)]
    dataset = from_records(rows)
    with pytest.raises(ConfigError, match=r"40 tokens, but one text alone has \d+: 'document 89 word word"):
        check_fits(opened(TINY), dataset, read_config(None, ["batches.at_once=40"]))
    for enough in ("batches.at_once=200", "batches.at_once=1 MiB", "batches.at_once=null"):
        check_fits(opened(TINY), dataset, read_config(None, [enough]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compilers underneath
def test_nothing_is_left_when_training_is_over():
    encoder = load(TINY, device="cpu")
    names = list(encoder.state_dict())
    plain = ready(encoder, read_config())
    assert (plain.record, plain.undo) == ({}, ())
    readied = ready(encoder, read_config(None, ["model.adapter.rank=2", "training.compile=true", "training.dropout=0"]))
    assert readied.record["adapters"].startswith("LoRA of rank 2")
    assert list(encoder.state_dict()) != names
    assert {each.p for each in encoder.modules() if type(each).__name__ == "Dropout"} == {0.0}
    readied.finish()
    assert list(encoder.state_dict()) == names
    assert all(each.requires_grad for each in encoder.parameters())
