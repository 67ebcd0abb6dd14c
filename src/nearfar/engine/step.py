"""One training step as a module: texts in, loss out.

The encoder and the objective are its children, so whatever either of them trains or remembers is in the optimiser and
in every checkpoint, and a data-parallel wrapper sees one forward.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor, nn

from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.engine.budget import Budget, check_length
from nearfar.engine.embed import embed
from nearfar.engine.microbatch import MicroBatch, prepare
from nearfar.engine.momentum import Momentum
from nearfar.engine.ranks import Ranks
from nearfar.engine.teachers import Teacher, taught
from nearfar.engine.telemetry import Observation
from nearfar.engine.tile import SCORES_AT_ONCE, evaluate
from nearfar.objectives.candidates.keys import sides_looked_at
from nearfar.objectives.objective import Objective
from nearfar.types import Batch, Relation

SUPPLIED = ("index", "labels")
"""The keyword inputs of an objective that a batch has."""

_ROLES = {"anchors": Role.QUERY, "candidates": Role.DOCUMENT}


@dataclass(frozen=True, eq=False, kw_only=True)
class StepInput:
    """A batch that is ready for the encoder of one rank.

    Attributes:
        micro_batches: this rank's share of the distinct texts of the step, prepared.
        roles: the side of each micro-batch, where the sides were prepared apart; else nothing.
        texts: how many distinct texts the step has, over all ranks.
        anchors: where each anchor stands among the vectors of all ranks.
        candidates: where each candidate stands among them.
        relation: who belongs to whom.
        inputs: what else the objective may want, by name: ``index``, ``labels``, the vectors of a teacher.
        batch: where all of this came from.
    """

    micro_batches: list[MicroBatch]
    texts: int
    anchors: Int64[np.ndarray, " anchor"]
    candidates: Int64[np.ndarray, " candidate"]
    relation: Relation
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    batch: Batch | None = None
    roles: tuple[Role, ...] = ()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "StepInput":
        """The same input with its relation on ``device``; features move when they are embedded."""
        moved = {name: value.to(device) for name, value in self.inputs.items()}
        return replace(self, relation=self.relation.to(device), inputs=moved)

    def of(self, roles: frozenset[Role]) -> list[MicroBatch]:
        """The micro-batches of some sides; all of them where sides are together, or where this rank has none of those.

        A rank that embeds nothing would have no gradient to share.
        """
        chosen = [each for each, role in zip(self.micro_batches, self.roles, strict=False) if role in roles]
        return chosen or self.micro_batches


def prepare_step(
    encoder: TorchEncoder,
    batch: Batch,
    tokens: int,
    budget: Budget = Budget(),
    ranks: Ranks = Ranks(),
    teacher: Teacher | None = None,
    apart: bool = False,
) -> StepInput:
    """Tokenise this rank's share of the texts of a batch, each distinct one once, and cut it into micro-batches.

    Args:
        encoder: whose texts they are.
        batch: the whole step, the same on all ranks.
        tokens: padded tokens in one forward pass, at most.
        budget: what may be in memory at once; a pass never takes more.
        ranks: among whom the texts are dealt out, by length, so that all have about as much to do.
        teacher: has vectors of the texts, which go along.
        apart: anchors and candidates never share a pass, and a text of both is embedded twice: for a step in which
            not every encoder embeds both.

    Raises:
        ConfigError: when a single text is longer than the budget.
    """
    texts_by_way: dict[Hashable, dict[str, int]] = {}
    role_of_way: dict[Hashable, Role] = {}
    local = {}
    for role, texts in ((Role.QUERY, batch.anchors), (Role.DOCUMENT, batch.candidates)):
        way = (role, encoder.way(role)) if apart else encoder.way(role)
        role_of_way.setdefault(way, role)
        places = texts_by_way.setdefault(way, {})
        local[role] = (way, [places.setdefault(text, len(places)) for text in texts])
    distinct = [(way, text) for way, places in texts_by_way.items() for text in places]
    order = _order([text for _, text in distinct], ranks)
    mine = order[ranks.rank :: ranks.world] or order[:1]  # an idle rank would keep the others waiting
    micro_batches, roles = [], []
    for way, role in role_of_way.items():
        own = [place for place, number in enumerate(mine) if distinct[number][0] == way]
        texts = [distinct[mine[place]][1] for place in own]
        for group in prepare(encoder, texts, role, min(tokens, budget.tokens or tokens)) if texts else ():
            check_length(texts[int(group.places[-1])], group.tokens, budget)
            micro_batches.append(replace(group, places=np.asarray(own, dtype=np.int64)[group.places]))
            roles.append(role)
    stands = np.empty(len(order), dtype=np.int64)
    dealt = [number for rank in range(ranks.world) for number in order[rank :: ranks.world]]
    stands[dealt] = np.arange(len(order))
    starts = dict(zip(texts_by_way, np.cumsum([0, *map(len, texts_by_way.values())]), strict=False))
    anchors, candidates = (
        stands[np.asarray(places, dtype=np.int64) + starts[way]]
        for way, places in (local[role] for role in (Role.QUERY, Role.DOCUMENT))
    )
    beside = {name: value for name in SUPPLIED if (value := getattr(batch, name)) is not None}
    beside |= {} if teacher is None else teacher.of(batch)
    beside |= {} if batch.weights is None else {"teacher": batch.weights}  # what ``GivenWeights`` calls them
    return StepInput(
        micro_batches=micro_batches,
        texts=len(distinct),
        anchors=anchors,
        candidates=candidates,
        relation=batch.relation,
        inputs=beside,
        batch=batch,
        roles=tuple(roles) if apart else (),
    )


def _order(texts: list[str], ranks: Ranks) -> list[int]:
    """In which order texts are dealt out. Characters stand for tokens: other ranks' texts are not tokenised here."""
    if ranks.world == 1:
        return list(range(len(texts)))
    return sorted(range(len(texts)), key=lambda place: len(texts[place]))


