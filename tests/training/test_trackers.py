"""Trackers get every number, never stop a run, and never wait for a network.

Stand-ins take the place of their packages.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError
from nearfar.events import Message, Metrics, Progress, Silent
from nearfar.files import write_json
from nearfar.training.folder import RunFolder
from nearfar.training.trackers import check_trackers, tracked

TENSORBOARD, WANDB, BOTH = (f"tracking.to=[{names}]" for names in ("tensorboard", "wandb", "wandb, tensorboard"))
LOGGED = Metrics(step=4, group="train", values={"loss": 1.5, "similarity/positive/q50": 0.5})
DEV = Metrics(step=5, group="dev", values={"nDCG@10": 0.75})


class Collected:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)

    @property
    def warnings(self):
        return [event.text for event in self.events if isinstance(event, Message) and event.level == "warning"]


def fail(*arguments, **options):
    raise OSError("no space left\nreally")


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "first")
    made.path.mkdir()
    write_json(made.record, {"model": "mini", "data": "pairs.jsonl"})
    return made


@pytest.fixture
def board(monkeypatch):
    """In the place of torch's writer for TensorBoard: notes what it is asked."""
    asked = []

    class SummaryWriter:
        def __init__(self, folder, purge_step, flush_secs):
            asked.append(("open", folder, purge_step))

        def add_text(self, name, text, step):
            asked.append(("text", name, text.splitlines()[0], step))

        def add_scalar(self, name, value, step):
            asked.append((name, value, step))

        def close(self):
            asked.append(("close",))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return asked


class Wandb(ModuleType):
    """In the place of wandb: ``key`` says whether it is logged in, ``reachable`` whether its server answers."""

    Settings = SimpleNamespace

    def __init__(self, key=True, reachable=True):
        super().__init__("wandb")
        self.key, self.reachable, self.run, self.asked = key, reachable, None, []

    def setup(self, settings):
        assert settings.silent
        assert settings.console == "off"
        assert 0 < settings.init_timeout <= 60
        assert 0 < settings.finish_timeout <= 60
        self.asked.append("setup")

    def login(self, prompt, verify):
        assert not prompt
        assert not verify
        return self.key

    def teardown(self):
        self.asked.append("teardown")

    def init(self, **options):
        self.asked.append(options)
        if not self.reachable and options.get("mode") != "offline":
            raise ConnectionError("nobody answers\nat all")
        return Run(options.get("id", "fresh"), self.asked)


class Run:
    def __init__(self, name, asked):
        self.id, self.asked = name, asked

    def log(self, values, step):
        self.asked.append((values, step))

    def finish(self):
        self.asked.append("finish")


