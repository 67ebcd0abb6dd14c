"""Softmax-row objectives that need more than similarities: guides, weights, state, mixtures, pools, several heads.

Same conventions as ``softmax``: loops in float64, (losses, kept) per anchor.
"""

import math

import numpy as np

from tests.oracles.slow.softmax import cosine, master_pairs, master_row, over_positives, softplus, split, with_margin


def guided_valid(guide, threshold, protected, *, margin=0.0, margin_strategy="absolute"):
    """Which entries of a block stay: False where the guide finds the pair more alike than the row's own positive pair.

    guide (rows, columns) and threshold (rows,), the guide's similarity of each row's positive pair. Out goes
    ``guide > threshold - margin`` (absolute) or ``guide > threshold - margin |threshold|`` (relative); strictly
    greater, so equals stay. ``protected`` (rows, columns) always stays.
    """
    stays = np.ones(guide.shape, dtype=bool)
    for i in range(guide.shape[0]):
        slack = margin if margin_strategy == "absolute" else margin * abs(threshold[i])
        for j in range(guide.shape[1]):
            stays[i, j] = bool(protected[i, j]) or not guide[i, j] > threshold[i] - slack
    return stays


def strangers(related):
    """(rows, rows): different rows that share no True column."""
    number = len(related)
    return np.array([[i != k and not (related[i] & related[k]).any() for k in range(number)] for i in range(number)])


def gist(
    anchors,
    candidates,
    positive,
    valid,
    guide_anchors,
    guide_candidates,
    *,
    temperature=0.01,
    margin=0.0,
    margin_strategy="absolute",
    contrast_anchors=True,
    contrast_positives=True,
    anchors_valid=None,
    candidates_valid=None,
    shared=False,
):
    """GISTEmbed, 2402.16829: -Z_ip + log( e^{Z_ip} + the masses of three blocks, each thinned by ``guided_valid`` ).

    Blocks of the pair (i, p), threshold g(q_i, d_p): the negatives n of i (q_i, d_n); the other anchors k (q_i, q_k);
    the other positives' documents k (d_p, d_k), columns that are a positive of some anchor. Same-side pairs count when
    ``anchors_valid`` (A, A), ``candidates_valid`` (C, C) allow, by default where the two share no partner. All cosine.
    Several positives: mean over them of the single-positive loss, each with its own threshold; with ``shared`` a row is
    held to the least threshold of its positives, and a row of the last block to the least of the document's anchors.
    """
    crossing, guide_crossing = cosine(anchors, candidates), cosine(guide_anchors, guide_candidates)
    among_q, guide_among_q = cosine(anchors, anchors), cosine(guide_anchors, guide_anchors)
    among_d, guide_among_d = cosine(candidates, candidates), cosine(guide_candidates, guide_candidates)
    anchors_valid = strangers(positive) if anchors_valid is None else anchors_valid
    candidates_valid = strangers(positive.T) if candidates_valid is None else candidates_valid
    is_a_positive = positive.any(axis=0)

    def mass(scores, guide, threshold, allowed):
        """The summed e^{Z} of one row of a block."""
        nothing = np.zeros((1, len(scores)), dtype=bool)
        stays = guided_valid(guide[None], [threshold], nothing, margin=margin, margin_strategy=margin_strategy)[0]
        return sum(math.exp(scores[j] / temperature) for j in range(len(scores)) if allowed[j] and stays[j])

    pairs = np.zeros(positive.shape)
    for i, p in zip(*np.nonzero(positive), strict=True):
        threshold = of_document = guide_crossing[i, p]
        if shared:
            threshold, of_document = guide_crossing[i][positive[i]].min(), guide_crossing[:, p][positive[:, p]].min()
        total = math.exp(crossing[i, p] / temperature)
        total += mass(crossing[i], guide_crossing[i], threshold, valid[i] & ~positive[i])
        if contrast_anchors:
            total += mass(among_q[i], guide_among_q[i], threshold, anchors_valid[i])
        if contrast_positives:
            total += mass(among_d[p], guide_among_d[p], of_document, candidates_valid[p] & is_a_positive)
        pairs[i, p] = math.log(total) - crossing[i, p] / temperature
    return over_positives(pairs, positive, valid)


def unpg_pool(anchors, positive, whisker=1.5):
    """The cosines of anchor pairs i < j of different classes that lie within ``whisker`` IQR of the quartiles.

    Different: both have a positive class and share none. Quartiles by linear interpolation; None: no filter.
    """
    cosines, number = cosine(anchors, anchors), len(anchors)
    labelled = positive.any(axis=1)
    pool = [
        cosines[i, j]
        for i in range(number)
        for j in range(i + 1, number)
        if labelled[i] and labelled[j] and not (positive[i] & positive[j]).any()
    ]
    if not pool or whisker is None:
        return pool
    low, high = np.quantile(pool, 0.25), np.quantile(pool, 0.75)
    reach = whisker * (high - low)
    return [u for u in pool if low - reach <= u <= high + reach]


