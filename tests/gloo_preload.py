"""What the fork server of ``tests.gloo`` imports once, so that no rank has to."""

import os

if os.environ.get("NEARFAR_TESTS_CHECKED"):
    import jaxtyping

    jaxtyping.install_import_hook("nearfar", "beartype.beartype")

import accelerate
import sentence_transformers
import transformers

import nearfar.training.job

__all__ = ["accelerate", "nearfar", "sentence_transformers", "transformers"]
