"""Columns made from other columns, as functions of explicit ids and coefficients: loops in float64.

Mixers take vectors as they come, bring them to length one, mix, and bring the result to length one again unless
`renormalise` is false. Each says which of its columns are usable: a negative made of anything that is not a
negative of the row is a false negative, an id outside the candidates is an empty place. An unusable place is zero.
"""

import math

import numpy as np

# ---------------------------------------------------------------------------------------------- small helpers


def unit(vectors):
    """Each row divided by its length. A zero row stays zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def mix(first, second, coefficient, renormalise):
    """coefficient first + (1 - coefficient) second; the coefficient is a number or one for each dimension."""
    mixed = coefficient * first + (1 - coefficient) * second
    return unit(mixed) if renormalise else mixed


def has(row, place):
    return 0 <= place < len(row) and bool(row[place])


def negatives(positive, valid):
    return np.asarray(valid, dtype=bool) & ~np.asarray(positive, dtype=bool)


def own_similarity(anchors, mixed):
    """Cosine of each anchor with its own made columns: (A, M)."""
    x = unit(anchors)
    return np.array([[float(np.dot(x[i], column)) for column in mixed[i]] for i in range(len(x))])


def info_nce_with_mixtures(similarity, positive, valid, mixed_similarity, mixed_valid, *, temperature, gamma=0.0):
    """l_i = mean over positives p of (1 - q)^gamma (-log q), q = e^Z_p / (e^Z_p + sum_neg e^Z + sum_mixed e^Z).

    Made columns are negatives of their own row alone. Other positives of the row are in no sum. gamma = 0: InfoNCE.
    """
    negative = negatives(positive, valid)
    losses, kept = [], []
    for i in range(len(similarity)):
        mass = sum(math.exp(similarity[i][j] / temperature) for j in range(len(similarity[i])) if negative[i, j])
        mass += sum(
            math.exp(mixed_similarity[i][m] / temperature) for m in range(len(mixed_similarity[i])) if mixed_valid[i][m]
        )
        terms = []
        for p in range(len(similarity[i])):
            if valid[i][p] and positive[i][p]:
                own = math.exp(similarity[i][p] / temperature)
                terms.append((mass / (own + mass)) ** gamma * math.log((own + mass) / own))
        losses.append(sum(terms) / len(terms) if terms else 0.0)
        kept.append(bool(terms))
    return np.array(losses, dtype=np.float64), np.array(kept, dtype=bool)


# ------------------------------------------------------------------------------------- systems 2.1: MoCHi


def mochi_hardest(similarity, positive, valid, hardest):
    """Ids of the highest scoring negatives of each row, best first, equal scores by position; at most `hardest`."""
    negative = negatives(positive, valid)
    return [
        sorted((j for j in range(len(row)) if negative[i, j]), key=lambda j: (-row[j], j))[:hardest]
        for i, row in enumerate(np.asarray(similarity, dtype=np.float64).tolist())
    ]


def mochi_type_1(candidates, positive, valid, first, second, coefficients, *, renormalise=True):
    """h = a n_j + (1 - a) n_k of two negatives; a in [0, 1]. MoCHi, 2010.01028. -> (A, M, D), (A, M)."""
    c, negative = unit(candidates), negatives(positive, valid)
    mixed = np.zeros((*np.shape(first), c.shape[1]))
    usable = np.zeros(np.shape(first), dtype=bool)
    for i, m in np.ndindex(*np.shape(first)):
        j, k = first[i][m], second[i][m]
        if has(negative[i], j) and has(negative[i], k):
            mixed[i, m], usable[i, m] = mix(c[j], c[k], coefficients[i][m], renormalise), True
    return mixed, usable


def mochi_type_2(anchors, candidates, positive, valid, ids, coefficients, *, renormalise=True):
    """h' = b q_i + (1 - b) n_j with b in [0, 1/2]: the negative dominates. MoCHi, 2010.01028. -> (A, M, D), (A, M)."""
    x, c, negative = unit(anchors), unit(candidates), negatives(positive, valid)
    mixed = np.zeros((*np.shape(ids), c.shape[1]))
    usable = np.zeros(np.shape(ids), dtype=bool)
    for i, m in np.ndindex(*np.shape(ids)):
        j = ids[i][m]
        if has(negative[i], j):
            mixed[i, m], usable[i, m] = mix(x[i], c[j], coefficients[i][m], renormalise), True
    return mixed, usable


