"""What is different between a run and another one: settings, measurements, scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nearfar.diagnosing.cause import Verdict
from nearfar.diagnosing.diagnosis import Change, Changes
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.evaluation.evaluate import TUNED
from nearfar.statistics.paired import Difference, compare

_NOT_THERE = None
_SAID = ("data", "data_hash", "model", "base_hash", "train_pairs", "learning_rate", "trained_steps", "stopped")
"""Of the record of a run, what is no setting and can make it another one."""


def changes(
    before: Material, now: Material, verdicts_before: Sequence[Verdict], verdicts_now: Sequence[Verdict]
) -> Changes:
    """Compare a run with another one.

    Args:
        before: the other run.
        now: the run.
        verdicts_before: what was measured of the other one.
        verdicts_now: what was measured of the run.
    """
    return Changes(
        run=before.folder.path.resolve().name,
        settings=tuple(_different(_settings(before), _settings(now))),
        measurements=tuple(_measurements(verdicts_before, verdicts_now)),
        measure=now.measure,
        difference=_difference(before, now),
    )


def _settings(material: Material) -> dict[str, Any]:
    record = material.folder.read_record()
    return {
        **{name: record[name] for name in _SAID if name in record},
        **_flat(material.config.model_dump(mode="json")),
    }


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


def _different(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys([*before, *now])
    pairs = ((name, before.get(name, _NOT_THERE), now.get(name, _NOT_THERE)) for name in names)
    return [Change(name=name, before=old, now=new) for name, old, new in pairs if old != new]


def _measurements(before: Sequence[Verdict], now: Sequence[Verdict]) -> list[Change]:
    """The signs that both runs have, in the order of how far they moved on the scale of their limits."""
    old, new = ({sign.name: sign for verdict in each for sign in verdict.signs} for each in (before, now))
    both = [name for name in new if name in old and new[name].value != old[name].value]
    both.sort(key=lambda name: -abs(new[name].value - old[name].value) / abs(new[name].limit - new[name].usual))
    return [Change(name=name, before=old[name].value, now=new[name].value) for name in both]


def _difference(before: Material, now: Material) -> Difference | None:
    try:
        old, new = before.values(TUNED), now.values(TUNED)
    except Unmeasured:
        return None
    hashes = [material.folder.read_record().get("data_hash") for material in (before, now)]
    if old.keys() != new.keys() or before.measure != now.measure or hashes[0] != hashes[1]:
        return None
    names = sorted(new)
    options = now.config.evaluation
    return compare(
        np.array([new[name] for name in names]),
        np.array([old[name] for name in names]),
        confidence=options.confidence,
        resamples=options.resamples,
        draws=options.resamples,
        seed=now.config.training.seed,
    )
