"""Sinks that need no terminal."""

import json
from pathlib import Path

import pytest

from nearfar.errors import ResourceError
from nearfar.events import Fanout, JsonLines, Message, Metrics, Progress, Silent, track


class Kept:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


def test_metrics_and_messages_are_lines_and_progress_is_not(tmp_path):
    sink = Fanout((Silent(), JsonLines(tmp_path / "curves.jsonl")))
    sink.emit(Metrics(step=3, group="train", values={"loss": 0.5}))
    sink.emit(Progress(task="Training", done=1))
    sink.emit(Message(text="ä", level="warning"))
    lines = (tmp_path / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 3, "group": "train", "loss": 0.5},
        {"level": "warning", "message": "ä"},
    ]


def test_a_disk_that_is_full_is_named(tmp_path, monkeypatch):
    def full(path, *given, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ResourceError, match=r"Cannot write .*curves.jsonl: No space left on device"):
        JsonLines(tmp_path / "curves.jsonl").emit(Message(text="hello"))


def test_progress_of_items_that_stand_for_several_units():
    sink = Kept()
    assert list(track("abc", "Reading", sink, total=5, step=2)) == ["a", "b", "c"]
    assert [(event.done, event.total) for event in sink.events] == [(0, 5), (2, 5), (4, 5), (5, 5)]
