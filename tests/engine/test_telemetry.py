"""What is read off a step is right, bounded, and changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.engine import telemetry
from nearfar.engine.telemetry import Observation, effective_number, observe
from nearfar.objectives import InfoNCE, SigLIP, Transposed, VICReg, parse
from nearfar.objectives.form import Sum
from nearfar.objectives.part import Outcome
from nearfar.objectives.problem import Window, make_problem
from nearfar.types import Origin
from tests.conformance.inputs import DIM, ENTRIES, USUAL, companions, vectors
from tests.objectives.relations import relation

GUIDE = (Path(__file__).parents[2] / "docs/guide/telemetry.md").read_text(encoding="utf-8")


def seen_in(scores, relevance, ignored=()):
    """What is seen of an outcome whose first problem has the given similarities."""
    scores = torch.tensor(scores)
    rows, columns = scores.shape
    hidden = torch.zeros(rows, columns, dtype=torch.bool)
    for pair in ignored:
        hidden[pair] = True
    problem = make_problem("Test", torch.ones(rows, 2), torch.ones(columns, 2), torch.tensor(relevance), ignored=hidden)
    problem = replace(problem, similarity=scores, logits=scores, temperature=torch.ones(()))
    return observe(Outcome(torch.zeros(rows), torch.ones(rows, dtype=torch.bool), (problem,)))


def test_accuracy_and_ranks_by_hand():
    seen = seen_in(
        [
            [0.9, 0.5, 0.1, 1.0],  # found: what is above it is ignored
            [0.6, 0.3, 0.2, 0.1],  # second
            [0.4, 0.1, 0.4, 0.0],  # ties with a negative: second
            [0.1, 0.2, 0.3, 0.4],  # nothing to find
            [0.7, 0.9, 0.2, 0.1],  # two positives, the better one first
            [0.5, 0.5, 0.5, 0.5],  # nothing to go wrong with
        ],
        [
            [1, 0, 0, 0],
            [0, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 1],
        ],
        ignored=[(0, 3)],
    )
    assert seen["accuracy"] == pytest.approx(2 / 4)
    assert seen["reciprocal_rank"] == pytest.approx((1 + 1 / 2 + 1 / 2 + 1) / 4)
    assert seen["negatives"] == pytest.approx((2 + 3 + 3 + 2) / 4)
    assert seen["ignored"] == pytest.approx(1 / 24)
    assert seen["anchors"] == 6


def test_vectors_that_are_all_alike_find_nothing():
    assert seen_in([[0.5, 0.5], [0.5, 0.5]], [[1, 0], [0, 1]])["accuracy"] == 0


def test_a_column_that_nobody_may_use_is_not_ignored():
    seen = seen_in([[0.5, 0.4, 0.0], [0.5, 0.6, 0.0]], [[1, 0, 0], [0, 1, 0]], ignored=[(0, 2), (1, 2), (0, 1)])
    assert seen["ignored"] == pytest.approx(1 / 4)


def test_quantiles_by_hand():
    positives = [0.0, 0.25, 0.5, 0.75, 1.0]
    scores, relevance = torch.full((5, 6), -0.5), torch.zeros(5, 6)
    scores[:, 5] = torch.tensor([-0.9, -0.8, -0.7, -0.6, -0.5])
    for row, value in enumerate(positives):
        scores[row, row], relevance[row, row] = value, 1
    seen = seen_in(scores.tolist(), relevance.tolist())
    found = [seen[f"similarity/positive/q{percent:02d}"] for percent in (5, 25, 50, 75, 95)]
    assert found == pytest.approx([0.05, 0.25, 0.5, 0.75, 0.95])
    assert seen["similarity/negative/q05"] == pytest.approx(
        -0.78, abs=1e-6
    )  # of 25 values, between the 2nd and the 3rd
    assert seen["similarity/negative/q50"] == pytest.approx(-0.5)


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_equal_weights_count_all_and_a_single_one_counts_one(count, scale):
    equal, single = torch.full((1, count), scale), torch.zeros(1, count)
    single[0, count // 2] = scale
    assert effective_number(equal).tolist() == pytest.approx([count])
    assert effective_number(single).tolist() == pytest.approx([1])
    halves = torch.cat([equal, torch.zeros(1, 7)], dim=1)
    assert effective_number(halves).tolist() == pytest.approx([count])


@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.02, 0.1, 1.0]))
def test_gradients_of_a_softmax_follow_its_probabilities(seed, temperature):
    """The slope of -log p at the similarity of a column is its probability, less 1 for the positive, over t."""
    generator = torch.Generator().manual_seed(seed)
    anchors, candidates = (
        torch.randn(size, 4, generator=generator, dtype=torch.float64).requires_grad_() for size in (3, 5)
    )
    judged = [[1, None, None, 0, None], [None, 1, None, None, None], [None, None, 1, None, 0]]
    known = relation(judged, origins=[Origin.IN_BATCH] * 3 + [Origin.HARD] * 2)
    seen = observe(InfoNCE(temperature=temperature).outcome(anchors, candidates, known))
    unit = [side.detach() / side.detach().norm(dim=1, keepdim=True) for side in (anchors, candidates)]
    shares = torch.softmax(unit[0] @ unit[1].T / temperature, dim=1)
    missing = 1 - shares.diagonal()
    pushed = shares - torch.diag_embed(shares.diagonal())[:, :3] @ torch.eye(3, 5, dtype=torch.float64)
    total = 2 * missing.sum()
    assert seen["gradient/positive/in_batch"] == pytest.approx(float(missing.sum() / total))
    assert seen["gradient/positive/hard"] == 0
    assert seen["gradient/negative/in_batch"] == pytest.approx(float(pushed[:, :3].sum() / total))
    assert seen["gradient/negative/hard"] == pytest.approx(float(pushed[:, 3:].sum() / total))
    assert "gradient/negative/queue" not in seen
    numbers = [float(row.sum() ** 2 / row.square().sum()) for row in pushed]
    assert seen["effective_negatives"] == pytest.approx(sum(numbers) / 3)
    assert seen["temperature"] == pytest.approx(temperature)
    assert seen["active"] == 1


def test_both_ends_of_the_effective_number_in_an_objective():
    anchors = torch.eye(4, 8).requires_grad_()
    known = relation([[1 if row == column else None for column in range(4)] for row in range(4)])
    uniform = observe(InfoNCE(temperature=0.1).outcome(anchors, torch.eye(4, 8), known))
    assert uniform["effective_negatives"] == pytest.approx(3)
    near = torch.eye(4, 8) + 0.9 * torch.eye(4, 8).roll(1, dims=0)
    sharp = observe(InfoNCE(temperature=0.01).outcome(anchors, near, known))
    assert sharp["effective_negatives"] == pytest.approx(1)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_objective_is_seen_and_left_as_it_was(name):
    """Read in a backward pass that comes by, or asked for before it: the same numbers. Neither leaves a trace."""
    results = []
    for way in ("not at all", "by the way", "asked"):
        objective = ENTRIES[name]().prepare(DIM, 8)
        torch.manual_seed(0)
        for seed in (0, 1):  # the second one finds a memory
            inputs = vectors(USUAL.shape, seed)
            outcome = objective.outcome(*inputs, USUAL, **companions(objective, USUAL, seed))
            observation = Observation(objective)
            if way == "by the way":
                observation.see(outcome)
            seen = observe(outcome, objective) if way == "asked" else {}
            outcome.loss.backward()
            seen = observation.values() if way == "by the way" else seen
        state = {key: value.clone() for key, value in objective.state_dict().items()}
        slopes = [each.grad for each in (*inputs, *objective.parameters())]
        results.append((seen, outcome.loss.detach(), slopes, state, torch.get_rng_state()))
    (_, *plain), (by_the_way, *hooked), (asked, *graph) = results
    for other in (hooked, graph):
        torch.testing.assert_close(other, plain, rtol=0, atol=0)
    assert by_the_way == asked
    assert {"accuracy", "anchors", "similarity/positive/q50"} <= asked.keys()
    pulled = sum(value for key, value in asked.items() if key.startswith("gradient/"))
    assert pulled == pytest.approx(1) or "effective_negatives" not in asked
    for key in asked:
        group, slash, last = key.rpartition("/")
        assert f"`{'term' if key.startswith('term/') else group or last}{slash}" in GUIDE, key
        assert not group.startswith("gradient") or f"`{last}`" in GUIDE, key


def test_an_objective_that_looks_at_vectors_has_no_slopes_and_cosines_for_similarities():
    anchors, candidates = vectors(USUAL.shape)
    seen = observe(VICReg().outcome(anchors, candidates, USUAL))
    assert not [name for name in seen if name.startswith("gradient") or name in ("temperature", "effective_negatives")]
    cosines = torch.cosine_similarity(anchors.detach()[:, None], candidates.detach()[None], dim=2)
    positive = [(0, 0), (1, 1), (2, 2), (2, 5), (3, 0), (3, 3)]
    middle = torch.quantile(torch.stack([cosines[pair] for pair in positive]), 0.5)
    assert seen["similarity/positive/q50"] == pytest.approx(float(middle))
    assert [name for name in seen if name.startswith("term/")] == [
        "term/0 PairDistance",
        "term/1 VarianceHinge",
        "term/2 Covariance",
    ]


def test_vectors_that_nobody_has_computed_are_similar_to_nothing():
    """A step may leave out the side that an objective does not look at; its vectors are 0 then."""
    anchors, candidates = vectors(USUAL.shape)
    seen = observe(VICReg().outcome(anchors, 0 * candidates, USUAL))
    assert "accuracy" not in seen
    assert not [name for name in seen if name.startswith("similarity")]


def test_a_trained_temperature_and_bias_are_shown_as_they_are():
    objective = SigLIP(temperature=0.2, bias=-3.0)
    inputs = vectors(USUAL.shape)
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.1)
    objective(*inputs, USUAL).backward()
    optimizer.step()
    seen = observe(objective.outcome(*inputs, USUAL), objective)
    numbers = {name: value.detach() for name, value in objective.named_parameters()}
    scale, bias = (next(value for name, value in numbers.items() if name.endswith(end)) for end in ("scale", "bias"))
    assert seen["temperature"] == pytest.approx(float(torch.exp(-scale)))
    assert seen["temperature"] != pytest.approx(0.2)
    assert seen["bias"] == pytest.approx(float(bias))


def test_the_first_comparison_is_shown_and_slopes_are_those_of_all():
    inputs = vectors(USUAL.shape)
    one = observe(InfoNCE(temperature=0.1).outcome(*inputs, USUAL))
    both = parse(str(Sum(terms=(InfoNCE(temperature=0.1), Transposed(of=InfoNCE(temperature=0.5))))))
    seen = observe(both.outcome(*inputs, USUAL))
    for name in ("accuracy", "temperature", "negatives", "effective_negatives", "similarity/negative/q75"):
        assert seen[name] == one[name]
    assert seen["gradient/negative/hard"] < one["gradient/negative/hard"]
    assert len([name for name in seen if name.startswith("term/")]) == 2


def test_large_steps_are_looked_at_in_part(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    anchors = torch.randn(240, DIM, generator=generator)
    candidates = (anchors + 0.8 * torch.randn(240, DIM, generator=generator)).requires_grad_()
    outcome = InfoNCE(temperature=0.1).outcome(anchors, candidates, torch.eye(240))
    whole = observe(outcome)
    monkeypatch.setattr(telemetry, "_ROWS", 60)
    monkeypatch.setattr(telemetry, "_ENTRIES", 5000)
    part = observe(outcome)
    assert part["anchors"] == 240
    assert part["negatives"] == 239
    assert part["accuracy"] * 60 == pytest.approx(round(part["accuracy"] * 60))
    for name in ("accuracy", "similarity/negative/q50", "similarity/positive/q25", "effective_negatives"):
        assert part[name] == pytest.approx(whole[name], rel=0.35, abs=0.05)
        assert part[name] != whole[name]


def test_tiles_are_seen_one_by_one():
    """Rows in three parts, each with its backward pass: what the whole says, since every row is looked at."""
    generator = torch.Generator().manual_seed(0)
    anchors, candidates = (torch.randn(9, DIM, generator=generator) for _ in range(2))
    relevance = torch.eye(9)
    both = Sum(terms=(InfoNCE(), InfoNCE(temperature=0.5)), weights=(1.0, 3.0))
    expected = observe(parse(str(both)).outcome(anchors, candidates.requires_grad_(), relevance))
    observation = Observation()
    for path, objective in (("terms_0", InfoNCE()), ("terms_1", InfoNCE(temperature=0.5))):
        for start in (0, 3, 6):
            rows = slice(start, start + 3)
            outcome = objective.outcome(anchors[rows], candidates, relevance[rows])
            observation.see_tile(path, replace(outcome.problems[0], window=Window(start, 9)))
            outcome.losses.sum().backward()
    observation.weigh("terms_0", torch.tensor(1 / 9))
    observation.weigh("terms_1", torch.tensor(3 / 9))
    observation.weigh("terms_2", torch.tensor(0.0))
    found = observation.values()
    assert "anchors" not in found
    whole = Outcome(torch.zeros(9), torch.ones(9, dtype=torch.bool), terms={"part": torch.tensor(2.0)})
    observation.see(whole)
    terms = {name: value for name, value in expected.items() if name.startswith("term/")}
    assert observation.values() == {**found, "anchors": 9, "term/part": 2}
    assert {**found, "anchors": 9, **terms} == pytest.approx(expected)


def test_what_is_not_there_is_left_out():
    nothing = Outcome(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
    assert observe(nothing) == {"anchors": 0}
    anchors, candidates = vectors(USUAL.shape)
    broken = observe(InfoNCE().outcome(anchors * float("nan"), candidates, USUAL))
    assert "accuracy" not in broken
    assert all(value == value for value in broken.values())