def unpg(anchors, candidates, positive, valid, *, base="arcface", temperature=1 / 64, margin=0.5, whisker=1.5):
    """UNPG, 2203.11593: the margin softmax (normface, cosface, arcface) with sum_{u in pool} e^{u/t} in every row."""
    similarity = with_margin(cosine(anchors, candidates), positive, base, margin)
    mass = sum(math.exp(u / temperature) for u in unpg_pool(anchors, positive, whisker))
    return master_row(similarity, positive, valid, temperature=temperature, extra=np.full(len(anchors), mass))


def n_pair(anchors, candidates, positive, valid, *, norm_penalty=0.002):
    """N-pair, NIPS 2016: InfoNCE on dot products at t = 1, plus norm_penalty (|x_i|^2 + |c_p|^2)/2.

    Several positives: mean over them of the single-positive loss, penalty included.
    """
    dots = np.array([[float(np.dot(x, c)) for c in candidates] for x in anchors])
    pairs = master_pairs(dots, positive, valid, temperature=1.0)
    for i, p in zip(*np.nonzero(positive), strict=True):
        pairs[i, p] += norm_penalty * (np.dot(anchors[i], anchors[i]) + np.dot(candidates[p], candidates[p])) / 2
    return over_positives(pairs, positive, valid)


def partner_similarity(guide_anchors, positive):
    """CWCL's teacher (A, C): the largest cosine of anchor i with an anchor that candidate j belongs to; -1 if none."""
    cosines = cosine(guide_anchors, guide_anchors)
    teacher = np.full(positive.shape, -1.0)
    for i in range(positive.shape[0]):
        for j in range(positive.shape[1]):
            owners = [k for k in range(positive.shape[0]) if positive[k, j]]
            teacher[i, j] = max((cosines[i, k] for k in owners), default=-1.0)
    return teacher


def cwcl(similarity, positive, valid, teacher, *, temperature=0.07):
    """CWCL, 2309.14580, reconstruction from second-hand sources, w_ij = (teacher_ij + 1)/2 detached::

        L_i = -(1/sum_j w_ij) sum_{j in V} w_ij log softmax_V(Z_i)[j]
              + mean_{p in P} ( -Z_ip + log( e^{Z_ip} + sum over the negatives k of column p of e^{Z_kp} ) )

    A sum, not a mean, of the two directions. Kept: rows with a positive and sum_j w_ij > 0.
    """
    backward = master_pairs(similarity.T, positive.T, valid.T, temperature=temperature).T
    losses, kept = over_positives(backward, positive, valid)
    for i in range(len(similarity)):
        columns = [j for j in range(similarity.shape[1]) if valid[i, j]]
        weights = [(teacher[i, j] + 1) / 2 for j in columns]
        if not kept[i] or sum(weights) <= 0:
            losses[i], kept[i] = 0.0, False
            continue
        log_mass = math.log(sum(math.exp(similarity[i, j] / temperature) for j in columns))
        costs = [log_mass - similarity[i, j] / temperature for j in columns]
        losses[i] += sum(w * cost for w, cost in zip(weights, costs, strict=True)) / sum(weights)
    return losses, kept


def counterfactual(similarity, positive, valid, own, *, temperature=0.07):
    """Counting loss, 2302.12066, reconstruction: softplus( (s_foil - s_p)/t ), foils = the row's own hard negatives.

    Mean over positives and foils. Kept: rows with both. Nothing else of the row enters.
    """
    rows = len(similarity)
    losses, kept = np.zeros(rows), np.zeros(rows, dtype=bool)
    for i in range(rows):
        positives, negatives = split(positive, valid, i)
        foils = [n for n in negatives if own[i, n]]
        terms = [softplus((similarity[i, f] - similarity[i, p]) / temperature) for p in positives for f in foils]
        if terms:
            losses[i], kept[i] = sum(terms) / len(terms), True
    return losses, kept


def ldr_normalise(values, kind):
    """One row of logits: softplus then divided by the mean (ldr), or divided by the mean absolute value (aldr)."""
    values = [softplus(v) for v in values] if kind == "ldr" else values
    mean = sum(abs(v) for v in values) / len(values)
    return [v / mean for v in values]


