"""Mined negatives in the forms of other trainers."""

from pathlib import Path

from nearfar.data.load import load as load_data
from nearfar.data.mined import looks_mined, positive_scores
from nearfar.errors import ConfigError, ResourceError
from nearfar.events import Sink
from nearfar.negatives.exports import Exported, Scores, check_export, export


def export_negatives(
    run: Path | str,
    format: str,
    path: Path | str,
    *,
    negatives: int | None = None,
    pad: bool = False,
    score: str = "teacher",
    seed: int = 0,
    sink: Sink | None = None,
) -> Exported:
    """Write what a mining job found for sentence-transformers or FlagEmbedding.

    Args:
        run: the folder of the job.
        format: ``triplet``, ``tuple``, ``labelled``, ``labelled-list`` or ``flagembedding``.
        path: a new file that ends in .jsonl or .parquet.
        negatives: of each row, at most, or exactly for ``tuple``; None: all, for ``tuple`` as many as most rows have.
        pad: fill up shorter rows of ``tuple`` with random documents that are not relevant, instead of leaving them out.
        score: the name of the score that FlagEmbedding's rows have, if every text has it.
        seed: decides what is filled up with.
        sink: takes progress.

    Raises:
        NearfarError: for a folder, format or file that will not do.
    """
    folder, target = Path(run).expanduser(), Path(path).expanduser()
    check_export(target, format, negatives, pad)
    if not looks_mined(folder):
        raise ConfigError(f"{folder} is not the folder of a mining job. nearfar mine writes one.")
    if target.exists():
        raise ResourceError(f"{target} is there already. Nothing was changed; choose another file.")
    dataset = load_data(folder, None, sink)
    scores = Scores(name=score, positives=positive_scores(folder, dataset, score))
    return export(dataset, target, format, negatives=negatives, pad=pad, scores=scores, seed=seed)
