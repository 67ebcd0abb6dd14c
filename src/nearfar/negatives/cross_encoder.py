"""A judge that reads query and document together: a cross-encoder of sentence-transformers."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from nearfar.encoders.fingerprint import add_weights
from nearfar.encoders.locate import locate
from nearfar.encoders.quiet import quiet
from nearfar.errors import ConfigError, DataError
from nearfar.events import Silent, Sink, track
from nearfar.negatives.answers import Answers, key_of

_BLOCK = 2048
"""Pairs that are scored and kept together. A block is computed as a whole or not at all: in another company a pair may
get another last digit, and a job that was killed must end with the same bytes.
"""


class CrossEncoderJudge:
    """Scores pairs by a cross-encoder, in float32.

    Equal pairs are scored once. Pairs are sorted by length, so that those that share a forward pass are about as long.

    Args:
        model: a ``CrossEncoder`` with one output, in evaluation mode (``open_cross_encoder`` opens one).
        answers: where scores are kept, by the weights and by the texts.
        logits: whether scores are what the model puts out, of any size, as distillation wants them; else they are its
            logistic function, between 0 and 1 whatever the model's own activation is, as thresholds want them.
        batch: pairs in a forward pass.
    """

    def __init__(self, model: Any, answers: Answers, *, logits: bool = False, batch: int = 64) -> None:
        self.model, self.answers, self.batch = model, answers, batch
        self._activation = torch.nn.Identity() if logits else torch.nn.Sigmoid()
        self.fingerprint = key_of(_hash(model), logits, batch).hex()

    def scores(
        self, queries: Sequence[str], documents: Sequence[str], sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The score of each pair.

        Raises:
            DataError: when the model gives a score that is not finite.
        """
        pairs = list(zip(queries, documents, strict=True))
        order = sorted(set(pairs), key=lambda pair: (len(pair[0]) + len(pair[1]), pair))
        blocks = [order[start : start + _BLOCK] for start in range(0, len(order), _BLOCK)]
        found: dict[tuple[str, str], float] = {}
        for block in track(blocks, "scoring pairs", sink):
            key = key_of(self.fingerprint, block)
            if key not in self.answers:
                self.answers.put([(key, self._scored(block), "")])
            values = self.answers[key]
            assert isinstance(values, list)  # the key says what it is
            found.update(zip(block, values, strict=True))
        return np.array([found[pair] for pair in pairs], dtype=np.float32)

    def _scored(self, block: list[tuple[str, str]]) -> list[float]:
        with quiet(), torch.autocast(self.model.device.type, enabled=False):
            scores = self.model.predict(
                [list(pair) for pair in block],
                batch_size=self.batch,
                activation_fn=self._activation,
                show_progress_bar=False,
            )
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            query, document = (text[:60] for text in block[bad[0]])
            raise DataError(
                f"The cross-encoder gives {scores[bad[0]]} for the query {query!r} and the text {document!r}. Its "
                "weights are damaged, or hold numbers too large for float32."
            )
        return [float(score) for score in scores]


def _hash(model: Any) -> str:
    """128 bits over weights, layout, tokenizer, prompts and length."""
    digest = hashlib.blake2b(digest_size=16)
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    content = json.loads(tokenizer.to_str()) if tokenizer is not None else {}
    for call in ("truncation", "padding"):  # left there by the last call, not part of the model
        content.pop(call, None)
    digest.update(f"{model} {model.max_seq_length} {model.prompts} {model.default_prompt_name} {content}".encode())
    add_weights(digest, model)
    return digest.hexdigest()


def open_cross_encoder(name: str, *, device: str | None = None, max_length: int | None = None, seed: int = 0) -> Any:
    """Open a cross-encoder from a folder, an installed package (``package:...``) or the hub.

    Args:
        name: the forms are those of ``encoders.locate``.
        device: a torch device; None takes the accelerator if there is one.
        max_length: tokens after which a pair is cut; None keeps the model's own.
        seed: of weights that the folder lacks.

    Raises:
        ConfigError: when it cannot be found or opened, or has not exactly one output.
        ResourceError: when it can only be on the hub, and the hub cannot be reached.
    """
    from sentence_transformers import CrossEncoder

    located = locate(name)
    if located.tokenizer is not None:
        raise ConfigError(f"{name} is a static encoder; a cross-encoder is a transformer with one output.")
    source = str(located.folder or located.hub_id)
    model = _opened(lambda: CrossEncoder(source, device=device, max_length=max_length), name, seed)
    if model.num_labels != 1:
        raise ConfigError(
            f"{name} has {model.num_labels} outputs; a judge needs one, which says how relevant a text is."
        )
    return model.float().eval()


def _opened(opens: Callable[[], Any], name: str, seed: int) -> Any:
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return opens()
    except Exception as error:  # the libraries underneath raise many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f"Cannot open the cross-encoder {name}: {reason}") from error