class Step(nn.Module):
    """Embeds the texts of a step and applies the objective.

    Args:
        encoder: what is trained.
        objective: what is minimised.
        precision: ``float32`` or ``bfloat16``, of the encoder.
        budget: what may be in memory at once while texts are embedded.
        scores: entries of a score matrix that may be in memory at once; above it the objective is computed in tiles,
            where it can be.
        momentum: a moving average of the encoder, for objectives that need one as guide.
        teacher: what a frozen encoder says of the texts of training, for whoever prepares the steps.

    Attributes:
        counted: anchors that had a loss, over all steps so far.
        observed: whether to look at the next step for telemetry.
        seen: what was seen of the last observed step; whole once its backward pass is done.
        rows: the loss of each anchor of the last step, and which of its texts have vectors of finite numbers.
    """

    def __init__(
        self,
        encoder: TorchEncoder,
        objective: Objective,
        precision: str = "float32",
        budget: Budget = Budget(),
        scores: int = SCORES_AT_ONCE,
        momentum: Momentum | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.momentum, self.teacher = momentum, teacher
        # With keys by another encoder, nobody looks at the encoder's own vectors of the candidates.
        self._trained = frozenset(_ROLES[side] for side in sides_looked_at(objective.form))
        self._guided = frozenset(_ROLES[side] for side in _ROLES if f"guide_{side}" in objective.needs)
        self.apart = len(self._trained) < 2 or (momentum is not None and len(self._guided) == 1)
        self.precision, self.budget, self.scores = precision, budget, scores
        self.counted: Int[Tensor, ""] = torch.zeros((), dtype=torch.int64)
        self.observed = False
        self.seen: Observation | None = None
        self.rows: tuple[Float[Tensor, " anchor"], Bool[Tensor, " text"]] | None = None

    def forward(self, step: StepInput) -> Float[Tensor, ""]:
        """The loss of the step over the texts of all ranks, with gradient."""
        device, ranks = self.encoder.device, Ranks.current()
        vectors = self._embedded(self.encoder, step, ranks, self._trained)
        anchors, candidates = (vectors[torch.from_numpy(side).to(device)] for side in (step.anchors, step.candidates))
        here = step.to(device)
        inputs = taught(self.objective.needs, here.inputs, self._followed(step, ranks))
        self.seen = Observation(self.objective) if self.observed else None
        outcome = evaluate(self.objective, anchors, candidates, here.relation, self.scores, ranks, self.seen, **inputs)
        self.counted = self.counted.to(device) + outcome.kept.sum()
        self.rows = outcome.losses.detach(), vectors.detach().isfinite().all(dim=1)
        if self.seen is not None:
            self.seen.see(outcome)
        return outcome.loss

    def follow(self) -> None:
        """Let the moving average, if there is one, move towards the encoder. Once for each step of the optimiser."""
        if self.momentum is not None:
            self.momentum.follow(self.encoder)

    def _embedded(
        self, encoder: TorchEncoder, step: StepInput, ranks: Ranks, roles: frozenset[Role]
    ) -> Float[Tensor, "text dim"]:
        """The vectors of the texts of all ranks. Those of other sides may be 0, if the step has its sides apart."""
        chosen = step.of(roles)
        own = embed(encoder, chosen, self.precision, encoder.device, self.budget)
        if len(chosen) < len(step.micro_batches):
            places = torch.from_numpy(np.sort(np.concatenate([each.places for each in chosen]))).to(own.device)
            total = sum(len(each.places) for each in step.micro_batches)
            own = own.new_zeros(total, own.shape[1]).index_copy(0, places, own)
        return ranks.gather(own[: ranks.sizes(step.texts)[ranks.rank]], step.texts)

    def _followed(self, step: StepInput, ranks: Ranks) -> dict[str, Float[Tensor, "text dim"]]:
        """The guides by the moving average, if there is one and as far as the objective needs them."""
        if self.momentum is None or not self._guided:
            return {}
        with torch.no_grad():
            vectors = self._embedded(self.momentum.encoder, step, ranks, self._guided)
        sides = {"anchors": step.anchors, "candidates": step.candidates}
        return {
            f"guide_{side}": vectors[torch.from_numpy(places).to(vectors.device)]
            for side, places in sides.items()
            if _ROLES[side] in self._guided
        }
