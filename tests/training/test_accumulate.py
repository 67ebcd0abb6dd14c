"""Several batches in a step of the optimiser: their losses and gradients are averaged, their negatives stay apart."""

import pytest
import torch

from nearfar import api
from nearfar.training.job import Stopped
from tests import runs
from tests.gloo import run_ranks
from tests.training.test_ranks import Seen, assert_equal, losses, train

FAST = ("training.epochs=1", "dev.evaluations=2", "evaluation.resamples=200", "evaluation.measures=nDCG@10")
STILL = ("training.learning_rate=1e-12", "training.warmup=0", "training.schedule=constant")
"""The weights stay where they are, so that losses of different steps can be compared."""


@pytest.fixture(scope="module")
def triples(tmp_path_factory):
    """Pairs with a hard negative each, which is no positive of another."""
    rows = list(runs.sentences(300))
    documents = [document for _, document in rows]
    given = (
        {"query": query, "positive": document, "negative": f"{documents[(place + 150) % len(rows)]} of"}
        for place, (query, document) in enumerate(rows)
    )
    return runs.write_lines(tmp_path_factory.mktemp("triples") / "triples.jsonl", given)


def test_of_own_negatives_alone_accumulated_is_plain(triples, tokenizer, tmp_path):
    settings = (*FAST, "objective=Counterfactual")
    model = runs.static(tokenizer)
    plain, accumulated = tmp_path / "plain", tmp_path / "accumulated"
    api.train(triples, model=model, out=plain, settings=(*settings, "batches.size=16"))
    api.train(triples, model=model, out=accumulated, settings=(*settings, "batches.size=8", "batches.accumulate=2"))
    assert runs.record(plain)["steps"] == 15  # 240 pairs
    assert_equal(accumulated, plain, 1e-6, 1e-5)


def test_a_step_is_the_mean_of_its_batches_and_the_last_may_have_fewer(pairs, tokenizer, tmp_path):
    settings = (*FAST, *STILL, "batches.size=24", "dev.evaluations=1")
    model = runs.static(tokenizer)
    api.train(pairs, model=model, out=tmp_path / "plain", settings=settings)
    api.train(pairs, model=model, out=tmp_path / "four", settings=(*settings, "batches.accumulate=4"))
    batches = losses(tmp_path / "plain")
    assert len(batches) == 10
    expected = [sum(batches[:4]) / 4, sum(batches[4:8]) / 4, sum(batches[8:]) / 2]
    torch.testing.assert_close(losses(tmp_path / "four"), expected, rtol=0, atol=1e-6)
    assert runs.record(tmp_path / "four")["steps"] == 3


def test_accumulated_negatives_are_not_those_of_a_larger_batch(pairs, tokenizer, tmp_path):
    settings = (*FAST, *STILL, "dev.evaluations=1")
    model = runs.static(tokenizer)
    api.train(pairs, model=model, out=tmp_path / "large", settings=(*settings, "batches.size=48"))
    api.train(
        pairs, model=model, out=tmp_path / "parts", settings=(*settings, "batches.size=12", "batches.accumulate=4")
    )
    large, parts = losses(tmp_path / "large"), losses(tmp_path / "parts")
    assert len(large) == len(parts) == 5
    assert all(one > other + 0.5 for one, other in zip(large, parts, strict=True))  # about log 4 more


def test_stopped_in_the_middle_of_an_epoch_it_goes_on(pairs, tokenizer, tmp_path):
    settings = (*FAST, "training.epochs=2", "batches.size=24", "batches.accumulate=4")
    model = runs.static(tokenizer)
    api.train(pairs, model=model, out=tmp_path / "whole", settings=settings)
    with pytest.raises(Stopped, match="after step 4"):
        api.train(pairs, model=model, out=tmp_path / "run", settings=settings, sink=Seen(4))
    api.train(pairs, model=model, out=tmp_path / "run", settings=settings, resume=True)
    assert_equal(tmp_path / "run", tmp_path / "whole", 0, 0)


def test_accumulated_on_two_processes_is_accumulated_on_one(pairs, tokenizer, tmp_path):
    settings = (*FAST, "batches.size=24", "batches.accumulate=3")
    model = runs.static(tokenizer)
    run_ranks(2, train, pairs, tmp_path / "two", model, settings)
    train(pairs, tmp_path / "one", model, settings)
    assert_equal(tmp_path / "two", tmp_path / "one", 1e-6, 1e-5)
