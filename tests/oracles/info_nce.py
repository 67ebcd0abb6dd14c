"""InfoNCE written from its equation alone: loops over pairs, in float64, without masks or log-space care.

For a positive pair (i, p), with Z = S / t and the sums over negatives only::

    row        D = exp Z(i,p) + sum over negatives n of i of exp Z(i,n)
    symmetric  the mean of -Z(i,p) + log D along row i and along column p
    gte        D = both sums above, the pair in each of them, and the anchors and the candidates among themselves
"""

import math

import numpy as np


def facts(relation):
    """(positive, ignored) as functions of two texts' positions, from a relation's own words."""
    anchors, candidates = relation.anchor_ids.tolist(), relation.candidate_ids.tolist()
    relevant = set()
    for row, column, grade in zip(
        relation.rows.tolist(), relation.columns.tolist(), relation.grades.tolist(), strict=True
    ):
        if grade >= relation.positive_from and anchors[row] != candidates[column]:
            relevant.add((anchors[row], candidates[column]))
    left_out = {
        (anchors[row], candidates[column])
        for row, column in zip(relation.ignored_rows.tolist(), relation.ignored_columns.tolist(), strict=True)
    }

    def positive(i, j):
        return (anchors[i], candidates[j]) in relevant

    def negative(i, j):
        pair = (anchors[i], candidates[j])
        return anchors[i] != candidates[j] and pair not in relevant and pair not in left_out

    return positive, negative, relevant


def rows(anchors, candidates, relation, temperature, directions, similarity):
    """The loss of each anchor (0 where it has no positive), and which anchors have one."""
    left, right = vectors(anchors, similarity), vectors(candidates, similarity)
    positive, negative, relevant = facts(relation)
    number_of_anchors, number_of_candidates = len(left), len(right)

    def mass(one, other):
        return math.exp(float(np.dot(one, other)) / temperature)

    def along_row(i):
        return sum(mass(left[i], right[j]) for j in range(number_of_candidates) if negative(i, j))

    def along_column(p):
        return sum(mass(left[k], right[p]) for k in range(number_of_anchors) if negative(k, p))

    def among_anchors(i):
        ids = relation.anchor_ids.tolist()
        return sum(
            mass(left[i], left[k])
            for k in range(number_of_anchors)
            if k != i and strangers(ids[i], ids[k], relevant, 0)
        )

    def among_candidates(p):
        ids = relation.candidate_ids.tolist()
        return sum(
            mass(right[p], right[k])
            for k in range(number_of_candidates)
            if k != p and strangers(ids[p], ids[k], relevant, 1)
        )

    def loss(i, p):
        own = mass(left[i], right[p])
        score = math.log(own)
        if directions == "query_to_document":
            return math.log(own + along_row(i)) - score
        if directions == "symmetric":
            return (math.log(own + along_row(i)) + math.log(own + along_column(p))) / 2 - score
        return math.log(2 * own + along_row(i) + along_column(p) + among_anchors(i) + among_candidates(p)) - score

    losses, kept = [], []
    for i in range(number_of_anchors):
        terms = [loss(i, p) for p in range(number_of_candidates) if positive(i, p)]
        losses.append(sum(terms) / len(terms) if terms else 0.0)
        kept.append(bool(terms))
    return np.array(losses), np.array(kept)


def strangers(one, other, relevant, side):
    """Whether two texts of one side have nothing to do with each other, as far as the relation knows."""
    if one == other or (one, other) in relevant or (other, one) in relevant:
        return False
    partners = [{pair[1 - side] for pair in relevant if pair[side] == text} for text in (one, other)]
    return not partners[0] & partners[1]


def vectors(given, similarity):
    given = np.asarray(given, dtype=np.float64)
    return given / np.linalg.norm(given, axis=1, keepdims=True) if similarity == "cosine" else given


def mean(losses, kept):
    return float(losses[kept].mean()) if kept.any() else 0.0
