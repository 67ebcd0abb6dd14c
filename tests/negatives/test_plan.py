"""The parts of a job, read from settings, and the scores that they ask for."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from nearfar.config.mining import MiningOptions
from nearfar.errors import ConfigError
from nearfar.negatives.candidates import Positives
from nearfar.negatives.filters.scores import Percent
from nearfar.negatives.lists import from_sources
from nearfar.negatives.parts import Scorer
from nearfar.negatives.plan import Plan, Scoring
from nearfar.negatives.selection import Top
from nearfar.negatives.windows import Window
from tests.negatives.stores import dataset, material, pairs

ABOUT = material(dataset(pairs()))


@dataclass(frozen=True, kw_only=True)
class Counting(Scorer):
    """Scores a pair by its document, and remembers what it was asked."""

    asked: ClassVar[list[Any]] = []
    name: str = field(default="")

    def score(self, material, queries, documents, sink=None):
        self.asked.append(list(zip(queries.tolist(), documents.tolist(), strict=True)))
        return (documents / 20).astype(np.float32)


def candidates(documents):
    documents = np.asarray(documents, dtype=np.int32)
    queries = np.arange(len(documents), dtype=np.int32)
    positives = Positives(query=queries, document=(queries + 10).astype(np.int32))
    return from_sources(queries, [(documents, np.zeros(documents.shape, dtype=np.float32))], positives)


def test_parts_work_in_the_order_that_the_settings_say():
    options = MiningOptions(window="Window(last=50)", filters=("Percent(ratio=0.9)", "Absolute(at_most=0.5)"))
    names = [type(part).__name__ for part in Plan.of(options).parts()]
    assert names == ["Percent", "Absolute", "Window", "Top"]
    changed = options.model_copy(
        update={"order": "select", "weights": ("Doubt(by=teacher)",), "relabel": "DropQuery(by=teacher)"}
    )
    names = [type(part).__name__ for part in Plan.of(changed).parts()]
    assert names == ["Window", "Top", "Percent", "Absolute", "DropQuery", "Doubt"]


def test_one_part_may_stand_without_a_list():
    assert MiningOptions.model_validate({"filters": "Margin(margin=0.1)"}).filters == ("Margin(margin=0.1)",)


def test_a_score_that_nobody_gives_is_refused_before_anything_is_done():
    with pytest.raises(ConfigError, match=r"Judge\(.*\) goes by the score 'judge', which nobody gives"):
        Plan.of(MiningOptions(filters=("Judge",)))
    with pytest.raises(ConfigError, match="Did you mean 'teacher'"):
        Plan.of(MiningOptions(filters=("Percent(by=techer)",)))


def test_scores_are_computed_once_when_they_are_asked_for_and_only_of_what_is_left():
    Counting.asked.clear()
    scoring = Scoring(ABOUT, {"teacher": Counting()})
    found = candidates([[1, 2, 3], [4, 5, -1]])
    found = scoring.after([Window(last=2)], found)
    assert Counting.asked == []
    found = scoring.after([Percent(ratio=1.0)], found)
    found = scoring.after([Top(count=1, by="teacher")], found)
    assert Counting.asked == [[(0, 1), (0, 2), (1, 4), (1, 5)], [(0, 10), (1, 11)]]
    assert np.isnan(found.score("teacher")[2])
    assert found.document[found.kept].tolist() == [2, 5]


def test_a_pair_in_several_lists_is_scored_once():
    Counting.asked.clear()
    found = candidates([[1, 2], [2, 2]])
    scored = Scoring(ABOUT, {"teacher": Counting()}).scored("teacher", found)
    assert Counting.asked[0] == [(0, 1), (0, 2), (1, 2)]
    assert scored.score("teacher").tolist() == pytest.approx([0.05, 0.1, 0.1, 0.1])
