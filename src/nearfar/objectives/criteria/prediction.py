"""C10, prediction without negatives: from the vector of one text to that of its partner, which carries no gradient."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, normalize, relu

from nearfar.config.component import is_number, is_whole, require
from nearfar.errors import ShapeError
from nearfar.objectives.criteria.hypersphere import matched_pairs, mean_by_row
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Part
from nearfar.objectives.problem import Problem


class Predictor(Part):
    """What goes from a vector to the guess of another one."""

    def predict(self, vectors: Float[Tensor, "text dim"], memory: Memory) -> Float[Tensor, "text dim"]:
        """The guesses."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Perceptron(Predictor):
    """A trained predictor of two layers, with a layer normalisation between them.

    Attributes:
        hidden: width between the layers.
        seed: of the first weights.
    """

    hidden: int = 512
    seed: int = 0
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole = is_whole(self.hidden)
        require(whole and self.hidden > 0, self, "hidden", "a whole number above 0")

    def make_memory(self, dim: int) -> nn.Module:
        """The trained weights."""
        return PerceptronWeights(dim, self.hidden, self.seed)

    def predict(self, vectors: Float[Tensor, "text dim"], memory: Memory) -> Float[Tensor, "text dim"]:
        """The guesses."""
        weights = memory.of(PerceptronWeights)
        inner = linear(vectors, weights.inward.to(vectors.dtype))
        inner = relu(layer_norm(inner, inner.shape[1:], eps=1e-5))
        return linear(inner, weights.outward.to(vectors.dtype), weights.bias.to(vectors.dtype))