@pytest.fixture
def wandb(monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    module = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def give(folder, setting, *events, settings=()):
    """Events to the trackers of a run; gives what was reported."""
    report = Collected()
    with tracked(override(RunConfig(), [setting, *settings]), folder, report) as trackers:
        for event in events:
            for tracker in trackers:
                tracker.emit(event)
    for tracker in trackers:  # after the end they take nothing, and do not mind
        tracker.emit(LOGGED)
    return report


def test_none_by_default(folder):
    with tracked(RunConfig(), folder, Silent()) as trackers:
        assert trackers == ()
    check_trackers(RunConfig())


def test_tensorboard_gets_every_number_by_group_and_name(folder, board):
    report = give(folder, TENSORBOARD, Progress(task="Training", done=1), Message(text="note"), LOGGED, DEV)
    assert board == [
        ("open", str(folder.path / "tensorboard"), None),
        ("text", "config", "    data:", 4),
        ("train/loss", 1.5, 4),
        ("train/similarity/positive/q50", 0.5, 4),
        ("dev/nDCG@10", 0.75, 5),
        ("close",),
    ]
    assert report.events == []


def test_a_run_that_goes_on_hides_the_steps_that_it_does_again(folder, board):
    (folder.path / "tensorboard").mkdir()
    give(folder, TENSORBOARD, LOGGED)
    assert board[:2] == [("open", str(folder.path / "tensorboard"), 4), ("train/loss", 1.5, 4)]


def test_nothing_is_opened_for_a_run_without_numbers(folder, board, wandb):
    give(folder, BOTH, Progress(task="Training", done=1), Message(text="note"))
    assert board == wandb.asked == []


def test_wandb_gets_names_and_settings_and_its_id_is_kept(folder, wandb):
    report = give(folder, WANDB, LOGGED, DEV, settings=["tracking.project=search", "training.seed=3"])
    setup, options, *logged = wandb.asked
    assert setup == "setup"
    assert (options["project"], options["name"], options["dir"]) == ("search", "first", str(folder.path))
    assert options["config"]["training"]["seed"] == 3
    assert options["config"]["inputs"] == {"model": "mini", "data": "pairs.jsonl"}
    assert options.keys().isdisjoint({"mode", "id", "resume"})
    assert logged == [
        ({"train/loss": 1.5, "train/similarity/positive/q50": 0.5}, 4),
        ({"dev/nDCG@10": 0.75}, 5),
        "finish",
    ]
    assert folder.read_record()["trackers"] == {"wandb": "fresh"}
    assert report.events == []


def test_a_run_that_goes_on_goes_on_under_its_id(folder, wandb):
    folder.update_record(trackers={"wandb": "known", "other": "kept"})
    give(folder, WANDB, LOGGED, settings=["tracking.name=mine"])
    options = wandb.asked[1]
    assert (options["id"], options["resume"], options["name"]) == ("known", "allow", "mine")
    assert folder.read_record()["trackers"] == {"wandb": "known", "other": "kept"}


def test_the_mode_of_the_environment_holds(folder, wandb, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.key = False
    report = give(folder, WANDB, LOGGED)
    assert "mode" not in wandb.asked[1]
    assert report.events == []


def test_without_a_key_the_run_is_kept_offline_and_nobody_is_asked(folder, wandb):
    wandb.key = False
    report = give(folder, WANDB, LOGGED)
    assert wandb.asked[1]["mode"] == "offline"
    assert wandb.asked[-1] == "finish"
    path = folder.path / "wandb"
    assert report.warnings == [
        f"wandb keeps this run offline, since there is no key for it. Later: wandb sync {path}/offline-*"
    ]


def test_without_a_network_the_run_is_kept_offline(folder, wandb):
    folder.update_record(trackers={"wandb": "known"})
    wandb.reachable = False
    report = give(folder, WANDB, LOGGED)
    assert wandb.asked[2:4] == ["teardown", "setup"]
    assert (wandb.asked[4]["mode"], wandb.asked[4]["id"]) == ("offline", "known")
    assert wandb.asked[-2][1] == 4
    assert len(report.warnings) == 1
    assert "offline, since nobody answers. Later" in report.warnings[0]


def test_a_run_that_somebody_else_opened_is_used_and_left_open(folder, wandb):
    wandb.run = Run("theirs", wandb.asked)
    give(folder, WANDB, LOGGED)
    assert wandb.asked == [({"train/loss": 1.5, "train/similarity/positive/q50": 0.5}, 4)]
    assert "trackers" not in folder.read_record()


@pytest.mark.parametrize("when", ["at the start", "in between", "at the end"])
def test_a_tracker_that_fails_says_so_once_and_the_others_go_on(folder, board, wandb, when, monkeypatch):
    if when == "at the start":
        monkeypatch.setattr(wandb, "init", fail)
    else:
        monkeypatch.setattr(Run, "log" if when == "in between" else "finish", fail)
    report = give(folder, BOTH, LOGGED, DEV, DEV)
    assert report.warnings == [
        "wandb failed and gets no more numbers: no space left. Training goes on; training.jsonl has them all."
    ]
    assert board.count(("dev/nDCG@10", 0.75, 5)) == 2
    assert board[-1] == ("close",)


def test_a_failure_without_words_has_a_name(folder, wandb, monkeypatch):
    def time_out(self, values, step):
        raise TimeoutError

    monkeypatch.setattr(Run, "log", time_out)
    assert "gets no more numbers: TimeoutError. Training goes on" in give(folder, WANDB, LOGGED).warnings[0]


def test_trackers_are_closed_when_training_fails(folder, board):
    def stop():
        with tracked(override(RunConfig(), [TENSORBOARD]), folder, Silent()) as trackers:
            trackers[0].emit(LOGGED)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert board[-1] == ("close",)


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_missing_package_is_named_with_what_installs_it(name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    message = rf"tracking\.to names {name}, .*pip install 'nearfar\[{name}\]', or leave it out"
    with pytest.raises(ConfigError, match=message):
        check_trackers(override(RunConfig(), [f"tracking.to={name}"]))


def test_a_tracker_that_is_there_is_welcome(board, wandb):
    check_trackers(override(RunConfig(), [BOTH]))


def test_an_unknown_tracker_is_refused():
    with pytest.raises(ConfigError, match=r"tracking\.to\.0: input should be 'tensorboard' or 'wandb', got 'mlflow'"):
        override(RunConfig(), ["tracking.to=mlflow"])
