"""Mining while a model trains: the schedule, what a step uses, and what is kept."""

import json
import random
import sys

import numpy as np
import pytest
import torch

from nearfar import api
from nearfar.config.mining import MiningOptions
from nearfar.config.read import read_config
from nearfar.config.refresh import RefreshOptions
from nearfar.data.mined import read_lists
from nearfar.errors import ConfigError, DataError, ResourceError
from nearfar.events import Silent
from nearfar.training import refresh as refresh_module
from nearfar.training.beside import DONE, LISTS, MODEL
from nearfar.training.refresh import Refresh, Schedule, check_refresh
from tests import runs
from tests.training import miner as stand_in
from tests.training.test_dev import dataset, encoder

OFTEN = ("mining.refresh=3 steps",)


def schedule(epoch=10, **settings):
    return Schedule.of(RefreshOptions(**settings), epoch)


def test_times_by_hand():
    plain = schedule(refresh="4 steps")
    assert [plain.last(step) for step in range(10)] == [None] * 4 + [4] * 4 + [8] * 2
    assert [plain.used(step) for step in range(10)] == [plain.last(step) for step in range(10)]
    early = schedule(refresh="1 epoch", start="0 steps", beside=4)
    assert (early.start, early.every, early.lag) == (0, 10, 4)
    assert [early.used(step) for step in (3, 4, 13, 14, 24)] == [None, 0, 0, 10, 20]
    assert schedule(refresh="2 epochs", start="3 epochs") == Schedule(start=30, every=20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["mining.refresh=daily"], "mining.refresh: .*'daily' is no time. Expected a number of steps or epochs"),
        (["mining.refresh=0 steps"], "mining: .*refresh is 0"),
        (["mining.beside=5"], "mining: .*beside is set and refresh is never; a time, such as 1 epoch, turns it on"),
        (["mining.refresh=5 steps", "mining.start=never"], "start is never"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        read_config(None, settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["mining.refresh=5 steps", "mining.beside=6"], "mining.beside is 6 steps, but the next negatives are mined"),
        (["mining.refresh=5 steps", "batches.hard_negatives=0"], "nobody would look at what is mined"),
        (["mining.refresh=5 steps", "mining.settings={selekt: Top}"], "mining.settings: .*select"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_training(settings, message):
    with pytest.raises(ConfigError, match=message):
        check_refresh(read_config(None, settings), 100)


@pytest.fixture
def mining(monkeypatch):
    """Training mines with the stand-in; gives the steps at which it was asked to."""
    asked = []

    def mine(folder, *more):
        asked.append(int(folder.parent.name))
        random.random()
        torch.rand(())
        stand_in.mine(folder, *more)

    monkeypatch.setattr(refresh_module, "miner", lambda: mine)
    return asked


def train(pairs, tokenizer, out, *settings, **more):
    return api.train(
        pairs, model=runs.static(tokenizer), out=out, settings=(*runs.FAST, *settings), sink=Silent(), **more
    )


def ages(run):
    return [entry.get("negatives_age") for entry in runs.curve(run) if "loss" in entry]


def test_a_run_mines_when_it_should_and_learns_from_it(finished, pairs, tokenizer, tmp_path, mining):
    train(pairs, tokenizer, tmp_path / "run", "mining.refresh=1 epoch", "mining.start=0 steps")
    assert mining == [0, 8, 16, 24]
    assert runs.record(tmp_path / "run")["tuned_hash"] != runs.record(finished)["tuned_hash"]
    assert set(ages(finished)) == {None}
    assert max(ages(tmp_path / "run")) == 7


def test_each_step_uses_the_newest_lists(pairs, tokenizer, tmp_path, mining, monkeypatch):
    used, before = {}, Refresh.before

    def watched(self, step):
        before(self, step)
        used[step] = self._used

    monkeypatch.setattr(Refresh, "before", watched)
    train(pairs, tokenizer, tmp_path / "run", *OFTEN, "training.steps=8", "training.save_every=2")
    assert used == {0: None, 1: None, 2: None, 3: 3, 4: 3, 5: 3, 6: 6, 7: 6}
    assert mining == [3, 6]


def test_mining_does_not_move_the_draws_of_training(finished, pairs, tokenizer, tmp_path, monkeypatch):
    """What is mined decides, not that it was: lists that say nothing leave a run as it is."""

    def nothing(folder, dataset, encoder, options, sink):
        np.random.rand()
        torch.rand(3)
        stand_in.mine(folder, dataset, encoder, options, sink)
        import pyarrow.parquet as parquet

        table = parquet.read_table(folder / "negatives.parquet")
        parquet.write_table(table.slice(0, 0), folder / "negatives.parquet")

    monkeypatch.setattr(refresh_module, "miner", lambda: nothing)
    train(pairs, tokenizer, tmp_path / "run", *OFTEN)
    assert runs.record(tmp_path / "run")["tuned_hash"] == runs.record(finished)["tuned_hash"]


def refresher(folder):
    schedule = Schedule(start=4, every=4)
    return Refresh(folder, dataset(), encoder(), schedule, MiningOptions(), stand_in.mine, lambda mined: None, Silent())


def test_lists_are_kept_as_long_as_a_checkpoint_needs_them(tmp_path):
    def left():
        return sorted(int(path.name) for path in tmp_path.iterdir())

    for step in (4, 8, 12, 16):
        (tmp_path / str(step)).mkdir()
    refresh = refresher(tmp_path)
    refresh.keep([2, 16])
    assert left() == [4, 8, 12, 16]
    refresh.keep([9, 16])
    assert left() == [8, 12, 16]
    refresh.keep([])
    assert left() == [8, 12, 16]
    refresh.keep([17])
    assert left() == [16]


def test_beside_gives_what_waiting_gives_a_fixed_number_of_steps_later(pairs, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(refresh_module, "miner", lambda: stand_in.mine_slowly)
    settings = ("mining.refresh=8 steps", "mining.start=2 steps", "mining.beside=5", "training.steps=12")
    train(pairs, tokenizer, tmp_path / "quick", *settings)
    monkeypatch.setenv("NEARFAR_TESTS_SLOW", "3")
    train(pairs, tokenizer, tmp_path / "slow", *settings)
    quick, slow = (runs.record(tmp_path / name)["tuned_hash"] for name in ("quick", "slow"))
    assert quick == slow
    assert ages(tmp_path / "slow") == [None] * 7 + [5.0, 6.0, 7.0, 8.0, 9.0]
    done = tmp_path / "slow" / "mined" / "2"
    assert json.loads((done / DONE).read_text()) == {"step": 2}
    assert not (done / MODEL).exists()


@pytest.fixture
def at_once(commands, monkeypatch):
    """What is mined beside training is mined by a process that starts at once."""
    monkeypatch.setattr(sys, "executable", str(commands / "python"))


def broken(folder, dataset, encoder, options, sink):
    raise DataError("no candidate is left")


def test_a_process_that_fails_is_told_of(pairs, tokenizer, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(refresh_module, "miner", lambda: broken)
    settings = ("mining.refresh=8 steps", "mining.start=2 steps", "mining.beside=3", "training.steps=12")
    with pytest.raises(ResourceError, match="Mining beside training has failed: no candidate is left The whole is in"):
        train(pairs, tokenizer, tmp_path / "run", *settings)


def test_lists_that_are_gone_are_told_of(tmp_path):
    """A run that goes on from a checkpoint needs the lists of a step before it."""
    with pytest.raises(ResourceError, match=r"mined after 4 steps are not in .*mined/4 any more.*another folder"):
        refresher(tmp_path / "mined").before(6)


def test_a_teacher_has_vectors_of_all_that_may_be_mined(pairs, tokenizer, tmp_path, mining):
    settings = (*OFTEN, "training.steps=5", "objective=GIST()", "teacher.model=base")
    train(pairs, tokenizer, tmp_path / "run", *settings)
    assert mining == [3]


def test_weights_of_mined_negatives_reach_the_objective(pairs, tokenizer, tmp_path, mining):
    settings = (
        *OFTEN,
        "training.steps=5",
        "objective=Composition(criterion=Softmax, logits=[Temperature(temperature=0.05)], weights=[GivenWeights])",
    )
    with pytest.raises(ConfigError, match="Mined negatives have weights: train on the folder of nearfar mine"):
        train(
            pairs,
            tokenizer,
            tmp_path / "refused",
            "objective=Composition(criterion=Softmax, logits=[Temperature(temperature=0.05)], weights=[GivenWeights])",
        )
    train(pairs, tokenizer, tmp_path / "run", *settings)
    train(
        pairs,
        tokenizer,
        tmp_path / "even",
        *OFTEN,
        "training.steps=5",
        "objective=Composition(criterion=Softmax, logits=[Temperature(temperature=0.05)])",
    )
    tuned = [runs.record(tmp_path / name)["tuned_hash"] for name in ("run", "even")]
    assert tuned[0] == tuned[1]  # all weights are 1


def test_the_same_weights_mine_the_same_bytes(pairs, tokenizer, tmp_path, mining):
    for name in ("one", "other"):
        train(pairs, tokenizer, tmp_path / name, *OFTEN, "training.steps=5")
    one, other = (runs.contents(tmp_path / name / "mined" / "3" / LISTS) for name in ("one", "other"))
    assert one == other
    assert set(one) == {"negatives.parquet", "positives.parquet", "made.parquet", "mining.json"}


def test_texts_that_sources_wrote_cannot_join(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    made = {"id": ["made0"], "text": ["new"], "parent_id": pa.array([None], pa.large_string())}
    parquet.write_table(pa.table(made), tmp_path / "made.parquet")
    with pytest.raises(DataError, match="wrote texts of their own, which cannot join while a model trains"):
        read_lists(tmp_path, dataset())


def test_the_real_miner_as_the_settings_say(pairs, tokenizer, tmp_path):
    settings = ("mining.refresh=4 steps", "training.steps=6", "mining.settings={select: Top(count=2)}")
    train(pairs, tokenizer, tmp_path / "run", *settings)
    import pyarrow.parquet as parquet

    lists = tmp_path / "run" / "mined" / "4" / LISTS
    table = parquet.read_table(lists / "negatives.parquet")
    rows = zip(table["label"].to_pylist(), table["rank"].to_pylist(), strict=True)
    assert {rank for label, rank in rows if label == "negative"} == {0, 1}
    assert [path for path in lists.iterdir() if path.is_dir()] == []
