"""The demonstration on three packages that are made here."""

import json

import pytest

from nearfar.config.data import DataOptions
from nearfar.data import load
from nearfar.events import Silent
from nearfar.recipes import demo
from tests import runs

FUNCTION = '''
def {name}(first, second):
    """{sentence}

    More words.
    """
    for number in range({number}):
        first += second * number
        {name}_log(first, {number}, "{name}")
    return first, second, "{sentence}"
'''


def write_package(folder, name, functions):
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("", encoding="utf-8")
    code = "".join(FUNCTION.format(name=f"{name}_{it}", sentence=sentence, number=it) for it, sentence in functions)
    (folder / name / "code.py").write_text(code, encoding="utf-8")


def translated(start, count):
    for place, (query, document) in enumerate(list(runs.sentences())[start : start + count]):
        yield start + place, f"{query} {document.split()[0]}."


@pytest.fixture
def packages(tmp_path, monkeypatch):
    folder = tmp_path / "packages"
    folder.mkdir()
    write_package(folder, "demo_tested", translated(0, 30))
    write_package(folder, "demo_watched", translated(30, 25))
    write_package(folder, "demo_trained", translated(55, 60))
    copied = (folder / "demo_tested" / "code.py").read_text(encoding="utf-8").split("\ndef ")[3]
    same = (
        '\n\ndef other(first):\n    """Count how to borak borak borak haven.\n    """\n'
        "    x = 1\n    y = 2\n    return x, y\n"
    )
    sentence = next(translated(0, 1))[1]
    same_query = f'\n\ndef third(first):\n    """{sentence}\n    """\n    a = first\n    b = a\n    return a + b\n'
    with (folder / "demo_trained" / "code.py").open("a", encoding="utf-8") as stream:
        stream.write(f"\ndef {copied}{same}{same_query}")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(
        demo, "PACKAGES", {"test": ("demo_tested",), "dev": ("demo_watched",), "train": ("demo_trained",)}
    )
    monkeypatch.setattr(demo, "LIMITS", {"test": 1000, "dev": 20, "train": 1000})
    return folder


def test_what_is_collected(packages):
    splits = demo.collect(Silent())
    assert {split: len(found) for split, found in splits.items()} == {"test": 30, "dev": 20, "train": 61}
    assert {split: {it.package for it in found} for split, found in splits.items()} == {
        "test": {"demo_tested"},
        "dev": {"demo_watched"},
        "train": {"demo_trained"},
    }
    # Neither the copied function nor the one that has a test query for its docstring is trained on.
    assert not [it for it in splits["train"] if "demo_tested" in it.code or "def third" in it.code]
    assert [it for it in splits["train"] if "def other" in it.code]


def test_the_files_load_with_the_expected_splits(packages, tmp_path):
    demo.build(tmp_path / "data", Silent())
    dataset = load(tmp_path / "data", DataOptions(train="train.jsonl"))
    assert {split: len(dataset.query_rows(split)) for split in dataset.splits} == {"train": 61, "dev": 20, "test": 30}
    assert int(dataset.searched.sum()) == 50
    assert len(dataset.documents) == 111
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "packages"]


def test_the_whole_demonstration(packages, tmp_path, tokenizer, monkeypatch, capsys):
    monkeypatch.setattr(demo, "MODEL", runs.static(tokenizer))
    monkeypatch.setattr(demo, "SETTINGS", tuple(it for it in demo.SETTINGS if not it.startswith("model.max_length")))
    out = tmp_path / "demo"
    command = ("demo", "--out", out, "--set", "training.steps=3", "--set", "evaluation.resamples=100")
    assert runs.nearfar(*command) == 0
    assert f"result  {out / 'result.json'}" in capsys.readouterr().out
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert (result["documents"], result["test_queries"], result["train_pairs"]) == (50, 30, 61)
    assert set(result) == {
        *("documents", "test_queries", "train_pairs", "seconds", "scores", "difference", "bm25_identifiers"),
        "packages",
    }
    assert result["scores"] == runs.scores(out)["systems"]
    first = runs.scores(out)["comparisons"][0]
    assert result["difference"]["nDCG@10"] == {key: first[key] for key in ("mean", "low", "high", "p")}
    assert result["seconds"] > 0
    assert list(result["packages"]) == ["demo_tested", "demo_watched", "demo_trained"]
    before = runs.contents(tmp_path)
    assert runs.nearfar(*command) == 0
    assert runs.contents(tmp_path) == before


def test_published_packages_do_not_overlap():
    names = [name for split in ("test", "dev", "train") for name in demo.PACKAGES[split]]
    assert len(names) == len(set(names))
    assert set(demo.LIMITS) == set(demo.PACKAGES)
