"""The frame: a composition of parts, and the two ways to combine objectives.

``Composition`` is one objective: candidates, synthesis, masks, logits, weights, criterion. ``Sum`` adds objectives,
``Transposed`` asks the columns for their rows. All three are frozen values; none of them holds a tensor.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.config.component import Component, require
from nearfar.errors import ConfigError
from nearfar.objectives.candidates.sides import OtherSide
from nearfar.objectives.masks import same_side
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates, Criterion, Logits, Mask, Outcome, Part, Scope, Stage, Synthesis, Weight
from nearfar.objectives.problem import Problem
from nearfar.objectives.similarity import KINDS, Similarity, similarities


class Form(Component):
    """What an objective computes, as a value."""

    @property
    def needs(self) -> frozenset[str]:
        """The keyword inputs that the form cannot do without."""
        return _needs(tuple(getattr(self, field.name) for field in fields(self)))  # type: ignore[arg-type]

    @property
    def scope(self) -> Scope:
        """``rows`` when the loss is a mean over rows, ``batch`` when it is one number of the whole batch."""
        criteria = [part for _, part in parts(self) if isinstance(part, Criterion)]
        return "batch" if any(criterion.scope == "batch" for criterion in criteria) else "rows"

    @property
    def needs_positives(self) -> bool:
        """Whether there is nothing to learn from a batch without a positive pair."""
        return all(part.needs_positives for _, part in parts(self) if isinstance(part, Criterion))

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Composition(Form):
    """An objective as a composition of parts, applied in the order of the fields.

    Attributes:
        criterion: turns the processed rows into losses.
        candidates: which rows there are and which columns they see.
        similarity: how two vectors are compared: ``cosine``, ``dot``, ``euclidean`` (minus the distance) or ``angle``.
        synthesis: columns made from other columns.
        masks: pairs taken out.
        logits: margins, temperature.
        weights: weights of rows, of positives, and of negatives.
    """

    criterion: Criterion
    candidates: Candidates = OtherSide()
    similarity: Similarity = "cosine"
    synthesis: tuple[Synthesis, ...] | Synthesis = ()
    masks: tuple[Mask, ...] | Mask = ()
    logits: tuple[Logits, ...] | Logits = ()
    weights: tuple[Weight, ...] | Weight = ()

    def __post_init__(self) -> None:
        require(isinstance(self.criterion, Criterion), self, "criterion", "a criterion")
        require(isinstance(self.candidates, Candidates), self, "candidates", "a part that says who sees whom")
        require(self.similarity in KINDS, self, "similarity", " or ".join(KINDS))
        for field, kind in (("synthesis", Synthesis), ("masks", Mask), ("logits", Logits), ("weights", Weight)):
            value = getattr(self, field)
            if isinstance(value, kind):  # one part stands for a list of one
                value = (value,)
                object.__setattr__(self, field, value)
            fits = isinstance(value, tuple) and all(isinstance(each, kind) for each in value)
            require(fits, self, field, f"a list of parts of the kind {kind.__name__}")
        seen = self.criterion.reads == "scores" or not self.logits
        require(seen, self, "logits", f"left out, since {type(self.criterion).__name__} looks at vectors alone")
        products = self.similarity in ("cosine", "dot") or not self.criterion.blocks_beside
        require(
            products, self, "similarity", "cosine or dot where anchors or candidates are contrasted among themselves"
        )

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem."""
        if self.similarity in ("cosine", "angle"):
            sides = (normalize(vectors, dim=1) for vectors in (problem.anchors, problem.candidates))
            problem = replace(problem, **dict(zip(("anchors", "candidates"), sides, strict=True)))
        seen = self._run(problem, memory, "candidates", "synthesis")
        self._check_what_is_left(problem, seen)
        if self.criterion.reads == "scores" or self.masks or self.weights:
            scores = similarities(seen.anchors, seen.candidates, self.similarity)
            one = torch.ones((), dtype=scores.dtype, device=scores.device)
            seen = replace(seen, similarity=scores, logits=scores, temperature=one)
            if self.criterion.blocks_beside:
                seen = replace(
                    seen,
                    among_anchors=same_side(seen.masks, seen.row_ids, seen.column_ids),
                    among_candidates=same_side(seen.masks.transpose(), seen.column_ids, seen.row_ids),
                )
        seen = self._run(seen, memory, "masks", "logits", "weights")
        outcome = self.criterion.outcome(seen, memory.at("criterion"))
        for kind in ("logits", "weights"):
            for place, part in enumerate(getattr(self, kind)):
                outcome = part.reweigh(outcome, seen, memory.at(kind, place))
        outcome = replace(outcome, estimates=None)
        if seen.source is not None:
            outcome = gathered(outcome, seen.source, len(problem.anchors))
        if len(outcome.losses) != len(problem.anchors):
            outcome = fold(outcome, problem.positive)
        return replace(outcome, problems=(seen,))

    def _check_what_is_left(self, given: Problem, seen: Problem) -> None:
        """Raise ConfigError where a part needs an input that the candidates cannot take along."""
        for name in ("teacher", "guide_anchors", "guide_candidates"):
            if getattr(given, name) is None or getattr(seen, name) is not None:
                continue
            for path, part in parts(self):
                if name in part.needs and not path.startswith("candidates"):
                    one, other = type(part).__name__, type(self.candidates).__name__
                    raise ConfigError(
                        f"{one} needs {name}, which {other} has not for its rows and columns. Take other candidates, "
                        f"such as OtherSide(), or leave {one} out."
                    )

    def _run(self, problem: Problem, memory: Memory, *kinds: str) -> Problem:
        for kind in kinds:
            value = getattr(self, kind)
            if isinstance(value, Stage):
                problem = value.apply(problem, memory.at(kind))
                continue
            for place, part in enumerate(value):
                problem = part.apply(problem, memory.at(kind, place))
        return problem


