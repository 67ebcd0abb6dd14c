"""Two-sided log-sum losses from their equations alone: loops over rows, in float64.

Row losses come as ``(losses, kept)``: 0 where a row is not kept; the loss of a batch is the mean over kept rows.
"""

import math

import numpy as np

from tests.oracles.slow.arithmetic import columns, log_sum_exp, over_rows, softplus, unit

# Multi-Similarity


def mined(scores, positives, negatives, mining_margin, duplicate_from):
    """Positives that some negative nearly reaches, negatives that nearly reach some positive; copies are no positives.

    Both sides look at the other side as it was before mining.
    """
    positives = [p for p in positives if scores[p] < duplicate_from]
    if not positives or not negatives:
        return [], []
    weakest, strongest = min(scores[p] for p in positives), max(scores[n] for n in negatives)
    return (
        [p for p in positives if scores[p] - mining_margin < strongest],
        [n for n in negatives if scores[n] + mining_margin > weakest],
    )


def used_pairs(scores, positive, valid, mining_margin, duplicate_from):
    """The positives and negatives of a row that enter the loss."""
    positives, negatives = columns(positive), columns(valid & ~positive)
    if mining_margin is None:
        return positives, negatives
    return mined(scores, positives, negatives, mining_margin, duplicate_from)


def multi_similarity(
    similarity, positive, valid, *, alpha=2.0, beta=40.0, base=0.5, mining_margin=0.1, duplicate_from=1 - 1e-5
):
    """L_i = 1/alpha log(1 + sum_p e^{-alpha (s_p - base)}) + 1/beta log(1 + sum_n e^{beta (s_n - base)}).

    Multi-Similarity loss with General Pair Weighting, arXiv 1904.06627. The sums run over the mined pairs, or over all
    with ``mining_margin=None``. Every row is kept: one left without positives or without negatives counts as zero.
    """
    rows = []
    for scores, is_positive, is_valid in zip(similarity, positive, valid, strict=True):
        positives, negatives = used_pairs(scores, is_positive, is_valid, mining_margin, duplicate_from)
        if not positives or not negatives:
            rows.append(0.0)
            continue
        pull = sum(math.exp(-alpha * (scores[p] - base)) for p in positives)
        push = sum(math.exp(beta * (scores[n] - base)) for n in negatives)
        rows.append(math.log(1 + pull) / alpha + math.log(1 + push) / beta)
    return over_rows(rows)


def multi_similarity_weights(
    similarity, positive, valid, *, alpha=2.0, beta=40.0, base=0.5, mining_margin=0.1, duplicate_from=1 - 1e-5
):
    """The pair weights dL_i/ds_ij: -e_p / (1 + sum e) for a positive, f_n / (1 + sum f) for a negative, else 0.

    With e_p = e^{-alpha (s_p - base)} and f_n = e^{beta (s_n - base)}; the loss sum_ij sg(w_ij) s_ij has this gradient.
    """
    weights = np.zeros(np.shape(similarity))
    for i, scores in enumerate(similarity):
        positives, negatives = used_pairs(scores, positive[i], valid[i], mining_margin, duplicate_from)
        if not positives or not negatives:
            continue
        pull = {p: math.exp(-alpha * (scores[p] - base)) for p in positives}
        push = {n: math.exp(beta * (scores[n] - base)) for n in negatives}
        for p in positives:
            weights[i, p] = -pull[p] / (1 + sum(pull.values()))
        for n in negatives:
            weights[i, n] = push[n] / (1 + sum(push.values()))
    return weights


# Circle


def circle_detached(similarity, positive, valid, *, margin=0.25):
    """What carries no gradient in the Circle loss: a_p = [1 + margin - s_p]+, a_n = [s_n + margin]+, 0 elsewhere."""
    weights = np.zeros(np.shape(similarity))
    for i, scores in enumerate(similarity):
        for j in columns(valid[i]):
            weights[i, j] = max(0.0, 1 + margin - scores[j] if positive[i, j] else scores[j] + margin)
    return weights


def circle(similarity, positive, valid, *, margin=0.25, gamma=256.0, detached=None):
    """L_i = softplus(LSE_p(-gamma a_p (s_p - 1 + margin)) + LSE_n(gamma a_n (s_n - margin))), a_p and a_n detached.

    Circle loss, arXiv 2002.10857. Rows with both. ``detached``: the a as ``circle_detached`` gives them, held fixed.
    """
    weights = circle_detached(similarity, positive, valid, margin=margin) if detached is None else detached
    rows = []
    for scores, weight, is_positive, is_valid in zip(similarity, weights, positive, valid, strict=True):
        positives, negatives = columns(is_positive), columns(is_valid & ~is_positive)
        if not positives or not negatives:
            rows.append(None)
            continue
        pull = log_sum_exp([-gamma * weight[p] * (scores[p] - (1 - margin)) for p in positives])
        push = log_sum_exp([gamma * weight[n] * (scores[n] - margin) for n in negatives])
        rows.append(softplus(pull + push))
    return over_rows(rows)


# MLCD


def mlcd(similarity, positive, valid, *, temperature=1 / 64, margin=0.3):
    """L_i = log(1 + sum_p e^{-z_p}) + log(1 + sum_n e^{z_n}), z_p = (s_p - margin) / t, z_n = s_n / t.

    Multi-label cluster discrimination, arXiv 2407.17331. Rows are samples, columns class centres; negatives that were
    not sampled are not valid. Margin and temperature are assumed. Rows with a positive, negatives or not.
    """
    rows = []
    for scores, is_positive, is_valid in zip(similarity, positive, valid, strict=True):
        positives, negatives = columns(is_positive), columns(is_valid & ~is_positive)
        if not positives:
            rows.append(None)
            continue
        pull = sum(math.exp(-(scores[p] - margin) / temperature) for p in positives)
        push = sum(math.exp(scores[n] / temperature) for n in negatives)
        rows.append(math.log(1 + pull) + math.log(1 + push))
    return over_rows(rows)


