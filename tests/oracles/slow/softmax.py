"""Softmax-row objectives from their equations alone: loops over pairs, in float64, with plain exponentials.

Rows are anchors i, columns are candidates j, Z = similarity / temperature. P are the positives of a row, N its
negatives (valid and not positive). A pair (i, p) of an anchor and one of its positives has a loss; an anchor's loss is
the mean over its positives unless the function says otherwise. ``(losses, kept)`` are per anchor, 0.0 where not kept.
"""

import math

import numpy as np


def split(positive, valid, i):
    """The positive and the negative columns of row i."""
    positives = [j for j in range(positive.shape[1]) if positive[i, j]]
    negatives = [j for j in range(positive.shape[1]) if valid[i, j] and not positive[i, j]]
    return positives, negatives


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def cosine(one, other):
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    return (one / np.linalg.norm(one, axis=1, keepdims=True)) @ (other / np.linalg.norm(other, axis=1, keepdims=True)).T


def over_positives(pairs, positive, valid, needs_negative=False):
    """(losses, kept): the mean of the pair losses over each row's positives."""
    losses, kept = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
    for i in range(len(pairs)):
        positives, negatives = split(positive, valid, i)
        if positives and (negatives or not needs_negative):
            losses[i] = sum(pairs[i, p] for p in positives) / len(positives)
            kept[i] = True
    return losses, kept


def master_pairs(
    similarity,
    positive,
    valid,
    *,
    temperature,
    own_positive=True,
    other_positives=False,
    negative_bias=None,
    extra=None,
):
    """The loss -Z[i,p] + log D[i,p] of every positive pair (see ``master_row``); 0 elsewhere and where D is empty."""
    rows, columns = similarity.shape
    bias = np.zeros((rows, columns)) if negative_bias is None else negative_bias
    pairs = np.zeros((rows, columns))
    for i in range(rows):
        positives, negatives = split(positive, valid, i)
        for p in positives:
            mass = 0.0 if extra is None else float(extra[i])
            if own_positive:
                mass += math.exp(similarity[i, p] / temperature)
            if other_positives:
                mass += sum(math.exp(similarity[i, o] / temperature) for o in positives if o != p)
            mass += sum(math.exp(similarity[i, n] / temperature + bias[i, n]) for n in negatives)
            pairs[i, p] = math.log(mass) - similarity[i, p] / temperature if mass > 0 else 0.0
    return pairs


def master_row(
    similarity,
    positive,
    valid,
    *,
    temperature,
    own_positive=True,
    other_positives=False,
    positive_weight=None,
    negative_bias=None,
    extra=None,
    row_weight=None,
):
    """The general softmax row (specification 1.2)::

        L_i    = w_i sum_{p in P} om[i,p] (-Z[i,p] + log D[i,p])
        D[i,p] = kp e^{Z[i,p]} + ko sum_{p' in P, p' != p} e^{Z[i,p']} + sum_{n in N} e^{Z[i,n] + b[i,n]} + E_i

    kp is ``own_positive``, ko ``other_positives``, om ``positive_weight`` (default 1/|P|), b ``negative_bias``, E
    ``extra`` (one mass per row, not a logarithm), w ``row_weight``. Kept: a row with a positive, and, where kp = 0 and
    E_i = 0, with a negative too.
    """
    pairs = master_pairs(
        similarity,
        positive,
        valid,
        temperature=temperature,
        own_positive=own_positive,
        other_positives=other_positives,
        negative_bias=negative_bias,
        extra=extra,
    )
    rows = len(similarity)
    losses, kept = np.zeros(rows), np.zeros(rows, dtype=bool)
    for i in range(rows):
        positives, negatives = split(positive, valid, i)
        some_mass = own_positive or negatives or (extra is not None and extra[i] > 0)
        if not positives or not some_mass:
            continue
        for p in positives:
            weight = 1 / len(positives) if positive_weight is None else positive_weight[i, p]
            losses[i] += weight * pairs[i, p]
        losses[i] *= 1.0 if row_weight is None else row_weight[i]
        kept[i] = True
    return losses, kept