@runtime_checkable
class HasForm(Protocol):
    """An objective, which stands for what it computes wherever a form is asked for."""

    form: Form


@dataclass(frozen=True, kw_only=True)
class Sum(Form):
    """A weighted sum of objectives on the same vectors.

    Attributes:
        terms: the objectives.
        weights: a number for each of them; 1 for all when left out.
    """

    terms: tuple[Form | HasForm, ...]
    weights: tuple[float | int, ...] = ()

    def __post_init__(self) -> None:
        terms = tuple(form_of(term) for term in self.terms) if isinstance(self.terms, tuple) else ()
        object.__setattr__(self, "terms", terms)
        require(len(terms) > 0 and all(isinstance(term, Form) for term in terms), self, "terms", "a list of objectives")
        numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in self.weights)
        fits = numbers and len(self.weights) in (0, len(terms))
        require(fits, self, "weights", f"a list of {len(terms)} numbers")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem."""
        forms = [form_of(term) for term in self.terms]
        each = [form.outcome(problem, memory.at("terms", place)) for place, form in enumerate(forms)]
        kept = torch.stack([outcome.kept for outcome in each]).any(dim=0)
        losses = torch.zeros_like(each[0].losses)
        for weight, outcome in zip(self.weights or [1.0] * len(each), each, strict=True):
            # Each term is a mean over its own anchors; the sum is read off as a mean over all that count.
            share = kept.sum().to(losses.dtype) / outcome.kept.sum().clamp(min=1)
            losses = losses + weight * share * torch.where(outcome.kept, outcome.losses, 0.0)
        terms = {
            f"{place} {_short(form)}": outcome.loss
            for place, (form, outcome) in enumerate(zip(forms, each, strict=True))
        }
        for outcome in each:
            terms |= outcome.terms
        return Outcome(losses, kept, tuple(seen for outcome in each for seen in outcome.problems), terms)


@dataclass(frozen=True, kw_only=True)
class Transposed(Form):
    """An objective with anchors and candidates exchanged.

    ``Sum(terms=[X, Transposed(of=X)], weights=[0.5, 0.5])`` is the symmetric form of any objective X. Candidates
    without a positive, such as hard negatives, are rows that do not count.

    Attributes:
        of: the objective.
    """

    of: Form | HasForm

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", form_of(self.of))
        require(isinstance(self.of, Form), self, "of", "an objective")

    @property
    def needs(self) -> frozenset[str]:
        """The keyword inputs that the form cannot do without: guides of the other side than its objective asks for."""
        other = {"guide_anchors": "guide_candidates", "guide_candidates": "guide_anchors"}
        return frozenset(other.get(name, name) for name in form_of(self.of).needs)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem; each candidate's loss is shared out among its anchors."""
        turned = form_of(self.of).outcome(problem.transpose(), memory.at("of"))
        nobody = turned.losses.new_zeros(len(problem.anchors))
        outcome = Outcome(torch.cat([nobody, turned.losses]), torch.cat([nobody > 0, turned.kept]))
        return replace(fold(outcome, problem.positive), problems=turned.problems, terms=turned.terms)