def mochi(
    anchors,
    candidates,
    positive,
    valid,
    first,
    second,
    coefficients,
    query_ids,
    query_coefficients,
    *,
    temperature=0.07,
):
    """InfoNCE over candidates, type 1 and type 2 columns. MoCHi, 2010.01028."""
    pairs, pairs_valid = mochi_type_1(candidates, positive, valid, first, second, coefficients)
    queries, queries_valid = mochi_type_2(anchors, candidates, positive, valid, query_ids, query_coefficients)
    mixed_similarity = np.concatenate([own_similarity(anchors, pairs), own_similarity(anchors, queries)], axis=1)
    mixed_valid = np.concatenate([pairs_valid, queries_valid], axis=1)
    similarity = unit(anchors) @ unit(candidates).T
    return info_nce_with_mixtures(similarity, positive, valid, mixed_similarity, mixed_valid, temperature=temperature)


# ------------------------------------------------------------- 2.7, systems 2.2: KaLM-Embedding-V2 hard mixing


def hard_mix_pairs(candidates, own, first, second, coefficients, *, renormalise=True):
    """h = a n_j + (1 - a) n_k, j != k, of the row's own hard negatives. KaLM-V2, 2506.20923, reconstruction."""
    mixed, usable = mochi_type_1(
        candidates, np.zeros(np.shape(own), dtype=bool), own, first, second, coefficients, renormalise=renormalise
    )
    same = np.asarray(first) == np.asarray(second)
    mixed[same], usable[same] = 0.0, False
    return mixed, usable


def hard_mix_lists(anchors, candidates, own, *, list_temperature=0.05, renormalise=True):
    """h = sum_k w_k n_k over own hard negatives, w = softmax(s(q, n_k) / t). KaLM-V2, 2506.20923, reconstruction.

    One column for each row: (A, 1, D), (A, 1).
    """
    x, c = unit(anchors), unit(candidates)
    mixed, usable = np.zeros((len(x), 1, c.shape[1])), np.zeros((len(x), 1), dtype=bool)
    for i in range(len(x)):
        ids = [j for j in range(len(c)) if own[i][j]]
        if ids:
            mass = [math.exp(float(np.dot(x[i], c[j])) / list_temperature) for j in ids]
            blend = sum(mass[n] / sum(mass) * c[j] for n, j in enumerate(ids))
            mixed[i, 0], usable[i, 0] = unit(blend) if renormalise else blend, True
    return mixed, usable


def hard_mix(
    anchors,
    candidates,
    positive,
    valid,
    own,
    first,
    second,
    coefficients,
    *,
    temperature=0.05,
    list_temperature=0.05,
    gamma=0.0,
):
    """Focal InfoNCE over candidates, the pair mixtures and the list mixture. KaLM-V2, 2506.20923, reconstruction."""
    own = np.asarray(own, dtype=bool) & negatives(positive, valid)
    pairs, pairs_valid = hard_mix_pairs(candidates, own, first, second, coefficients)
    lists, lists_valid = hard_mix_lists(anchors, candidates, own, list_temperature=list_temperature)
    mixed_similarity = np.concatenate([own_similarity(anchors, pairs), own_similarity(anchors, lists)], axis=1)
    mixed_valid = np.concatenate([pairs_valid, lists_valid], axis=1)
    similarity = unit(anchors) @ unit(candidates).T
    options = {"temperature": temperature, "gamma": gamma}
    return info_nce_with_mixtures(similarity, positive, valid, mixed_similarity, mixed_valid, **options)


# ----------------------------------------------------------------- 2.20, systems 2.4: feature transformation


