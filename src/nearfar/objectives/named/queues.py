"""Queues: objectives that compare with the candidates of earlier calls."""

from typing import Literal

from nearfar.objectives.candidates.keys import GuideKeys
from nearfar.objectives.candidates.queue import Queue
from nearfar.objectives.candidates.sides import OtherSide
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.form import Composition, Form
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.part import Candidates, Synthesis
from nearfar.objectives.registry import entry

__all__ = ["XBM", "ESimCSE", "MoCo"]

Keys = Literal["guide", "given"]

ROW = r"\ell_i = -z_{ip} + \log \Big( e^{z_{ip}} + \sum_{n \in N_i} e^{z_{in}}"


def queued(size: int) -> tuple[Synthesis, ...]:
    """A queue of so many candidates; nothing for 0."""
    return (Queue(size=size),) if size else ()


def seen_by(keys: Keys) -> Candidates:
    """What rows are compared with: the candidates, or the guide's vectors of them."""
    return GuideKeys() if keys == "guide" else OtherSide()


@entry(
    paper="Momentum Contrast for Unsupervised Visual Representation Learning",
    arxiv="1911.05722",
    equation=ROW + r" + \sum_{k \in Q} e^{z_{ik}} \Big)",
    family="synthesis",
)
def MoCo(*, temperature: float = 0.07, size: int = 4096, keys: Keys = "guide") -> Form:
    """InfoNCE of anchors against keys, and against a queue of the keys of earlier calls as further negatives.

    Keys are the candidates by a moving average of the encoder, given as ``guide_candidates``; neither they nor the
    queue carry gradient. Negatives of the batch stay beside the queue, which the paper does without. A text of the
    queue is never a negative of a row that it is relevant to, as far as the relation tells. Values start near the log
    of the number of columns, so they grow while the queue fills.

    Args:
        temperature: divides the similarities; above 0.
        size: how many keys the queue holds; the paper has 65536.
        keys: ``guide`` takes the guide's vectors of the candidates as keys; ``given`` the candidates as they are given,
            with gradient if they have any: for keys that you have made yourself. See ``XBM`` for the encoder's own.
    """
    return Composition(
        criterion=Softmax(),
        candidates=seen_by(keys),
        synthesis=queued(size),
        logits=(Temperature(temperature=temperature),),
    )


@entry(
    paper="Cross-Batch Memory for Embedding Learning",
    arxiv="1912.06798",
    equation=ROW + r" + \sum_{k \in M} e^{z_{ik}} \Big)",
    family="synthesis",
)
def XBM(*, temperature: float = 0.05, size: int = 4096, warm_up: int = 0) -> Form:
    """InfoNCE with the encoder's own vectors of the candidates of earlier calls as further negatives.

    The memory carries no gradient and is part of the checkpoint. Its vectors are as old as it is long, so that it wants
    an encoder that moves slowly: start it after the first large steps, and keep the learning rate small. A text of the
    memory is never a negative of a row that it is relevant to, as far as the relation tells. Any other pair loss gets
    such a memory by ``synthesis=[Queue(size=4096, warm_up=1000)]``.

    Args:
        temperature: divides the similarities; above 0.
        size: how many candidates the memory holds.
        warm_up: calls in training mode before anything is compared with it.
    """
    memory = (Queue(size=size, warm_up=warm_up),)
    return Composition(criterion=Softmax(), synthesis=memory, logits=(Temperature(temperature=temperature),))


@entry(
    paper="ESimCSE: Enhanced Sample Building Method for Contrastive Learning of Unsupervised Sentence Embedding",
    arxiv="2109.04380",
    equation=ROW + r" + \sum_{k \in Q} e^{z_{ik}} \Big)",
    family="synthesis",
)
def ESimCSE(*, temperature: float = 0.05, size: int = 160) -> Form:
    """InfoNCE with a queue that a moving average of the encoder fills, while the candidates themselves are trained.

    The moving average's vectors, made without dropout, are given as ``guide_candidates``, with a momentum of 0.995. The
    other half of the paper, repeating some words of the positive, is done to the data.

    Args:
        temperature: divides the similarities; above 0.
        size: how many candidates the queue holds; the paper has 2.5 times the batch, which is 64.
    """
    queue = (Queue(size=size, filled_with="guide"),)
    return Composition(criterion=Softmax(), synthesis=queue, logits=(Temperature(temperature=temperature),))
