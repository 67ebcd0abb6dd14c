"""The model card: what the model is, how it was made, and what it was measured to be worth."""

from typing import Any

from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Role
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.errors import first_few
from nearfar.files import write_text
from nearfar.training.folder import RunFolder

_FRONT = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- sentence-similarity
- nearfar
---
"""


def write_card(folder: RunFolder, encoder: object, dataset: Dataset, scores: dict[str, Any]) -> None:
    """Write ``README.md`` into the model folder, from the run's own files; nothing is looked up on a hub."""
    record = folder.read_record()
    queries, pairs = len(dataset.query_rows("train")), len(dataset.positives("train"))
    sections = [
        f"# {record['name']}",
        f"A sentence-transformers model tuned with nearfar from `{record['model_name']}` on `{dataset.name}`.",
        "## Use",
        "```python\n"
        "from sentence_transformers import SentenceTransformer\n\n"
        'model = SentenceTransformer("path/to/this/folder")\n'
        'queries = model.encode_query(["..."])\n'
        'documents = model.encode_document(["..."])\n'
        "print(model.similarity(queries, documents))\n"
        "```",
        _prompts(encoder),
        "## Measured",
        f"On the {scores['queries']} queries of the split `{scores['split']}` over {scores['documents']} documents, "
        "exact search.",
        _score_table(scores),
        _cuts(scores),
        _difference(scores),
        "## Made",
        f"{pairs} pairs of {queries} queries, `{record['objective']}`, {record['batch_size']} pairs in a step, "
        f"learning rate {record['learning_rate']:g}, {record['precision']}, seed {record['seed']}; "
        f"the checkpoint of step {record['best_step']} of {record['steps']} was best on dev. "
        f"Data {record['data_hash']}, base weights {record['base_hash']}.",
        _adapters(folder, record),
    ]
    write_text(folder.model / "README.md", _FRONT + "\n" + "\n\n".join(part for part in sections if part) + "\n")


def _prompts(encoder: object) -> str:
    if not isinstance(encoder, SentenceTransformerEncoder):
        return ""
    given = {role.value: encoder.prompt(role) for role in Role if encoder.prompt(role)}
    if not given:
        return "Queries and documents take no prompt."
    shown = first_few(f"{role} `{prompt!r}`" for role, prompt in given.items())
    return f"Prompts, applied by `encode_query` and `encode_document`: {shown}."


def _adapters(folder: RunFolder, record: dict[str, Any]) -> str:
    if "adapters" not in record:
        return ""
    said = f"What was trained: {record['adapters']}."
    if (folder.model / "adapter_config.json").is_file():
        said += f" The folder opens with the package `peft`, where the base model `{record['model_name']}` is."
    return said


def _cuts(scores: dict[str, Any]) -> str:
    widths = [int(name.partition("@")[2]) for name in scores["systems"] if name.startswith("tuned@")]
    if not widths:
        return ""
    return (
        f"`tuned@{widths[-1]}` is the same model with vectors cut to their first {widths[-1]} dimensions: "
        f'`SentenceTransformer("path/to/this/folder", truncate_dim={widths[-1]})`.'
    )


def _score_table(scores: dict[str, Any]) -> str:
    systems = scores["systems"]
    measures = list(next(iter(systems.values())))
    rows = [f"| system | {' | '.join(measures)} |", f"|---|{'---:|' * len(measures)}"]
    rows += [
        f"| {name} | {' | '.join(f'{means[measure]:.4f}' for measure in measures)} |" for name, means in systems.items()
    ]
    return "\n".join(rows)


def _difference(scores: dict[str, Any]) -> str:
    first = scores["comparisons"][0]
    return (
        f"{first['treatment']} minus {first['control']}, {first['measure']}: {first['mean']:+.4f}, "
        f"{scores['confidence']:.0%} interval {first['low']:+.4f} to {first['high']:+.4f} over the test queries, "
        f"p = {first['p']:.4g} ({first['test']}). One training seed."
    )
