"""Sinks that do something when a run gets to a point, or keep what it says."""

import signal

from nearfar.events import Message, Progress


class At:
    """Does something when training reaches a step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def emit(self, event):
        if isinstance(event, Progress) and event.task == "Training" and event.done == self.step:
            self.act()


class Messages:
    """Keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def emit(self, event):
        if isinstance(event, Message) and event.level == "warning":
            self.warnings.append(event.text)


def interrupt():
    signal.raise_signal(signal.SIGINT)