def sup_con(similarity, positive, valid, *, temperature=0.07, form="out"):
    """SupCon, 2004.11362. V = P and N together::

    out  -(1/|P|) sum_{p in P} log softmax_V(Z_i)[p]
    in   -log( (1/|P|) sum_{p in P} softmax_V(Z_i)[p] )
    """
    if form == "out":
        return master_row(similarity, positive, valid, temperature=temperature, other_positives=True)
    rows = len(similarity)
    losses, kept = np.zeros(rows), np.zeros(rows, dtype=bool)
    for i in range(rows):
        positives, negatives = split(positive, valid, i)
        if positives:
            inside = sum(math.exp(similarity[i, p] / temperature) for p in positives)
            everything = inside + sum(math.exp(similarity[i, n] / temperature) for n in negatives)
            losses[i], kept[i] = -math.log(inside / everything / len(positives)), True
    return losses, kept


def dcl(similarity, positive, valid, *, temperature=0.1):
    """DCL, 2110.06848: L_i = mean_{p in P} ( -Z[i,p] + log sum_{n in N} e^{Z[i,n]} ). Needs a negative."""
    return master_row(similarity, positive, valid, temperature=temperature, own_positive=False)


def dclw_weights(similarity, positive, valid, *, sigma=0.5):
    """w[i,p] = 2 - e^{s_ip/sigma} / mean over kept rows of the row's mean over its positives of e^{s/sigma}."""
    raised = np.exp(similarity / sigma)
    row_means, kept = over_positives(raised, positive, valid, needs_negative=True)
    return 2 - raised / row_means[kept].mean() if kept.any() else np.ones_like(raised)


def dclw(similarity, positive, valid, *, temperature=0.1, sigma=0.5):
    """DCL-W, 2110.06848: L_i = -w_i Z[i,p] + log sum_{n in N} e^{Z[i,n]}, w_i = 2 - A softmax_i(s_ip / sigma).

    The weight is detached, its softmax runs over the A kept rows. Several positives: mean over them of the
    single-positive loss, with the normaliser of ``dclw_weights``, so that the mean of w stays 1.
    """
    plain = master_pairs(similarity, positive, valid, temperature=temperature, own_positive=False)
    weights = dclw_weights(similarity, positive, valid, sigma=sigma)
    pairs = plain + (1 - weights) * similarity / temperature
    return over_positives(pairs, positive, valid, needs_negative=True)


def decoupled_softmax(similarity, positive, valid, *, temperature=0.05):
    """Decoupled softmax (DEXML), 2310.10636: mean_{p in P} -log( e^{Z_p} / (e^{Z_p} + sum_{n in N} e^{Z_n}) )."""
    return master_row(similarity, positive, valid, temperature=temperature)


def soft_top_k_theta(logits, k, alpha):
    """theta_j = sigmoid(alpha (z_j + tau)) with tau such that sum_j theta_j = k; all 1 with k columns or fewer."""
    logits = np.asarray(logits, dtype=np.float64)
    if len(logits) <= k:
        return np.ones(len(logits))
    level = math.log(k / (len(logits) - k)) / alpha  # a theta is k/n where z + tau is this
    low, high = level - logits.max(), level - logits.min()
    for _ in range(200):
        tau = (low + high) / 2
        # The sum is above k when the others have more than the k highest lack; a sum near k would hide the difference.
        have = sum(1 / (1 + math.exp(-alpha * (z + tau))) for z in sorted(logits)[:-k])
        too_much = have > sum(1 / (1 + math.exp(alpha * (z + tau))) for z in sorted(logits)[-k:])
        low, high = (low, tau) if too_much else (tau, high)
    return np.array([1 / (1 + math.exp(-alpha * (z + tau))) for z in logits])


def soft_top_k(similarity, positive, valid, *, temperature=0.05, k=5, alpha=2.0):
    """SoftTop-k (DEXML), 2310.10636: L_i = -(1/|P|) sum_{p in P} log theta_p, theta over the valid columns of row i."""
    rows = len(similarity)
    losses, kept = np.zeros(rows), np.zeros(rows, dtype=bool)
    for i in range(rows):
        positives, negatives = split(positive, valid, i)
        if positives:
            theta = soft_top_k_theta([similarity[i, j] / temperature for j in positives + negatives], k, alpha)
            losses[i], kept[i] = -sum(math.log(theta[p]) for p in range(len(positives))) / len(positives), True
    return losses, kept


