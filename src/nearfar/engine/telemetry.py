"""What a step looks like from inside: numbers read off what its objective has in memory, on the steps that are logged.

Nothing is embedded and no objective is computed a second time. Similarities are read when they are there, their slopes
when the backward pass comes by. Neither touches the loss, a gradient, a random state or what the objective remembers.

Accuracy, similarities, temperature and numbers of negatives are those of the first comparison that the objective makes,
which for most is the one from anchors to candidates; shares of the gradient are of all of them. What a criterion
contrasts within one side has no column and is not counted.
"""

from collections.abc import Callable, Sequence
from math import ceil, isfinite

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.objectives.logits.temperature import LearnedScale
from nearfar.objectives.objective import Objective
from nearfar.objectives.part import Outcome
from nearfar.objectives.problem import Problem
from nearfar.types import Origin

QUANTILES = (5, 25, 50, 75, 95)
"""In percent."""
_ROWS = 1_024
"""Rows of a comparison that are looked at, evenly spread."""
_ENTRIES = 1_000_000
"""Similarities that quantiles are taken of, evenly spread."""

Feel = Callable[[Tensor], None]
"""Takes the slopes of the loss at the logits of a problem."""


def observe(outcome: Outcome, objective: Objective | None = None) -> dict[str, float]:
    """The numbers of one step, for an outcome whose backward pass has not been done.

    The graph stays as it is, so the backward pass can follow; training reads slopes off that one instead, see
    ``Observation``. The names are those of ``docs/guide/telemetry.md``. What an objective has not, such as a
    temperature or slopes, is left out, and so is what is not finite.

    Args:
        outcome: what the objective said.
        objective: adds the trained bias, if it has one.
    """
    observation = Observation(objective)
    felt = observation.look(outcome)
    live = [(logits, feel) for logits, feel in felt if logits.requires_grad]
    if live and outcome.loss.requires_grad:
        slopes = torch.autograd.grad(outcome.loss, [logits for logits, _ in live], retain_graph=True, allow_unused=True)
        for (_, feel), slope in zip(live, slopes, strict=True):
            if slope is not None:
                feel(slope)
    return observation.values()


class Observation:
    """Collects the numbers of one step while it is computed.

    Args:
        objective: adds the trained bias, if it has one.
        parts: into how many tiles of rows the step is cut; each of them is shown to ``see`` by itself.
    """

    def __init__(self, objective: Objective | None = None, parts: int = 1) -> None:
        self._objective, self._parts = objective, parts
        self._comparisons: list[_Comparison] = []
        self._kept: list[Tensor] = []
        self._terms: dict[str, list[Tensor]] = {}

    def see(self, outcome: Outcome) -> None:
        """Take in an outcome, and its slopes as soon as its backward pass is done."""
        for logits, feel in self.look(outcome):
            if logits.requires_grad:
                logits.register_hook(feel)

    @torch.no_grad()
    def look(self, outcome: Outcome) -> list[tuple[Tensor, Feel]]:
        """Take in an outcome; gives the logits of its problems, and for each what wants to be told their slopes."""
        kept = outcome.kept.sum()
        self._kept.append(kept)
        for name, value in outcome.terms.items():
            self._terms.setdefault(name, []).append(value.detach() * kept)
        asked: list[tuple[Tensor, Feel]] = []
        for place, problem in enumerate(outcome.problems):
            if not len(problem.anchors) or not len(problem.candidates):
                continue
            while len(self._comparisons) <= place:
                self._comparisons.append(_Comparison(first=not self._comparisons))
            feel = self._comparisons[place].look(problem, ceil(_ROWS / self._parts), ceil(_ENTRIES / self._parts))
            if problem.logits is not None:
                asked.append((problem.logits, feel))
        return asked

    def values(self) -> dict[str, float]:
        """The numbers by name."""
        found: dict[str, Tensor] = {}
        if self._comparisons:
            found |= self._comparisons[0].values()
            found |= _shares([pulls for each in self._comparisons for pulls in each.pulls])
        if self._kept:
            found["anchors"] = kept = torch.stack(self._kept).sum()
            found |= {f"term/{name}": torch.stack(each).sum() / kept for name, each in self._terms.items()}
        modules = () if self._objective is None else self._objective.memory.values()
        for module in modules:
            if isinstance(module, LearnedScale) and module.bias is not None:
                found.setdefault("bias", module.bias.detach())
        numbers = {name: float(value) for name, value in found.items()}
        return {name: number for name, number in numbers.items() if isfinite(number)}


