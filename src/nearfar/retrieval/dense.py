"""Exact dense search: the best documents of each query by inner product, with a tie rule that does not depend on luck.

The score matrix is computed in blocks and never held whole. ``torch.topk`` picks any of several equal scores, so the
place after the last is looked at too: where it holds the same score, the documents of that score are taken by tie rank.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from nearfar.errors import ConfigError, DataError, ShapeError, did_you_mean, first_few
from nearfar.events import Silent, Sink, track
from nearfar.retrieval.ranking import check_depth, check_exclude, tie_ranks
from nearfar.types import Hits

SIMILARITIES = ("cosine", "dot")


def search(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "document document_dim"],
    k: int,
    *,
    similarity: str = "cosine",
    tie_order: Int[np.ndarray, " ordered"] | None = None,
    exclude: Int[np.ndarray, " excluded"] | None = None,
    device: torch.device | str = "cpu",
    query_block: int = 512,
    document_block: int = 32_768,
    sink: Sink | None = None,
) -> Hits:
    """The ``k`` nearest documents of each query, ordered by (descending score, ascending tie rank).

    Documents are read once, block after block, so a memory-mapped file larger than memory will do. Beside the result,
    memory holds one block of documents, one of queries and their product (64 MiB at the default sizes). Block sizes
    change the result only as far as they change the rounding of the product.

    Args:
        queries: one vector a row.
        documents: one vector a row, of the same width; an ``np.memmap`` is welcome.
        k: how many documents to keep. With fewer documents the rest of a row is -1 with score -inf.
        similarity: ``cosine`` (a zero vector scores 0) or ``dot``.
        tie_order: place of each document among equals, lower first; the row number where it is not given or equal.
        exclude: a document row to leave out for each query, -1 for none: the query itself, when it is in the corpus.
        device: where the products are computed.
        query_block: queries of one product.
        document_block: documents of one product.
        sink: hears how many of the documents are done.

    Raises:
        ShapeError: queries and documents differ in width, or ``exclude`` or ``tie_order`` in length.
        DataError: a vector holds NaN or infinity, or a dot product could leave float32.
        ConfigError: ``k``, a block size or ``similarity`` is not possible.
    """
    _check(queries, documents, similarity, query_block, document_block)
    check_depth(k)
    check_exclude(exclude, len(queries), len(documents))
    with torch.inference_mode():
        ranks = torch.from_numpy(tie_ranks(tie_order, len(documents))).to(device)
        excluded = None if exclude is None else torch.from_numpy(exclude.astype(np.int64)).to(device)
        scores = torch.full((len(queries), k), -torch.inf, device=device)
        found = torch.full((len(queries), k), -1, dtype=torch.int64, device=device)
        product = torch.empty(min(query_block, len(queries)) * min(document_block, len(documents)), device=device)
        starts = range(0, len(documents), document_block)
        for start in track(starts, "search", sink or Silent(), len(documents), document_block):
            block, block_norm = _prepare(
                documents[start : start + document_block], start, "document", similarity, device
            )
            for first in range(0, len(queries), query_block):
                rows = slice(first, min(first + query_block, len(queries)))
                query, query_norm = _prepare(queries[rows], first, "query", similarity, device)
                _check_range(query_norm * block_norm, similarity, first, start)
                values = product[: len(query) * len(block)].view(len(query), len(block))
                torch.matmul(query, block.T, out=values)
                if excluded is not None:
                    _leave_out(values, excluded[rows], start)
                best, columns = _best_of_block(values, ranks[start : start + len(block)], scores[rows, -1], k)
                scores[rows], found[rows] = _merge(scores[rows], found[rows], best, columns + start, ranks)
        found[scores == -torch.inf] = -1
        return Hits(found.to(torch.int32).cpu().numpy(), scores.cpu().numpy())


def _check(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "document document_dim"],
    similarity: str,
    query_block: int,
    document_block: int,
) -> None:
    """Refuse what cannot be searched."""
    if similarity not in SIMILARITIES:
        raise ConfigError(
            f"similarity must be one of {', '.join(SIMILARITIES)}, got {similarity!r}."
            + did_you_mean(similarity, SIMILARITIES)
        )
    if query_block < 1 or document_block < 1:
        raise ConfigError(f"query_block and document_block must be at least 1, got {query_block} and {document_block}.")
    if queries.shape[1] != documents.shape[1] or queries.shape[1] == 0:
        raise ShapeError(
            f"Queries and documents must have the same width, at least 1: queries are {queries.shape}, documents "
            f"{documents.shape}. Encode both with the same model and the same truncation."
        )


def _prepare(
    block: Float32[np.ndarray, "row dim"], first_row: int, side: str, similarity: str, device: torch.device | str
) -> tuple[Float[Tensor, "row dim"], float]:
    """The block on the device, of unit length under cosine, and a bound on the length of its longest vector.

    Each vector is divided by its largest entry before its length is taken, so that squares neither overflow nor vanish.
    """
    values = torch.from_numpy(np.array(block, dtype=np.float32)).to(device)
    magnitude = values.abs().amax(dim=1)
    finite = magnitude.isfinite()
    if not bool(finite.all()):
        bad = (first_row + (~finite).nonzero().squeeze(1)).tolist()
        raise DataError(
            f"The vectors of {side} rows {first_few(bad)} hold NaN or infinity. "
            "Encode them again, in float32, and look at their texts if it happens again."
        )
    scaled = values / torch.where(magnitude > 0, magnitude, 1)[:, None]
    norm = torch.linalg.vector_norm(scaled, dim=1)
    if similarity == "cosine":
        return scaled / torch.where(norm > 0, norm, 1)[:, None], 1.0
    return values, float(magnitude.max()) * float(norm.max())


def _check_range(bound: float, similarity: str, first_query: int, first_document: int) -> None:
    """Refuse dot products that float32 may not hold: infinite scores have no order."""
    if similarity == "dot" and bound > torch.finfo(torch.float32).max:
        raise DataError(
            f"Dot products may exceed float32: lengths of the blocks from query row {first_query} and document row "
            f"{first_document} multiply to {bound:.3g}. Scale the vectors down or use similarity='cosine'."
        )


def _leave_out(values: Float[Tensor, "row column"], excluded: Int[Tensor, " row"], start: int) -> None:
    """Set the score of each row's excluded document to -inf, where this block holds it. In place."""
    columns = excluded - start
    inside = (columns >= 0) & (columns < values.shape[1]) & (excluded >= 0)
    rows = inside.nonzero().squeeze(1)
    values[rows, columns[rows]] = -torch.inf