def positive_extrapolation(anchors, candidates, coefficients, *, renormalise=True):
    """q' = u q + (1 - u) k and k' = u k + (1 - u) q with u >= 1, row by row. Feature transformation, 2108.02982.

    `coefficients`: a number, (B,) or (B, D). Returns the new anchors and the new candidates (B, D).
    """
    q, k = unit(anchors), unit(candidates)
    u = np.asarray(coefficients, dtype=np.float64)
    each = [u if u.ndim == 0 else u[i] for i in range(len(q))]
    new_anchors = [mix(q[i], k[i], each[i], renormalise) for i in range(len(q))]
    new_candidates = [mix(k[i], q[i], each[i], renormalise) for i in range(len(q))]
    return np.array(new_anchors).reshape(q.shape), np.array(new_candidates).reshape(k.shape)


def negative_interpolation(candidates, permutation, coefficients, *, renormalise=True):
    """c'_j = a c_j + (1 - a) c_permutation[j]. `coefficients`: a number, (C,) or (C, D). 2108.02982. -> (C, D)."""
    c = unit(candidates)
    a = np.asarray(coefficients, dtype=np.float64)
    rows = [mix(c[j], c[permutation[j]], a if a.ndim == 0 else a[j], renormalise) for j in range(len(c))]
    return np.array(rows).reshape(c.shape)


def interpolated_negative(positive, valid, permutation):
    """Whether column j is a negative of row i after interpolation: both its components are."""
    negative = negatives(positive, valid)
    return np.array([[bool(row[j] and row[permutation[j]]) for j in range(len(row))] for row in negative])


def feature_transformation(
    anchors,
    candidates,
    queue,
    valid,
    positive_coefficients,
    permutation,
    negative_coefficients,
    *,
    temperature=0.07,
    renormalise=True,
    negatives_see="original",
):
    """-log e^{q'.k'/t} / (e^{q'.k'/t} + sum_j e^{q.Q'_j/t}), candidate i for row i. Feature transformation, 2108.02982.

    `valid` (B, K): the queue entry is a negative of the row. negatives_see='extrapolated' puts q' for q in the
    sum as well, as the authors' code does.
    """
    new_anchors, new_candidates = positive_extrapolation(
        anchors, candidates, positive_coefficients, renormalise=renormalise
    )
    new_queue = negative_interpolation(queue, permutation, negative_coefficients, renormalise=renormalise)
    usable = interpolated_negative(np.zeros(np.shape(valid), dtype=bool), valid, permutation)
    seen_by = new_anchors if negatives_see == "extrapolated" else unit(anchors)
    losses = []
    for i in range(len(new_anchors)):
        own = math.exp(float(np.dot(new_anchors[i], new_candidates[i])) / temperature)
        rest = sum(
            math.exp(float(np.dot(seen_by[i], new_queue[j])) / temperature)
            for j in range(len(new_queue))
            if usable[i, j]
        )
        losses.append(math.log((own + rest) / own))
    return np.array(losses, dtype=np.float64), np.ones(len(losses), dtype=bool)


# --------------------------------------------------------------------------------- 3.5, systems 2.3: Metrix


def metrix_mix(first, second, first_labels, second_labels, coefficients, *, renormalise=True):
    """v = a u1 + (1 - a) u2 and its label a y1 + (1 - a) y2, entry by entry. Metrix, 2106.04990.

    Positive-negative: labels 1 and 0, u1 a positive. Anchor-negative: the same, u1 the anchor. (N, D), (N,).
    """
    one, other = unit(first), unit(second)
    vectors = [mix(one[n], other[n], coefficients[n], renormalise) for n in range(len(one))]
    labels = [coefficients[n] * first_labels[n] + (1 - coefficients[n]) * second_labels[n] for n in range(len(one))]
    return np.array(vectors).reshape(one.shape), np.array(labels, dtype=np.float64)


def metrix_row(scores, labels, host, margin, alpha, beta, base):
    """sig+( sum_v y_v rho+(s_v) ) + sig-( sum_v (1 - y_v) rho-(s_v) ) of one row."""
    if host == "contrastive":
        near = sum(-y * s for s, y in zip(scores, labels, strict=True))
        far = sum((1 - y) * max(s - margin, 0.0) for s, y in zip(scores, labels, strict=True))
        return near + far
    near = sum(y * math.exp(-alpha * (s - base)) for s, y in zip(scores, labels, strict=True))
    far = sum((1 - y) * math.exp(beta * (s - base)) for s, y in zip(scores, labels, strict=True))
    return math.log(1 + near) / alpha + math.log(1 + far) / beta


