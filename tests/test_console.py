import io

import pytest

from nearfar import console
from nearfar.events import Message, Metrics, Progress, Silent, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


def watched(monkeypatch):
    """A terminal in the place of the error stream. No fixture: pytest sets the stream anew after those."""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return stream


HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
"""What hides and shows the cursor."""


def test_without_a_terminal_warnings_alone_are_written(capsys):
    sink = console.default_sink()
    sink.emit(Message(text="a note"))
    sink.emit(Message(text="a danger", level="warning"))
    sink.emit(Metrics(step=1, group="dev", values={"nDCG@10": 0.5}))
    list(track(range(3), "Reading", sink, total=3))
    assert capsys.readouterr() == ("", "warning: a danger\n")


def test_messages_and_dev_scores_stay_and_losses_do_not(monkeypatch):
    terminal = watched(monkeypatch)
    sink = console.default_sink()
    sink.emit(Message(text="[bold] is no markup"))
    sink.emit(Metrics(step=8, group="dev", values={"nDCG@10": 0.51234}))
    sink.emit(Metrics(step=8, group="train", values={"loss": 1.0}))
    assert "[bold] is no markup" in terminal.getvalue()
    assert "step 8: dev nDCG@10 0.5123" in terminal.getvalue()
    assert "loss" not in terminal.getvalue()


def test_bars_vanish_when_their_tasks_are_done(monkeypatch):
    terminal = watched(monkeypatch)
    with console.shown(None) as sink:
        for _ in track(range(3), "Outer", sink, total=3):
            list(track(range(2), "Inner", sink, total=2))
    assert "Outer" in terminal.getvalue()
    assert terminal.getvalue().count(HIDE) == terminal.getvalue().count(SHOW) == 1


def test_an_error_leaves_no_bar_and_a_visible_cursor(monkeypatch):
    terminal = watched(monkeypatch)

    def fail():
        with console.shown(None) as sink:
            sink.emit(Progress(task="Reading", done=0, total=None))
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert terminal.getvalue().count(HIDE) == terminal.getvalue().count(SHOW) == 1


def test_a_sink_that_was_given_is_used():
    given = Silent()
    with console.shown(given) as sink:
        assert sink is given


LOGGED = Metrics(step=3, group="train", values={"loss": 1.23456, "accuracy": 0.567, "learning_rate": 4.2e-5, "bias": 1})


def test_what_stands_beside_the_bar_of_training():
    assert console.aside(LOGGED) == "loss 1.235  accuracy 57%  rate 4.2e-05"
    assert console.aside(Metrics(step=3, group="train", values={"loss": 0.000123456})) == "loss 0.0001235"
    assert console.aside(Metrics(step=3, group="train")) == ""


def test_the_bar_of_training_shows_the_last_numbers_and_the_others_do_not(monkeypatch):
    terminal = watched(monkeypatch)
    monkeypatch.setattr(console, "_REFRESH", 0)
    with console.shown(None) as sink:
        sink.emit(Progress(task="Encoding documents", done=1, total=10))
        sink.emit(Progress(task="Training", done=3, total=9))
        sink.emit(LOGGED)
        sink.emit(Progress(task="Training", done=4, total=9))
        sink.emit(Progress(task="Encoding documents", done=2, total=10))
        sink._bars.refresh()
        lines = terminal.getvalue().splitlines()
    encoding, training = ([line for line in lines if task in line][-1] for task in ("Encoding", "Training"))
    assert "accuracy 57%" in training
    assert "4/9" in training
    assert "accuracy" not in encoding


def test_the_time_that_is_left_is_told_when_it_is_known(monkeypatch):
    terminal = watched(monkeypatch)
    monkeypatch.setattr(console, "_REFRESH", 0)
    clock = iter(range(0, 10**6, 10))
    with console.shown(None) as sink:
        sink.emit(Progress(task="Training", done=0, total=100))
        sink._bars.get_time = lambda: float(next(clock))
        for step in range(1, 6):
            sink.emit(Progress(task="Training", done=step, total=100))
        sink._bars.refresh()
        assert " left" in terminal.getvalue()
        sink.emit(Progress(task="Reading", done=1, total=None))
        sink._bars.refresh()
    assert "Reading" in terminal.getvalue()


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (125, "2:05"), (3723, "1:02:03")])
def test_durations(seconds, shown):
    assert console.duration(seconds) == shown
