"""A step that gives no finite numbers: the run stops, keeps the batch, and names the rows."""

import json
import re

import pytest
import torch
from torch import nn

from nearfar import api
from nearfar.encoders.module import ModuleEncoder
from nearfar.errors import DataError
from nearfar.training.checkpoints import COMPLETE
from tests.data.memory import make

QUERIES = [f"query {number}" for number in range(24)]
DOCUMENTS = [f"document {number}" for number in range(24)]
SETTINGS = (
    "training.epochs=3",
    "batches.size=4",
    "dev.evaluations=3",
    "evaluation.resamples=100",
    "training.precision=float32",
    "training.learning_rate=0.01",
    "objective=InfoNCE(temperature=0.5)",
)
PAIRS = {
    "train": [(number, number, 1) for number in range(16)] + [(3, 20, 0)],
    "dev": [(number, number, 1) for number in range(16, 20)],
    "test": [(number, number, 1) for number in range(20, 24)],
}


class Points(nn.Module):
    """A trained point for each text. From a step on, what it gives or the slope of it is broken where it is told to."""

    def __init__(self, step, vectors=(), slopes=False):
        super().__init__()
        self.table = nn.Parameter(torch.randn(2, 24, 8, generator=torch.Generator().manual_seed(0)))
        self.step, self.vectors, self.slopes, self.steps = step, vectors, slopes, 0

    def forward(self, features):
        side, number = features["side"], features["number"]
        points = self.table[side, number]
        if not self.training:
            return points
        self.steps += int((side == 0).any())  # queries and documents have a forward pass of their own, queries first
        if self.steps < self.step:
            return points
        for one, other in self.vectors:
            points = torch.where(((side == one) & (number == other))[:, None], float("nan"), points)
        if self.slopes:
            zero = points - points.detach()
            points = points + torch.sqrt(zero.clamp(min=0) * zero.clamp(min=0))  # 0, and its slope is 0 / 0
        return points


def encoder(**broken):
    def tokenise(texts, role):
        parts = [[*text.split(), "0"][:2] for text in texts]  # "width" is asked about as well
        return {
            "side": torch.tensor([int(kind == "document") for kind, _ in parts]),
            "number": torch.tensor([int(number) for _, number in parts]),
        }

    return ModuleEncoder(Points(**broken), tokenise, length=lambda text: 1)


def stopped(tmp_path, *settings, **broken):
    """The error of a run, and the lines of the file that it leaves."""
    dataset = make(QUERIES, DOCUMENTS, PAIRS)
    out = tmp_path / "run"
    with pytest.raises(DataError) as caught:
        api.train(dataset, model=encoder(**broken), out=out, settings=(*SETTINGS, *settings))
    (file,) = out.glob("broken-step-*.jsonl")
    assert f"The whole batch is in {file}." in str(caught.value)
    assert "--resume would come to the same step" in str(caught.value)
    assert not (out / "model").exists()
    return str(caught.value), [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()], out


def of_kind(lines, kind):
    return [line for line in lines if line["kind"] == kind]


def test_the_rows_without_finite_vectors_are_named_and_the_batch_is_kept(tmp_path):
    message, lines, _ = stopped(tmp_path, step=1, vectors=[(0, 3), (0, 5), (1, 3)])
    found = re.match(
        r"The loss is nan at step (\d) \(epoch 1\)\. Not finite are the vectors of (\d) of 4 queries \((.*?)\)", message
    )
    assert found, message
    (head,) = of_kind(lines, "step")
    assert head == {"kind": "step", "step": int(found[1]), "epoch": 1, "loss": "nan"}
    anchors, candidates = of_kind(lines, "anchor"), of_kind(lines, "candidate")
    assert len(anchors) == 4
    broken = [line["text"] for line in anchors if not line["vector_is_finite"]]
    assert len(broken) == int(found[2])
    assert set(broken) <= {"query 3", "query 5"}
    assert all(f"{line['id']} {line['text']!r}" in found[3] for line in anchors if not line["vector_is_finite"])
    assert {line["text"] for line in candidates if not line["vector_is_finite"]} <= {"document 3"}
    assert all(line["loss"] == "nan" for line in anchors)
    positives = [(line["anchor"], line["candidate"]) for line in of_kind(lines, "judged") if line["positive"]]
    assert len(positives) == 4
    for anchor, candidate in positives:
        assert anchors[anchor]["text"].split()[1] == candidates[candidate]["text"].split()[1]
    hard = [line["text"] for line in candidates if line["origin"] == "hard"]
    assert hard == (["document 20"] if any(line["text"] == "query 3" for line in anchors) else [])
    assert all(QUERIES.index(line["text"]) == int(line["id"].strip("q")) for line in anchors)


def test_it_stops_one_step_later_and_keeps_earlier_checkpoints(tmp_path):
    dataset = make(QUERIES, DOCUMENTS, PAIRS)
    broken, out = encoder(step=6, vectors=[(0, number) for number in range(24)]), tmp_path / "run"
    with pytest.raises(DataError, match=r"^The loss is nan at step 6 \(epoch 2\)\. Not finite are the vectors of 4 of"):
        api.train(dataset, model=broken, out=out, settings=SETTINGS)
    assert broken.module.steps == 6  # step 7 was about to begin
    assert (out / "checkpoints" / "checkpoint-4" / COMPLETE).is_file()
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["checkpoint-4"]


def test_weights_that_a_gradient_breaks_are_blamed_on_its_step(tmp_path):
    message, lines, _ = stopped(tmp_path, step=2, slopes=True)
    assert re.match(
        r"The loss is nan at step 3 \(epoch 1\), and no text has a finite vector: the weights broke in step 2, whose "
        r"loss was \d\.\d+\. ",
        message,
    ), message
    assert [line["step"] for line in of_kind(lines, "step")] == [2, 3]
    before = [line for line in of_kind(lines, "anchor") if line["step"] == 2]
    assert len(before) == 4
    assert all(line["vector_is_finite"] and isinstance(line["loss"], float) for line in before)


@pytest.mark.parametrize("setting", ["training.save_every=2", "dev.evaluations=6"])
def test_broken_weights_are_never_saved(tmp_path, setting):
    message, lines, out = stopped(tmp_path, setting, step=4, slopes=True)
    assert message.startswith("The weights are not finite after step 4 (epoch 1), though its loss was ")
    assert [line["step"] for line in of_kind(lines, "step")] == [4]
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["checkpoint-2"]
