"""Many questions: in order, each once, kept whatever happens, and paused when it must be."""

import json
import subprocess
import sys
import threading

import pytest

from nearfar.errors import ConfigError, ResourceError
from nearfar.events import Message, Progress
from nearfar.negatives.answers import Answers
from nearfar.negatives.asking import HOPELESS, Asker, Form, Question
from nearfar.negatives.endpoint import BudgetSpentError, Endpoint, UnreachableError
from tests.endpoint_server import EndpointServer, Say

FORM = Form(name="number", max_tokens=3, remark="A number!")


def read_number(reply):
    return float(reply.text) if reply.text.isdigit() else None


def questions(numbers):
    return [Question(f"{number}?", read_number) for number in numbers]


def echo(prompt, times):
    """The number that is asked for."""
    return prompt.partition("?")[0]


class Recorded:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)

    @property
    def warnings(self):
        return [event.text for event in self.events if isinstance(event, Message) and event.level == "warning"]

    @property
    def progress(self):
        return [(event.task, event.done, event.total) for event in self.events if isinstance(event, Progress)]


@pytest.fixture
def asker(tmp_path):
    """Makes askers that share a table of answers, as a job has it that is run again."""

    def make(server, *, attempts=3, seed=0, path=tmp_path / "answers.jsonl", **options):
        url = server if isinstance(server, str) else server.url
        endpoint = Endpoint(url=url, **{"model": "judge", "in_flight": 3, **options})
        return Asker(endpoint, Answers(path), attempts=attempts, seed=seed, pause=lambda seconds: None)

    return make


def test_answers_are_in_the_order_of_the_questions(asker):
    def late(prompt, times):
        return Say(text=echo(prompt, times), delay=0.03 if int(echo(prompt, times)) % 3 == 0 else 0.0)

    sink = Recorded()
    with EndpointServer(late) as server:
        assert asker(server).ask(questions(range(12)), FORM, sink, "counting") == list(range(12))
    assert 2 <= server.most <= 3
    assert sink.progress == [("counting", done, 12) for done in range(13)]
    assert sink.warnings == []


def test_nothing_is_asked_twice(asker):
    with EndpointServer(echo) as server:
        assert asker(server).ask(questions([1, 2, 1, 2, 2]), FORM) == [1, 2, 1, 2, 2]
        assert sorted(server.prompts) == ["1?", "2?"]
        assert asker(server).ask(questions([2, 3]), FORM) == [2, 3]
        assert server.prompts[2:] == ["3?"]
    with EndpointServer(echo) as other:
        assert asker(other).ask(questions([1, 2, 3]), FORM) == [1, 2, 3]
        assert asker(other).ask([], FORM) == []
    assert other.asked == []


def test_another_way_of_asking_is_another_question(asker):
    ways = [
        ({}, FORM),
        ({"model": "other"}, FORM),
        ({"temperature": 0.5}, FORM),
        ({"temperature": 0.5, "seed": 1}, FORM),
        ({"body": {"top_p": 0.9}}, FORM),
        ({}, Form(name="other", max_tokens=3, remark="A number!")),
        ({}, Form(name="number", max_tokens=4, remark="A number!")),
        ({}, Form(name="number", max_tokens=3, remark="Number!")),
        ({}, Form(name="number", max_tokens=3, remark="A number!", logprobs=True)),
    ]
    with EndpointServer(echo) as server:
        askers = [asker(server, **options) for options, _ in ways]
        for number, (each, (_, form)) in enumerate(zip(askers, ways, strict=True), start=1):
            each.answers = Answers(each.answers.path)
            each.ask(questions([7]), form)
            assert len(server.asked) == number
        asker(server, timeout=1.0, retries=0, in_flight=1, requests=1, seed=5).ask(questions([7]), FORM)
        assert len(server.asked) == len(ways)
    prints = [each.fingerprint(form, "template") for each, (_, form) in zip(askers, ways, strict=True)]
    assert len({*prints, askers[0].fingerprint(FORM, "tem", "plate")}) == len(ways) + 1


def test_nonsense_is_asked_again_with_a_remark_and_then_left_unanswered(asker):
    def lies(prompt, times):
        if prompt.startswith("2"):
            return ["perhaps", Say(body="<html>"), Say(text="")][times % 3]
        if prompt.startswith("3"):
            return "3" if "A number!" in prompt else "three"
        return echo(prompt, times)

    sink = Recorded()
    with EndpointServer(lies) as server:
        assert asker(server).ask(questions([1, 2, 3]), FORM, sink) == [1, None, 3]
        assert sorted(server.prompts) == ["1?", "2?", "2?\n\nA number!", "2?\n\nA number!", "3?", "3?\n\nA number!"]
        path = asker(server).answers.path
        assert sink.warnings == [f"1 of 3 questions to judge have no answer; {path} says why."]
        again = Recorded()
        assert asker(server).ask(questions([3, 2]), FORM, again) == [3, None]
        assert again.warnings == [f"1 of 2 questions to judge have no answer; {path} says why."]
        assert len(server.asked) == 6
    lines = map(json.loads, path.read_text().splitlines())
    assert [line["remark"] for line in lines if line["value"] is None] == ["no answer that can be read"]


def test_a_refused_question_is_left_unanswered_and_not_asked_again(asker):
    with EndpointServer(lambda prompt, times: Say(status=400) if prompt == "2?" else echo(prompt, times)) as server:
        assert asker(server).ask(questions([1, 2, 3]), FORM) == [1, None, 3]
        assert asker(server).ask(questions([2]), FORM) == [None]
    assert server.prompts.count("2?") == 1