class PerceptronWeights(nn.Module):
    """The weights of a ``Perceptron``."""

    def __init__(self, dim: int, hidden: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.inward = nn.Parameter(torch.randn(hidden, dim, generator=generator) / math.sqrt(dim))
        self.outward = nn.Parameter(torch.randn(dim, hidden, generator=generator) / math.sqrt(hidden))
        self.bias = nn.Parameter(torch.zeros(dim))


@dataclass(frozen=True, kw_only=True)
class Spectral(Predictor):
    """A linear predictor that is set from the correlation of the vectors and never trained (arXiv 2102.06810).

    With the running mean F of the outer products of all vectors and its eigenvalues s, the weight has the eigenvectors
    of F and the eigenvalues ``sqrt(s / max s) + epsilon``. It is the identity at first; a call uses what the calls
    before it have set. In evaluation mode nothing is set.

    Attributes:
        momentum: share of the former F in the new one. The first call sets it.
        epsilon: added to the root.
        every: the weight is set at every so many calls.
        scaling: ``relative`` as above; ``absolute`` is ``sqrt(s) + epsilon * max s``, as the paper has it.
        floor: no eigenvalue of the weight is below it.
    """

    momentum: float = 0.3
    epsilon: float = 0.01
    every: int = 1
    scaling: Literal["relative", "absolute"] = "relative"
    floor: float = 1e-4
    sized: ClassVar[bool] = True
    detached: ClassVar[tuple[str, ...]] = ("weight of the predictor",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        share = is_number(self.momentum) and 0 <= self.momentum < 1
        require(share, self, "momentum", "a number from 0 to below 1")
        require(is_number(self.epsilon) and self.epsilon >= 0, self, "epsilon", "a number of at least 0")
        whole = is_whole(self.every)
        require(whole and self.every > 0, self, "every", "a whole number above 0")
        require(self.scaling in ("relative", "absolute"), self, "scaling", "relative or absolute")
        require(is_number(self.floor) and self.floor > 0, self, "floor", "a number above 0")

    def make_memory(self, dim: int) -> nn.Module:
        """The correlation and the weight."""
        return RunningCorrelation(dim)

    def predict(self, vectors: Float[Tensor, "text dim"], memory: Memory) -> Float[Tensor, "text dim"]:
        """The guesses; sets the weight of the next call."""
        running = memory.of(RunningCorrelation)
        guesses = vectors @ running.weight.to(vectors.dtype)
        if running.training and len(vectors):
            with torch.no_grad():
                self._update(running, vectors)
        return guesses

    def _update(self, running: "RunningCorrelation", vectors: Float[Tensor, "text dim"]) -> None:
        """Take a batch into the correlation and set the weight from it."""
        batch = (vectors.T @ vectors / len(vectors)).to(running.correlation.dtype)
        mixed = self.momentum * running.correlation + (1 - self.momentum) * batch
        running.correlation = torch.where(running.calls > 0, mixed, batch)
        if int(running.calls) % self.every == 0:
            running.weight = self.weight(running.correlation)
        running.calls = running.calls + 1

    def weight(self, correlation: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
        """The weight that belongs to a correlation."""
        # What is not finite shows in the loss; here it would only stop the decomposition.
        symmetric = torch.nan_to_num((correlation + correlation.T) / 2, posinf=0.0, neginf=0.0)
        values, vectors = torch.linalg.eigh(symmetric)
        values = values.clamp(min=0)
        largest = values.max()
        if self.scaling == "relative":
            strength = (values / torch.where(largest > 0, largest, 1.0)).sqrt() + self.epsilon
        else:
            strength = values.sqrt() + self.epsilon * largest
        made: Tensor = vectors * strength.clamp(min=self.floor) @ vectors.T
        return made


class RunningCorrelation(nn.Module):
    """What a ``Spectral`` predictor remembers.

    Attributes:
        correlation: running mean of the outer products.
        weight: of the predictor at the next call; symmetric.
        calls: how many calls there were.
    """

    correlation: Float[Tensor, "dim dim"]
    weight: Float[Tensor, "dim dim"]
    calls: Int[Tensor, ""]

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("correlation", torch.zeros(dim, dim))
        self.register_buffer("weight", torch.eye(dim))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))


@dataclass(frozen=True, kw_only=True)
class Prediction(Criterion):
    """The squared distance of a guess and what it should be, both of length 1, in both directions.

    ``2 - 2 cos(h(x), t(c)) + 2 - 2 cos(h(c), t(x))``, mean over the positives of a row. Targets carry no gradient.

    Attributes:
        predictor: h.
        target: ``same`` takes the vectors themselves as targets, ``guide`` those of another encoder of the same width,
            such as a moving average of this one.
    """

    predictor: Predictor = Perceptron()
    target: Literal["same", "guide"] = "same"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"
    detached: ClassVar[tuple[str, ...]] = ("targets",)
    shares_space: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(isinstance(self.predictor, Predictor), self, "predictor", "a predictor, such as Perceptron(hidden=512)")
        require(self.target in ("same", "guide"), self, "target", "same or guide")

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # it depends on a field
        """The keyword inputs that it cannot do without."""
        return frozenset({"guide_anchors", "guide_candidates"} if self.target == "guide" else ())

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive."""
        rows, columns = matched_pairs(problem)
        one, other = problem.anchors[rows], problem.candidates[columns]
        targets = (one, other) if self.target == "same" else self._guides(problem, rows, columns)
        guesses = self.predictor.predict(torch.cat([one, other]), memory.at("predictor"))
        # What an anchor says is compared with the candidate, and the other way round.
        cosine = (normalize(guesses, dim=1) * normalize(torch.cat(targets[::-1]).detach(), dim=1)).sum(dim=1)
        both = (2 - 2 * cosine).reshape(2, -1).sum(dim=0)
        return Outcome(mean_by_row(both, rows, problem), problem.positive.any(dim=1))

    def _guides(
        self, problem: Problem, rows: Int[Tensor, " pair"], columns: Int[Tensor, " pair"]
    ) -> tuple[Float[Tensor, "pair dim"], Float[Tensor, "pair dim"]]:
        """The target network's vectors."""
        one, other = problem.guide_anchors, problem.guide_candidates
        assert one is not None
        assert other is not None
        if one.shape[1] != problem.anchors.shape[1]:
            raise ShapeError(
                f"Prediction: guide_anchors and guide_candidates stand for the target network and must be of the "
                f"embeddings' width, {problem.anchors.shape[1]}. Got guide_anchors {tuple(one.shape)}."
            )
        return one[rows], other[columns]
