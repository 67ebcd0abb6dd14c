"""Mixtures: their draws, their checkpoint, and what is refused."""

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives import MoCHi, parse
from nearfar.objectives.logits.extrapolation import ExtrapolatePositives
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.problem import make_problem
from nearfar.objectives.synthesis.interpolate import InterpolateNegatives
from nearfar.objectives.synthesis.labels import MixAroundLabels, MixTowardsLabels
from nearfar.objectives.synthesis.mix import Mix, MixList
from nearfar.objectives.synthesis.perturb import Perturb
from nearfar.objectives.weights.label_gap import LabelGap
from nearfar.types import Origin
from tests.objectives.relations import diagonal


def sides(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 8, generator=generator) for size in (4, 6)]


def test_each_call_draws_anew_and_a_checkpoint_goes_on():
    objective = MoCHi(temperature=0.5)
    first, second = objective(*sides(), diagonal(4, 6)), objective(*sides(), diagonal(4, 6))
    assert first.item() != second.item()
    again = parse(str(objective))
    again.load_state_dict(objective.state_dict())
    assert again(*sides(), diagonal(4, 6)).item() == objective(*sides(), diagonal(4, 6)).item()


def test_in_evaluation_mode_the_draws_stand_still():
    objective = MoCHi(temperature=0.5).eval()
    assert objective(*sides(), diagonal(4, 6)).item() == objective(*sides(), diagonal(4, 6)).item()


def test_two_seeds_make_different_mixtures():
    one, other = (MoCHi(seed=seed)(*sides(), diagonal(4, 6)).item() for seed in (0, 5))
    assert one != other


def test_mixtures_begin_after_the_warm_up():
    objective = MoCHi(warm_up=2)
    sizes = [len(objective.outcome(*sides(), diagonal(4, 6)).problems[0].candidates) for _ in range(4)]
    assert sizes == [6, 6, 6 + 4 * 40, 6 + 4 * 40]


def test_mixtures_are_not_mixed_again():
    part, memory = Mix(count=5), Memory({"": Draws(0)})
    origin = torch.tensor([0, 0, 0, 0, int(Origin.MIXED), 0])
    problem = make_problem("test", *sides(), diagonal(4, 6), origin=origin)
    first, second, _ = part.draw(problem, memory.of(Draws).generator())
    assert not ((first == 4) | (second == 4)).any()


def test_the_grade_of_a_mixture_is_the_share_of_the_anchor():
    problem = make_problem("test", *sides(), diagonal(4, 6))
    part = Mix(first="anchor", count=3)
    share = part.draw(problem, Draws(0).generator())[2]
    after = part.apply(problem, Memory({"": Draws(0)}))
    torch.testing.assert_close(after.grades[0, 6:9], share[0])
    assert (Mix(count=3).apply(problem, Memory({"": Draws(0)})).grades[:, 6:] == 0).all()


def test_without_detach_gradients_reach_the_sources():
    anchors, candidates = (side.requires_grad_() for side in sides())
    for detach in (True, False):
        problem = make_problem("test", anchors, candidates, diagonal(4, 6))
        made = Mix(detach=detach).apply(problem, Memory({"": Draws(0)})).candidates[6:]
        slope = torch.autograd.grad(made.sum(), candidates)[0]
        assert bool((slope != 0).any()) == (not detach)


def test_what_is_drawn_does_not_depend_on_precision():
    single, double = (make_problem("test", *(side.to(kind) for side in sides()), diagonal(4, 6)) for kind in KINDS)
    one, other = (Mix().draw(problem, Draws(3).generator()) for problem in (single, double))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


KINDS = (torch.float32, torch.float64)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        (Mix, "first", "second", "first must be negative or anchor or positive or either"),
        (Mix, "pool", "none", "pool must be all or own"),
        (Mix, "hardest", 0, "hardest must be a whole number of at least 1"),
        (Mix, "count", -1, "count must be a whole number of at least 0"),
        (Mix, "concentration", (1.0,), "concentration must be a list of two numbers above 0"),
        (Mix, "concentration", (1.0, 0.0), "concentration must be a list of two numbers above 0"),
        (Mix, "ceiling", 1.5, "ceiling must be a number above 0 and at most 1"),
        (Mix, "shared", 1, "shared must be true or false"),
        (Mix, "warm_up", 1.5, "warm_up must be a whole number of at least 0"),
        (MixList, "temperature", 0, "temperature must be a number above 0"),
        (MixList, "detach", "no", "detach must be true or false"),
        (InterpolateNegatives, "concentration", 2, "concentration must be a list of two numbers above 0"),
        (InterpolateNegatives, "replace", "no", "replace must be true or false"),
        (MixTowardsLabels, "count", "all", "count must be a whole number"),
        (MixAroundLabels, "window", 0, "window must be a number above 0"),
        (MixAroundLabels, "renormalise", None, "renormalise must be true or false"),
        (Perturb, "of", "anchors", "of must be negatives or positives"),
        (Perturb, "epsilon", -0.1, "epsilon must be a number of at least 0"),
        (LabelGap, "weighting", "some", "weighting must be growing or shrinking or none"),
        (ExtrapolatePositives, "renormalise", 0, "renormalise must be true or false"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(kind, field, value, message):
    with pytest.raises(ConfigError, match=f"{kind.__name__}: {message}"):
        kind(**{field: value})
