"""Many questions to a language model: several under way at once, each asked once in a lifetime, answers in order."""

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from nearfar.errors import ConfigError
from nearfar.events import Message, Progress, Silent, Sink
from nearfar.negatives.answers import Answers, Value, key_of
from nearfar.negatives.endpoint import Client, Endpoint, PausedError, RefusedError, Reply, StoppedError
from nearfar.negatives.prompts import fill

HOPELESS = 10
"""As many questions without a single answer that can be read: something is set up wrongly, and money is saved."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """How questions of a kind are asked.

    Attributes:
        name: of what an answer is read as; another reading is another name.
        max_tokens: how long an answer may be.
        remark: appended to a question whose answer could not be read, when it is asked again.
        logprobs: whether to ask for the probabilities of the first words.
    """

    name: str
    max_tokens: int
    remark: str
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how its answer is read. The words are put together when they are needed: a million prompts are
    gigabytes, of which most is the same few documents.

    Attributes:
        template: what is asked, with places for the values.
        read: gives what an answer means, None for nonsense.
        values: what goes into the places.
    """

    template: str
    read: Callable[[Reply], Value]
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """What is asked."""
        return fill(self.template, **self.values)


@dataclass(frozen=True)
class _Outcome:
    """What became of a question: its answer, or why there is none and what the server said."""

    value: Value = None
    why: str = ""
    said: str = ""


class Asker:
    """Asks a server what its table of answers does not hold.

    Args:
        endpoint: whom to ask.
        answers: what is known; what is learnt is added to it at once.
        seed: of jitter and sampling.
        attempts: how often a question is asked whose answer cannot be read, before it counts as not answered.
        pause: called with seconds to wait; None waits.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        answers: Answers,
        *,
        seed: int = 0,
        attempts: int = 3,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.endpoint, self.answers, self.attempts = endpoint, answers, attempts
        self.client = Client(endpoint, seed=seed, wait=pause)

    def fingerprint(self, form: Form, *templates: str) -> str:
        """What the answers to questions of a form follow from, beside their texts. The address is not part of it."""
        return self._key(form, str(self.attempts), *templates).hex()

    def ask(
        self, questions: Sequence[Question], form: Form, sink: Sink = Silent(), task: str = "asking"
    ) -> list[Value]:
        """The answers, in the order of the questions; None for one that was asked as often as allowed without success.

        Equal questions are asked once, and those that the table holds not at all. Whatever ends this early, the answers
        that came until then are in the table.

        Raises:
            PausedError: the budget is spent, or the server is down.
            ConfigError: the server refuses everybody, or many questions and not one got an answer that can be read.
        """
        keys = [self._key(form, question.prompt) for question in questions]
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in self.answers}
        done, total = len(set(keys)) - len(new), len(set(keys))
        sink.emit(Progress(task=task, done=done, total=total))
        answered = False
        held: dict[bytes, _Outcome] = {}  # nothing is kept as not answered before it is clear that the server works
        try:
            with closing(self._outcomes(new, form)) as outcomes:
                for key, outcome in outcomes:
                    answered = answered or not outcome.why
                    held[key] = outcome
                    if answered:
                        self._keep(held)
                    elif len(held) >= HOPELESS:
                        raise ConfigError(self._hopeless(outcome))
                    done += 1
                    sink.emit(Progress(task=task, done=done, total=total))
        except PausedError as error:
            kept = sum(key in self.answers for key in set(keys))
            raise type(error)(
                f"{error} {kept} of {total} questions are answered and kept in {self.answers.path}; run again with "
                "--resume to ask the others."
            ) from error
        self._keep(held)
        missed = sum(self.answers[key] is None for key in set(keys))
        if missed:
            text = (
                f"{missed} of {total} questions to {self.endpoint.model} have no answer; {self.answers.path} says why."
            )
            sink.emit(Message(text=text, level="warning"))
        return [self.answers[key] for key in keys]

    def _keep(self, held: dict[bytes, _Outcome]) -> None:
        self.answers.put([(key, outcome.value, outcome.why) for key, outcome in held.items()])
        held.clear()

    def _key(self, form: Form, *texts: str) -> bytes:
        endpoint = self.endpoint
        drawn = [self.client.seed] if endpoint.temperature > 0 else []
        how = [form.name, form.max_tokens, form.remark, form.logprobs]
        return key_of(endpoint.model, endpoint.temperature, dict(endpoint.body), drawn, how, texts)

    def _outcomes(self, questions: dict[bytes, Question], form: Form) -> Generator[tuple[bytes, _Outcome], None, None]:
        """What became of each question, as soon as it is known. After an error, first those that were under way."""
        if not questions:
            return
        waiting, running = iter(questions.items()), dict[Future[_Outcome], bytes]()
        failed: BaseException | None = None
        width = self.endpoint.in_flight
        with self.client.opened(), ThreadPoolExecutor(width, thread_name_prefix="asking") as pool:
            try:
                while True:
                    if failed is None:
                        for key, question in islice(waiting, width - len(running)):
                            running[pool.submit(self._outcome, key, question, form)] = key
                    if not running:
                        break
                    try:
                        finished = wait(running, return_when=FIRST_COMPLETED).done
                    except KeyboardInterrupt as error:  # the first one lets what is under way come to its end
                        if failed is not None:
                            raise
                        failed, finished = error, set()
                        self.client.stop()
                    for future in finished:
                        key, trouble = running.pop(future), future.exception()
                        if trouble is None:
                            yield key, future.result()
                        elif not isinstance(trouble, StoppedError):
                            failed = failed or trouble
                            self.client.stop()
            finally:  # also when whoever takes the outcomes stops taking them
                self.client.stop()
        if failed is not None:
            raise failed

    def _outcome(self, key: bytes, question: Question, form: Form) -> _Outcome:
        said = ""
        for attempt in range(self.attempts):
            prompt = question.prompt + (f"\n\n{form.remark}" if attempt else "")
            draw = (int.from_bytes(key[:4]) + attempt) % 2**32
            try:
                reply = self.client.ask(prompt, max_tokens=form.max_tokens, logprobs=form.logprobs, draw=draw)
            except RefusedError as error:
                return _Outcome(why="refused by the server", said=str(error))
            value = question.read(reply)
            if value is not None:
                return _Outcome(value=value)
            said = reply.raw
        return _Outcome(why="no answer that can be read", said=said)

    def _hopeless(self, outcome: _Outcome) -> str:
        return (
            f"{self.endpoint.model} at {self.endpoint.url} answered none of {HOPELESS} questions ({outcome.why}). It "
            f"said: {outcome.said!r}. Try another model or template, or change what is sent through body."
        )
