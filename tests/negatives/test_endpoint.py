"""One question to a server that delays, fails and lies."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from nearfar.errors import ConfigError, ResourceError
from nearfar.negatives.endpoint import (
    BudgetSpentError,
    Client,
    Endpoint,
    PausedError,
    RefusedError,
    StoppedError,
    UnreachableError,
)
from tests.endpoint_server import EndpointServer, Say


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in ("NEARFAR_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def script(*answers):
    """Answers in turn, the last one for ever."""
    return lambda prompt, times: answers[min(times, len(answers) - 1)]


def ask(server, prompt="why?", *, waits=None, seed=0, question=None, **options):
    endpoint = Endpoint(url=server.url, model="judge", **options)
    client = Client(endpoint, seed=seed, wait=(waits if waits is not None else []).append)
    with client.opened():
        return client.ask(prompt, max_tokens=5, **(question or {}))


def test_a_question_and_its_answer():
    with EndpointServer(lambda prompt, times: Say(text="Yes.", chances={"Yes": 0.75, "no": 0.25}, tokens=7)) as server:
        reply = ask(server, question={"logprobs": True})
    assert (reply.text, reply.tokens, reply.cut) == ("Yes.", 7, False)
    assert reply.first == pytest.approx({"Yes": -0.28768207, "no": -1.38629436})
    assert server.paths == ["/v1/chat/completions"]
    assert server.asked == [
        {
            "model": "judge",
            "messages": [{"role": "user", "content": "why?"}],
            "temperature": 0.0,
            "max_tokens": 5,
            "logprobs": True,
            "top_logprobs": 20,
        }
    ]
    assert "Authorization" not in server.headers[0]


def test_the_first_word_is_the_first_that_is_more_than_space():
    body = (
        '{"choices": [{"message": {"content": "\\nno"}, "logprobs": {"content": ['
        '{"token": "\\n", "top_logprobs": [{"token": "\\n", "logprob": -0.1}]}, '
        '{"token": "no", "top_logprobs": [{"token": "no", "logprob": -0.5}]}]}}]}'
    )
    with EndpointServer(script(Say(body=body))) as server:
        assert ask(server).first == {"no": -0.5}


def test_an_address_may_be_whole_or_end_in_a_slash():
    for url in ("http://a/v1", "http://a/v1/", "http://a/v1/chat/completions", "http://a/v1/chat/completions/"):
        assert Endpoint(url=url, model="m").address == "http://a/v1/chat/completions"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "localhost:8000"}, "Expected the URL of a server"),
        ({"url": "http://"}, "Expected the URL of a server"),
        ({"url": "http://a:b"}, "Expected the URL of a server"),
        ({"url": "http://me:secret@a/v1"}, "Leave name and password out"),
        ({"model": ""}, "Which model of http://a/v1"),
        ({"retries": -1}, "retries of the server http://a/v1 must be a number from 0, got -1"),
        ({"in_flight": 0}, "in_flight .* from 1, got 0"),
        ({"requests": 0}, "requests .* from 1, got 0"),
        ({"timeout": 0.0}, "timeout"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Endpoint(**{"url": "http://a/v1", "model": "m", **options})
    assert "secret" not in str(caught.value)


def test_fields_are_added_and_taken_out():
    with EndpointServer(script("x")) as server:
        ask(
            server, body={"max_tokens": None, "max_completion_tokens": 5}, temperature=0.7, question={"draw": 3}, seed=4
        )
    assert server.asked[0] == {
        "model": "judge",
        "messages": [{"role": "user", "content": "why?"}],
        "temperature": 0.7,
        "max_completion_tokens": 5,
        "seed": 7,
    }


@pytest.mark.parametrize(
    "answer",
    [
        Say(text=""),
        Say(text=None),
        Say(body=""),
        Say(body="<html>Welcome</html>"),
        Say(body="[]"),
        Say(body='{"choices": []}'),
        Say(body='{"choices": [{"text": "yes"}]}'),
        Say(body='{"choices": "yes"}'),
        Say(body="[" * 100_000),
    ],
)
def test_what_is_no_answer_is_an_empty_one(answer):
    with EndpointServer(script(answer)) as server:
        assert ask(server).text == ""


@pytest.mark.parametrize("lie", ["true", '{"content": 7}', '{"content": [{"token": 5}]}', '{"content": []}'])
def test_probabilities_that_are_none_are_as_if_not_given(lie):
    body = f'{{"choices": [{{"message": {{"content": "yes"}}, "logprobs": {lie}}}], "usage": {{"total_tokens": "a"}}}}'
    with EndpointServer(script(Say(body=body))) as server:
        reply = ask(server)
    assert (reply.text, reply.first, reply.tokens) == ("yes", {}, None)


@pytest.mark.parametrize(
    "failure",
    [Say(status=500), Say(status=503), Say(status=429), Say(status=408), Say(reset=True)],
    ids=["500", "503", "429", "408", "reset"],
)
def test_what_passes_is_tried_again_after_longer_and_longer_waits(failure):
    waits = []
    with EndpointServer(script(failure, failure, failure, "yes")) as server:
        assert ask(server, waits=waits).text == "yes"
    assert len(server.asked) == 4
    assert len(waits) == 3
    for wait, most in zip(waits, (0.5, 1.0, 2.0), strict=True):
        assert most / 2 <= wait <= most


def test_waits_follow_from_the_seed():
    def waited(seed):
        waits = []
        with EndpointServer(script(Say(status=500), Say(status=500), "yes")) as server:
            ask(server, waits=waits, seed=seed)
        return waits

    assert waited(1) == waited(1) != waited(2)


def test_a_server_says_how_long_to_wait():
    def waited(value):
        waits = []
        with EndpointServer(script(Say(status=429, headers={"Retry-After": value}), "yes")) as server:
            ask(server, waits=waits)
        return waits[0]

    assert waited("17") == 17.0
    assert 0.25 <= waited("0") <= 0.5
    assert 0.25 <= waited("soon") <= 0.5
    assert 25 <= waited(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)) <= 30
    with pytest.raises(UnreachableError, match="asks to wait 3600 seconds \\(429"):
        waited("3600")


def test_a_server_that_stays_away_pauses_the_job():
    waits = []
    broken = Say(status=500, body='{"error": {"message": "out of memory"}}')
    with EndpointServer(script(broken)) as server, pytest.raises(UnreachableError, match="500 out of memory"):
        ask(server, waits=waits, retries=2)
    assert len(server.asked) == 3
    assert len(waits) == 2
    with pytest.raises(UnreachableError, match=r"gave no answer to 2 tries of a question; at last: .*refused"):
        ask(server, retries=1)  # nobody listens any more
    assert issubclass(UnreachableError, PausedError)
    assert issubclass(PausedError, ResourceError)


def test_a_server_that_is_silent_is_given_up():
    with EndpointServer(script(Say(delay=0.5))) as server, pytest.raises(UnreachableError, match="timed out"):
        ask(server, retries=1, timeout=0.05)
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_question_that_is_refused_is_not_asked_again(status):
    refusal = Say(status=status, body='{"error": {"message": "too\\n long"}}')
    with EndpointServer(script(refusal)) as server, pytest.raises(RefusedError, match=f"{status} too long"):
        ask(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "does not accept the key .*Set NEARFAR_API_KEY or OPENAI_API_KEY"),
        (403, "does not accept the key"),
        (404, "cannot be asked for the model 'judge' .*404 no such model.* Check the URL"),
        (302, "Check the URL"),
    ],
)
def test_what_is_set_up_wrongly_is_said_at_once(status, message):
    with (
        EndpointServer(script(Say(status=status, body="no such model"))) as server,
        pytest.raises(ConfigError, match=message),
    ):
        ask(server)
    assert len(server.asked) == 1


def test_the_key_is_sent_and_never_said(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("NEARFAR_API_KEY", " sk-secret\n")
    answers = script("yes", Say(status=401, body="sk-secret is no good key"))
    with EndpointServer(answers) as server:
        client = Client(Endpoint(url=server.url, model="m"))
        with client.opened():
            client.ask("a", max_tokens=1)
            with pytest.raises(ConfigError) as caught:
                client.ask("a", max_tokens=1)
        monkeypatch.delenv("NEARFAR_API_KEY")
        ask(server, "b")
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer sk-secret"] * 2 + ["Bearer sk-other"]
    assert "*** is no good key" in str(caught.value)
    assert "sk-" not in repr(client.endpoint)


def test_a_key_that_cannot_be_one_is_not_shown(monkeypatch):
    monkeypatch.setenv("NEARFAR_API_KEY", "sk-sécret")
    with EndpointServer(script("yes")) as server, pytest.raises(ConfigError, match="key in NEARFAR_API_KEY") as caught:
        ask(server)
    assert "cret" not in str(caught.value)


def test_the_budget_counts_retries_and_tokens():
    with EndpointServer(lambda prompt, times: "yes" if times else Say(status=500)) as server:
        client = Client(Endpoint(url=server.url, model="m", requests=3), wait=lambda seconds: None)
        with client.opened():
            client.ask("a", max_tokens=1)
            with pytest.raises(BudgetSpentError, match=r"The budget of 3 requests to http.* is spent"):
                client.ask("b", max_tokens=1)
    assert len(server.asked) == client.requests == 3
    with EndpointServer(script(Say(text="yes", tokens=60), Say(text="y" * 20, tokens=None))) as server:
        client = Client(Endpoint(url=server.url, model="m", tokens=80))
        with client.opened():
            client.ask("a" * 60, max_tokens=1)
            client.ask("a" * 60, max_tokens=1)
            assert client.tokens == 60 + (60 + 20) // 4 + 1
            with pytest.raises(BudgetSpentError, match="80 tokens"):
                client.ask("a" * 60, max_tokens=1)


def test_a_client_that_is_stopped_waits_no_longer():
    with EndpointServer(script(Say(status=500))) as server:
        client = Client(Endpoint(url=server.url, model="m"), wait=lambda seconds: client.stop())
        with client.opened(), pytest.raises(StoppedError):
            client.ask("a", max_tokens=1)
    assert len(server.asked) == 1
