"""How any objective gets its gradients: embedding in micro-batches, and one step as a module."""

from nearfar.engine.embed import embed, encode, resolve_precision
from nearfar.engine.microbatch import MicroBatch, cut, prepare
from nearfar.engine.step import Step, StepInput, prepare_step

__all__ = ["MicroBatch", "Step", "StepInput", "cut", "embed", "encode", "prepare", "prepare_step", "resolve_precision"]
