"""A small comparison, cut off by its budget after the first seed."""

import pytest
import yaml

import nearfar
from tests import runs

SPEC = {
    "base": {
        "start": "static:tokenizer.json?dim=16",
        "training": {"steps": 4},
        "dev": {"evaluations": 1},
        "batches": {"size": 32},
        "evaluation": {"measures": ["nDCG@10", "RR@10"]},
    },
    "systems": {
        "cool": {"objective": "InfoNCE(temperature=0.05)"},
        "hot": {"objective": "InfoNCE(temperature=1.0)"},
        "untrained": "static:tokenizer.json?dim=16",
        "words": "bm25",
    },
    "data": {"pairs": "pairs.jsonl"},
    "seeds": 2,
}


@pytest.fixture(scope="session")
def spec(tmp_path_factory):
    """A folder with data, a tokenizer and ``spec.yaml``, in which the first round has been done, into ``out``."""
    folder = tmp_path_factory.mktemp("comparison")
    runs.write_pairs(folder / "pairs.jsonl", 200)
    runs.write_tokenizer(folder / "tokenizer.json")
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        first = nearfar.compare("spec.yaml", out="out", settings=["budget.runs=4"])
    return folder, first


@pytest.fixture
def here(spec, monkeypatch):
    """The working folder is that of the comparison."""
    monkeypatch.chdir(spec[0])
    return spec[0]
