"""Low-rank adapters: a few weights trained beside those of a transformer, and added to them in the end.

LoRA (arXiv 2106.09685) leaves a matrix as it is and trains the factors of what is added to it. The factors start so
that nothing is added: a model with fresh adapters gives the vectors of the model without.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nearfar.config.run import AdapterOptions
from nearfar.encoders.protocol import TorchEncoder
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.errors import ConfigError, did_you_mean, first_few


@dataclass(frozen=True, eq=False, kw_only=True)
class Adapters:
    """The adapters of an encoder.

    Attributes:
        encoder: the encoder; in training, nothing but its adapters has gradients.
        thawed: the parameters that had gradients before.
        options: the settings.
    """

    encoder: SentenceTransformerEncoder
    thawed: tuple[nn.Parameter, ...]
    options: AdapterOptions

    @property
    def summary(self) -> str:
        """What they are and how much they train, in words."""
        sizes = [(each.numel(), each.requires_grad) for each in self.encoder.parameters()]
        trained, whole = sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
        options = self.options
        where = "all linear layers" if options.target == "all-linear" else ", ".join(options.target)
        kept = "added to the weights" if options.merge else "kept beside the weights"
        return (
            f"LoRA of rank {options.rank} and alpha {options.alpha:g} on {where}, {trained:,} trained numbers beside "
            f"{whole - trained:,} frozen ones, {kept}"
        )

    def finish(self) -> None:
        """Add the adapters to the weights, unless they are to be kept; the encoder can be trained as a whole again."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        for model in transformers_of(self.encoder) if self.options.merge else ():
            for name, layer in list(model.named_modules()):
                if isinstance(layer, BaseTunerLayer):
                    layer.merge(safe_merge=True)
                    parent, _, step = name.rpartition(".")
                    setattr(model.get_submodule(parent), step, layer.get_base_layer())
            # With these the library takes the model for one with adapters, and saves nothing else.
            del model.peft_config
            model._hf_peft_config_loaded = False
        for parameter in self.thawed:
            parameter.requires_grad_(True)


def check_adapters(encoder: object, options: AdapterOptions) -> None:
    """Raise ConfigError where adapters are wanted and cannot be had. Changes nothing."""
    if options.rank is None:
        return
    if find_spec("peft") is None:
        raise ConfigError("model.adapter needs the package peft: pip install 'nearfar[peft]'.")
    models = transformers_of(encoder)
    if not models:
        kind = "A static encoder" if not getattr(encoder, "pads", True) else "A module of your own"
        raise ConfigError(
            f"model.adapter: {kind} has no transformer that adapters could be put into. Leave model.adapter.rank out "
            "and train all weights."
        )
    if any(getattr(model, "peft_config", None) for model in models):
        raise ConfigError(
            "model.adapter: the model has adapters already. Merge them (model.adapter.merge does in the run that makes "
            "them), or leave model.adapter.rank out."
        )
    if options.target != "all-linear":
        for model in models:
            _check_target(model, options.target)


def add_adapters(encoder: TorchEncoder, options: AdapterOptions, seed: int) -> Adapters:
    """Put fresh adapters into the transformers of an encoder and freeze everything else.

    Args:
        encoder: changed in place, until ``finish``.
        options: the settings, with a rank.
        seed: of the factors that are not zero at the start.

    Raises:
        ConfigError: as ``check_adapters``.
    """
    check_adapters(encoder, options)
    assert isinstance(encoder, SentenceTransformerEncoder)  # others have no transformers
    from peft import LoraConfig

    thawed = tuple(each for each in encoder.parameters() if each.requires_grad)
    encoder.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for model in transformers_of(encoder):
            chosen = _names(model) if options.target == "all-linear" else list(options.target)
            config = LoraConfig(
                r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=chosen
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of layouts that the library turns by itself
                model.add_adapter(config)
            base = Path(str(config.base_model_name_or_path))
            if base.exists():
                config.base_model_name_or_path = str(base.absolute())
    return Adapters(encoder=encoder, thawed=thawed, options=options)


def transformers_of(encoder: object) -> list[Any]:
    """The transformers inside an encoder: one as a rule, none in a static one, several behind a router."""
    if not isinstance(encoder, SentenceTransformerEncoder):
        return []
    from transformers.integrations.peft import PeftAdapterMixin

    found: list[Any] = []
    for module in encoder.model.modules():
        inside = any(module is part for model in found for part in model.modules())
        if isinstance(module, PeftAdapterMixin) and not inside:
            found.append(module)
    return found


def _names(model: nn.Module) -> list[str]:
    """The linear layers, without those of a pooler: sentence-transformers pools by itself."""
    return [name for name in _linear(model) if "pooler" not in name.split(".")]


def _linear(model: nn.Module) -> list[str]:
    from transformers.pytorch_utils import Conv1D

    return [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D)]


def _check_target(model: nn.Module, target: Sequence[str]) -> None:
    """Raise ConfigError for a name at which no linear layer's ends."""
    there = _linear(model)
    ends = sorted({name.rpartition(".")[2] for name in there})
    for wanted in target:
        if not any(name == wanted or name.endswith(f".{wanted}") for name in there):
            raise ConfigError(
                f"model.adapter.target: no linear layer is named {wanted!r}.{did_you_mean(wanted, ends)} "
                f"The names end in {first_few(ends, 20)}."
            )