def _best_of_block(
    values: Float[Tensor, "row column"], ranks: Int[Tensor, " column"], floor: Float[Tensor, " row"], k: int
) -> tuple[Float[Tensor, "row best"], Int[Tensor, "row best"]]:
    """The k best scores of each row and their columns, exact by (score, tie rank); all of them in a narrow block.

    A tie at the last place is resolved only where its score reaches ``floor``, the row's k-th best of earlier blocks.
    """
    width = values.shape[1]
    if width <= k:
        return values, torch.arange(width, device=values.device).expand(values.shape)
    best, columns = values.topk(k + 1, dim=1)
    last, following = best[:, k - 1], best[:, k]
    best, columns = best[:, :k], columns[:, :k]
    tied = (last == following) & (last >= floor) & (last > -torch.inf)
    rows_tied = tied.nonzero().squeeze(1)
    for start in range(0, len(rows_tied), 64):
        rows = rows_tied[start : start + 64]
        columns[rows] = _by_tie_rank(values[rows], ranks, best[rows], columns[rows])
    return best, columns


def _by_tie_rank(
    values: Float[Tensor, "row column"],
    ranks: Int[Tensor, " column"],
    best: Float[Tensor, "row best"],
    columns: Int[Tensor, "row best"],
) -> Int[Tensor, "row best"]:
    """``columns`` with those that share the last score replaced by the columns of that score with the lowest ranks."""
    k = best.shape[1]
    last = best[:, -1:]
    equal: Bool[Tensor, "row column"] = values == last
    lowest = torch.where(equal, ranks, torch.iinfo(ranks.dtype).max).topk(k, dim=1, largest=False).indices
    place = torch.arange(k, device=values.device) - (best > last).sum(dim=1, keepdim=True)
    return torch.where(place >= 0, lowest.gather(1, place.clamp_min(0)), columns)


def _merge(
    scores: Float[Tensor, "row k"],
    found: Int[Tensor, "row k"],
    new_scores: Float[Tensor, "row best"],
    new_found: Int[Tensor, "row best"],
    ranks: Int[Tensor, " document_plus_one"],
) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
    """The k best of two lists of each row, by (descending score, ascending tie rank).

    Score and rank become one integer: the bits of a float32, with those below the sign flipped for negative numbers,
    are ordered as the numbers are. Document -1 has the last rank.
    """
    every_score = torch.cat([scores, new_scores], dim=1)
    every_found = torch.cat([found, new_found], dim=1)
    bits = (every_score + 0.0).view(torch.int32)
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    top = ((ordered << 32) - ranks[every_found]).topk(scores.shape[1], dim=1).indices
    return every_score.gather(1, top), every_found.gather(1, top)