def ldr_brackets(similarity, positive, valid, margin, normalise):
    """For each pair (i, p): c 1[k != p] + o_k - o_p over k in {p} and N; the first entry, p itself, is 0."""
    brackets = {}
    for i in range(len(similarity)):
        positives, negatives = split(positive, valid, i)
        for p in positives:
            logits = [similarity[i, j] for j in [p, *negatives]]
            logits = logits if normalise is None else ldr_normalise(logits, normalise)
            brackets[i, p] = [(margin if place else 0.0) + o - logits[0] for place, o in enumerate(logits)]
    return brackets


def scaled_log_mean_exp(values, scale):
    return scale * math.log(sum(math.exp(v / scale) for v in values) / len(values))


def ldr(similarity, positive, valid, *, temperature=1.0, margin=0.1, normalize=False):
    """LDR-KL, 2112.14869: t log mean_k e^{ (c 1[k != p] + o_k - o_p)/t }, k over this positive and the negatives.

    Several positives: mean over them of the single-positive loss.
    """
    pairs = np.zeros(similarity.shape)
    for pair, bracket in ldr_brackets(similarity, positive, valid, margin, "ldr" if normalize else None).items():
        pairs[pair] = scaled_log_mean_exp(bracket, temperature)
    return over_positives(pairs, positive, valid)


def aldr(
    similarity, positive, valid, index, temperatures, *, initial_temperature=1.0, margin=0.1, alpha=2.0, normalize=False
):
    """ALDR-KL, 2112.14869, with the brackets of LDR, K entries each, and a temperature t per training index::

        p_i = softmax(bracket / t_i before), detached        t_i = t0 ( 1 - KL(p_i || uniform)/(alpha log K) )
        L_i = t_i log mean_k e^{bracket_k/t_i} - (alpha log K / (2 t0)) (t_i - t0)^2

    The new t_i is used at once. Several positives: losses and new t are means over them, each loss with its own t.
    Returns (losses, kept, temperatures after); rows without a positive leave theirs. Where an index occurs twice, both
    read the old value and the later row's is stored.
    """
    brackets = ldr_brackets(similarity, positive, valid, margin, "aldr" if normalize else None)
    pairs, after = np.zeros(similarity.shape), np.array(temperatures, dtype=np.float64)
    renewed = np.zeros(similarity.shape)
    for (i, p), bracket in brackets.items():
        number, before = len(bracket), temperatures[index[i]]
        masses = [math.exp(b / before) for b in bracket]
        shares = [mass / sum(masses) for mass in masses]
        divergence = sum(share * math.log(share * number) for share in shares if share > 0)
        own = initial_temperature * (1 - divergence / (alpha * math.log(number)) if number > 1 else 1)
        penalty = alpha * math.log(number) / (2 * initial_temperature) * (own - initial_temperature) ** 2
        pairs[i, p], renewed[i, p] = scaled_log_mean_exp(bracket, own) - penalty, own
    losses, kept = over_positives(pairs, positive, valid)
    means, _ = over_positives(renewed, positive, valid)
    for i in range(len(similarity)):
        if kept[i]:
            after[index[i]] = means[i]
    return losses, kept, after


def collo_ssl(similarity, positive, valid, weights, *, temperature=0.05):
    """ColloSSL, 2202.00758: -log( sum_P w e^Z / (sum_P w e^Z + sum_N w e^Z) ). The sum over positives is inside."""
    rows = len(similarity)
    losses, kept = np.zeros(rows), np.zeros(rows, dtype=bool)
    for i in range(rows):
        positives, negatives = split(positive, valid, i)
        inside = sum(weights[i, p] * math.exp(similarity[i, p] / temperature) for p in positives)
        outside = sum(weights[i, n] * math.exp(similarity[i, n] / temperature) for n in negatives)
        if inside > 0:
            losses[i], kept[i] = -math.log(inside / (inside + outside)), True
    return losses, kept


def coconut(similarity, positive, valid, teacher, *, temperature=0.1):
    """NSPT (COCONUT), 2310.02699, reconstruction: SupCon-out with x_i.sg(T_p) for positives and x_i.x_n for negatives.

    ``teacher`` (A, C) is the student's anchor against the earlier model's embedding of the candidate.
    """
    return master_row(
        np.where(positive, teacher, similarity), positive, valid, temperature=temperature, other_positives=True
    )


def thinned(similarity, positive, valid, *, margin=0.1, margin_strategy="absolute", hardest=None):
    """``valid`` without the negatives above the weakest positive plus a margin, and with the hardest few of the rest.

    A relative margin is a share of the size of that positive's similarity. Of equals the earlier column goes first. A
    row without positives has no such limit.
    """
    left = valid.copy()
    for i in range(len(similarity)):
        positives, negatives = split(positive, valid, i)
        if positives:
            weakest = min(similarity[i, p] for p in positives)
            limit = weakest + margin * (abs(weakest) if margin_strategy == "relative" else 1.0)
            negatives = [n for n in negatives if not similarity[i, n] > limit]
        negatives = sorted(negatives, key=lambda n, row=similarity[i]: (-row[n], n))[:hardest]
        left[i] = [positive[i, j] or j in negatives for j in range(len(left[i]))]
    return left


