"""C1, the softmax row: the log-ratio of a positive against a log-sum, with the denominator spelled out."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.errors import ConfigError
from nearfar.objectives.criteria.outer import Log, Outer
from nearfar.objectives.criteria.rows import front, of_rows
from nearfar.objectives.criteria.surveys import Positives, Survey, concluded
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import Places, masked_logsumexp

Block = Literal["row", "column", "anchors", "candidates"]
BLOCKS: tuple[Block, ...] = ("row", "column", "anchors", "candidates")


@dataclass(frozen=True, kw_only=True)
class Softmax(Criterion):
    """The log-ratio of every positive of a row, averaged over the positives.

    For a positive (i, p) the loss is ``f(-a Z[i, p] + log D[i, p])`` with the attraction a (1 unless a weight says
    otherwise), and the denominator ``D`` is a sum of ``exp(Z)`` over: the pair itself, if ``own``; the other positives
    of the row, if ``others``; the negatives, with their log-weights; and whatever mass another part added. With
    ``own`` alone this is the decoupled softmax, with both the SupCon form, with neither DCL.

    A row without positives does not count; where the positive is not in its denominator, one without negatives
    neither.

    Attributes:
        own: the positive is in its own denominator (kp).
        others: the other positives of the row are in it (ko).
        blocks: what is contrasted: ``row`` the candidates of the anchor, ``column`` the anchors of the candidate,
            ``anchors`` and ``candidates`` each side among itself.
        partition: ``joint`` puts the blocks into one log-sum; ``separate`` takes the mean of a log-ratio for each.
        twice: with the blocks row and column in one log-sum, the pair is counted in both, as in GTE.
        inside: ``mean`` and ``sum`` pool the positives inside of the log; none averages over them outside.
        prior: share of false negatives that is taken out of the negatives (debiased contrastive); 0 for none.
        smoothing: share of the target that goes to the positive and all negatives alike (label smoothing).
        outer: the function f.
    """

    own: bool = True
    others: bool = False
    blocks: tuple[Block, ...] = ("row",)
    partition: Literal["joint", "separate"] = "joint"
    twice: bool = True
    inside: Literal["mean", "sum"] | None = None
    prior: float = 0.0
    smoothing: float = 0.0
    outer: Outer = Log()

    def __post_init__(self) -> None:
        known = isinstance(self.blocks, tuple) and self.blocks and all(block in BLOCKS for block in self.blocks)
        require(bool(known), self, "blocks", f"a list of {', '.join(BLOCKS)}")
        require(self.partition in ("joint", "separate"), self, "partition", "joint or separate")
        require(self.inside in (None, "mean", "sum"), self, "inside", "mean or sum or none")
        across = set(self.blocks) <= {"row", "column"} and "row" in self.blocks and self.partition == "joint"
        require(self.inside is None or across, self, "inside", "none, unless one log-sum has row and perhaps column")
        require(is_number(self.prior) and 0 <= self.prior < 1, self, "prior", "a number from 0 to below 1")
        require(is_number(self.smoothing) and 0 <= self.smoothing <= 1, self, "smoothing", "a number from 0 to 1")
        alone = set(self.blocks) <= {"row", "column"} and (len(self.blocks) == 1 or self.partition == "separate")
        plain = self.smoothing == 0 or (alone and self.inside is None)
        require(plain, self, "smoothing", "0 unless the blocks are row and column, each with a log-sum of its own")
        require(isinstance(self.outer, Outer), self, "outer", "a function of -log p, such as FocalPower(gamma=0.5)")

    @property
    def blocks_beside(self) -> bool:
        """Whether anchors, or candidates, are contrasted among themselves."""
        return "anchors" in self.blocks or "candidates" in self.blocks

    @property
    def across_rows(self) -> bool:  # type: ignore[override]  # depends on a field here
        """Whether rows need one another: along columns, and where each side is contrasted among itself."""
        return set(self.blocks) != {"row"}

    @property
    def in_two_passes(self) -> bool:
        """Whether sums along columns are all that rows need of one another."""
        return self.inside is None and not self.blocks_beside

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive."""
        if self.inside is not None:
            return self._pooled(problem)
        return self._losses(self.survey(problem))

    def survey(self, problem: Problem) -> Survey:
        """What rows tell of their positive pairs: log-sums, and what is subtracted from them."""
        pairs = Positives(*problem.matches)
        logit = pairs.of(problem.z)
        told = {"share": pairs.equal_shares(logit) if problem.shares is None else pairs.of(problem.shares)}
        repelled = problem.z if problem.bias is None else problem.z + problem.bias
        for place, blocks in enumerate(self._groups):
            mass, further = self._log_mass(problem, pairs, logit, repelled, blocks)
            told |= {f"mass {place}": mass, f"pulled {place}": self._pulled(problem, pairs, logit, blocks)}
            if further is not None:
                told[f"further {place}"] = further
        log_sums, sums = {}, {}
        if "column" in self.blocks:
            log_sums["negatives"] = masked_logsumexp(repelled, _negatives(problem), dim=0)
        if self._smooth(("column",)):
            told["logit"] = logit
            sums = {"logits": _negative_logits(problem).sum(dim=0), "number": problem.negative.sum(dim=0)}
        return Survey(
            rows=len(problem.anchors),
            pairs=pairs,
            told=told,
            log_sums=log_sums,
            sums=sums,
            importance=problem.importance,
        )

    def conclude(
        self, surveys: Iterable[Survey], rows: int, pairs: int
    ) -> tuple[Outcome, Callable[[int, Problem], Float[Tensor, ""]]]:
        """The losses of all rows from the surveys of their tiles; see ``surveys.concluded``."""
        outcome, pulled = concluded(surveys, rows, pairs, self._losses)
        return outcome, lambda place, problem: pulled(place, self.survey(problem))

    @property
    def _groups(self) -> tuple[tuple[Block, ...], ...]:
        """The blocks, those of one log-sum together."""
        return (self.blocks,) if self.partition == "joint" else tuple((block,) for block in self.blocks)

    def _smooth(self, blocks: tuple[Block, ...]) -> bool:
        """Whether the target of these blocks is smoothed."""
        return self.smoothing > 0 and blocks in self._groups

    def _losses(self, survey: Survey) -> Outcome:
        """The loss of each row, once the sums along columns are known."""
        pairs, told = survey.pairs, survey.told
        floor = torch.finfo(told["share"].dtype).min
        terms, filled = [], torch.zeros_like(pairs.rows, dtype=torch.bool)
        for place, blocks in enumerate(self._groups):
            mass, pulled = told[f"mass {place}"], told[f"pulled {place}"]
            if "column" in blocks:
                mass = torch.logaddexp(mass, survey.log_sums["negatives"][pairs.columns])
            # Other positives alone are nothing to be told apart from. What is not a number stays and is seen.
            some = ~(mass <= floor / 2)
            if f"further {place}" in told:
                mass = torch.logaddexp(mass, told[f"further {place}"])
            if blocks == ("column",) and self._smooth(blocks):
                pushed, number = (survey.sums[name][pairs.columns] for name in ("logits", "number"))
                pulled = pulled + self.smoothing * (told["logit"] + pushed) / (1 + number)
            # Nothing that is not counted reaches the outer function, whose slope may be infinite there.
            terms.append(self.outer.of(torch.where(some, mass - pulled, 0.0)))
            filled = filled | some
        each = told["share"] * torch.stack(terms).mean(dim=0)
        losses = each.new_zeros(survey.rows).index_add(0, pairs.rows, each)
        kept = torch.zeros_like(losses, dtype=torch.int64).index_add(0, pairs.rows, filled.long()) > 0
        losses = torch.where(kept, losses, 0.0)
        return Outcome(losses if survey.importance is None else survey.importance * losses, kept)

    def _pulled(
        self, problem: Problem, pairs: Positives, logit: Float[Tensor, " pair"], blocks: tuple[Block, ...]
    ) -> Float[Tensor, " pair"]:
        """What is subtracted from the log of the denominator: the logit of the pair, or its mean under the target.

        Along columns the mean is not known to the rows, and is added when the losses are concluded.
        """
        pulled = logit if problem.attraction is None else pairs.of(problem.attraction) * logit
        if self.smoothing == 0:
            return pulled
        pulled = (1 - self.smoothing) * pulled
        if blocks == ("column",):
            return pulled
        pushed = pairs.of(_negative_logits(problem).sum(dim=1, keepdim=True))
        mean = (logit + pushed) / (1 + pairs.of(problem.negative.sum(dim=1, keepdim=True)))
        return pulled + self.smoothing * mean

    def _pooled(self, problem: Problem) -> Outcome:
        """The loss of rows whose positives are added up inside the log, each with its bias."""
        logits = problem.z if problem.bias is None else problem.z + problem.bias
        kept = problem.positive.any(dim=1)
        pulled = masked_logsumexp(logits, problem.positive)
        if self.inside == "mean":
            pulled = pulled - problem.positive.sum(dim=1).clamp(min=1).to(pulled.dtype).log()
        within = problem.valid if self.own else problem.negative
        mass = masked_logsumexp(logits, within)
        pieces = [] if problem.extra is None else [problem.extra[:, 0]]
        if "column" in self.blocks:
            columns = masked_logsumexp(logits.T, problem.negative.T)
            rivals = problem.positive & torch.isfinite(columns)
            pieces += [masked_logsumexp(logits, problem.positive)] * (self.own and self.twice)
            pieces.append(masked_logsumexp(columns.expand_as(logits), rivals))
        floor = torch.finfo(mass.dtype).min
        for piece in pieces:
            mass = torch.logaddexp(mass.clamp(min=floor), piece)
        usable = kept & ~(mass <= floor / 2)  # what is not a number stays and is seen
        losses = torch.where(usable, mass, 0.0) - torch.where(usable, pulled, 0.0)
        return of_rows(problem, self.outer.of(losses), usable)

    def _log_mass(
        self,
        problem: Problem,
        pairs: Positives,
        logit: Float[Tensor, " pair"],
        repelled: Float[Tensor, "row column"],
        blocks: tuple[Block, ...],
    ) -> tuple[Float[Tensor, " pair"], Float[Tensor, " pair"] | None]:
        """Log D of every pair over some blocks, as far as its row knows, and the mass of other positives apart."""
        own = [logit] * self.own
        pieces: list[Tensor] = []
        further: list[Tensor] = []
        if "row" in blocks:
            pieces, further = self._row(problem, pairs, logit, repelled)
        elif "column" not in blocks:
            pieces += own
        if "column" in blocks:
            pieces += own * (self.twice or "row" not in blocks)
        if "anchors" in blocks:
            pieces.append(pairs.of(_beside(problem.anchors, problem.among_anchors, problem)[:, None]))
        if "candidates" in blocks:
            pieces.append(pairs.of(_beside(problem.candidates, problem.among_candidates, problem)[None, :]))
        floor = torch.finfo(problem.z.dtype).min
        mass = torch.full_like(logit.detach(), floor)
        # One by one onto what is finite: the sum of two empty blocks would have no gradient.
        for piece in pieces:
            mass = torch.logaddexp(mass, piece)
        return mass, further[0] if further else None

    def _row(
        self, problem: Problem, pairs: Positives, logit: Float[Tensor, " pair"], repelled: Float[Tensor, "row column"]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The masses of the row block: the pair itself, negatives and further mass; and those of other positives."""
        further = [] if problem.extra is None else [pairs.of(problem.extra)]
        if self.own and self.others and self.prior == 0:  # one sum for the whole row
            logits = torch.where(problem.positive, problem.z, repelled)
            return [pairs.of(masked_logsumexp(logits, problem.valid)[:, None]), *further], []
        negatives = masked_logsumexp(repelled, _negatives(problem))[pairs.rows]
        if self.prior > 0:
            negatives = self._debiased(problem, pairs, logit, negatives)
        pieces = [*[logit] * self.own, negatives, *further]
        others = [pairs.of(_other_positives(problem.z, problem.positive))] if self.others else []
        return pieces, others

    def _debiased(
        self, problem: Problem, pairs: Positives, logit: Float[Tensor, " pair"], negatives: Float[Tensor, " pair"]
    ) -> Float[Tensor, " pair"]:
        """Negatives without the share that a prior says is positive (arXiv 2007.00224), never below their minimum.

        ``max((R - prior * M * exp(Z[i, p])) / (1 - prior), M * exp(-1 / t))`` with the mass R of the M negatives.
        """
        assert problem.temperature is not None
        count = pairs.of(problem.negative.sum(dim=1, keepdim=True))
        log_count = count.clamp(min=1).to(logit.dtype).log()
        lowest = log_count - pairs.of((1 / problem.temperature).expand_as(problem.z))
        some = count > 0
        mass = torch.where(some, negatives, 0.0)
        ratio = math.log(self.prior) + log_count + logit - mass
        # log(1 - exp(ratio)) where that is above the floor; elsewhere the floor, without gradient.
        room = ~(ratio >= -1e-20)
        rest = mass + torch.log(-torch.expm1(torch.where(room, ratio, -1.0))) - math.log1p(-self.prior)
        corrected = torch.where(room & ~(rest <= lowest), rest, lowest)
        return torch.where(some, corrected, float("-inf"))


def _negatives(problem: Problem) -> Bool[Tensor, "row column"] | Places:
    """What counts in a sum over negatives: as a mask, or by what does not."""
    return problem.negative if problem.rest is None else problem.rest


def _negative_logits(problem: Problem) -> Float[Tensor, "row column"]:
    """The logits of negatives, 0 elsewhere."""
    return torch.where(problem.negative, problem.z, 0.0)


def _beside(
    vectors: Float[Tensor, "row dim"], usable: Bool[Tensor, "row row"] | None, problem: Problem
) -> Float[Tensor, " row"]:
    """The mass of the other texts of one side."""
    assert usable is not None
    assert problem.temperature is not None
    if problem.temperature.numel() != 1:
        raise ConfigError(
            "Softmax: the blocks anchors and candidates need one temperature for all pairs, and there is one for each "
            "row or pair here. Leave out these blocks, or take Temperature or LearnedTemperature."
        )
    return masked_logsumexp(vectors @ vectors.T / problem.temperature, usable)


def _other_positives(
    logits: Float[Tensor, "row column"], positive: Bool[Tensor, "row column"]
) -> Float[Tensor, "row column"]:
    """For each positive the log-sum over the other positives of its row; minus infinity elsewhere.

    Exact also where one positive outweighs the others: nothing is subtracted. Positives of a row are few, so each row
    is brought to its own positives first.
    """
    places, chosen = front(positive)
    most, packed = places.shape[1], logits.gather(1, places)
    pairs = chosen[:, :, None] & chosen[:, None, :] & ~torch.eye(most, dtype=torch.bool, device=logits.device)
    wide = packed[:, None, :].expand(-1, most, -1).reshape(-1, most)
    found = masked_logsumexp(wide, pairs.reshape(-1, most)).reshape(-1, most)
    return torch.full_like(logits, float("-inf")).scatter(1, places, found)
