"""What running averages have in common, and the numbers of LibAUC's own code."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from nearfar.objectives import SOAP, SONG, ISogCLR, SogCLR
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.memory import Memory, Table
from tests.objectives.relations import diagonal, relation, whole
from tests.oracles.cases import Case
from tests.oracles.steps import plain, random_scores, scored, step_of


def waves(rows, columns, number):
    """Numbers that need no generator."""
    places = torch.arange(rows * columns, dtype=torch.float64).reshape(rows, columns)
    return torch.sin(1.7 * places * (number + 1) + 0.9 * number)


LIBAUC = {
    "contrastive": [1.710130831, 1.6781886207, 1.1575635803, 1.1135368721],
    "individual": [1.710130831, 1.5696516464, 1.1071359212, 1.353083363],
    "temperatures": [0.0944948902, 0.0836564694, 0.0571608084, 0.0984803632, 0.0972020544],
    "precision": [0.0, -0.1681777868, -0.0137679693, -0.1015340948],
    "gain": [0.0688971934, 0.0373237624, 0.0382027387, 0.0461005765],
    "gain at the top": [0.0349288787, 0.019071123, 0.0262982809, 0.0273688294],
}
"""What the code of LibAUC 2.0.1 gives for ``waves``, four steps in a row."""


@pytest.mark.parametrize("individual", [False, True])
def test_losses_are_those_of_libaucs_first_version_which_adds_up_two_views(individual):
    """It takes the similarities as they are, has one memory for both views, and adds up where we take the mean."""
    shared = {"temperature": 0.1, "gamma": 0.8, "sides": "both", "subtract_positive": False}
    objective = (ISogCLR(rho=0.3, learning_rate=0.005, **shared) if individual else SogCLR(**shared)).double()
    losses = [
        2 * objective(waves(5, 4, number), waves(5, 4, number + 10), diagonal(5), index=torch.arange(5)).item()
        for number in range(4)
    ]
    assert losses == pytest.approx(LIBAUC["individual" if individual else "contrastive"], abs=1e-9)
    if individual:
        found = objective.memory["logits_0"].values[:5, 0].tolist()
        assert found == pytest.approx(LIBAUC["temperatures"], abs=1e-9)


def from_nothing(objective, scores, known, index):
    """LibAUC's averages of ranks start at 0 and move by gamma at a first visit already; ours take the first value."""
    scored(objective, scores, known, index=index)
    for table in (module for module in objective.modules() if isinstance(module, Table)):
        table.values.zero_()


def test_losses_are_those_of_libaucs_average_precision_apart_from_the_first_visit():
    known, index = relation([[1, None, 1, None, None, None]]), whole([0])
    objective = SOAP(gamma=0.7, similarity="dot").double()
    from_nothing(objective, waves(1, 6, 0), known, index)
    found = [scored(objective, waves(1, 6, number), known, index=index)[0].loss.item() for number in range(4)]
    assert found == pytest.approx(LIBAUC["precision"], abs=1e-9)


@pytest.mark.parametrize("top", [None, 2])
def test_losses_are_those_of_libaucs_ndcg_apart_from_the_first_visit(top):
    known, index = relation([[2, 1, None, None, None, None], [1, 3, None, None, None, None]]), torch.arange(2)
    objective = SONG(gamma=0.7, items=50, top=top, similarity="dot").double()
    from_nothing(objective, waves(2, 6, 0), known, index)
    found = [scored(objective, waves(2, 6, number), known, index=index)[0].loss.item() for number in range(4)]
    assert found == pytest.approx(LIBAUC["gain at the top" if top else "gain"], abs=1e-9)


def remembering():
    return [
        SogCLR(gamma=0.5),
        SogCLR(gamma=0.5, sides="both"),
        ISogCLR(gamma=0.5),
        SOAP(gamma=0.5),
        SONG(gamma=0.5, top=2),
    ]


@pytest.mark.parametrize("objective", remembering(), ids=str)
def test_a_permuted_batch_remembers_the_same(objective):
    one, other = deepcopy(objective).double(), deepcopy(objective).double()
    order = torch.tensor([2, 0, 3, 1])
    for number in range(3):
        now = step_of(Case(torch.empty(4, 4), torch.empty(4, 4), diagonal(4)), number)
        turned = relation(
            [[1 if i == j else None for j in range(4)] for i in range(4)],
            anchor_ids=order.tolist(),
            candidate_ids=(100 + order).tolist(),
        )
        first = one(*now.vectors, now.known, index=torch.arange(4) + 2)
        second = other(now.anchors[order], now.candidates[order], turned, index=order + 2)
        torch.testing.assert_close(first, second)
    for key, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key])


@pytest.mark.parametrize(
    "objective",
    [plain((Temperature(temperature=0.4),), 0.5), SOAP(gamma=0.5, similarity="dot"), SONG(gamma=0.5, similarity="dot")],
    ids=str,
)
def test_its_gradient_is_that_of_the_terms_with_the_slopes_held_fixed(objective):
    known, index = relation([[1, 2, None, None], [None, None, 1, None]]), torch.arange(2)
    objective = objective.double()
    scored(objective, random_scores(2, 4, 1), known, index=index)
    objective.eval()
    scores = random_scores(2, 4, 2)
    outcome, found = scored(objective, scores, known, index=index)
    (seen,), form = outcome.problems, objective.form.form if hasattr(objective.form, "form") else objective.form
    inner, memory = form.criterion.inner, Memory(dict(objective.memory.items()), "criterion")
    averages = form.criterion._averages(seen, inner.terms(seen), memory)
    slopes = inner.outer(seen, inner.terms(seen), averages, memory.at("inner"))[1].detach()

    def value(moved):
        of = replace(seen, similarity=moved, logits=moved / seen.temperature)
        return (slopes * inner.terms(of).values).sum()

    assert value(scores).item() == pytest.approx(outcome.losses.sum().item(), abs=1e-12)
    moved = scores.clone().requires_grad_()
    assert torch.autograd.gradcheck(value, (moved,))
    torch.testing.assert_close(torch.autograd.grad(value(moved), moved)[0], found)


@pytest.mark.parametrize("objective", remembering(), ids=str)
def test_without_an_index_nothing_is_remembered(objective):
    now = step_of(Case(torch.empty(3, 4), torch.empty(5, 4), diagonal(3, 5)), 1)
    losses = [objective(*now.vectors, now.known, index=whole([-1, -1, -1])) for _ in range(2)]
    assert losses[0].item() == losses[1].item()
    assert all(not module.visits.any() for module in objective.modules() if isinstance(module, Table))
