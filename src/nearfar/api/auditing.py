"""Looking at data before training on it: ``audit``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.api.opening import Settings, name_of, open_encoder, read_data, settings_of
from nearfar.config.auditing import DEFAULTS, AuditOptions
from nearfar.console import shown
from nearfar.data.content import data_hash
from nearfar.data.tables import Dataset
from nearfar.encoders.locate import locate
from nearfar.events import Sink
from nearfar.training.folder import check_new


@dataclass(frozen=True)
class AuditResult:
    """What an audit gave.

    Attributes:
        summary: what ``audit.json`` holds: the data in numbers, settings, counts by kind and split, fingerprints.
        findings: each with its texts, the gravest kind first, within a kind the surest first.
        folder: where it was written to, if anywhere.
    """

    summary: dict[str, Any]
    findings: tuple[Any, ...]
    folder: Path | None = None


def audit(
    data: Dataset | Path | str,
    *,
    model: Any = None,
    against: Dataset | Path | str | None = None,
    out: Path | str | None = None,
    options: AuditOptions = DEFAULTS,
    config: Settings = None,
    settings: Sequence[str] = (),
    sink: Sink | None = None,
) -> AuditResult:
    """Look for duplicates, leaks between splits, doubtful judgements and odd texts.

    Judgements of every split are looked at; nothing is changed, and nothing goes into training.

    Args:
        data: a path, a hub name, or tables.
        model: what ranks documents where judgements are doubted: a name as in ``nearfar.encoders.locate``, or an
            encoder; None and ``bm25`` for BM25.
        against: another data set, whose training data is compared with the dev and test split of ``data``.
        out: a new folder for audit.json, findings.parquet and audit.html; None writes nothing.
        options: what counts as near, and how far rankings are looked at.
        config: the settings; ``data`` and ``model`` count.
        settings: overrides, such as ``["data.train=clicks.jsonl"]``.
        sink: takes events.

    Raises:
        NearfarError: for data, settings or folders that will not do.
    """
    chosen = settings_of(config, settings)
    bm25 = model is None or str(model) == "bm25"
    located = locate(str(model)) if isinstance(model, str | Path) and not bm25 else None
    folder = check_new(Path(out)) if out is not None else None
    with shown(sink) as watched:
        dataset = read_data(data, chosen.data, watched)
        other_options = chosen.data.model_copy(update={"train": None})  # a file beside the first data set
        other = None if against is None else read_data(against, other_options, watched)

        from nearfar.auditing.audit import audit as run_audit
        from nearfar.auditing.write import PAGE, write_audit
        from nearfar.encoders.fingerprint import encoder_hash
        from nearfar.encoders.protocol import TorchEncoder
        from nearfar.files import write_text
        from nearfar.reports.audit import render

        encoder = None if bm25 else model if located is None else open_encoder(located, chosen)
        name = "bm25" if bm25 else name_of(model)
        found = run_audit(dataset, encoder=encoder, model=name, against=other, options=options, sink=watched)
        fingerprints = {
            "data": data_hash(dataset),
            "against": None if other is None else data_hash(other),
            "model": encoder_hash(encoder) if isinstance(encoder, TorchEncoder) else None,
        }
        summary = {**found.summary, "fingerprints": fingerprints}
        if folder is not None:
            write_audit(folder, summary, found.findings)
            write_text(folder / PAGE, render(summary, found.findings))
    return AuditResult(summary, found.findings, folder)
