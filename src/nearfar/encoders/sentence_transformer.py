"""sentence-transformers models, trained and used through their own modules and their own prompt table."""

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar.encoders.processor import quick_on_processor
from nearfar.encoders.protocol import Features, Role, Tokenised, TorchEncoder
from nearfar.encoders.quiet import quiet
from nearfar.errors import ConfigError, did_you_mean

_PROMPT_NAMES = {Role.QUERY: ("query",), Role.DOCUMENT: ("document", "passage", "corpus")}
"""Which entry of the prompt table a role takes: the first that exists, as encode_query and encode_document do."""


class SentenceTransformerEncoder(TorchEncoder):
    """Any text model that ``SentenceTransformer`` opens: transformers with pooling, static vectors, routers.

    The prompt table is the model's own (``model.prompts``), so that it is saved with the model and used by training,
    search and evaluation alike. Texts become features through the model's own ``preprocess``, so that what is trained
    is what is used later.

    Args:
        model: the model; trained in place.
        prompts: entries to set in the prompt table, such as ``{"query": "query: "}``.
        max_length: tokens after which a text is cut; None keeps the model's own.
    """

    def __init__(
        self, model: SentenceTransformer, prompts: Mapping[str, str] | None = None, max_length: int | None = None
    ) -> None:
        super().__init__()
        self.model = model
        for name in prompts or {}:
            if name not in tuple(Role):
                raise ConfigError(
                    f"Prompts are set for 'query' and 'document', got {name!r}.{did_you_mean(name, [*map(str, Role)])}"
                )
        model.prompts = {**model.prompts, **(prompts or {})}
        if max_length is not None:
            try:
                model.max_seq_length = max_length
            except AttributeError as error:
                raise ConfigError(
                    f"max_length cannot be set: a {type(model[0]).__name__} model takes texts of any length."
                ) from error
        if model.similarity_fn_name not in ("cosine", "dot"):
            raise ConfigError(
                f"nearfar compares vectors by cosine or dot product; the model asks for {model.similarity_fn_name!r}."
            )
        self.pads = type(model[0]).__name__ != "StaticEmbedding"
        self.similarity = "dot" if model.similarity_fn_name == "dot" else "cosine"

    def prompt(self, role: Role) -> str | None:
        """The text that is put before every text of ``role``, or None."""
        for name in _PROMPT_NAMES[role]:
            if name in self.model.prompts:
                return str(self.model.prompts[name])
        default = self.model.default_prompt_name
        return self.model.prompts.get(default) if default is not None else None

    def way(self, role: Role) -> Hashable:
        """The prompt, and the role itself where the model routes by it."""
        routed = type(self.model[0]).__name__ == "Router"
        return (self.prompt(role) or "", role if routed else None)

    @property
    def settings(self) -> str:
        """Prompts, length and tokenizer."""
        tokenizer: Any = getattr(self.model, "tokenizer", None)
        tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
        content = json.loads(tokenizer.to_str()) if hasattr(tokenizer, "to_str") else {}
        for call in ("truncation", "padding"):  # left there by the last call, not part of the model
            content.pop(call, None)
        prompts = {role.value: self.prompt(role) for role in Role}
        return f"{prompts} {self.model.max_seq_length} {content}"

    def lengths(self, texts: Sequence[str], role: Role) -> list[int]:
        """Token counts where the model has a transformers tokenizer, else an estimate from the characters."""
        prompt = self.prompt(role) or ""
        tokenizer = getattr(self.model, "tokenizer", None)
        if not callable(tokenizer) or not texts:
            return [len(prompt + text) // 4 + 1 for text in texts]
        tokens = tokenizer(
            [prompt + text for text in texts],
            truncation=True,
            max_length=self.model.max_seq_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return [len(ids) for ids in tokens["input_ids"]]

    def features(self, texts: Sequence[str], role: Role) -> Features:
        """What the model's own ``preprocess`` gives, and the role."""
        prompt = self.prompt(role)
        return {**self.model.preprocess(list(texts), prompt=prompt, task=role.value), "task": role.value}

    def tokenised(self, texts: Sequence[str], role: Role) -> Tokenised:
        """One tokenisation of all texts, of which each group takes its rows and the columns that it needs.

        What groups get is what ``features`` gives them. Where the model pads in other ways than to the longest text,
        or not at all, or a text has no token, each group is tokenised on its own.
        """
        whole = self.features(texts, role) if texts else {}
        tensors = {name: value for name, value in whole.items() if isinstance(value, Tensor)}
        mask = tensors.get("attention_mask")
        if mask is None or any(value.shape != mask.shape for value in tensors.values()):
            return super().tokenised(texts, role)
        lengths = mask.sum(dim=1)
        if int(lengths.min()) == 0 or mask.shape != (len(texts), int(lengths.max())):
            return super().tokenised(texts, role)

        def features(places: Sequence[int]) -> Features:
            rows = torch.as_tensor(places)
            used = mask[rows].any(dim=0).nonzero()
            columns = slice(int(used[0]), int(used[-1]) + 1)
            return {**whole, **{name: value[rows, columns] for name, value in tensors.items()}}

        return Tokenised(lengths=lengths.tolist(), features=features)

    def forward(self, features: Features) -> Float[Tensor, "text dim"]:
        """The sentence embeddings."""
        inputs = dict(features)
        task = inputs.pop("task")
        with quick_on_processor(self):
            embedded: Tensor = self.model(inputs, task=task)["sentence_embedding"]
        return embedded

    def save(self, folder: Path) -> None:
        """Write a folder that ``SentenceTransformer(folder)`` opens, without a model card."""
        with quiet():
            self.model.save_pretrained(str(folder), create_model_card=False)
