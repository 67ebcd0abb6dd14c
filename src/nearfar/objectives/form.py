"""The frame: a composition of parts, and the two ways to combine objectives.

``Composition`` is one objective: candidates, synthesis, masks, logits, weights, criterion. ``Sum`` adds objectives,
``Transposed`` asks the columns for their rows. All three are frozen values; none of them holds a tensor.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch.nn.functional import normalize

from nearfar.config.component import Component, require
from nearfar.errors import ConfigError
from nearfar.objectives.candidates.sides import OtherSide
from nearfar.objectives.masks import same_side
from nearfar.objectives.memory import Memory, Remembering, Table
from nearfar.objectives.outcomes import added, fold, gathered, of_anchors
from nearfar.objectives.outline import Outline, Tiling
from nearfar.objectives.part import Candidates, Criterion, Logits, Mask, Outcome, Part, Scope, Stage, Synthesis, Weight
from nearfar.objectives.problem import Problem
from nearfar.objectives.similarity import KINDS, Similarity, similarities
from nearfar.objectives.tiles import one_pass, two_passes

Given = TypeVar("Given", Problem, Outline)


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

    @property
    def tiles(self) -> bool:
        """Whether rows can be computed in tiles, in all that it is made of."""
        values = (value if isinstance(value, tuple) else (value,) for _, value, _ in self.inside(0))
        forms = (form_of(each) for several in values for each in several)
        return all(form.tiles for form in forms if isinstance(form, Form))

    def inside(self, dim: int) -> Iterator[tuple[str, object, int]]:
        """What the form is made of: the step of the path, the value, and the width of the embeddings there.

        Args:
            dim: width of the embeddings that the form is given; 0 where nobody knows it yet.
        """
        for field in fields(self):  # type: ignore[arg-type]  # every form is a dataclass
            yield field.name, getattr(self, field.name), dim

    def outcome(self, problem: Problem | Outline, memory: Memory) -> Outcome:
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

    def outcome(self, problem: Problem | Outline, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem; of an outline in tiles, where rows can be computed in tiles."""
        if isinstance(problem, Outline):
            return self._in_tiles(problem, memory)
        problem = self._unit(problem)
        seen = self._seen(self.candidates.apply(problem, memory.at("candidates")), problem, memory)
        outcome = self._concluded(seen, len(problem.anchors), memory)
        if len(outcome.losses) != len(problem.anchors):
            outcome = fold(outcome, problem.positive)
        return replace(outcome, problems=(seen,))

    def _in_tiles(self, outline: Outline, memory: Memory) -> Outcome:
        """The losses of the anchors, in tiles of rows where it can be."""
        rows = self.candidates.outline(self._unit(outline)) if self.tiles else None
        if rows is None or self._shares_memory(rows, memory):
            return self.outcome(outline.whole(), memory)
        rows = replace(rows, tiling=replace(rows.tiling, path=memory.path))
        modules, watcher = list(memory.modules.values()), rows.tiling.watcher
        if any(isinstance(module, Remembering) for module in modules):  # each rank has to remember all rows
            rows = replace(rows, tiling=Tiling(rows.tiling.scores, watcher=watcher, path=memory.path))

        def see(problem: Problem) -> Problem:
            seen = self._seen(self.candidates.of_tile(problem, memory.at("candidates")), outline, memory)
            if watcher is not None and torch.is_grad_enabled():
                watcher.see_tile(memory.path, seen)
            return seen

        if self.criterion.across_rows:
            outcome = two_passes(rows, see, self.criterion, modules)  # type: ignore[arg-type]  # it says it can
        else:
            outcome = one_pass(rows, lambda tile: self._concluded(see(tile), len(tile.anchors), memory), modules)
        return outcome if len(rows) == len(outline) else of_anchors(outcome, outline)

    @property
    def tiles(self) -> bool:
        """Whether rows can be computed in tiles."""
        every = [part for _, part in parts(self) if part is not self.criterion]
        if any(part.across_rows for part in every):
            return False
        later = any(isinstance(part, Stage) and type(part).reweigh is not Stage.reweigh for part in every)
        twice = self.criterion.in_two_passes and not later and not self.candidates.several_rows
        return twice or not self.criterion.across_rows

    def _shares_memory(self, rows: Outline, memory: Memory) -> bool:
        """Whether rows of one example, which share what is remembered of it, may be in different tiles."""
        if rows.index is None or not any(isinstance(module, Table) for module in memory.modules.values()):
            return False
        index = rows.index[rows.index >= 0]
        return len(torch.unique(index)) < len(index)

    def _unit(self, problem: Given) -> Given:
        """The problem with vectors of length 1, where they are compared by their angle."""
        if self.similarity not in ("cosine", "angle"):
            return problem
        anchors, candidates = (normalize(vectors, dim=1) for vectors in (problem.anchors, problem.candidates))
        return replace(problem, anchors=anchors, candidates=candidates, unit=True)

    def _seen(self, problem: Problem, given: Problem | Outline, memory: Memory) -> Problem:
        """What the criterion sees of the rows that the candidates have chosen."""
        seen = self._run(problem, memory, "synthesis")
        self._check_what_is_left(given, seen)
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
        return self._run(seen, memory, "masks", "logits", "weights")

    def _concluded(self, seen: Problem, anchors: int, memory: Memory) -> Outcome:
        """The losses of the rows, or of so many anchors where rows stand for anchors."""
        outcome = self.criterion.outcome(seen, memory.at("criterion"))
        for kind in ("logits", "weights"):
            for place, part in enumerate(getattr(self, kind)):
                outcome = part.reweigh(outcome, seen, memory.at(kind, place))
        outcome = replace(outcome, estimates=None)
        return outcome if seen.source is None else gathered(outcome, seen.source, anchors)

    def _check_what_is_left(self, given: Problem | Outline, seen: Problem) -> None:
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

    def outcome(self, problem: Problem | Outline, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem."""
        forms = [form_of(term) for term in self.terms]
        each = [form.outcome(problem, memory.at("terms", place)) for place, form in enumerate(forms)]
        names = [f"{place} {_short(form)}" for place, form in enumerate(forms)]
        return added(each, self.weights or [1.0] * len(each), names)


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

    def outcome(self, problem: Problem | Outline, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem; each candidate's loss is shared out among its anchors."""
        turned = form_of(self.of).outcome(problem.transpose(), memory.at("of"))
        if isinstance(problem, Outline):
            return of_anchors(turned, problem, candidates_only=True)
        nobody = turned.losses.new_zeros(len(problem.anchors))
        outcome = Outcome(torch.cat([nobody, turned.losses]), torch.cat([nobody > 0, turned.kept]))
        return replace(fold(outcome, problem.positive), problems=turned.problems, terms=turned.terms)


def parts(form: object, path: str = "") -> Iterator[tuple[str, Part]]:
    """Every part inside a form, with the path under which its memory is found."""
    yield from ((place, part) for place, part, _ in placed(form, 0, path))


def placed(form: object, dim: int, path: str = "") -> Iterator[tuple[str, Part, int]]:
    """Every part inside a form, with its path and the width of the embeddings that it is given.

    Args:
        form: a form, or a part.
        dim: width of the embeddings; 0 where nobody knows it yet.
        path: where the form itself is.
    """
    if isinstance(form, Part):
        yield path, form, dim
    inner: Any = getattr(form, "form", None)
    if isinstance(inner, Form):  # a named form stands for the one that it names
        yield from placed(inner, dim, path)
        return
    if not isinstance(form, Component):
        return
    named = [(each.name, getattr(form, each.name), dim) for each in fields(form)]  # type: ignore[arg-type]
    for step, value, width in form.inside(dim) if isinstance(form, Form) else named:
        prefix = f"{path}_{step}" if path else step
        if isinstance(value, tuple):
            for place, each in enumerate(value):
                yield from placed(each, width, f"{prefix}_{place}")
        else:
            yield from placed(value, width, prefix)


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