def mw(similarity, positive, valid, *, temperature=0.01):
    """MW, 2510.00137: L_i = mean_{p in P} mean_{m in M} softplus( -(s_ip - s_m)/t ), M = the negatives of all rows.

    M also has the negatives of rows without a positive. Private hard negatives: leave the others' out of ``valid``.
    Kept: rows with a positive, when M is not empty.
    """
    rows, columns = similarity.shape
    everywhere = [(i, j) for i in range(rows) for j in range(columns) if valid[i, j] and not positive[i, j]]
    pairs = np.zeros((rows, columns))
    for i in range(rows):
        for p in split(positive, valid, i)[0]:
            terms = [softplus((similarity[m] - similarity[i, p]) / temperature) for m in everywhere]
            pairs[i, p] = sum(terms) / len(terms) if terms else 0.0
    if not everywhere:
        return np.zeros(rows), np.zeros(rows, dtype=bool)
    return over_positives(pairs, positive, valid)


def hcl(similarity, positive, valid, *, temperature=0.5, tau_plus=0.1, beta=1.0):
    """HCL, 2010.04592, with M = |N|, pos = e^{s_p/t}, neg_j = e^{s_j/t}, imp_j = e^{beta s_j/t}::

        R = sum_j imp_j neg_j / mean_j imp_j        Ng = max( (R - tau_plus M pos)/(1 - tau_plus), M e^{-1/t} )
        L = -log( pos / (pos + Ng) )

    Several positives: mean over them of the single-positive loss, N without any positive. No negatives: Ng = 0.
    """
    pairs = np.zeros(similarity.shape)
    for i in range(len(similarity)):
        positives, negatives = split(positive, valid, i)
        number = len(negatives)
        masses = [math.exp(similarity[i, n] / temperature) for n in negatives]
        importance = [math.exp(beta * similarity[i, n] / temperature) for n in negatives]
        for p in positives:
            pos, bulk = math.exp(similarity[i, p] / temperature), 0.0
            if number:
                reweighted = sum(w * m for w, m in zip(importance, masses, strict=True)) / (sum(importance) / number)
                bulk = max((reweighted - tau_plus * number * pos) / (1 - tau_plus), number * math.exp(-1 / temperature))
            pairs[i, p] = -math.log(pos / (pos + bulk))
    return over_positives(pairs, positive, valid)


def debiased(similarity, positive, valid, *, temperature=0.5, tau_plus=0.1):
    """Debiased contrastive, 2007.00224: Ng = max( (sum_j neg_j - tau_plus M pos)/(1 - tau_plus), M e^{-1/t} )."""
    return hcl(similarity, positive, valid, temperature=temperature, tau_plus=tau_plus, beta=0.0)


def hardness_weighted(
    similarity, positive, valid, own, *, temperature=0.02, alpha=9.0, on="all", directions="symmetric"
):
    """LLaVE, 2503.04812, and EmbeddingGemma, 2509.20354: log( e^{Z_p} + sum_{n in N} e^{Z_n + alpha s_n} ) - Z_p.

    The bonus (raw similarity, detached) is on all negatives, on all but the row's own hard ones (``in_batch``) or on
    those alone (``own_hard``). ``symmetric``: the mean of this along row i and along column p, with the same bonus on
    a pair either way. Several positives: mean over them of the single-positive loss.
    """
    on_pair = {"all": np.ones_like(own), "in_batch": ~own, "own_hard": own}[on]
    bias = np.where(on_pair, alpha * similarity, 0.0)
    pairs = master_pairs(similarity, positive, valid, temperature=temperature, negative_bias=bias)
    if directions == "symmetric":
        other = master_pairs(similarity.T, positive.T, valid.T, temperature=temperature, negative_bias=bias.T)
        pairs = (pairs + other.T) / 2
    return over_positives(pairs, positive, valid)


def spread_out(vectors):
    """EmbeddingGemma's regulariser: the mean over i != j of cos(v_i, v_j)^2; 0 with fewer than two vectors."""
    cosines = cosine(vectors, vectors)
    terms = [cosines[i, j] ** 2 for i in range(len(cosines)) for j in range(len(cosines)) if i != j]
    return sum(terms) / len(terms) if terms else 0.0