class _Comparison:
    """What is seen of the rows and columns that a criterion compares.

    Args:
        first: whether similarities are looked at, and not slopes alone.

    Attributes:
        pulls: for each tile the sums of absolute slopes, of positives and of negatives, by origin.
    """

    def __init__(self, first: bool) -> None:
        self._first = first
        self._found: dict[str, list[Tensor]] = {}
        self.pulls: list[Tensor] = []

    def look(self, problem: Problem, rows: int, entries: int) -> Feel:
        """Read at most so many rows, and quantiles off at most so many entries; gives what wants to be told slopes."""
        step = ceil(len(problem.anchors) / rows)
        positive, negative = problem.positive[::step], problem.negative[::step]
        if self._first:
            scores = _scores(problem, step)
            self._ranks(scores, positive, negative)
            # A column that no row may use, such as an empty place of a queue, is not there yet.
            self._add("ignored", 1 - problem.valid[::step, problem.valid.any(dim=0)].float().mean(dim=1))
            # Whole rows: every column keeps its weight.
            thin = ceil(scores.numel() / entries)
            for name, pairs in (("positive", positive), ("negative", negative[::thin])):
                known = (scores if name == "positive" else scores[::thin])[pairs]
                self._add(name, known[:: ceil(max(1, len(known)) / entries)])
            if problem.temperature is not None:
                self._add("temperature", _every(problem.temperature, step).detach().flatten())
        return self._feeler(problem, step, positive, negative)

    def _ranks(
        self,
        scores: Float[Tensor, "row column"],
        positive: Bool[Tensor, "row column"],
        negative: Bool[Tensor, "row column"],
    ) -> None:
        """The rank of the best positive of each row that has one, and a negative to go wrong with."""
        best = scores.masked_fill(~positive, float("-inf")).amax(dim=1)
        counted = positive.any(dim=1) & negative.any(dim=1) & best.isfinite()
        # A tie goes to the negative: vectors that are all alike find nothing.
        ranks = 1 + (negative & (scores >= best[:, None])).sum(dim=1)[counted]
        self._add("accuracy", (ranks == 1).float())
        self._add("reciprocal_rank", 1 / ranks.float())
        self._add("negatives", negative.sum(dim=1)[counted].float())

    def _feeler(
        self, problem: Problem, step: int, positive: Bool[Tensor, "row column"], negative: Bool[Tensor, "row column"]
    ) -> Feel:
        origins, first = problem.origins, self._first
        temperature = None if problem.temperature is None else _every(problem.temperature, step).detach()
        able = positive.any(dim=1) & negative.any(dim=1)

        @torch.no_grad()
        def feel(slope: Tensor) -> None:
            # What moves a text is the slope at its similarity, which the temperature has divided.
            slope = (slope[::step] if temperature is None else slope[::step] / temperature).abs()
            pushes = torch.where(negative, slope, 0.0)
            columns = torch.stack([torch.where(positive, slope, 0.0).sum(dim=0), pushes.sum(dim=0)]).double() * step
            sums = columns.new_zeros(2, len(Origin)).index_add_(1, origins, columns)
            there = torch.bincount(origins, minlength=len(Origin)) > 0
            self.pulls.append(torch.where(there, sums, float("nan")))
            if first:
                pushed = (pushes > 0).any(dim=1)
                self._add("active", pushed[able].float())
                self._add("effective_negatives", effective_number(pushes[pushed]))

        return feel

    def _add(self, name: str, values: Tensor) -> None:
        self._found.setdefault(name, []).append(values)

    def values(self) -> dict[str, Tensor]:
        """Means, and quantiles of similarities."""
        found: dict[str, Tensor] = {}
        for name, seen in self._found.items():
            values = torch.cat(seen)
            if name not in ("positive", "negative"):
                found[name] = values.double().mean()
            elif len(values):
                at = torch.tensor(QUANTILES, dtype=values.dtype, device=values.device) / 100
                quantiles = torch.quantile(values, at)
                found |= {
                    f"similarity/{name}/q{percent:02d}": each
                    for percent, each in zip(QUANTILES, quantiles, strict=True)
                }
        return found


def effective_number(weights: Float[Tensor, "row column"]) -> Float[Tensor, " row"]:
    """How many equal weights are as concentrated as those of each row: ``(sum w) ** 2 / sum w ** 2``.

    The inverse Simpson index: N for N equal weights, 1 for a single one, whatever their scale. Each row needs a weight
    above 0, and none below.
    """
    shares = weights / weights.amax(dim=1, keepdim=True)  # so that squares of small numbers do not vanish
    return shares.sum(dim=1).square() / shares.square().sum(dim=1)


def _scores(problem: Problem, step: int) -> Float[Tensor, "row column"]:
    """Similarities of every so many rows; cosines where the objective compares none."""
    if problem.similarity is not None:
        return problem.similarity[::step].detach()
    sides = problem.anchors[::step].detach(), problem.candidates.detach()
    one, other = (normalize(side, dim=1) for side in sides)
    return one @ other.T


def _every(values: Float[Tensor, "..."], step: int) -> Float[Tensor, "..."]:
    """Every so many rows of what is one number for all, for a row, or for a pair."""
    return values[::step] if values.ndim == 2 and len(values) > 1 else values


def _shares(pulls: Sequence[Float[Tensor, "sign origin"]]) -> dict[str, Tensor]:
    """The share of each origin in the slopes of positives and negatives together; NaN for one that has no column."""
    if not pulls:
        return {}
    every = torch.stack(list(pulls))
    sums = torch.where(every.isnan().all(dim=0), float("nan"), every.nansum(dim=0))
    return {
        f"gradient/{sign}/{origin.name.lower()}": sums[place, origin] / sums.nansum()
        for place, sign in enumerate(("positive", "negative"))
        for origin in Origin
    }