@pytest.mark.parametrize("answer", ["sure", Say(status=400, body="no logprobs here"), Say(body="<html>sign in</html>")])
def test_many_questions_without_any_answer_are_an_error_and_nothing_is_kept(asker, answer):
    with EndpointServer(lambda prompt, times: answer) as server:
        with pytest.raises(ConfigError, match=rf"judge at http.* answered none of {HOPELESS} questions") as caught:
            asker(server, attempts=1).ask(questions(range(50)), FORM)
        assert len(server.asked) <= HOPELESS + 2
        said = answer if isinstance(answer, str) else answer.body
        assert said in str(caught.value)
    with EndpointServer(echo) as repaired:
        assert asker(repaired).ask(questions(range(20)), FORM) == list(range(20))
    assert len(repaired.asked) == 20


def test_a_spent_budget_pauses_and_the_next_run_goes_on(asker):
    with EndpointServer(echo) as server:
        for asked in (5, 10):
            with pytest.raises(
                BudgetSpentError, match=rf"5 requests.* {asked} of 12 .*answers.jsonl; run again with --resume"
            ):
                asker(server, requests=5).ask(questions(range(12)), FORM)
            assert len(server.asked) == asked
        assert asker(server, requests=5).ask(questions(range(12)), FORM) == list(range(12))
    assert sorted(server.prompts) == sorted(f"{number}?" for number in range(12))


def test_the_budget_is_that_of_the_process(asker):
    with EndpointServer(echo) as server:
        one = asker(server, requests=3)
        one.ask(questions([1, 2]), FORM)
        with pytest.raises(BudgetSpentError):
            one.ask(questions([3, 4]), FORM)
    assert len(server.asked) == 3


def test_a_server_that_dies_pauses_and_what_it_answered_is_kept(asker):
    alive = threading.Semaphore(4)

    def dying(prompt, times):
        return echo(prompt, times) if alive.acquire(blocking=False) else Say(status=503)

    with (
        EndpointServer(dying) as server,
        pytest.raises(UnreachableError, match="4 of 9 questions are answered") as caught,
    ):
        asker(server, retries=2).ask(questions(range(9)), FORM)
    assert isinstance(caught.value, ResourceError)
    with EndpointServer(echo) as back:
        assert asker(back).ask(questions(range(9)), FORM) == list(range(9))
    assert len(back.asked) == 5


def test_what_is_under_way_when_asking_ends_is_kept(asker):
    others = threading.Event()

    def answer(prompt, times):
        if prompt == "0?":
            others.wait(10)
            return Say(status=401)
        if prompt == "1?":
            others.set()
            return Say(text="1", delay=0.1)
        return echo(prompt, times)

    with EndpointServer(answer) as server:
        with pytest.raises(ConfigError, match="key"):
            asker(server, in_flight=2).ask(questions(range(9)), FORM)
        assert len(server.asked) == 2
        assert asker(server).ask(questions([1]), FORM) == [1]
        assert len(server.asked) == 2


def test_an_interrupted_process_keeps_what_was_under_way(asker, monkeypatch):
    from nearfar.negatives import asking

    real, calls = asking.wait, []

    def wait(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(asking, "wait", wait)
    with EndpointServer(lambda prompt, times: Say(text=echo(prompt, times), delay=0.02)) as server:
        with pytest.raises(KeyboardInterrupt):
            asker(server, in_flight=2).ask(questions(range(9)), FORM)
        before = len(server.asked)
        assert before <= 4
        assert asker(server).ask(questions(range(9)), FORM) == list(range(9))
    assert len(server.asked) == 9


def test_answers_that_cannot_be_kept_end_it(asker, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with EndpointServer(echo) as server, pytest.raises(ResourceError, match="Cannot write"):
        asker(server, path=tmp_path / "taken" / "answers.jsonl").ask(questions(range(9)), FORM)
    assert len(server.asked) <= 6


KILLED = """
import sys
from pathlib import Path
from nearfar.negatives.answers import Answers
from nearfar.negatives.asking import Asker, Form, Question
from nearfar.negatives.endpoint import Endpoint

asker = Asker(Endpoint(url=sys.argv[1], model="judge", in_flight=3), Answers(Path(sys.argv[2])))
form = Form(name="number", max_tokens=3, remark="A number!")
asker.ask([Question(f"{number}?", lambda reply: float(reply.text)) for number in range(20)], form)
"""


def test_a_killed_process_asks_only_what_was_not_answered(asker, tmp_path):
    path = tmp_path / "answers.jsonl"
    release = threading.Event()

    def holds(prompt, times):
        if int(echo(prompt, times)) >= 10:
            release.wait(10)
        return echo(prompt, times)

    with EndpointServer(holds) as server:
        process = subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(path)])
        server.wait_for(13)  # so many have come, of which ten are answered
        process.kill()
        process.wait()
        release.set()
        with path.open("ab") as file:
            file.write(b'{"key": "12')  # as if the kill had come in the middle of a line
        before = list(server.prompts)
        assert asker(server).ask(questions(range(20)), FORM) == list(range(20))
        after = server.prompts[len(before) :]
    answered = {f"{number}?" for number in range(10)}
    assert set(before) == answered | {"10?", "11?", "12?"}
    assert sorted(after) == sorted(f"{number}?" for number in range(10, 20))
    assert len(path.read_text().splitlines()) == 20
