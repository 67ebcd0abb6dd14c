"""What objectives do: ``explain``."""

from collections.abc import Sequence
from pathlib import Path

from nearfar.api.opening import finished_run, read_data
from nearfar.config.read import read_config
from nearfar.console import shown
from nearfar.data.split import split as split_data
from nearfar.errors import ConfigError
from nearfar.events import Sink


def explain(
    names: Sequence[str], *, run: Path | str | None = None, out: Path | str = "explain.html", sink: Sink | None = None
) -> Path:
    """Write a page about what objectives do with a pair, beside one another; gives its path.

    Args:
        names: text forms, such as ``["InfoNCE", "DCL(temperature=0.05)"]``.
        run: a finished run, in whose training batches the objectives are weighed as well.
        out: the page; an older one that this function wrote is replaced, anything else is left alone.
        sink: takes events.

    Raises:
        ConfigError: for an unknown objective or setting, a folder that is not a finished run, or an objective that
            needs what a run does not have.
        ResourceError: when the page cannot be written.
    """
    if not names:
        raise ConfigError("Name at least one objective, such as InfoNCE. nearfar explain --list shows all of them.")
    folder = None if run is None else finished_run(Path(run))

    from nearfar.objectives.registry import parse
    from nearfar.reports.explain import RunPairs, check_page, write_explanation

    page = check_page(Path(out))
    if folder is None:
        return write_explanation([parse(name) for name in names], page)

    from nearfar.training.objective import trainable_objective
    from nearfar.training.weights import weigh_run

    record, options = folder.read_record(), read_config(folder.config)
    objectives = list(dict.fromkeys(trainable_objective(name, options) for name in names))
    with shown(sink) as watched:
        dataset = split_data(read_data(record["data"], options.data, watched), options.data)
        weighed, batches = weigh_run(folder, dataset, options, objectives, watched)
    return write_explanation(
        objectives,
        page,
        RunPairs(
            name=record.get("name", folder.path.name),
            model=f"the model tuned from {record['model_name']}",
            batches=batches,
            size=options.batches.size,
            pairs={str(objective): pairs for objective, pairs in zip(objectives, weighed, strict=True)},
        ),
    )
