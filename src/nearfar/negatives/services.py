"""What parts of a job share that is not data: a server with its budget, and answers that are kept."""

from functools import cached_property
from pathlib import Path

from nearfar.errors import ConfigError
from nearfar.negatives.answers import Answers
from nearfar.negatives.asking import Asker
from nearfar.negatives.endpoint import Endpoint


class Services:
    """Who answers questions of a job, and where the answers are kept. Nothing of it decides what they are.

    Args:
        folder: of the job; answers are in ``answers.jsonl`` in it.
        url: of a server that speaks the OpenAI protocol, for parts that name none.
        requests: how many this process may send, None for no limit.
        tokens: how many this process may use, None for no limit.
        seed: of the job.
        device: of models that are opened here.
    """

    def __init__(
        self,
        folder: Path,
        *,
        url: str | None = None,
        requests: int | None = None,
        tokens: int | None = None,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        self.seed, self.device = seed, device
        self._folder, self._url, self._requests, self._tokens = folder, url, requests, tokens
        self._askers: dict[tuple[str, str], Asker] = {}

    @cached_property
    def answers(self) -> Answers:
        """Answers to questions, and scores of cross-encoders, by content."""
        return Answers(self._folder / "answers.jsonl")

    def asker(self, model: str, url: str = "") -> Asker:
        """Asks a model; one for each model, so that its budget holds for the whole job.

        Raises:
            ConfigError: when nobody has said where the server is.
        """
        where = url or self._url
        if not where:
            raise ConfigError(
                f"The language model {model!r} has no server. Give the address of one that speaks the OpenAI protocol: "
                "--judge-url http://localhost:8000/v1."
            )
        if (model, where) not in self._askers:
            endpoint = Endpoint(url=where, model=model, requests=self._requests, tokens=self._tokens)
            self._askers[model, where] = Asker(endpoint, self.answers, seed=self.seed)
        return self._askers[model, where]
