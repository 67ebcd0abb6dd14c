"""Copies of answers among the negatives of a step, from data alone."""

from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

import nearfar
from nearfar.config.run import RunConfig
from nearfar.diagnosing.causes import false_negatives
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.diagnosing.steps import negatives
from nearfar.encoders.load import load
from nearfar.reports.contents import Curve, Run, Training
from nearfar.training.folder import RunFolder

EMPTY = Run(**dict.fromkeys(Run.__dataclass_fields__))
COUNT = 60


def words(place):
    """Eight words of its own."""
    return " ".join(f"w{chr(97 + place // 26)}{chr(97 + place % 26)}{letter}" for letter in "abcdefgh")


def material(folder, rows, heavy=()):
    """A run whose loss says that it has learnt its pairs. Its model has random vectors, long ones for heavy words."""
    dataset = nearfar.split(nearfar.from_records(rows, name="planted"), nearfar.DataOptions())
    texts = [*dataset.documents.texts.to_pylist(), *dataset.queries.texts.to_pylist()]
    known = sorted({word for text in texts for word in text.split()})
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(["[UNK]", *known])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors = np.random.default_rng(0).normal(size=(len(known) + 1, 64)).astype(np.float32)
    vectors[[1 + known.index(word) for word in heavy]] *= 20
    np.save(folder / "vectors.npy", vectors)
    steps = Curve(steps=(1, 2, 3), values=(1.0, 0.5, 0.1))
    files = replace(EMPTY, training=Training(loss=steps, dev={}, train={"loss": steps}))
    made = Material(RunFolder(folder), files, RunConfig(), dataset)
    made.__dict__["tuned"] = load(f"static:{folder / 'tokenizer.json'}?vectors={folder / 'vectors.npy'}")
    return made


def row(place, document, **more):
    split = "train" if place < COUNT else "dev" if place < COUNT + 2 else "test"
    return {"query": f"query {place}", "positive": document, "split": split, **more}


def signs(folder, rows, heavy=()):
    return {sign.name: sign for sign in false_negatives.look(material(folder, rows, heavy))}


def test_copies_of_an_answer_in_a_step(tmp_path):
    """Every third answer has a copy, the answer of the next query, that is one word longer."""
    rows = [row(place, words(place)) for place in range(COUNT + 4)]
    for place in range(0, COUNT - 1, 3):
        rows[place + 1]["positive"] = f"{words(place)} more{place}"
    (found,) = signs(tmp_path, rows).values()
    assert found.name.startswith("training queries that meet a copy")
    assert 0.2 < found.value < 0.5  # of two thirds of the queries; a copy is as often above the answer as below it
    assert found.speaks
    example = found.examples[0]
    assert example["negative"].split()[:8] == example["answer"].split()[:8]
    assert example["negative"] != example["answer"]


def test_texts_from_one_mould_that_the_model_can_tell(tmp_path):
    """All answers have the same words but for one, by which the model goes."""
    objects = [f"object{place}" for place in range(COUNT + 4)]
    rows = [row(place, f"{words(0)} {words(1)} {objects[place]}") for place in range(COUNT + 4)]
    rows = [{**each, "query": f"what of {objects[place]}"} for place, each in enumerate(rows)]
    (found,) = signs(tmp_path, rows, heavy=objects).values()
    assert found.value == 0
    (found,) = signs(tmp_path, [{**each, "query": f"query {place}"} for place, each in enumerate(rows)]).values()
    assert found.value > 0.5


def test_copies_of_an_answer_among_the_given_negatives(tmp_path):
    rows = [
        row(place, words(place), negative=[f"{words(place)} more{place}" if place % 3 else words(place + 300)])
        for place in range(COUNT + 4)
    ]
    found = signs(tmp_path, rows)["judged or mined negatives that are nearly the text of an answer"]
    assert 0.1 < found.value < 0.5  # of two thirds
    assert found.speaks


def test_what_is_negative_is_what_training_takes_for_it(tmp_path):
    rows = [row(place, words(place), negative=[words(place + 300)]) for place in range(COUNT + 4)]
    made = material(tmp_path, rows)
    seen = negatives(made)
    dataset = made.dataset
    assert len(seen) == COUNT * (2 * COUNT - 1)
    assert seen.given.sum() == COUNT
    for place in np.flatnonzero(seen.given)[:5]:
        number = int(dataset.queries.text(int(seen.query[place])).split()[1])
        assert dataset.documents.text(int(seen.document[place])) == words(number + 300)
        assert dataset.documents.text(int(seen.positive[place])) == words(number)


def test_too_few_negatives_say_nothing(tmp_path):
    rows = [row(place, words(place)) for place in (*range(4), *range(COUNT, COUNT + 4))]
    with pytest.raises(Unmeasured, match="Fewer than 20"):
        false_negatives.look(material(tmp_path, rows))
