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

from nearfar.objectives.logits.temperature import LearnedScale
from nearfar.objectives.objective import Objective
from nearfar.objectives.part import Outcome
from nearfar.objectives.problem import Problem
from nearfar.types import Origin

QUANTILES = (5, 25, 50, 75, 95)
"""In percent."""
_ROWS = 1_024
"""Rows of a comparison that are looked at, evenly spread."""
_ENTRIES = 250_000
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

    Rows that are computed in tiles are shown to ``see_tile`` tile by tile, each before it is differentiated, and the
    outcome of the whole to ``see`` as always. What a row of a tile counts in the loss of the step is not known then;
    ``weigh`` is told.

    Args:
        objective: adds the trained bias, if it has one.
    """

    def __init__(self, objective: Objective | None = None) -> None:
        self._objective = objective
        self._comparisons: dict[str, _Comparison] = {}
        self._outcome: Outcome | None = None

    def see(self, outcome: Outcome) -> None:
        """Take in an outcome, and its slopes as soon as its backward pass is done."""
        _hook(self.look(outcome))

    def see_tile(self, path: str, problem: Problem) -> None:
        """Take in some rows, and their slopes as soon as they are differentiated.

        Args:
            path: of the part of the objective that compares them.
            problem: what its criterion sees.
        """
        _hook(self._look(f"tiles {path}", problem))

    def weigh(self, path: str, factor: Float[Tensor, ""]) -> None:
        """Take in by what the slopes of all tiles of a path are multiplied."""
        if f"tiles {path}" in self._comparisons:
            self._comparisons[f"tiles {path}"].factor = factor.detach()

    def look(self, outcome: Outcome) -> list[tuple[Tensor, Feel]]:
        """Take in an outcome; gives the logits of its problems, and for each what wants to be told their slopes."""
        numbers = {name: value.detach() for name, value in outcome.terms.items()}
        self._outcome = Outcome(outcome.losses.detach(), outcome.kept, terms=numbers)
        return [asked for place, seen in enumerate(outcome.problems) for asked in self._look(str(place), seen)]

    @torch.no_grad()
    def _look(self, name: str, problem: Problem) -> list[tuple[Tensor, Feel]]:
        if not len(problem.anchors) or not len(problem.candidates):
            return []
        comparison = self._comparisons.setdefault(name, _Comparison(first=not self._comparisons))
        feel = comparison.look(problem)
        return [] if problem.logits is None else [(problem.logits, feel)]

    def values(self) -> dict[str, float]:
        """The numbers by name."""
        found: dict[str, Tensor] = {}
        for comparison in list(self._comparisons.values())[:1]:
            found |= comparison.values()
        found |= _shares([pulls * each.factor for each in self._comparisons.values() for pulls in each.pulls])
        if self._outcome is not None:
            found["anchors"] = self._outcome.kept.sum()
            found |= {f"term/{name}": value for name, value in self._outcome.terms.items()}
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
        factor: what they are to be multiplied by.
    """

    def __init__(self, first: bool) -> None:
        self._first = first
        self._found: dict[str, list[Tensor]] = {}
        self._valid: list[tuple[Tensor, Tensor]] = []
        self.pulls: list[Tensor] = []
        self.factor = torch.ones(())

    def look(self, problem: Problem) -> Feel:
        """Read a part of the rows; gives what wants to be told their slopes."""
        rows = len(problem.anchors) if problem.window is None else problem.window.total
        step = ceil(rows / _ROWS)
        positive, negative = problem.positive[::step], problem.negative[::step]
        if self._first:
            scores = _scores(problem, step)
            self._ranks(scores, positive, negative)
            texts = problem.valid[:, problem.origins != Origin.MIXED]
            self._valid.append((texts[::step].sum(dim=1), texts.any(dim=0)))
            # Whole rows: every column keeps its weight.
            thin = ceil(rows / step * len(problem.candidates) / _ENTRIES)
            for name, pairs in (("positive", positive), ("negative", negative[::thin])):
                known = (scores if name == "positive" else scores[::thin])[pairs]
                self._add(name, known[:: ceil(max(1, len(known)) / _ENTRIES)])
            if problem.temperature is not None:
                divided = _every(problem.temperature, step).detach()
                self._add("temperature", divided.mean(dim=1) if divided.ndim == 2 else divided.flatten())
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
            columns = torch.stack([torch.where(positive, slope, 0.0).sum(dim=0), pushes.sum(dim=0)]) * step
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
        found = {"ignored": self._ignored()} if self._valid else {}
        for name, seen in self._found.items():
            values = torch.cat(seen).cpu().double()  # an accelerator may have no doubles, and no quantiles
            if name not in ("positive", "negative"):
                found[name] = values.mean()
            elif len(values):
                at = torch.tensor(QUANTILES, dtype=values.dtype) / 100
                quantiles = torch.nanquantile(values, at)
                found |= {
                    f"similarity/{name}/q{percent:02d}": each
                    for percent, each in zip(QUANTILES, quantiles, strict=True)
                }
        return found

    def _ignored(self) -> Tensor:
        """The share of pairs that are not valid.

        Columns that are for no row, such as empty places of a queue, and those that were made for some rows are not
        counted.
        """
        rows, used = zip(*self._valid, strict=True)
        same = len({len(columns) for columns in used}) == 1  # else each tile has columns of its own
        there = torch.stack(used).any(dim=0).sum() if same else torch.stack([each.sum() for each in used]).max()
        return 1 - torch.cat(rows).cpu().double().mean() / there.cpu()


def effective_number(weights: Float[Tensor, "row column"]) -> Float[Tensor, " row"]:
    """How many equal weights are as concentrated as those of each row: ``(sum w) ** 2 / sum w ** 2``.

    The inverse Simpson index: N for N equal weights, 1 for a single one, whatever their scale. Each row needs a weight
    above 0, and none below.
    """
    shares = weights / weights.amax(dim=1, keepdim=True)  # so that squares of small numbers do not vanish
    return shares.sum(dim=1).square() / shares.square().sum(dim=1)


def _hook(asked: Sequence[tuple[Tensor, Feel]]) -> None:
    """Have the slopes passed on as soon as they are known."""
    for logits, feel in asked:
        if logits.requires_grad:
            logits.register_hook(feel)  # type: ignore[no-untyped-call]


def _scores(problem: Problem, step: int) -> Float[Tensor, "row column"]:
    """Similarities of every so many rows; cosines where the objective compares none, NaN for vectors of length 0."""
    if problem.similarity is not None:
        return problem.similarity[::step].detach()
    sides = problem.anchors[::step].detach(), problem.candidates.detach()
    one, other = (side / side.norm(dim=1, keepdim=True) for side in sides)
    scores: Tensor = one @ other.T
    return scores


def _every(values: Float[Tensor, "..."], step: int) -> Float[Tensor, "..."]:
    """Every so many rows of what is one number for all, for a row, or for a pair."""
    return values[::step] if values.ndim == 2 and len(values) > 1 else values


def _shares(pulls: Sequence[Float[Tensor, "sign origin"]]) -> dict[str, Tensor]:
    """The share of each origin in the slopes of positives and negatives together; NaN for one that has no column."""
    if not pulls:
        return {}
    every = torch.stack(list(pulls)).cpu().double()
    sums = torch.where(every.isnan().all(dim=0), float("nan"), every.nansum(dim=0))
    return {
        f"gradient/{sign}/{origin.name.lower()}": sums[place, origin] / sums.nansum()
        for place, sign in enumerate(("positive", "negative"))
        for origin in Origin
    }
