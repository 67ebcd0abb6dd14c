"""The model card."""

import pytest
import yaml

from nearfar.training.card import write_card
from nearfar.training.folder import open_run
from tests.data.memory import make
from tests.encoders.models import STATIC, opened

SCORES = {
    "split": "test",
    "queries": 12,
    "documents": 345,
    "confidence": 0.95,
    "systems": {"bm25": {"nDCG@10": 0.5, "R@100": 0.75}, "tuned": {"nDCG@10": 0.625, "R@100": 1.0}},
    "comparisons": [
        {"treatment": "tuned", "control": "base", "measure": "nDCG@10", "mean": 0.125, "low": -0.01, "high": 0.26}
        | {"p": 0.0312, "test": "paired randomisation"}
    ],
}
RECORD = {
    "name": "my-run",
    "model_name": "tiny",
    "objective": "InfoNCE(temperature=0.05)",
    "batch_size": 64,
    "seed": 0,
    "learning_rate": 5e-5,
    "precision": "float32",
    "best_step": 8,
    "steps": 10,
    "data_hash": "d1",
    "base_hash": "b1",
}


@pytest.fixture
def card(tmp_path):
    folder = open_run(tmp_path / "run", "{}\n", {"data": "pairs.csv"}, resume=False)
    folder.update_record(**RECORD)
    dataset = make(["a", "b"], ["x", "y"], {"train": [(0, 0, 1), (0, 1, 1), (1, 1, 0)]})
    folder.model.mkdir()

    def write(prompts=None):
        encoder = opened(STATIC) if prompts is None else with_prompts(prompts)
        write_card(folder, encoder, dataset, SCORES)
        return (folder.model / "README.md").read_text(encoding="utf-8")

    return write


def with_prompts(prompts):
    from nearfar.encoders.load import load

    return load(STATIC, prompts=prompts, device="cpu")


def test_the_front_is_yaml_and_names_the_library(card):
    front = yaml.safe_load(card().split("---")[1])
    assert front["library_name"] == "sentence-transformers"
    assert "nearfar" in front["tags"]


def test_scores_stand_with_their_uncertainty_and_their_origin(card):
    text = card()
    assert "# my-run\n" in text
    assert "| system | nDCG@10 | R@100 |" in text
    assert "| tuned | 0.6250 | 1.0000 |" in text
    assert (
        "tuned minus base, nDCG@10: +0.1250, 95% interval -0.0100 to +0.2600 over the test queries, p = 0.0312" in text
    )
    assert "On the 12 queries of the split `test` over 345 documents" in text
    assert "2 pairs of 1 queries, `InfoNCE(temperature=0.05)`, 64 pairs in a step, learning rate 5e-05" in text
    assert "step 8 of 10" in text
    assert "Data d1, base weights b1" in text
    assert "\n\n\n" not in text


def test_prompts_are_shown_or_said_to_be_none(card):
    assert "Queries and documents take no prompt." in card()
    text = card({"query": "find: ", "document": "text: "})
    assert "query `'find: '`, document `'text: '`" in text
