"""Distances as memberships: a heavy-tailed kernel, made symmetric."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.errors import ConfigError
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class StudentKernel(Logits):
    """The logit of how near two vectors are, from their distance: a Student kernel of the squared distance.

    Wants the similarity ``euclidean`` and both sides as rows and columns. The kernel of SAN (arXiv 2211.11262) has a
    maximum of about .998, so that no pair is ever sure.

    Attributes:
        freedom: degrees of freedom; above 0. Many give a light tail.
        sigma: the squared distance counts in units of it; above 0.
    """

    freedom: float = 10.0
    sigma: float = 1.0
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.freedom) and self.freedom > 0, self, "freedom", "a number above 0")
        require(is_number(self.sigma) and self.sigma > 0, self, "sigma", "a number above 0")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with logits of memberships."""
        near = union(student(problem.scores.square(), self.freedom, self.sigma))
        near = near.clamp(1e-12, 1 - max(1e-12, torch.finfo(near.dtype).eps))
        return replace(problem, logits=near.log() - torch.log1p(-near))


def student(squared: Float[Tensor, "..."], freedom: float, sigma: float) -> Float[Tensor, "..."]:
    """``6.28 g^2 (1 + d2 / (sigma nu)) ** -(nu + 1)`` with ``g`` the height of the Student density of nu degrees."""
    height = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    # The published kernel has 3.14 for pi.
    return 2 * 3.14 * height**2 * torch.exp(-(freedom + 1) * torch.log1p(squared / (sigma * freedom)))


def union(near: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """The fuzzy union of memberships with their transpose: near in either direction.

    Raises:
        ConfigError: when rows and columns are not the same texts.
    """
    if near.shape[0] != near.shape[1]:
        raise ConfigError(
            f"StudentKernel and KernelTargets compare texts among themselves, but there are {near.shape[0]} rows and "
            f"{near.shape[1]} columns. Take candidates=BothSides()."
        )
    return near + near.T - near * near.T
