"""Negatives that are relevant: copies of an answer, and documents that the model cannot tell from one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.curves import typical
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.diagnosing.steps import Negatives, negatives, scores
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.statistics.paired import bootstrap_interval

_COPIES = 0.05
_NEAR = 0.15
_WAY = 0.8
"""Of the way from a document of another pair to the answer, from where on a negative scores nearly like it."""
_LEARNT = 0.5
"""Of the loss is left where the model has learnt its training pairs."""
_FEWEST = 20
_SHOWN = 5


def look(material: Material) -> Sequence[Sign]:
    """Negatives of training that are nearly the text of an answer, and those that both models score nearly like one."""
    seen = negatives(material)
    seen = replace(seen, same=_indistinct(material, seen))
    given, others = seen.at(seen.given), seen.at(~seen.given)
    found = [*_copies(material, given), *_copies_in_step(material, others), *_near(material, given, others)]
    if not found:
        raise Unmeasured(f"Fewer than {_FEWEST} training queries have negatives.")
    return found


def _copies(material: Material, seen: Negatives) -> Iterator[Sign]:
    shares = _by_query(seen, seen.same)
    if len(shares) < _FEWEST:
        return
    low, high = bootstrap_interval(shares, seed=material.config.training.seed)
    yield Sign(
        name="judged or mined negatives that are nearly the text of an answer",
        value=float(shares.mean()),
        low=low,
        high=high,
        usual=0.0,
        limit=_COPIES,
        sentence=f"Of the judged or mined negatives of a training query {_percent(shares.mean())} share most of their "
        "words with one of its answers, and score as high.",
        examples=_examples(material, seen.at(seen.same)),
        excuse=_unlearnt(material),
    )


def _copies_in_step(material: Material, seen: Negatives) -> Iterator[Sign]:
    shares = (_by_query(seen, seen.same) > 0).astype(np.float64)
    if len(shares) < _FEWEST:
        return
    low, high = bootstrap_interval(shares, seed=material.config.training.seed)
    yield Sign(
        name="training queries that meet a copy of their answer as a negative in the step",
        value=float(shares.mean()),
        low=low,
        high=high,
        usual=0.0,
        limit=_COPIES,
        sentence=f"In one step {_percent(shares.mean())} of the queries have a document for a negative, the answer of "
        "another query, that shares most of its words with their own answer, and scores as high.",
        examples=_examples(material, seen.at(seen.same)),
        excuse=_unlearnt(material),
    )


def _near(material: Material, given: Negatives, others: Negatives) -> Iterator[Sign]:
    """What scores nearly like an answer in the base model, and in the tuned one too that was trained to tell them."""
    if len(np.unique(given.query)) < _FEWEST or not len(others):
        return
    try:
        before, after = (_way(material, encoder, given, others) for encoder in (material.base, material.tuned))
    except Unmeasured:
        return
    near = (before >= _WAY) & (after >= _WAY)
    shares = _by_query(given, near)
    low, high = bootstrap_interval(shares, seed=material.config.training.seed)
    alike = "most negatives do, so that it may be how documents are made" if np.median(after) >= _WAY else ""
    yield Sign(
        name="judged or mined negatives that both models score nearly like an answer",
        value=float(shares.mean()),
        low=low,
        high=high,
        usual=0.0,
        limit=_NEAR,
        sentence=f"Of the judged or mined negatives of a training query {_percent(shares.mean())} score nearly like an "
        "answer in the base model, and still do in the model that was trained to put them below.",
        numbers={
            "by the base model": float(_by_query(given, before >= _WAY).mean()),
            "by the tuned model": float(_by_query(given, after >= _WAY).mean()),
        },
        examples=_examples(material, given.at(near)),
        excuse=_unlearnt(material) or alike,
    )


def _unlearnt(material: Material) -> str:
    """Why it cannot be said which documents the model is unable to tell apart; empty where it can."""
    try:
        loss = material.curve("loss")
    except Unmeasured:
        return "it is not known how the loss went"
    if 0 <= typical(loss, 0.7, 1.0) <= _LEARNT * typical(loss, 0.0, 0.1):
        return ""
    return "the loss fell by less than half, too little to say what cannot be told from an answer"


def _indistinct(material: Material, seen: Negatives) -> Bool[np.ndarray, " negative"]:
    """Near-copies that the tuned model scores as high as the answer. Texts from one mould it has learnt to tell."""
    same = seen.same.copy()
    if same.any():
        same[same] = _way(material, material.tuned, seen.at(same), seen.at(~seen.given)) >= 1
    return same


def _way(
    material: Material, encoder: SentenceTransformerEncoder, given: Negatives, others: Negatives
) -> Float64[np.ndarray, " negative"]:
    """Where each negative scores between a document of another pair (0) and the answer (1).

    Cosines of some models begin at 0.7, so that shares of the score itself mean nothing.
    """
    least = float(np.median(scores(material, encoder, others)[0]))
    negative, positive = (side.astype(np.float64) for side in scores(material, encoder, given))
    return (negative - least) / np.maximum(positive - least, 1e-6)


def _by_query(seen: Negatives, marked: Bool[np.ndarray, " negative"]) -> Float64[np.ndarray, " _query"]:
    """The share of the negatives of each query that is marked: queries are the sample, not their negatives."""
    _, at = np.unique(seen.query, return_inverse=True)
    shares: Float64[np.ndarray, " _query"] = np.bincount(at, marked) / np.bincount(at)
    return shares


def _examples(material: Material, seen: Negatives) -> tuple[dict[str, str], ...]:
    dataset = material.dataset
    _, first = np.unique(seen.query, return_index=True)
    return tuple(
        {
            "query": dataset.queries.text(int(seen.query[place])),
            "negative": dataset.documents.text(int(seen.document[place])),
            "answer": dataset.documents.text(int(seen.positive[place])),
        }
        for place in first[:_SHOWN].tolist()
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


CAUSE = Cause(
    name="false-negatives",
    title="Relevant documents are trained on as negatives",
    measured="The negatives of 512 training pairs in the batches of the first epoch: how many share most of their "
    "words with an answer and score as high in the tuned model, and how many judged or mined ones score nearly like "
    "one, from four fifths of the way from a random document on, in both the base and the tuned model.",
    limit="Of right hard negatives 0 to 9 % score nearly like an answer in both models, of 30 % false ones 22 to 27 %: "
    "named from 15 % on. One query in a hundred, at most, meets a copy of its answer in a step of real data that the "
    "model puts above it: named from one in twenty on. Nothing is named where the loss fell by less than half, and "
    "none of the second where most negatives do: then it is how the documents are made, or no negative is right.",
    advice="nearfar audit lists them. Mine negatives anew with a filter (nearfar mine), judge or drop the copies, or "
    "take an objective that leaves doubtful negatives out, such as GIST or UniME.",
    look=look,
    follows=("not-finite",),
)