def fold(outcome: Outcome, positive: Bool[Tensor, "anchor candidate"]) -> Outcome:
    """Share out the losses of candidates among the anchors that they belong to, keeping the mean over kept rows.

    The loss of a candidate that belongs to no anchor is shared out among all that are kept.

    Args:
        outcome: losses of anchors first, candidates after them.
        positive: who belongs to whom.
    """
    size = len(positive)
    rows = torch.where(outcome.kept, outcome.losses, 0.0)
    counts = (positive.any(dim=0) & outcome.kept[size:]).to(rows.dtype)
    among = positive.to(rows.dtype) * counts / positive.sum(dim=0).clamp(min=1)
    kept = outcome.kept[:size] | (among > 0).any(dim=1)
    share = kept.sum().to(rows.dtype) / outcome.kept.sum().clamp(min=1)
    nobodys = torch.where(positive.any(dim=0), 0.0, rows[size:]).sum() / kept.sum().clamp(min=1)
    losses = torch.where(kept, rows[:size] + among @ rows[size:] + nobodys, 0.0)
    return replace(outcome, losses=share * losses, kept=kept)


def gathered(outcome: Outcome, source: Int[Tensor, " row"], anchors: int) -> Outcome:
    """The mean over the kept rows of each anchor, where rows stand for anchors."""
    kept = outcome.kept.to(outcome.losses.dtype)
    counts = kept.new_zeros(anchors).index_add(0, source, kept)
    sums = outcome.losses.new_zeros(anchors).index_add(0, source, torch.where(outcome.kept, outcome.losses, 0.0))
    return replace(outcome, losses=sums / counts.clamp(min=1), kept=counts > 0)


def parts(form: object, path: str = "") -> Iterator[tuple[str, Part]]:
    """Every part inside a form, with the path under which its memory is found."""
    if isinstance(form, Part):
        yield path, form
    inner: Any = getattr(form, "form", None)
    if isinstance(inner, Form):  # a named form stands for the one that it names
        yield from parts(inner, path)
        return
    if not isinstance(form, Component):
        return
    for field in fields(form):  # type: ignore[arg-type]  # every component is a dataclass
        value = getattr(form, field.name)
        prefix = f"{path}_{field.name}" if path else field.name
        if isinstance(value, tuple):
            for place, each in enumerate(value):
                yield from parts(each, f"{prefix}_{place}")
        else:
            yield from parts(value, prefix)


def _needs(value: object) -> frozenset[str]:
    """What a form, a part, or any number of them cannot do without."""
    if isinstance(value, tuple):
        return frozenset().union(*map(_needs, value))
    form = form_of(value)
    return form.needs if isinstance(form, Form) else frozenset().union(*(part.needs for _, part in parts(value)))


def form_of(given: Any) -> Any:
    """The form of an objective; a form is its own, and so is what is neither."""
    return given if isinstance(given, Form) else getattr(given, "form", given)


def _short(form: Form) -> str:
    named = form.criterion if isinstance(form, Composition) else form
    return str(named).partition("(")[0]
