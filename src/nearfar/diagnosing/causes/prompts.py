"""Prompts that the model does better without, or with others that it knows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.encoders.protocol import Role
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.evaluation.evaluate import Task
from nearfar.evaluation.measures import per_query
from nearfar.evaluation.retrieve import Corpus, ranked
from nearfar.statistics.paired import bootstrap_interval

_QUERIES = 200
_DOCUMENTS = 1000
_LIMIT = 0.02
_MOST = 6
"""Other prompts that are tried."""


@dataclass(frozen=True)
class Prompts:
    """What is put before queries and before documents."""

    query: str
    document: str

    @classmethod
    def of(cls, encoder: SentenceTransformerEncoder) -> "Prompts":
        """Those that an encoder uses."""
        return cls(encoder.prompt(Role.QUERY) or "", encoder.prompt(Role.DOCUMENT) or "")

    def __str__(self) -> str:
        return f"query {self.query!r}, document {self.document!r}"


def look(material: Material) -> Sequence[Sign]:
    """What a sample of queries finds with the prompts of the run, and with each of the others that the model knows.

    The tuned model is asked with all of them. The base model is asked with its own ones, if the run has set others.
    """
    tuned, used = material.tuned, Prompts.of(material.tuned)
    try:
        own = material.untouched
    except Unmeasured:
        own = None
    others = list(_others(used, tuned, own))
    if not others:
        nothing = "Neither the run nor its model has a prompt, so there is nothing to exchange."
        return [Sign(name="gain with other prompts", value=0.0, usual=0.0, limit=_LIMIT, sentence=nothing)]
    sample = _Sample(material)
    chance = 0.05 / (len(others) + 1)  # one of them is better by chance in one run of twenty
    found = [_sign(sample, "tuned", tuned, used, other, chance) for other in others]
    if own is not None and (its := Prompts.of(own)) not in (used, Prompts("", "")):
        found.append(_sign(sample, "base", own, used, its, chance))
    return found


def _others(
    used: Prompts, tuned: SentenceTransformerEncoder, own: SentenceTransformerEncoder | None
) -> Iterator[Prompts]:
    known = dict.fromkeys(
        [
            *([Prompts.of(own)] if own is not None else []),
            Prompts("", ""),
            Prompts(used.document, used.query),
            *(Prompts(str(prompt), used.document) for prompt in tuned.model.prompts.values()),
        ]
    )
    known.pop(used, None)
    yield from list(known)[:_MOST]


def _sign(
    sample: "_Sample", system: str, encoder: SentenceTransformerEncoder, used: Prompts, other: Prompts, chance: float
) -> Sign:
    now, then = sample.values(encoder, used), sample.values(encoder, other)
    low, high = bootstrap_interval(then - now, confidence=1 - chance, seed=sample.seed)
    return Sign(
        name=f"gain in {sample.measure} of the {system} model with {other}",
        value=float((then - now).mean()),
        low=low,
        high=high,
        usual=0.0,
        limit=_LIMIT,
        sentence=f"With {other} the {system} model has {sample.measure} {then.mean():.3f} on a sample of {len(then)} "
        f"queries, with the prompts of the run ({used}) {now.mean():.3f}.",
        numbers={"with the prompts of the run": float(now.mean()), "with the others": float(then.mean())},
    )


class _Sample:
    """Some queries of the evaluation, their relevant documents, and other documents."""

    def __init__(self, material: Material) -> None:
        task: Task = material.task
        self.seed, self.measure = task.seed, material.measure
        generator = np.random.default_rng(self.seed)
        self._queries = np.sort(generator.permutation(task.queries)[:_QUERIES])
        dataset = material.dataset
        relevant = np.isin(dataset.nodes, dataset.positives(task.split).of(self._queries).node) & dataset.searched
        places = np.flatnonzero(relevant).astype(np.int64)
        others = np.flatnonzero(dataset.searched & ~relevant).astype(np.int64)
        rows = np.concatenate([generator.permutation(places)[:_DOCUMENTS], generator.permutation(others)[:_DOCUMENTS]])
        self._split, self._depth = task.split, task.options.depth
        searched = np.zeros(len(dataset.documents), dtype=np.bool_)
        searched[rows] = True
        judged = {task.split: dataset.qrels[task.split].of(self._queries)}
        self._dataset = replace(dataset, searched=searched, qrels=judged)
        self._corpus = Corpus.of(self._dataset)

    def values(self, encoder: SentenceTransformerEncoder, prompts: Prompts) -> Float64[np.ndarray, " query"]:
        """The measure of each query with some prompts in the place of the encoder's own."""
        table = encoder.model.prompts
        encoder.model.prompts = {**table, "query": prompts.query, "document": prompts.document}
        try:
            documents = encoder.encode_documents(self._corpus.texts())
            queries = encoder.encode_queries(self._dataset.queries.take(self._queries))
        finally:
            encoder.model.prompts = table
        found = ranked(queries, documents, encoder.similarity, self._corpus, self._queries, self._depth)
        scored = per_query(found.hits, self._queries, self._dataset, self._split, (self.measure,))
        values: Float64[np.ndarray, " query"] = scored.values[:, 0]
        return values


CAUSE = Cause(
    name="prompts",
    title="Other prompts would do better",
    measured="The first measure on a sample of test queries and documents with the prompts of the run, with none, with "
    "those of the base model, with both exchanged, and with each other prompt of the model's table.",
    limit="Two points more, by the lower end of an interval that allows for all that were tried.",
    advice="Leave model.prompts out to use the model's own table, or set the better ones, and train again: a model is "
    "trained, measured and used with the same prompts.",
    look=look,
    follows=("not-finite", "collapse"),
)