def uni_me(similarity, positive, valid, *, temperature=0.02, margin=0.1, hardest=8):
    """UniME, 2504.17432: InfoNCE over ``thinned`` negatives."""
    left = thinned(similarity, positive, valid, margin=margin, hardest=hardest)
    return master_row(similarity, positive, left, temperature=temperature)


def unit(vector):
    return vector / math.sqrt(float(np.dot(vector, vector)))


def supremix_triples(labels, window=5):
    """All (i, j, k) with y_j < y_i < y_k and both within ``window`` places among the distinct labels, in order."""
    distinct = sorted({float(y) for y in labels})
    place = [distinct.index(float(y)) for y in labels]
    near = [
        [(place[i] - window <= place[j] <= place[i] + window) for j in range(len(place))] for i in range(len(place))
    ]
    everyone = range(len(place))
    return [
        (i, j, k)
        for i in everyone
        for j in everyone
        for k in everyone
        if place[j] < place[i] < place[k] and near[i][j] and near[i][k]
    ]


def supremix(
    anchors,
    labels,
    valid,
    negative_mixtures=(),
    coefficients=(),
    positive_mixtures=(),
    *,
    temperature=0.3,
    renormalize=True,
):
    """SupReMix, 2309.16633: SupCon-out with exact label equality over real and mixed columns, cosine::

        L_i = -(1/|P|) sum_{p in P} ( Z_ip - log( sum_P e^Z + sum_N (|y_i - y_n| + 1) e^Z ) )

    A mixture belongs to one row and is detached. Negative (i, n) with coefficient c: c z_i + (1-c) z_n, label mixed
    likewise. Positive (i, j, k): a z_j + (1-a) z_k with a y_j + (1-a) y_k = y_i. ``renormalize`` is UNVERIFIED.
    """
    number = len(anchors)
    z = [unit(np.asarray(a, dtype=np.float64)) for a in anchors]
    finish = unit if renormalize else (lambda vector: vector)
    losses, kept = np.zeros(number), np.zeros(number, dtype=bool)
    for i in range(number):
        others = [j for j in range(number) if valid[i, j]]
        good = [float(np.dot(z[i], z[j])) for j in others if labels[j] == labels[i]]
        bad = [(float(np.dot(z[i], z[j])), abs(labels[i] - labels[j])) for j in others if labels[j] != labels[i]]
        for (owner, n), c in zip(negative_mixtures, coefficients, strict=True):
            if owner == i:
                gap = abs(labels[i] - (c * labels[i] + (1 - c) * labels[n]))
                bad.append((float(np.dot(z[i], finish(c * z[i] + (1 - c) * z[n]))), gap))
        for owner, low, high in positive_mixtures:
            if owner == i:
                a = (labels[high] - labels[i]) / (labels[high] - labels[low])
                good.append(float(np.dot(z[i], finish(a * z[low] + (1 - a) * z[high]))))
        if good:
            mass = sum(math.exp(s / temperature) for s in good)
            mass += sum((gap + 1) * math.exp(s / temperature) for s, gap in bad)
            losses[i] = sum(math.log(mass) - s / temperature for s in good) / len(good)
            kept[i] = True
    return losses, kept


def multi_head(similarities, positive, valid, temperatures, *, dim, beta=0.1):
    """AMCL, 2310.05615, reconstruction; heads h, similarities and per-pair temperatures t (H, A, C)::

        L_i = sum_h mean_{p in P} ( -s_ip/t_ip + log( e^{s_ip/t_ip} + sum_{n in N} e^{s_in/t_in} ) )
              + beta mean over h and j in V_i of ( (dim/2) log t_ij + 1/t_ij )

    Several positives: mean over them of the single-positive loss.
    """
    losses, kept = np.zeros(len(positive)), np.zeros(len(positive), dtype=bool)
    for similarity, temperature in zip(similarities, temperatures, strict=True):
        of_head, kept = master_row(similarity / temperature, positive, valid, temperature=1.0)
        losses += of_head
    for i in range(len(positive)):
        own = [t[i, j] for t in temperatures for j in range(positive.shape[1]) if valid[i, j]]
        if kept[i]:
            losses[i] += beta * sum(dim / 2 * math.log(t) + 1 / t for t in own) / len(own)
    return losses, kept
