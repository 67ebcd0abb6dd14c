"""A mining job: sources propose, parts judge, and everything that was looked at is written with what became of it.

What a source proposed is kept in the folder with the fingerprint of all that it follows from. A job that was killed
goes on with the sources that are whole; one whose model, data or settings have changed does not use the old ones. A job
that looks only as deep as needed (``looking``) keeps nothing here: its searches are kept by the store, in the same way.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from jaxtyping import Float32, Int32, Int64

from nearfar.config.mining import MiningOptions
from nearfar.data.arrow import column, strings
from nearfar.data.tables import Dataset
from nearfar.events import Message, Silent, Sink
from nearfar.files import replace_folder, write_json
from nearfar.negatives.candidates import Candidates, Positives
from nearfar.negatives.closure import Closure
from nearfar.negatives.gather import gathered
from nearfar.negatives.lists import by_pair, from_sources
from nearfar.negatives.looking import Looking, depths, limits
from nearfar.negatives.material import Made, Material
from nearfar.negatives.parts import Filter, Proposed, Source
from nearfar.negatives.plan import Plan, Scoring
from nearfar.negatives.sources.retrieved import Dense
from nearfar.types import Hits

_QUERIES = 3
"""Salt of the draw of queries."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MiningResult:
    """What a job found.

    Attributes:
        material: what it was about, with the texts that sources made.
        candidates: every row, with its reason.
        plan: the parts, with filters as candidates settled them.
        refused: for each source, how many texts it did not take, by reason.
        unanswered: by score, how many candidates and positives that it was asked for have none.
        settled: the filters whose limit candidates gave, and what they were then.
        depths: how many queries were looked at to which depth, where that was as deep as needed.
        hopeless: for how many of these filters drop everything that the source may reach.
    """

    material: Material
    candidates: Candidates
    plan: Plan
    refused: tuple[Mapping[str, int], ...] = ()
    unanswered: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    settled: Mapping[Filter, Filter] = field(default_factory=dict)
    depths: Mapping[int, int] = field(default_factory=dict)
    hopeless: int = 0


def chosen_queries(closure: Closure, dataset: Dataset, options: MiningOptions) -> Int32[np.ndarray, " query"]:
    """The rows of the queries that are mined for, ascending. Which are drawn depends on their texts, not on a file."""
    queries = closure.queries
    if options.queries is None or options.queries >= len(queries):
        return queries
    keys = dataset.queries.keys[queries]
    by_text = queries[np.lexsort((keys[:, 1], keys[:, 0]))]
    drawn = np.random.default_rng((options.seed, _QUERIES)).choice(len(by_text), options.queries, replace=False)
    return np.sort(by_text[drawn])


def mine(
    material: Material, plan: Plan, options: MiningOptions, folder: Path, key: str, sink: Sink = Silent()
) -> MiningResult:
    """Propose, judge and select.

    Args:
        material: what the job is about.
        plan: the parts.
        options: the settings.
        folder: of the job; what sources proposed is kept in ``sources`` in it, where all of it is looked at.
        key: what beside the sources decides what they propose: hashes of the data and of the model.
        sink: takes progress.

    Raises:
        DataError: when no query is left with a negative; says what dropped them.
        ResourceError: when something cannot be written, or a server that scores has to be waited for.
    """
    levels = depths(plan, options, len(material.searched))
    if levels:
        return _as_deep_as_needed(material, plan, options, levels, sink)
    return _all(material, plan, options, folder, key, sink)


def _as_deep_as_needed(
    material: Material, plan: Plan, options: MiningOptions, levels: Sequence[int], sink: Sink
) -> MiningResult:
    """Look only so deep as decides what comes out. The store keeps what its searches found."""
    (source,), parts = plan.sources, [*plan.parts()]
    assert isinstance(source, Dense)
    _tell_short(source, levels[-1], material, sink)
    scoring = Scoring(material, plan.scorers, [source.model], sink)

    asked = dict.fromkeys(name for part in plan.filters for name in part.asks)
    positives = scoring.known(asked, material.closure.positives.about(material.queries))

    def look(
        depth: int, places: Int64[np.ndarray, " some"], above: Float32[np.ndarray, " some"] | None
    ) -> tuple[Candidates, Int64[np.ndarray, " some"] | None]:
        hits = material.store.search(source.model, depth, source.index, sink, places, above)
        found = _candidates(material, material.queries[places], [hits], positives, options)
        return scoring.after(parts[: len(plan.filters)], found), hits.above

    looked = Looking(
        look=look,
        levels=levels,
        above=limits(plan, material.queries, positives, options),
        suspects=options.suspects_per_list if options.suspects == "ignore" else 0,
        plan=plan,
        material=material,
    ).looked()
    return MiningResult(
        material=material,
        candidates=scoring.after(parts[len(plan.filters) :], looked.candidates),
        plan=plan,
        refused=({},),
        unanswered=scoring.unanswered,
        depths=looked.depths,
        hopeless=looked.hopeless,
    )


