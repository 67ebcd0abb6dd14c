"""A client of any server that speaks the OpenAI protocol: one question at a time, with retries and a budget.

The key comes from the environment (``NEARFAR_API_KEY``, else ``OPENAI_API_KEY``) and goes into the header of requests,
nowhere else.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np

from nearfar.config.component import is_number, is_whole
from nearfar.errors import ConfigError, NearfarError, ResourceError

KEY_VARIABLES = ("NEARFAR_API_KEY", "OPENAI_API_KEY")
"""Where the key is looked for, in this order."""

LONGEST_WAIT = 300.0
"""Seconds. A server that asks for more is not waited for: the job pauses."""

_FIRST_WAIT, _LONGEST_BACKOFF = 0.5, 60.0
_REFUSED = (400, 413, 422)
"""The server does not take this question; it may take others."""
_TRY_AGAIN = (408, 409, 425, 429)
_PATH = "/chat/completions"
_CHARACTERS_PER_TOKEN = 4
"""For servers that do not say how many tokens they used."""


class PausedError(ResourceError):
    """Asking stopped before the end. What was answered is kept, and the job goes on with ``--resume``."""


class BudgetSpentError(PausedError):
    """As many requests or tokens as were allowed are spent."""


class UnreachableError(PausedError):
    """The server is down, or too busy, for longer than retries last."""


class RefusedError(NearfarError):
    """The server does not take a question, for one because it is too long. Asking again would not help."""


class StoppedError(NearfarError):
    """The client was told to stop while a question waited."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A language model behind a URL, and how it is asked.

    Attributes:
        url: where the protocol starts, such as ``http://localhost:8000/v1``.
        model: the name by which the server knows the model.
        temperature: of sampling; 0 for the most likely answer.
        timeout: seconds without any sign of the server.
        retries: how often a request that failed is sent again.
        in_flight: how many requests are under way at once.
        requests: how many may be sent by one process, retries included; None for no limit.
        tokens: how many may be used by one process, prompts included; None for no limit. What is in flight when it is
            reached comes on top.
        body: further fields of each request; None takes a field out, which some servers need:
            ``{"max_tokens": None, "max_completion_tokens": 16}``.

    Raises:
        ConfigError: when a value cannot be used.
    """

    url: str
    model: str
    temperature: float = 0.0
    timeout: float = 120.0
    retries: int = 6
    in_flight: int = 4
    requests: int | None = None
    tokens: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
            named = parts.username is not None or parts.password is not None
        except ValueError:
            usable, named = False, False
        if named:
            raise ConfigError(f"Leave name and password out of the URL of a server; set {KEY_VARIABLES[0]} instead.")
        if not usable:
            raise ConfigError(f"Expected the URL of a server, such as http://localhost:8000/v1, got {self.url!r}.")
        if not self.model:
            raise ConfigError(f"Which model of {self.url} is to be asked? Give the name by which the server knows it.")
        for name, least, kind in (
            ("temperature", 0, is_number),
            ("timeout", 0.001, is_number),
            ("retries", 0, is_whole),
            ("in_flight", 1, is_whole),
            ("requests", 1, is_whole),
            ("tokens", 1, is_whole),
        ):
            value = getattr(self, name)
            if not (value is None and name in ("requests", "tokens")) and not (kind(value) and value >= least):
                raise ConfigError(f"{name} of the server {self.url} must be a number from {least}, got {value!r}.")

    @property
    def address(self) -> str:
        """Where requests go."""
        url = self.url.rstrip("/")
        return url if url.endswith(_PATH) else url + _PATH


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a server answered.

    Attributes:
        text: the answer; empty where there was none, or none that follows the protocol.
        raw: the beginning of what was sent, for messages.
        cut: whether the answer is longer than was allowed, and ends in the middle.
        tokens: used for prompt and answer, as the server says; None where it does not.
        first: natural logarithms of the probabilities of what the first word could have been.
    """

    text: str = ""
    raw: str = ""
    cut: bool = False
    tokens: int | None = None
    first: Mapping[str, float] = field(default_factory=dict)


