"""nearfar trains embedding models on pairs that belong together, and proves that they got better.

The public names, each imported when it is first used, so that ``import nearfar`` costs nothing:

- ``train``, ``mine``, ``evaluate``, ``search``, ``explain``, ``audit``, ``compare``, ``diagnose``: the jobs, the same
  as the commands.
- ``export_negatives``: what was mined in the forms of other trainers.
- ``load``, ``from_records``: read data from files or memory; ``split``: make its missing splits.
- ``Dataset``: the tables; ``DataOptions``: how they are read and split.
- ``load_model``: open an encoder by name.
- ``objectives``: what training minimises; ``objectives.parse`` reads its text form.
- ``RunConfig``: the settings of a run.
- ``NearfarError`` and its four kinds: everything that nearfar raises on purpose.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "train": "nearfar.api:train",
    "evaluate": "nearfar.api:evaluate",
    "search": "nearfar.api:search",
    "explain": "nearfar.api:explain",
    "audit": "nearfar.api:audit",
    "compare": "nearfar.api:compare",
    "Comparison": "nearfar.evaluation.comparison:Comparison",
    "diagnose": "nearfar.api:diagnose",
    "Diagnosis": "nearfar.api:Diagnosis",
    "AuditOptions": "nearfar.config.auditing:AuditOptions",
    "AuditResult": "nearfar.api:AuditResult",
    "mine": "nearfar.api:mine",
    "export_negatives": "nearfar.api:export_negatives",
    "TrainResult": "nearfar.api:TrainResult",
    "MineResult": "nearfar.api:MineResult",
    "EvaluateResult": "nearfar.api:EvaluateResult",
    "SearchHit": "nearfar.api:SearchHit",
    "load": "nearfar.data.load:load",
    "from_records": "nearfar.data.load:from_records",
    "split": "nearfar.data.split:split",
    "Dataset": "nearfar.data.tables:Dataset",
    "DataOptions": "nearfar.config.data:DataOptions",
    "RunConfig": "nearfar.config.run:RunConfig",
    "load_model": "nearfar.encoders.load:load",
    "objectives": "nearfar.objectives",
    "NearfarError": "nearfar.errors:NearfarError",
    "DataError": "nearfar.errors:DataError",
    "ConfigError": "nearfar.errors:ConfigError",
    "ShapeError": "nearfar.errors:ShapeError",
    "ResourceError": "nearfar.errors:ResourceError",
}

__version__ = "0.1.0"
__all__ = ["__version__", *_NAMES]  # strings, built from the table above


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'nearfar' has no attribute {name!r}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted(__all__)