# PamC


def sharpened(assignment):
    """The usual target of a soft assignment q: p_ik = (q_ik^2 / sum_i q_ik), rows normalised (DEC)."""
    share = assignment**2 / assignment.sum(axis=0)
    return share / share.sum(axis=1, keepdims=True)


def cosine_masses(vectors, temperature):
    """e^{cos / t} between all rows, with the cosine of a row with itself set to 0."""
    cosines = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(cosines, 0.0)
    return np.exp(cosines / temperature)


def pamc(embeddings, adjacency, assignment, target, *, temperature=1.0, contrast_weight=1.0, cluster_weight=1.0):
    """w_c (-mean_i log sum_j A_ij e^{cos_ij / t} + mean_k log sum_l e^{cos(m_k, m_l) / t}) + w_k KL(target || q).

    PamC, parameter-free meta-node approximation, arXiv 2209.14067. m_k: the sum of the nodes whose largest assignment
    is k (first of equals). Cosines with oneself are 0. Nodes without neighbours and empty clusters are left out.
    KL(target || assignment) is the mean over nodes.
    """
    masses = cosine_masses(embeddings, temperature)
    pulls = []
    for i in range(len(embeddings)):
        mass = sum(adjacency[i, j] * masses[i, j] for j in range(len(embeddings)))
        if mass > 0:
            pulls.append(math.log(mass))
    members = np.argmax(assignment, axis=1)
    centroids = [embeddings[members == k].sum(axis=0) for k in range(assignment.shape[1]) if (members == k).any()]
    centroids = np.array([centroid for centroid in centroids if np.linalg.norm(centroid) > 0])
    pushes = [math.log(row.sum()) for row in cosine_masses(centroids, temperature)] if len(centroids) else []
    contrast = (np.mean(pushes) if pushes else 0.0) - (np.mean(pulls) if pulls else 0.0)
    divergence = 0.0
    for wanted, given in zip(target, assignment, strict=True):
        divergence += sum(p * math.log(p / q) for p, q in zip(wanted, given, strict=True) if p > 0)
    return float(contrast_weight * contrast + cluster_weight * divergence / len(embeddings))


# Metrix


def mixed_pair_loss(scores, labels, host, *, margin=0.5, alpha=2.0, beta=40.0, base=0.5):
    """One anchor's sig+(sum_v y_v rho+(s_v)) + sig-(sum_v (1 - y_v) rho-(s_v)) for labels y in [0, 1].

    ``contrastive``: rho+ = -s, rho- = [s - margin]+. ``multi_similarity``: rho+ = e^{-alpha (s - base)},
    rho- = e^{beta (s - base)}, with log(1 + .) / alpha and log(1 + .) / beta around the sums.
    """
    pairs = list(zip(scores, labels, strict=True))
    if host == "contrastive":
        return sum(-y * s for s, y in pairs) + sum((1 - y) * max(0.0, s - margin) for s, y in pairs)
    pull = sum(y * math.exp(-alpha * (s - base)) for s, y in pairs)
    push = sum((1 - y) * math.exp(beta * (s - base)) for s, y in pairs)
    return math.log(1 + pull) / alpha + math.log(1 + push) / beta


def metrix_partners(positive, valid, mixing):
    """With whom each negative of a row is mixed: a column, or -1 for the anchor itself. (A, C), -2 at the others.

    ``anchor_negative``: the anchor. ``positive_negative``: the k-th negative takes the (k mod np)-th positive.
    """
    partners = np.full(np.shape(positive), -2)
    for i in range(len(positive)):
        positives = columns(positive[i])
        for k, n in enumerate(columns(valid[i] & ~positive[i])):
            if mixing == "anchor_negative":
                partners[i, n] = -1
            elif positives:
                partners[i, n] = positives[k % len(positives)]
    return partners


def metrix(
    anchors,
    candidates,
    positive,
    valid,
    *,
    coefficient,
    partners,
    host="contrastive",
    weight=0.4,
    renormalise=False,
    **host_options,
):
    """clean_i + weight mixed_i; mixed_i over v = lam u + (1 - lam) c_n with label lam, u the partner of negative n.

    Metrix, arXiv 2106.04990 (general form from memory of the paper: reconstruction). Vectors are normalised, mixtures
    only with ``renormalise``. ``coefficient``: lam, one number for the batch. Rows with a positive; without negatives
    nothing is mixed.
    """
    left, right = unit(anchors), unit(candidates)
    rows = []
    for i in range(len(left)):
        positives, negatives = columns(positive[i]), columns(valid[i] & ~positive[i])
        if not positives:
            rows.append(None)
            continue
        used = positives + negatives
        labels = [1.0] * len(positives) + [0.0] * len(negatives)
        clean = mixed_pair_loss([left[i] @ right[j] for j in used], labels, host, **host_options)
        scores = []
        for n in negatives:
            partner = left[i] if partners[i, n] == -1 else right[partners[i, n]]
            mixture = coefficient * partner + (1 - coefficient) * right[n]
            scores.append(left[i] @ (mixture / np.linalg.norm(mixture) if renormalise else mixture))
        rows.append(clean + weight * mixed_pair_loss(scores, [coefficient] * len(scores), host, **host_options))
    return over_rows(rows)