def metrix(
    similarity,
    positive,
    valid,
    mixed_similarity,
    mixed_labels,
    mixed_valid,
    *,
    host="contrastive",
    weight=0.4,
    margin=0.5,
    alpha=2.0,
    beta=40.0,
    base=0.5,
):
    """l_i = clean_i + weight mixed_i, the host loss with labels in [0, 1]. Metrix, 2106.04990, reconstruction.

    contrastive       rho+ = -s, rho- = [s - margin]+, outer functions identity (sums)
    multi_similarity  rho+ = e^{-alpha(s - base)}, rho- = e^{beta(s - base)}, outer log(1 + .)/alpha and /beta
    """
    options = (host, margin, alpha, beta, base)
    losses, kept = [], []
    for i in range(len(similarity)):
        real = [j for j in range(len(similarity[i])) if valid[i][j]]
        made = [m for m in range(len(mixed_similarity[i])) if mixed_valid[i][m]]
        kept.append(any(positive[i][j] for j in real))
        clean = metrix_row([similarity[i][j] for j in real], [float(positive[i][j]) for j in real], *options)
        mixed = metrix_row([mixed_similarity[i][m] for m in made], [mixed_labels[i][m] for m in made], *options)
        losses.append(clean + weight * mixed if kept[-1] else 0.0)
    return np.array(losses, dtype=np.float64), np.array(kept, dtype=bool)


# ------------------------------------------------------------------------------ 2.21, systems 2.5: SupReMix


def sup_re_mix_negatives(vectors, labels, ids, coefficients, *, renormalise=True):
    """m = a z_i + (1 - a) z_n, label a y_i + (1 - a) y_n, where y_n != y_i. SupReMix, 2309.16633.

    -> vectors (A, M, D), labels (A, M), usable (A, M).
    """
    z = unit(vectors)
    mixed, mixed_labels = np.zeros((*np.shape(ids), z.shape[1])), np.zeros(np.shape(ids))
    usable = np.zeros(np.shape(ids), dtype=bool)
    for i, m in np.ndindex(*np.shape(ids)):
        n, a = ids[i][m], coefficients[i][m]
        if 0 <= n < len(z) and labels[n] != labels[i]:
            mixed[i, m], usable[i, m] = mix(z[i], z[n], a, renormalise), True
            mixed_labels[i, m] = a * labels[i] + (1 - a) * labels[n]
    return mixed, mixed_labels, usable


def sup_re_mix_positives(vectors, labels, lower, upper, *, window=5.0, renormalise=True):
    """m = a z_j + (1 - a) z_k with a y_j + (1 - a) y_k = y_i, y_j < y_i < y_k, both nearer than `window`. 2309.16633.

    a = (y_k - y_i) / (y_k - y_j). -> vectors (A, M, D), labels (A, M) which are y_i, usable (A, M).
    """
    z = unit(vectors)
    mixed, mixed_labels = np.zeros((*np.shape(lower), z.shape[1])), np.zeros(np.shape(lower))
    usable = np.zeros(np.shape(lower), dtype=bool)
    for i, m in np.ndindex(*np.shape(lower)):
        j, k = lower[i][m], upper[i][m]
        if not (0 <= j < len(z) and 0 <= k < len(z)):
            continue
        below, above = labels[i] - labels[j], labels[k] - labels[i]
        if 0 < below < window and 0 < above < window:
            mixed[i, m], usable[i, m] = mix(z[j], z[k], above / (above + below), renormalise), True
            mixed_labels[i, m] = labels[i]
    return mixed, mixed_labels, usable


def label_weight(one, other, weighting):
    """'growing' |dy| + 1, 'shrinking' 1 / (|dy| + 1), 'none' 1."""
    distance = abs(one - other) + 1
    return {"growing": distance, "shrinking": 1 / distance, "none": 1.0}[weighting]


