"""A step on two or three ranks is the step of one process: loss, every gradient, and what is remembered."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nearfar.encoders.module import ModuleEncoder
from nearfar.engine import Step, prepare_step
from nearfar.engine.budget import Budget
from nearfar.engine.ranks import Ranks
from nearfar.objectives import parse
from nearfar.types import Batch, Origin
from tests.conformance.inputs import ENTRIES, companions
from tests.gloo import run_ranks
from tests.objectives.relations import relation

WIDTH = 6
QUERIES = ["sort a list", "cat", "capital of France, and where it lies", "letters", "tower", "a dog"]
DOCUMENTS = [
    "use sorted() or list.sort; both take a key",
    "cat",
    "Paris",
    "alphabet",
    "Eiffel, 1889",
    "dogs",
    "no",
    "x",
]
KNOWN = relation(
    [
        [1, None, None, None, 0, None, None, None],
        [None, None, None, 2, None, None, None, 0],
        [None, None, 1, None, 0, None, 1, None],
        [1, None, None, 1, None, None, None, None],
        [None, None, None, None, 1, None, None, None],
        [None, None, 1, None, None, 1, None, None],
    ],
    anchor_ids=[1, 2, 3, 4, 5, 6],
    candidate_ids=[11, 2, 13, 14, 15, 16, 17, 18],
    origins=[Origin.IN_BATCH] * 6 + [Origin.HARD] * 2,
)
"""Several positives, ragged hard negatives, and a text on both sides; 13 texts, which neither 2 nor 3 divides."""


class Letters(nn.Module):
    """The sum of the vectors of a text's letters, behind a layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(128, WIDTH, padding_idx=0)
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, features):
        return self.layer(self.table(features["letters"]).sum(1)).tanh()


def letters(texts, role):
    width = max(len(text) for text in texts)
    return {"letters": torch.tensor([[ord(c) % 127 + 1 for c in text] + [0] * (width - len(text)) for text in texts])}


def steps(text, scores=10_000, budget=None, wrapped=False):
    """Two steps on the ranks that there are: losses, the gradients that training would see, and buffers."""
    ranks = Ranks.current()
    torch.manual_seed(1)
    objective = parse(text).prepare(WIDTH, 20).double().train()
    encoder = ModuleEncoder(Letters().double(), letters, length=len)
    encoder.way = lambda role: 0  # a text on both sides is one text
    step = Step(encoder, objective, budget=Budget.parse(budget), scores=scores)
    model = DistributedDataParallel(step, find_unused_parameters=True, broadcast_buffers=False) if wrapped else step
    found = []
    for seed in range(2):
        step.zero_grad()
        beside = companions(objective, KNOWN, dtype=torch.float64, seed=seed)
        prepared = prepare_step(encoder, Batch(QUERIES, DOCUMENTS, KNOWN), 40, Budget.parse(budget), ranks)
        prepared.inputs.update(beside)
        loss = model(prepared)
        if loss.requires_grad:
            loss.backward()
        if not wrapped:
            for parameter in step.parameters():  # as a data-parallel wrapper does
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                ranks.add_up(parameter.grad)
                parameter.grad /= ranks.world
        slopes = {name: each.grad.tolist() for name, each in step.named_parameters() if each.grad is not None}
        buffers = {name: each.tolist() for name, each in step.named_buffers()}
        found.append((float(loss.detach()), slopes, buffers))
    return found


def many(texts, options=None):
    return [steps(text, **(options or {})) for text in texts]


def assert_alike(found, expected):
    for (loss, slopes, buffers), (other, others, buffers_there) in zip(found, expected, strict=True):
        assert loss == pytest.approx(other, rel=1e-9, abs=1e-9, nan_ok=True)
        assert buffers.keys() == buffers_there.keys()
        for names, values in ((others, slopes), (buffers_there, buffers)):
            for name, value in names.items():
                found_there = torch.tensor(values.get(name, 0.0), dtype=torch.float64)
                wanted = torch.tensor(value, dtype=torch.float64)
                torch.testing.assert_close(
                    found_there.expand_as(wanted), wanted, rtol=1e-6, atol=1e-7, equal_nan=True, msg=name
                )


NAMES = list(ENTRIES)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("part", range(4))
def test_every_objective_is_the_same_on_several_ranks(world, part):
    names = NAMES[part::4]
    expected = many(names)
    for results in run_ranks(world, many, names):
        for name, found, wanted in zip(names, results, expected, strict=True):
            try:
                assert_alike(found, wanted)
            except AssertionError as error:
                raise AssertionError(f"{name} on {world} ranks: {error}") from error


SOME = [
    "InfoNCE(directions=symmetric)",
    "CLIP",
    "MW",
    "SigLIP",
    "XBM(size=5)",
    "MoCHi(queue=6, hardest=4, mixed=2, mixed_with_query=2)",
    "ISogCLR",
    "VICReg",
    "MultiHead(heads=2, hidden=4)",
    "Matryoshka(of=InfoNCE, dims=[6, 3])",
]


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize(
    "options",
    [{"wrapped": True}, {"scores": 10}, {"scores": 10, "wrapped": True}, {"budget": 60, "wrapped": True}],
    ids=["wrapped", "tiled", "tiled and wrapped", "embedded twice and wrapped"],
)
def test_tiles_wrappers_and_budgets_on_several_ranks(world, options):
    expected = many(SOME)
    for results in run_ranks(world, many, SOME, options):
        for text, found, wanted in zip(SOME, results, expected, strict=True):
            try:
                assert_alike(found, wanted)
            except AssertionError as error:
                raise AssertionError(f"{text} on {world} ranks with {options}: {error}") from error


def test_a_rank_without_texts_waits_for_nobody():
    batch = Batch(["a"], ["b"], relation([[1]]))
    encoder = ModuleEncoder(Letters(), letters, length=len)
    shares = [prepare_step(encoder, batch, 40, ranks=Ranks(rank, 3)) for rank in range(3)]
    assert [sum(len(each.places) for each in share.micro_batches) for share in shares] == [1, 1, 1]
    assert Ranks(0, 3).sizes(2) == [1, 1, 0]
    assert {tuple(share.anchors) + tuple(share.candidates) for share in shares} == {(0, 1)}
