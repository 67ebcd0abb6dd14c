"""What every named objective keeps to."""

import pickle
import re
from dataclasses import FrozenInstanceError, fields

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives import NAMED, parse
from tests.objectives.relations import DEGENERATE, diagonal

EVERY = pytest.mark.parametrize("name", NAMED)


def vectors(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 5, generator=generator).requires_grad_() for size in shape]


def variants(kind):
    """The default, and one objective for every other value of a field that takes words."""
    found = [kind()]
    for field in fields(kind):
        found += [kind(**{field.name: word}) for word in getattr(field.type, "__args__", ()) if isinstance(word, str)]
    return found


@EVERY
def test_the_name_is_the_class(name):
    assert NAMED[name].__name__ == name
    assert parse(name) == NAMED[name]()


@EVERY
def test_text_and_back(name):
    for objective in variants(NAMED[name]):
        assert parse(str(objective)) == objective
        assert hash(parse(str(objective))) == hash(objective)


@EVERY
def test_it_says_which_paper_it_comes_from(name):
    assert re.search(r"arXiv \d{4}\.\d{4,5}", NAMED[name].__doc__)


@EVERY
def test_every_field_is_documented(name):
    described = NAMED[name].__doc__.partition("Attributes:")[2]
    assert all(f"{field.name}:" in described for field in fields(NAMED[name]))


@EVERY
def test_it_is_frozen_and_takes_keywords_only(name):
    first = fields(NAMED[name])[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(NAMED[name](), first, 1)
    with pytest.raises(TypeError):
        NAMED[name](1.0)


@EVERY
def test_it_survives_pickling(name):
    for objective in variants(NAMED[name]):
        assert pickle.loads(pickle.dumps(objective)) == objective


@EVERY
def test_an_unknown_field_is_refused_with_the_nearest_one(name):
    first = fields(NAMED[name])[0].name
    with pytest.raises(ConfigError, match=f"Did you mean '{first}'"):
        parse(f"{name}({first}s=1)")


@EVERY
def test_the_same_inputs_give_the_same_loss_and_inputs_stay_as_they_are(name):
    for objective in variants(NAMED[name]):
        inputs = vectors((4, 6))
        before = [each.detach().clone() for each in inputs]
        first, second = objective(*inputs, diagonal(4, 6)), objective(*inputs, diagonal(4, 6))
        assert first.item() == second.item()
        assert all(torch.equal(each.detach(), old) for each, old in zip(inputs, before, strict=True))


@EVERY
def test_the_loss_is_the_mean_of_the_rows_that_count(name):
    known = DEGENERATE["one row without positives"]
    for objective in variants(NAMED[name]):
        inputs = vectors(known.shape)
        losses, kept = objective.rows(*inputs, known)
        assert kept.tolist() == [True, False]
        torch.testing.assert_close(objective(*inputs, known), losses[kept].mean())


@EVERY
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_relations_give_finite_gradients(name, case):
    known = DEGENERATE[case]
    for objective in variants(NAMED[name]):
        inputs = vectors(known.shape)
        # Anomaly detection sees a NaN inside the graph even when a later step hides it.
        with torch.autograd.set_detect_anomaly(True):
            loss = objective(*inputs, known)
            loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(each.grad).all() for each in inputs)


@EVERY
def test_the_order_of_candidates_does_not_matter(name):
    known, order = diagonal(4, 6), torch.tensor([5, 3, 1, 0, 2, 4])
    place = torch.argsort(order)
    shuffled = type(known)(
        **{**vars(known), "columns": place[known.columns], "candidate_ids": known.candidate_ids[order]}
    )
    for objective in variants(NAMED[name]):
        anchors, candidates = vectors(known.shape)
        torch.testing.assert_close(
            objective(anchors, candidates[order], shuffled), objective(anchors, candidates, known)
        )
