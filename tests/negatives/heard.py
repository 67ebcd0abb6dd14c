"""A sink that remembers."""

from nearfar.events import Message, Progress


class Heard:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)

    @property
    def said(self):
        return [event.text for event in self.events if isinstance(event, Message)]

    def progress(self, task):
        return [
            (event.done, event.total) for event in self.events if isinstance(event, Progress) and event.task == task
        ]
