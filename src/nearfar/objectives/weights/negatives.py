"""What weights of negatives have in common: they are added, as logs, to the logits of negatives."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.problem import Problem


def weighted_negatives(problem: Problem, log_weights: Float[Tensor, "row column"]) -> Problem:
    """The problem with further log-weights of its negatives. A negative of weight 0 must be taken out instead."""
    bias = torch.where(problem.negative, log_weights, 0.0)
    return replace(problem, bias=bias if problem.bias is None else problem.bias + bias)
