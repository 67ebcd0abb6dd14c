"""A step in micro-batches is the step of one padded batch: same loss, same gradient of every parameter."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch

from nearfar.encoders.load import load
from nearfar.encoders.protocol import Role
from nearfar.engine import Step, embed, prepare, prepare_step
from nearfar.objectives import InfoNCE
from nearfar.types import Batch
from tests.encoders.models import MINILM, STATIC, TINY, Counted
from tests.objectives.relations import relation

QUERIES = ["how to sort a list", "cat", "what is the capital of France and where does it lie", "a b c d e f g"]
DOCUMENTS = [
    "use sorted() or list.sort, which sorts in place; both take a key",
    "cat",
    "Paris",
    "letters of the alphabet in order",
    "The Eiffel tower is a tower of wrought iron on the Champ de Mars, named after the engineer Gustave Eiffel, "
    "whose company designed and built it from 1887 to 1889",
]
PROMPTS = {"query": "query: ", "document": "passage: "}


def batch():
    grades = [
        [1, None, None, None, 0],
        [None, None, None, 1, None],
        [None, None, 1, None, 1],
        [None, None, None, 1, None],
    ]
    known = relation(grades, anchor_ids=[1, 2, 3, 4], candidate_ids=[11, 2, 13, 14, 15])
    return Batch(list(QUERIES), list(DOCUMENTS), known)


def gradients(encoder):
    return {name: None if each.grad is None else each.grad.clone() for name, each in encoder.named_parameters()}


def one_padded_batch(encoder, objective):
    """Loss and gradients by hand: each side through sentence-transformers in one go."""
    encoder.zero_grad()
    vectors = []
    for role, texts in ((Role.QUERY, QUERIES), (Role.DOCUMENT, DOCUMENTS)):
        features = encoder.model.preprocess(texts, prompt=encoder.prompt(role), task=role.value)
        vectors.append(encoder.model(features, task=role.value)["sentence_embedding"])
    loss = objective(*vectors, batch().relation)
    loss.backward()
    return loss.item(), gradients(encoder)


@pytest.fixture(params=["plain", "prompts"])
def prompts(request):
    return PROMPTS if request.param == "prompts" else None


@cache
def expected(name, prompted):
    encoder = load(name, prompts=PROMPTS if prompted else None, device="cpu").eval()
    objective = InfoNCE(temperature=0.1, directions="gte")
    return encoder, objective, *one_padded_batch(encoder, objective)


@pytest.mark.parametrize(
    ("name", "prompted", "budget"),
    [(MINILM, True, 24), *product((TINY, STATIC), (False, True), (1, 24, 100_000))],
)
def test_loss_and_gradients_do_not_depend_on_the_budget(name, prompted, budget):
    encoder, objective, loss, expected_gradients = expected(name, prompted)
    encoder.zero_grad()
    step = prepare_step(encoder, batch(), budget)
    found = Step(encoder, objective)(step)
    found.backward()
    assert found.item() == pytest.approx(loss, abs=1e-5)
    for name, gradient in gradients(encoder).items():
        if expected_gradients[name] is None:
            assert gradient is None or not gradient.any(), name
        else:
            torch.testing.assert_close(gradient, expected_gradients[name], atol=1e-5, rtol=1e-4, msg=name)
    if budget == 1:
        assert all(len(each.places) == 1 for each in step.micro_batches)


def test_a_text_on_both_sides_is_embedded_once_when_both_sides_treat_it_alike(prompts):
    encoder = load(TINY, prompts=prompts, device="cpu").eval()
    with Counted(encoder) as counted:
        Step(encoder, InfoNCE())(prepare_step(encoder, batch(), 64))
    distinct = len({*QUERIES, *DOCUMENTS})
    assert counted.rows == (distinct if prompts is None else len(QUERIES) + len(DOCUMENTS))


def test_the_order_of_texts_does_not_change_their_vectors(prompts):
    encoder = load(TINY, prompts=prompts, device="cpu").eval()
    order = np.random.default_rng(0).permutation(len(DOCUMENTS))
    device = torch.device("cpu")
    with torch.no_grad():
        straight = embed(encoder, prepare(encoder, DOCUMENTS, Role.DOCUMENT, 40), "float32", device)
        mixed_texts = [DOCUMENTS[place] for place in order]
        mixed = embed(encoder, prepare(encoder, mixed_texts, Role.DOCUMENT, 40), "float32", device)
    torch.testing.assert_close(mixed, straight[torch.from_numpy(order)], atol=1e-5, rtol=0)


def test_the_gradient_of_a_bfloat16_step_is_close_and_in_single_precision():
    encoder = load(TINY, device="cpu").eval()
    objective = InfoNCE(temperature=0.1)
    loss, exact = one_padded_batch(encoder, objective)
    encoder.zero_grad()
    found = Step(encoder, objective, precision="bfloat16")(prepare_step(encoder, batch(), 64))
    found.backward()
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss, abs=0.05)
    name = "model.0.model.embeddings.word_embeddings.weight"
    both = torch.stack([gradients(encoder)[name].flatten(), exact[name].flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.98


def test_batch_order_and_places_of_a_step():
    encoder = load(STATIC, device="cpu")
    step = prepare_step(encoder, batch(), 10)
    places = np.concatenate([each.places for each in step.micro_batches])
    assert sorted(places.tolist()) == list(range(8))
    assert step.anchors.tolist() == [0, 1, 2, 3]
    assert step.candidates.tolist() == [4, 1, 5, 6, 7]
    assert step.to("cpu").micro_batches is step.micro_batches
