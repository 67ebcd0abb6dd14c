"""Objectives on vectors that are cut short, so that the first dimensions of an embedding are an embedding too.

Matryoshka Representation Learning (arXiv 2205.13147): one objective for each of several widths, on the first so many
dimensions of the same vectors, added up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.form import Form, HasForm, form_of, parts, placed
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.outcomes import added
from nearfar.objectives.outline import Outline
from nearfar.objectives.part import Outcome, Part
from nearfar.objectives.problem import Problem

_GUIDES = frozenset({"guide_anchors", "guide_candidates"})


@dataclass(frozen=True, kw_only=True)
class DrawnDims(Part):
    """The choice of some widths for each call, at random, with a counter that a checkpoint keeps.

    Attributes:
        per_step: how many widths a call looks at.
        seed: of the choice.
    """

    per_step: int = 1
    seed: int = 0

    def make_memory(self, dim: int) -> Draws:
        """The number of calls."""
        return Draws(self.seed)


@dataclass(frozen=True, kw_only=True)
class Matryoshka(Form):
    """The weighted sum of an objective on vectors cut to their first dimensions, for several widths.

    An objective that compares by cosine compares the cut vectors by cosine, of unit length again; one that compares by
    dot product takes them as they are. A teacher's scores stay, and so do guide vectors, unless the objective compares
    them with the embeddings, as those of a moving average of the encoder.

    The objective at one width has nothing to do with itself at another: each has its own memory. A queue holds vectors
    of its width, a learned temperature fits the similarities of its width, an average of an example is one of its
    width, and a schedule takes as many steps as it says. So the whole is ``Sum`` of the objective on cut vectors, in
    values, gradients and state.

    Attributes:
        of: the objective.
        dims: the widths, each at most that of the embeddings. Put the full width among them, unless it is not used.
        weights: a number for each width; 1 for all when left out.
        dims_per_step: how many of the widths, drawn anew, a step looks at; none for all of them. Their sum is
            multiplied by the number of widths over that of the drawn ones, so that it is the sum over all on average.
            In evaluation mode all of them are looked at.
        seed: of the draws.
    """

    of: Form | HasForm
    dims: tuple[int, ...]
    weights: tuple[float | int, ...] = ()
    dims_per_step: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", form_of(self.of))
        require(isinstance(self.of, Form), self, "of", "an objective")
        for field in ("dims", "weights"):
            if isinstance(given := getattr(self, field), list):
                object.__setattr__(self, field, tuple(given))
        widths = isinstance(self.dims, tuple) and all(is_whole(each) and each >= 1 for each in self.dims)
        fits = widths and 0 < len(self.dims) == len(set(self.dims))
        require(fits, self, "dims", "a list of different whole numbers above 0")
        numbers = isinstance(self.weights, tuple) and all(is_number(each) for each in self.weights)
        require(
            numbers and len(self.weights) in (0, len(self.dims)), self, "weights", f"a list of {len(self.dims)} numbers"
        )
        drawn = self.dims_per_step is None or (
            is_whole(self.dims_per_step) and 0 < self.dims_per_step <= len(self.dims)
        )
        require(drawn, self, "dims_per_step", f"a whole number from 1 to {len(self.dims)}, or none")
        require(is_whole(self.seed), self, "seed", "a whole number")
        widest = max(width for *_, width in placed(self.of, 0))
        require(widest <= min(self.dims), self, "dims", f"at least {widest} each, to which its objective cuts again")
        # Widest first, so that the order in which widths are written makes no difference.
        order = sorted(range(len(self.dims)), key=lambda place: -self.dims[place])
        for field, given in (("dims", self.dims), ("weights", self.weights)):
            object.__setattr__(self, field, tuple(given[place] for place in order) if given else ())

    def inside(self, dim: int) -> Iterator[tuple[str, object, int]]:
        """The objective once for each width, and the draws."""
        for width in self.dims:
            yield f"of_{width}", self.of, width
        if self.dims_per_step is not None:
            yield "draws", DrawnDims(per_step=self.dims_per_step, seed=self.seed), dim

    def outcome(self, problem: Problem | Outline, memory: Memory) -> Outcome:
        """The losses of the anchors of a problem."""
        form, chosen = form_of(self.of), self._chosen(memory)
        share = len(self.dims) / len(chosen)
        each = []
        for width in (self.dims[place] for place in chosen):
            outcome = form.outcome(self._cut(problem, width), memory.at("of", width))
            terms = {f"dim {width}: {name}": value for name, value in outcome.terms.items()}
            each.append(replace(outcome, terms=terms))
        weights = self.weights or (1.0,) * len(self.dims)
        names = [f"dim {self.dims[place]}" for place in chosen]
        return added(each, [share * weights[place] for place in chosen], names)

    def _cut(self, problem: Problem | Outline, width: int) -> Problem | Outline:
        """The problem with the first dimensions of its vectors."""
        cut = {"anchors": problem.anchors[:, :width], "candidates": problem.candidates[:, :width]}
        if self._cuts_guides:
            guides = {name: getattr(problem, name) for name in _GUIDES}
            cut |= {name: guide[:, :width] for name, guide in guides.items() if guide is not None}
        return replace(problem, **cut)  # type: ignore[arg-type]  # a dict of tensors only

    @cached_property
    def _cuts_guides(self) -> bool:
        return any(part.shares_space and part.needs & _GUIDES for _, part in parts(self.of))

    def _chosen(self, memory: Memory) -> list[int]:
        """The places of the widths of this call, in order."""
        every = list(range(len(self.dims)))
        if self.dims_per_step is None:
            return every
        draws = memory.at("draws").of(Draws)
        if not draws.training:
            return every
        return sorted(torch.randperm(len(every), generator=draws.generator())[: self.dims_per_step].tolist())