def sup_re_mix(
    vectors, labels, valid, mixed, mixed_labels, mixed_positive, mixed_valid, *, temperature=0.3, weighting="growing"
):
    """l_i = mean over positives p of -Z_p + log sum_j w(y_i, y_j) e^Z_j, over real and made columns. 2309.16633.

    Rows and columns are the stacked views, `valid` (A, A) without self; positive: exactly equal labels, or a made
    column marked so. SupCon's denominator: all columns. The weight of an equal label is 1.
    """
    z = unit(vectors)
    made_similarity = own_similarity(vectors, mixed)
    losses, kept = [], []
    for i in range(len(z)):
        columns = [
            (float(np.dot(z[i], z[j])) / temperature, labels[j], labels[j] == labels[i])
            for j in range(len(z))
            if valid[i][j]
        ]
        columns += [
            (made_similarity[i, m] / temperature, mixed_labels[i][m], bool(mixed_positive[i][m]))
            for m in range(len(mixed[i]))
            if mixed_valid[i][m]
        ]
        total = sum(label_weight(labels[i], label, weighting) * math.exp(logit) for logit, label, _ in columns)
        terms = [math.log(total) - logit for logit, _, good in columns if good]
        losses.append(sum(terms) / len(terms) if terms else 0.0)
        kept.append(bool(terms))
    return np.array(losses, dtype=np.float64), np.array(kept, dtype=bool)


# --------------------------------------------------------------------- systems 2.6: CLAPS, embedding analogue


def cosine_slope(anchor, vector):
    """Gradient of cos(anchor, vector) in a vector of length one: q - (q.d) d."""
    return anchor - float(np.dot(anchor, vector)) * vector


def nudge(anchor, vector, size, unit_gradient):
    """The vector moved by size times the slope (of length one if asked), back to length one."""
    slope = cosine_slope(anchor, vector)
    return unit(vector + size * (unit(slope) if unit_gradient else slope))


def adversarial_negatives(anchors, candidates, positive, valid, ids, *, epsilon=0.1, unit_gradient=False):
    """n' = normalise(n + epsilon grad_n cos(q, n)) for negatives by id: (A, M, D), (A, M). After CLAPS 2012.07280."""
    x, c, negative = unit(anchors), unit(candidates), negatives(positive, valid)
    made = np.zeros((*np.shape(ids), c.shape[1]))
    usable = np.zeros(np.shape(ids), dtype=bool)
    for i, m in np.ndindex(*np.shape(ids)):
        if has(negative[i], ids[i][m]):
            made[i, m], usable[i, m] = nudge(x[i], c[ids[i][m]], epsilon, unit_gradient), True
    return made, usable


def adversarial_positives(anchors, candidates, positive, valid, *, epsilon=0.1, unit_gradient=False):
    """p' = normalise(p - epsilon grad_p cos(q, p)) for every positive: (A, C, D), else 0. After CLAPS, 2012.07280."""
    x, c = unit(anchors), unit(candidates)
    made = np.zeros((len(x), len(c), c.shape[1]))
    for i, j in np.ndindex(len(x), len(c)):
        if valid[i][j] and positive[i][j]:
            made[i, j] = nudge(x[i], c[j], -epsilon, unit_gradient)
    return made


def adversarial(anchors, candidates, positive, valid, ids, *, epsilon=0.1, temperature=0.1, unit_gradient=False):
    """Half InfoNCE with harder negatives added, half the same with p' for p. Our analogue of CLAPS, 2012.07280."""
    options = {"epsilon": epsilon, "unit_gradient": unit_gradient}
    harder, usable = adversarial_negatives(anchors, candidates, positive, valid, ids, **options)
    moved = adversarial_positives(anchors, candidates, positive, valid, **options)
    similarity = unit(anchors) @ unit(candidates).T
    replaced = np.where(np.asarray(positive, dtype=bool), own_similarity(anchors, moved), similarity)
    made = own_similarity(anchors, harder)
    plain, kept = info_nce_with_mixtures(similarity, positive, valid, made, usable, temperature=temperature)
    shifted, _ = info_nce_with_mixtures(replaced, positive, valid, made, usable, temperature=temperature)
    return (plain + shifted) / 2, kept
