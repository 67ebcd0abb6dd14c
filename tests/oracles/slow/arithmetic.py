"""Arithmetic of the slow oracles, one value at a time."""

import math

import numpy as np


def columns(mask):
    """The positions at which a row of a mask is set."""
    return [int(j) for j in np.flatnonzero(mask)]


def unit(vectors):
    """Each vector at length 1."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def log_sum_exp(values):
    largest = max(values)
    return largest + math.log(sum(math.exp(value - largest) for value in values))


def softplus(value):
    return log_sum_exp([0.0, value])


def sigmoid(value):
    return math.exp(-softplus(-value))


def average(values):
    return sum(values) / len(values) if values else 0.0


def over_rows(rows):
    """(losses, kept) from a list with None for the rows that are not kept."""
    return np.array([0.0 if loss is None else loss for loss in rows]), np.array([loss is not None for loss in rows])