class Client:
    """Sends questions, from any number of threads, and counts what they cost.

    Args:
        endpoint: whom to ask, and how.
        seed: of the jitter of waits, and of sampling where the temperature is above 0.
        wait: called with seconds to wait; None waits, and ends early when the client is stopped.
    """

    def __init__(self, endpoint: Endpoint, *, seed: int = 0, wait: Callable[[float], object] | None = None) -> None:
        self.endpoint, self.seed = endpoint, seed
        self.requests, self.tokens = 0, 0
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._wait = wait or self._stopping.wait
        self._http: httpx2.Client | None = None
        self._secret = ""

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Inside, questions can be asked; connections are kept for as long.

        Raises:
            ConfigError: when the key in the environment cannot be one.
        """
        self._secret = _key()
        headers = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
        limits = httpx2.Limits(max_connections=self.endpoint.in_flight)
        self._stopping.clear()
        with httpx2.Client(timeout=self.endpoint.timeout, headers=headers, limits=limits) as self._http:
            try:
                yield
            finally:
                self._http = None

    def stop(self) -> None:
        """Make all that wait for another try give up; what is under way comes to its end."""
        self._stopping.set()

    def ask(self, prompt: str, *, max_tokens: int, logprobs: bool = False, draw: int = 0) -> Reply:
        """Ask one question, again and again until the server answers something.

        Args:
            prompt: the question.
            max_tokens: how long the answer may be.
            logprobs: whether to ask for the probabilities of the first words.
            draw: another number, another answer where the temperature is above 0, and another jitter.

        Raises:
            RefusedError: the server does not take this question.
            PausedError: the budget is spent, or the server is down.
            StoppedError: the client was stopped.
            ConfigError: the server does not know the key, the model or the address.
        """
        request = self._request(prompt, max_tokens, logprobs, draw)
        generator = np.random.default_rng((self.seed, draw))
        trouble = ""
        for attempt in range(self.endpoint.retries + 1):
            if self._stopping.is_set():
                raise StoppedError("Asking was stopped.")
            self._spend()
            after = 0.0
            try:
                assert self._http is not None, "ask inside `with client.opened()`"
                response = self._http.post(self.endpoint.address, json=request)
            except httpx2.RequestError as error:
                trouble = str(error).strip() or type(error).__name__
            else:
                if response.status_code == 200:
                    return self._counted(prompt, _reply(response.content))
                trouble = self._trouble(response)
                after = _retry_after(response.headers.get("retry-after", ""))
                if after > LONGEST_WAIT:
                    raise UnreachableError(f"{self.endpoint.url} asks to wait {after:.0f} seconds ({trouble}).")
            if attempt < self.endpoint.retries:
                backoff = min(_LONGEST_BACKOFF, _FIRST_WAIT * 2.0**attempt) * generator.uniform(0.5, 1.0)
                self._wait(max(after, float(backoff)))
        tries = self.endpoint.retries + 1
        raise UnreachableError(
            f"{self.endpoint.url} gave no answer to {tries} tries of a question; at last: {trouble}."
        )

    def _request(self, prompt: str, max_tokens: int, logprobs: bool, draw: int) -> dict[str, Any]:
        endpoint = self.endpoint
        request: dict[str, Any] = {
            "model": endpoint.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": endpoint.temperature,
            "max_tokens": max_tokens,
        }
        if logprobs:
            request |= {"logprobs": True, "top_logprobs": 20}
        if endpoint.temperature > 0:  # without sampling it has no meaning, and not every server takes it
            request["seed"] = (self.seed + draw) % 2**31
        return {name: value for name, value in {**request, **endpoint.body}.items() if value is not None}

    def _spend(self) -> None:
        endpoint = self.endpoint
        with self._lock:
            for spent, allowed, what in (
                (self.requests, endpoint.requests, "requests"),
                (self.tokens, endpoint.tokens, "tokens"),
            ):
                if allowed is not None and spent >= allowed:
                    raise BudgetSpentError(f"The budget of {allowed} {what} to {endpoint.url} is spent.")
            self.requests += 1

    def _counted(self, prompt: str, reply: Reply) -> Reply:
        used = (len(prompt) + len(reply.text)) // _CHARACTERS_PER_TOKEN + 1 if reply.tokens is None else reply.tokens
        with self._lock:
            self.tokens += used
        return reply

    def _trouble(self, response: httpx2.Response) -> str:
        """What the server said, in a few words.

        Raises:
            RefusedError, ConfigError: when it would say the same another time.
        """
        said = " ".join(_message(response.content).split())[:300]
        said = said.replace(self._secret, "***") if self._secret else said
        status, url = response.status_code, self.endpoint.url
        trouble = f"{status} {said}".strip()
        if status in _REFUSED:
            raise RefusedError(trouble)
        if status in (401, 403):
            raise ConfigError(f"{url} does not accept the key ({trouble}). Set {' or '.join(KEY_VARIABLES)}.")
        if status < 500 and status not in _TRY_AGAIN:
            raise ConfigError(
                f"{self.endpoint.address} cannot be asked for the model {self.endpoint.model!r} ({trouble}). Check the "
                "URL, which usually ends in /v1, and the name of the model."
            )
        return trouble


def _key() -> str:
    for name in KEY_VARIABLES:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise ConfigError(f"The key in {name} holds characters that no key has; copy it again.")
        if key:
            return key
    return ""


def _reply(body: bytes) -> Reply:
    """Read a reply; whatever does not follow the protocol is an empty one."""
    raw = body[:200].decode(errors="replace")
    try:
        found = json.loads(body)
        choice = found["choices"][0]
        text = choice["message"]["content"]
        if not isinstance(text, str):
            return Reply(raw=raw)
    except (ValueError, LookupError, TypeError, RecursionError):
        return Reply(raw=raw)
    usage = found.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return Reply(
        text=text,
        raw=text[:200],
        cut=choice.get("finish_reason") == "length",
        tokens=tokens if is_whole(tokens) and tokens >= 0 else None,
        first=_first(choice.get("logprobs")),
    )


def _first(logprobs: object) -> dict[str, float]:
    """What the first token that is more than space could have been; nothing where the server does not say."""
    try:
        for token in logprobs["content"]:  # type: ignore[index]  # whatever it is, it is caught
            if token["token"].strip():
                return {str(each["token"]): float(each["logprob"]) for each in token["top_logprobs"]}
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    return {}


def _message(body: bytes) -> str:
    """The words of an error: those of the protocol where it follows one, else its beginning."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return body[:300].decode(errors="replace")


def _retry_after(value: str) -> float:
    """Seconds from now, given as a number or as a date; 0 where there is no such wish."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
