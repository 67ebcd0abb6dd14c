"""The moving average of an encoder, and what a step makes of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nearfar import load_model
from nearfar.config.read import read_config
from nearfar.encoders.module import ModuleEncoder
from nearfar.encoders.protocol import Role
from nearfar.engine.momentum import Momentum
from nearfar.engine.step import Step, prepare_step
from nearfar.engine.teachers import taught
from nearfar.objectives import BYOL, ESimCSE, InfoNCE, MoCo, parse
from nearfar.objectives.candidates.queue import EarlierCandidates
from nearfar.training.encoder import ready
from nearfar.types import Batch
from tests import runs
from tests.objectives.relations import relation

WORDS = "abcdefghij"


class Tiny(nn.Module):
    """The mean of letters, a linear layer with dropout, and a running count as a buffer."""

    def __init__(self, dropout=0.0):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.letters = nn.Parameter(torch.randn(len(WORDS), 6, generator=generator))
        self.layer = nn.Linear(6, 5)
        with torch.no_grad():
            self.layer.weight.copy_(torch.randn(5, 6, generator=generator))
            self.layer.bias.zero_()
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, features):
        if self.training:
            self.calls += 1
        return self.layer(self.dropout(features["counts"] @ self.letters))


def tokenise(texts, role):
    counts = [[text.count(letter) / len(text) for letter in WORDS] for text in texts]
    return {"counts": torch.tensor(counts)}


def encoder(dropout=0.0):
    return ModuleEncoder(Tiny(dropout), tokenise)


def batch(number=0):
    turn = WORDS[number:] + WORDS[:number]
    anchors, candidates = ["a" + turn[:3], "b" + turn[2:4]], [turn[4:7], turn[1] + turn[6:9]]
    ids = {"anchor_ids": [10 * number, 10 * number + 1], "candidate_ids": [10 * number + 2, 10 * number + 3]}
    return Batch(anchors, candidates, relation([[1, None], [None, 1]], **ids), torch.tensor([0, 1]))


def step_of(objective, momentum=0.9, dropout=0.0):
    made = encoder(dropout)
    return Step(made, objective.prepare(5), momentum=Momentum(made, momentum))


def move(made):
    """What an optimiser would do."""
    with torch.no_grad():
        for number, weight in enumerate(made.parameters()):
            weight += 0.1 * (number + 1)


@given(momentum=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.999, 1.0]), steps=st.integers(1, 4))
def test_it_is_the_moving_average_of_the_weights(momentum, steps):
    made = encoder()
    follower = Momentum(made, momentum)
    expected = {name: value.detach().clone().double() for name, value in made.named_parameters()}
    start = {name: value.clone() for name, value in follower.encoder.state_dict().items()}
    for _ in range(steps):
        move(made)
        follower.follow(made)
        for name, value in made.named_parameters():
            expected[name] = momentum * expected[name] + (1 - momentum) * value.detach().double()
    for name, value in follower.encoder.named_parameters():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
        if momentum == 1:
            assert torch.equal(value, start[name])
        if momentum == 0:
            assert torch.equal(value, dict(made.named_parameters())[name])


def test_what_does_not_move_stays_to_the_bit():
    made = encoder()
    follower, before = Momentum(made, 0.7), encoder().state_dict()
    for _ in range(50):
        follower.follow(made)
    assert all(torch.equal(value, before[name]) for name, value in follower.encoder.state_dict().items())


def test_it_copies_buffers_trains_nothing_and_stays_in_evaluation_mode():
    made = encoder(dropout=0.5)
    follower = Momentum(made, 1.0)
    nn.ModuleList([follower]).train()
    assert not any(module.training for module in follower.modules())
    assert not any(weight.requires_grad for weight in follower.parameters())
    assert all(weight.requires_grad for weight in made.parameters())
    made.module.calls += 3
    follower.follow(made)
    assert int(follower.encoder.module.calls) == 3
    assert follower.encoder.module.calls is not made.module.calls


def test_keys_and_queue_of_moco_come_from_it_and_carry_no_gradient():
    step = step_of(MoCo(size=4, temperature=1.0))
    step.train()
    kept = step.momentum.encoder
    move(step.encoder)
    known = []
    for number in range(2):
        given_batch = batch(number)
        loss = step(prepare_step(step.encoder, given_batch, 64))
        anchors = nn.functional.normalize(step.encoder(tokenise(given_batch.anchors, None)), dim=1)
        keys = nn.functional.normalize(kept(tokenise(given_batch.candidates, None)), dim=1)
        scores = anchors @ torch.cat([keys, *known]).T
        expected = nn.functional.cross_entropy(scores, torch.arange(2))
        torch.testing.assert_close(loss, expected)
        known.append(keys)
    queue = next(module for module in step.objective.modules() if isinstance(module, EarlierCandidates))
    torch.testing.assert_close(queue.vectors, torch.cat(known))
    loss.backward()
    got = [weight.grad.clone() for weight in step.encoder.parameters()]
    step.encoder.zero_grad()
    expected.backward()  # through the anchors alone
    for one, weight in zip(got, step.encoder.parameters(), strict=True):
        torch.testing.assert_close(one, weight.grad)
    assert all(weight.grad is None for weight in kept.parameters())


def test_esimcse_trains_its_candidates_and_fills_its_queue_without_dropout():
    step = step_of(ESimCSE(size=4), dropout=0.5)
    step.train()
    loss = step(prepare_step(step.encoder, batch(), 64))
    loss.backward()
    queue = next(module for module in step.objective.modules() if isinstance(module, EarlierCandidates))
    keys = nn.functional.normalize(step.momentum.encoder(tokenise(batch().candidates, None)), dim=1)
    torch.testing.assert_close(queue.vectors[:2], keys)
    # Letters of the candidates alone have gradients only if candidates are trained.
    letters = [WORDS.index(letter) for letter in set("".join(batch().candidates)) - set("".join(batch().anchors))]
    assert (step.encoder.module.letters.grad[letters] != 0).any()


def test_the_target_network_of_byol_is_the_moving_average():
    step = step_of(BYOL(hidden=4))
    move(step.encoder)
    sides = [step.encoder(tokenise(texts, None)) for texts in (batch().anchors, batch().candidates)]
    with torch.no_grad():
        guides = [step.momentum.encoder(tokenise(texts, None)) for texts in (batch().anchors, batch().candidates)]
    expected = step.objective(*sides, batch().relation, guide_anchors=guides[0], guide_candidates=guides[1])
    torch.testing.assert_close(step(prepare_step(step.encoder, batch(), 64)), expected)


def test_a_step_without_one_follows_nobody():
    step = Step(encoder(), InfoNCE())
    step.follow()
    assert not [name for name in step.state_dict() if name.startswith("momentum")]


def test_guides_are_the_moving_average_before_the_teacher():
    teacher = {"teacher_anchors": torch.eye(2, 3), "teacher_candidates": torch.ones(4, 3), "index": torch.arange(2)}
    nothing = taught(frozenset(), {"index": torch.arange(2)}, {})
    assert sorted(nothing) == ["index"]
    alone = taught(frozenset({"teacher"}), teacher, {})
    assert sorted(alone) == ["guide_anchors", "guide_candidates", "index", "teacher"]
    assert alone["teacher"].tolist() == [[1.0] * 4] * 2
    both = taught(frozenset({"teacher", "guide_candidates"}), teacher, {"guide_candidates": torch.zeros(4, 5)})
    assert sorted(both) == ["guide_candidates", "index", "teacher"]
    assert both["guide_candidates"].shape == (4, 5)


@pytest.mark.parametrize("momentum", [0.3, 1.0])
def test_it_goes_through_a_checkpoint(momentum):
    step = step_of(MoCo(size=4), momentum)
    move(step.encoder)
    step.follow()
    again = step_of(MoCo(size=4), momentum)
    again.load_state_dict(step.state_dict())
    for number in range(2):
        one, other = (made(prepare_step(made.encoder, batch(number), 64)) for made in (step, again))
        assert one.item() == other.item()


class Counted(Tiny):
    """Counts the texts that it embeds."""

    texts = 0

    def forward(self, features):
        type(self).texts += len(features["counts"])
        return super().forward(features)


@pytest.mark.parametrize(
    ("objective", "trained", "followed"),
    [
        ("MoCo(size=4)", 2, 2),  # anchors by the one, keys by the other
        ("ESimCSE(size=4)", 4, 2),
        ("BYOL(hidden=4)", 4, 4),
        ("Sum(terms=[MoCo(size=4), InfoNCE])", 4, 2),
        ("Transposed(of=MoCo(size=4))", 2, 2),
        ("Sum(terms=[MoCo(size=4), Transposed(of=MoCo(size=4))])", 4, 4),
    ],
)
@pytest.mark.parametrize("tokens", [2, 64])
def test_no_encoder_embeds_what_nobody_looks_at(objective, trained, followed, tokens, monkeypatch):
    class Followed(Counted):
        texts = 0

    made = encoder()
    made.module = Counted()
    step = Step(made, parse(objective).prepare(5), momentum=Momentum(made, 0.9)).train()
    step.momentum.encoder.module.__class__ = Followed
    monkeypatch.setattr(Counted, "texts", 0)
    loss = step(prepare_step(made, batch(), tokens, apart=step.apart))
    assert (Counted.texts, Followed.texts) == (trained, followed)
    together = Step(made, parse(objective).prepare(5), momentum=step.momentum).train()
    expected = together(prepare_step(made, batch(), tokens))
    torch.testing.assert_close(loss, expected)
    found, wanted = (torch.autograd.grad(each, list(made.parameters())) for each in (loss, expected))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("settings", [[], ["model.adapter.rank=2"]])
def test_a_transformer_with_dropout_and_one_with_adapters(tmp_path, settings):
    made = load_model(str(runs.write_bert(tmp_path / "bert", dropout=0.3)))
    ready(made, read_config(None, settings))
    made.train()
    follower, features = Momentum(made, 0.5), made.features(["how to borak", "where dusot"], Role.QUERY)
    before = follower.encoder(features)
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.1
    assert torch.equal(follower.encoder(features), before)  # nothing is shared, and nothing is dropped
    assert not before.requires_grad
    follower.follow(made)
    assert not torch.equal(follower.encoder(features), before)