def focal(similarity, positive, valid, *, temperature=0.05, gamma=0.5):
    """Focal reweighting (KaLM-Embedding-V2), 2506.20923, reconstruction: -(1 - p)^gamma log p.

    p = e^{Z_p} / (e^{Z_p} + sum_{n in N} e^{Z_n}); several positives: mean over them of the single-positive loss.
    """
    plain = master_pairs(similarity, positive, valid, temperature=temperature)
    pairs = np.zeros_like(plain)
    for i, p in zip(*np.nonzero(positive), strict=True):
        nce = max(plain[i, p], 0.0)  # a row without negatives may round to -1e-16
        pairs[i, p] = (1 - math.exp(-nce)) ** gamma * nce
    return over_positives(pairs, positive, valid)


def smoothed_pairs(similarity, positive, valid, temperature, label_smoothing):
    """(1 - eps) (-log p_p) + eps mean_j (-log p_j), j over this positive and the negatives."""
    pairs = np.zeros(similarity.shape)
    for i in range(len(similarity)):
        positives, negatives = split(positive, valid, i)
        for p in positives:
            log_mass = math.log(sum(math.exp(similarity[i, j] / temperature) for j in [p, *negatives]))
            costs = [log_mass - similarity[i, j] / temperature for j in [p, *negatives]]
            pairs[i, p] = (1 - label_smoothing) * costs[0] + label_smoothing * sum(costs) / len(costs)
    return pairs


def sample4geo(similarity, positive, valid, *, temperature=0.07, label_smoothing=0.1, directions="symmetric"):
    """Sample4Geo, 2303.11851: InfoNCE with label smoothing, the mean of both directions. See ``smoothed_pairs``.

    Several positives: mean over them of the single-positive loss, the row without the other positives.
    """
    pairs = smoothed_pairs(similarity, positive, valid, temperature, label_smoothing)
    if directions == "symmetric":
        pairs = (pairs + smoothed_pairs(similarity.T, positive.T, valid.T, temperature, label_smoothing).T) / 2
    return over_positives(pairs, positive, valid)


def comp_sum(similarity, positive, valid, *, temperature=1.0, tau=1.0):
    """Comp-sum, 2304.07288: u = sum_{j in V} e^{Z_j - Z_p}; L = log u where tau = 1, else (u^{1-tau} - 1)/(1 - tau).

    V holds all positives too (kp = ko = 1); mean over the row's positives.
    """
    logarithms = master_pairs(similarity, positive, valid, temperature=temperature, other_positives=True)
    pairs = np.zeros_like(logarithms)
    for i, p in zip(*np.nonzero(positive), strict=True):
        u = math.exp(logarithms[i, p])
        pairs[i, p] = logarithms[i, p] if tau == 1 else (u ** (1 - tau) - 1) / (1 - tau)
    return over_positives(pairs, positive, valid)


def with_margin(similarity, positive, kind, margin):
    """The similarities with the margin on the positive ones. Where theta > pi - m ArcFace uses cos - m sin m."""
    changed = np.array(similarity, dtype=np.float64)
    for i, p in zip(*np.nonzero(positive), strict=True):
        value = min(max(changed[i, p], -1.0), 1.0)
        if kind == "cosface":
            changed[i, p] = changed[i, p] - margin
        elif kind == "arcface":
            theta = math.acos(value)
            changed[i, p] = math.cos(theta + margin) if theta <= math.pi - margin else value - margin * math.sin(margin)
    return changed


def norm_face(similarity, positive, valid, *, temperature=1 / 64):
    """NormFace, 1704.06369: cross-entropy over class cosines divided by the temperature. Several labels: decoupled."""
    return master_row(similarity, positive, valid, temperature=temperature)


def cos_face(similarity, positive, valid, *, temperature=1 / 64, margin=0.35):
    """CosFace, 1801.09414: as NormFace, the positive cosine less the margin."""
    return norm_face(with_margin(similarity, positive, "cosface", margin), positive, valid, temperature=temperature)


def arc_face(similarity, positive, valid, *, temperature=1 / 64, margin=0.5):
    """ArcFace, 1801.07698: as NormFace, cos(theta + margin) for the positive, margin in radians."""
    return norm_face(with_margin(similarity, positive, "arcface", margin), positive, valid, temperature=temperature)