def _all(material: Material, plan: Plan, options: MiningOptions, folder: Path, key: str, sink: Sink) -> MiningResult:
    """Look at all that the sources propose."""
    proposed = [
        _proposed(source, material, folder / "sources" / str(number), key, sink)
        for number, source in enumerate(plan.sources)
    ]
    for source, each in zip(plan.sources, proposed, strict=True):
        _tell_short(source, each.hits.depth, material, sink)
    hits, made, identities = gathered(material.dataset, proposed)
    material = replace(material, made=made, closure=material.closure.with_made(identities))
    positives = material.closure.positives.about(material.queries)
    models = [source.model if isinstance(source, Dense) else None for source in plan.sources]
    scoring = Scoring(material, plan.scorers, models, sink)
    found = scoring.after(plan.parts(), _candidates(material, material.queries, hits, positives, options))
    return MiningResult(
        material=material,
        candidates=found,
        plan=plan.with_settled(scoring.settled),
        refused=tuple(each.refused for each in proposed),
        unanswered=scoring.unanswered,
        settled=scoring.settled,
    )


def _candidates(
    material: Material,
    queries: Int32[np.ndarray, " query"],
    hits: Sequence[Hits],
    positives: Positives,
    options: MiningOptions,
) -> Candidates:
    """What was found for some queries, without what is relevant, in lists."""
    found = from_sources(queries, [(each.documents, each.scores) for each in hits], positives.about(queries))
    found = material.closure.apply(found)
    return by_pair(found) if options.lists == "pair" else found


def _tell_short(source: Source, reached: int, material: Material, sink: Sink) -> None:
    """Say where a corpus is smaller than a source was asked to go deep."""
    depth = getattr(source, "depth", 0)
    if reached < depth:
        sink.emit(
            Message(
                text=f"{source}: the corpus has only {len(material.searched)} documents, so each query has at most "
                f"{reached} candidates instead of {depth}.",
                level="warning",
            )
        )


def _proposed(source: Source, material: Material, folder: Path, key: str, sink: Sink) -> Proposed:
    """What a source proposes: read where it is kept, else computed and kept."""
    models = [material.store.fingerprint(name) for name in source.models if name]  # the key has the one mined for
    digest = hashlib.blake2b(f"{key} {material.seed} {source.fingerprint} {models}".encode(), digest_size=16)
    digest.update(material.queries.astype("<i4").tobytes())
    fingerprint = digest.hexdigest()
    kept = _read(folder, fingerprint)
    if kept is not None:
        return kept
    found = source.propose(material, sink)
    replace_folder(folder, lambda partial: _write(partial, found, str(source), fingerprint))
    return found


def _write(folder: Path, proposed: Proposed, source: str, fingerprint: str) -> None:
    np.save(folder / "documents.npy", proposed.hits.documents)
    np.save(folder / "scores.npy", proposed.hits.scores)
    made = {"text": strings(proposed.made.texts), "parent": column(proposed.made.parents)}
    parquet.write_table(pa.table(made), folder / "made.parquet")
    record = {"source": source, "fingerprint": fingerprint, "refused": dict(proposed.refused)}
    write_json(folder / "source.json", record)


def _read(folder: Path, fingerprint: str) -> Proposed | None:
    """What a folder keeps, None where it is not what the fingerprint stands for, or damaged."""
    with suppress(OSError, ValueError, KeyError, EOFError):
        record = json.loads((folder / "source.json").read_text(encoding="utf-8"))
        if record["fingerprint"] != fingerprint:
            return None
        hits = Hits(np.load(folder / "documents.npy"), np.load(folder / "scores.npy"))
        table = parquet.read_table(folder / "made.parquet")
        made = Made(texts=tuple(table["text"].to_pylist()), parents=table["parent"].to_numpy().astype(np.int32))
        return Proposed(hits, made, record["refused"])
    return None
