"""An objective at work: a form, its memory, and the one way in which all of them are called."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from nearfar.errors import ShapeError, did_you_mean
from nearfar.objectives.form import Form, parts, placed
from nearfar.objectives.memory import Memory, Table, as_one_call
from nearfar.objectives.outline import Outline, Tiling, make_outline
from nearfar.objectives.part import Outcome, Scope
from nearfar.objectives.problem import Problem, make_problem, shapes_of
from nearfar.types import Relation

_WIDTH = "width"


class Objective(nn.Module):
    """A function of embeddings and a relation that training minimises.

    It never sees a model. What it computes is ``form``, a frozen value; what it trains or remembers is in registered
    parameters and buffers, so that an optimiser and a checkpoint have all of it. Two objectives are equal when their
    text is, whatever they remember.

    Most objectives are complete from the start. Where a layer depends on the width of the embeddings, ``prepare`` makes
    it; the first call and ``load_state_dict`` do so too, but an optimiser must be made after it.

    Args:
        form: what to compute.

    Attributes:
        needs: the keyword inputs that the objective cannot do without.
        label: the name in front of the brackets of the text form.
        least_width: the fewest dimensions that embeddings must have; 0 when any number will do.
    """

    width: Int[Tensor, ""]

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        # Read off the parts once: a call should cost what its tensors cost.
        self.needs, self.label = form.needs, str(form).partition("(")[0]
        self._sized = any(part.sized for _, part in parts(form))
        self.least_width = max((width for *_, width in placed(form, 0)), default=0)
        self.memory = nn.ModuleDict()
        for path, part in parts(form):
            if not part.sized and (module := part.make_memory(0)) is not None:
                self.memory[path] = module
        if self._sized:
            self.register_buffer(_WIDTH, torch.zeros((), dtype=torch.int64))

    @property
    def scope(self) -> Scope:
        """``rows`` when the loss is a mean over anchors; ``batch`` when it is one number of the whole batch."""
        return self.form.scope

    @property
    def remembers(self) -> bool:
        """Whether the objective trains or remembers anything."""
        return bool(self.memory) or self._sized

    def prepare(self, dim: int, examples: int = 0) -> "Objective":
        """Make what depends on the width of the embeddings, and room for the examples of the dataset.

        Args:
            dim: width of the embeddings.
            examples: number of examples that ``index`` counts; tables grow by themselves when it is left out.

        Returns:
            the objective itself.

        Raises:
            ShapeError: when embeddings are to be cut to more dimensions than they have.
        """
        if dim < self.least_width:
            raise ShapeError(
                f"{self.label} cuts embeddings to {self.least_width} dimensions, and these have {dim}. "
                f"Leave out every width above {dim}."
            )
        if self._sized and not int(self.width):
            for path, part, width in placed(self.form, dim):
                if part.sized and (module := part.make_memory(width)) is not None:
                    self.memory[path] = module.to(self.width.device).train(self.training)
            self.width.fill_(dim)
        for module in self.memory.values():
            if isinstance(module, Table):
                module.reserve(examples)
        return self

    def forward(
        self,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relevance: Relation | Shaped[Tensor, "anchor candidate"],
        **inputs: Tensor | None,
    ) -> Float[Tensor, ""]:
        """The mean loss over the anchors that count; see ``outcome`` for the inputs."""
        return self.outcome(anchors, candidates, relevance, **inputs).loss

    def rows(
        self,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relevance: Relation | Shaped[Tensor, "anchor candidate"],
        **inputs: Tensor | None,
    ) -> Float[Tensor, " anchor"]:
        """The loss of each anchor, 0 for those that do not count; see ``outcome`` for the inputs."""
        return self.outcome(anchors, candidates, relevance, **inputs).losses

    def outcome(
        self,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relevance: Relation | Shaped[Tensor, "anchor candidate"],
        **inputs: Tensor | None,
    ) -> Outcome:
        """The loss of each anchor, and which anchors count.

        A mean over rows gives each anchor its own loss. An objective that is one number of the batch gives every anchor
        that counts the loss of the whole. Where candidates are rows too, each one's loss is shared out among the
        anchors that it belongs to. In each case the loss of the step is the mean over the anchors that count.

        Args:
            anchors: embeddings of the anchors.
            candidates: embeddings of the candidates.
            relevance: a ``Relation``, or a matrix in which a value above 0 marks a positive and is its grade.
            **inputs: by keyword, and None for what is not there:

                - ``ignored`` (A, C): pairs that are neither positive nor negative, beside a matrix.
                - ``anchor_ids`` (A,), ``candidate_ids`` (C,): identities, equal for equal texts, beside a matrix.
                - ``index`` (A,): place of each anchor's example in the dataset, for objectives that remember it.
                - ``guide_anchors`` (A, G), ``guide_candidates`` (C, G): vectors of another encoder.
                - ``teacher`` (A, C): scores of a teacher.
                - ``labels`` (A,): class or value of each anchor.
                - ``origin`` (C,) or (A, C): an ``Origin`` for each column or pair.

        Raises:
            ShapeError: when shapes or dtypes do not fit together, when an input is missing or unknown, or when a
                relevance matrix has no positive anywhere. The message repeats what was passed.
        """
        given = {"anchors": anchors, "candidates": candidates, "relevance": relevance, **inputs}
        self._check(given)
        problem = make_problem(self.label, anchors, candidates, relevance, **inputs)
        if not isinstance(relevance, Relation) and self.form.needs_positives and not bool((relevance > 0).any()):
            raise ShapeError(
                f"{self.label}: no candidate is relevant to any anchor, every value of relevance is 0 or below, "
                f"so there is nothing to learn. Got {shapes_of(given)}."
            )
        return self._outcome(problem)

    def in_tiles(
        self,
        tiling: Tiling,
        anchors: Float[Tensor, "anchor dim"],
        candidates: Float[Tensor, "candidate dim"],
        relation: Relation,
        **inputs: Tensor | None,
    ) -> Outcome:
        """The same in tiles of rows, so that no matrix of anchors and candidates is ever whole.

        The loss and all gradients are those of ``outcome``, and so is what is remembered. What needs all rows at once
        is computed whole, and so is all of it when an input beside the vectors asks for a gradient. Where candidates
        are rows too, each anchor has the loss of the whole.

        Args:
            tiling: how large tiles are.
            anchors: as for ``outcome``, and so are the others.
            candidates: embeddings of the candidates.
            relation: who belongs to whom.
            **inputs: by keyword.

        Raises:
            ShapeError: as for ``outcome``.
        """
        if any(each is not None and each.requires_grad for each in inputs.values()):
            return self.outcome(anchors, candidates, relation, **inputs)
        self._check({"anchors": anchors, "candidates": candidates, "relevance": relation, **inputs})
        with as_one_call(self.memory.modules()):
            return self._outcome(make_outline(self.label, anchors, candidates, relation, tiling, **inputs))

    def _outcome(self, problem: Problem | Outline) -> Outcome:
        """The outcome of what was checked."""
        self.prepare(problem.anchors.shape[1])
        if not len(problem.anchors) or not len(problem.candidates):  # nothing to compare, and nothing to remember
            nothing = 0 * (problem.anchors.sum(dim=1) + problem.candidates.sum())
            return Outcome(nothing, nothing > 0)
        # Logits are computed in at least float32, also inside autocast.
        with torch.autocast(problem.anchors.device.type, enabled=False):
            outcome = self.form.outcome(problem, Memory(dict(self.memory.items())))
        # Masks and bounds of a criterion can hide what is not a number; a run that diverges must be seen.
        vectors = (problem.anchors, problem.candidates, problem.guide_anchors, problem.guide_candidates)
        sound = torch.stack([each.detach().isfinite().all() for each in vectors if each is not None]).all()
        losses = torch.where(sound, outcome.losses, float("nan"))
        return replace(outcome, losses=losses, kept=outcome.kept | ~sound)

    def _check(self, given: Mapping[str, object]) -> None:
        """Raise ShapeError for an input that is missing or unknown, or for vectors of another width than before."""
        known = (*_SHAPES, *_OPTIONAL)
        for name in given:
            if name not in known and name not in ("anchors", "candidates", "relevance"):
                raise ShapeError(
                    f"{self.label} knows no input {name!r}.{did_you_mean(name, known)} It takes anchors, candidates, "
                    f"relevance, and by keyword {', '.join(known)}. Got {shapes_of(given)}."
                )
        missing = sorted(name for name in self.needs if given.get(name) is None)
        if missing:
            listed = ", ".join(f"{name} {_SHAPES[name]}" for name in missing)
            raise ShapeError(f"{self.label} needs {listed}, passed by keyword. Got {shapes_of(given)}.")
        width, anchors = int(self.width) if self._sized else 0, given["anchors"]
        if width and isinstance(anchors, Tensor) and anchors.shape[-1] != width:
            raise ShapeError(
                f"{self.label} was prepared for embeddings of width {width}. Got {shapes_of(given)}. "
                "Make a new objective for another width."
            )

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Make the layers that the checkpoint has, before they are loaded."""
        width = state.get(prefix + _WIDTH)
        if width is not None and int(width):
            self.prepare(int(width))
        super()._load_from_state_dict(state, prefix, *rest)

    def __str__(self) -> str:
        return str(self.form)

    def __repr__(self) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and self.form == other.form

    def __hash__(self) -> int:
        return hash(self.form)


_SHAPES = {
    "index": "(A,), the place of each anchor's example in the dataset",
    "guide_anchors": "(A, G), the anchors' vectors by another encoder",
    "guide_candidates": "(C, G), the candidates' vectors by another encoder",
    "teacher": "(A, C), a teacher's scores",
    "labels": "(A,), the class or value of each anchor",
    "origin": "(C,), where each candidate came from",
}
_OPTIONAL = ("ignored", "anchor_ids", "candidate_ids")
