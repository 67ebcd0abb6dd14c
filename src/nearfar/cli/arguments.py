"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="A file, a folder, or owner/name of a set on the Hugging Face hub.")
]
Model = Annotated[
    str, typer.Option("--model", help="A model folder, package:NAME, static:TOKENIZER?dim=N, or owner/name on the hub.")
]
Config = Annotated[Path | None, typer.Option("--config", help="A YAML file with settings; see: nearfar config.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as training.epochs=1.")
]
