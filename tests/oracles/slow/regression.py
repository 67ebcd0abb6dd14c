"""Regression of scores and margins from their equations alone. Dot products in the papers, unless it says cosine."""

import math

import numpy as np

from tests.oracles.slow.listwise import by_row, members, pairs, pro_list, rank_kl_list

HARD = 1  # nearfar.types.Origin.HARD


def squared_margin_gap(student, teacher, i, p, n):
    """((s_p - s_n) - (T_p - T_n))^2 in row i."""
    return ((student[i, p] - student[i, n]) - (teacher[i, p] - teacher[i, n])) ** 2


def average(terms):
    """The mean of a list, None if it is empty."""
    terms = list(terms)
    return sum(terms) / len(terms) if terms else None


def margin_mse(similarity, positive, valid, judged, teacher):
    """L_i = mean over judged positives p and judged negatives n of ((s_p - s_n) - (T_p - T_n))^2.

    MarginMSE, arXiv 2010.02666: one p and one n a row there. Un-normalised dot product. ``judged``: scored by the
    teacher. Kept: rows with such a pair.
    """

    def loss(i):
        positives, negatives = members(positive[i] & judged[i]), members(valid[i] & ~positive[i] & judged[i])
        return average(squared_margin_gap(similarity, teacher, i, p, n) for p in positives for n in negatives)

    return by_row(len(similarity), loss)


def dual_teacher(
    similarity, positive, valid, own, origin, judged, teacher, batch_judged, batch_teacher, *, in_batch_weight=0.75
):
    """L_i = pair_i + w (half over others' documents + half over others' hard negatives).

    pair: MarginMSE of the row's positives against its own hard negatives (``own``), by the first teacher.
    in-batch, by the second teacher: MarginMSE of the row's positives against the negatives that are not its own,
    columns of origin HARD and the rest averaged apart, then the mean of the halves that exist.
    TAS-B, arXiv 2104.06967. A row's missing part counts 0. Kept: rows with any part.
    """
    hard = np.asarray(origin) == HARD

    def part(i, scored, scores, columns):
        positives, negatives = members(positive[i] & scored[i]), members(columns & scored[i])
        return average(squared_margin_gap(similarity, scores, i, p, n) for p in positives for n in negatives)

    def loss(i):
        negative = valid[i] & ~positive[i]
        pair = part(i, judged, teacher, negative & own[i])
        halves = [
            part(i, batch_judged, batch_teacher, negative & ~own[i] & hard),
            part(i, batch_judged, batch_teacher, negative & ~own[i] & ~hard),
        ]
        in_batch = average(half for half in halves if half is not None)
        if pair is None and in_batch is None:
            return None
        return (pair or 0.0) + in_batch_weight * (in_batch or 0.0)

    return by_row(len(similarity), loss)


def pearson_list(scores, grades, epsilon):
    """1 - cov(s, y) / (sqrt(var s + epsilon) sqrt(var y)); 0 if there are fewer than two or y is constant."""
    if len(scores) < 2 or min(grades) == max(grades):
        return 0.0
    scores, grades = np.array(scores), np.array(grades)
    left, right = scores - scores.mean(), grades - grades.mean()
    spread = math.sqrt(float((left * left).mean()) + epsilon) * math.sqrt(float((right * right).mean()))
    return 1 - float((left * right).mean()) / spread


def pearson(similarity, valid, judged, grades, *, epsilon=1e-12):
    """1 - Pearson correlation of the judged pairs' similarities and grades. One number of the whole batch."""
    return pearson_list(*pairs(similarity, valid, judged, grades), epsilon)


def codiemb_sts(
    similarity,
    valid,
    judged,
    grades,
    *,
    temperature=0.05,
    pearson_weight=2.0,
    rank_weight=5.0,
    pro_weight=0.5,
    epsilon=1e-12,
):
    """2 (1 - Pearson) + 5 RankKL + 0.5 PRO over the judged pairs of the batch. Cosine. One number.

    CoDiEmb, arXiv 2508.11442, without its optional InfoNCE at the middle layer. 0 if the grades do not differ.
    """
    scores, targets = pairs(similarity, valid, judged, grades)
    if len(scores) < 2 or min(targets) == max(targets):
        return 0.0
    return (
        pearson_weight * pearson_list(scores, targets, epsilon)
        + rank_weight * rank_kl_list(scores, targets, temperature, temperature)
        + pro_weight * pro_list(scores, targets, temperature)
    )
