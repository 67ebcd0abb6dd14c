"""What the fork server of ``tests.forked`` imports once, so that no process that it starts has to."""

import gc
import os

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # as several processes set it before they import torch

if os.environ.get("NEARFAR_TESTS_CHECKED"):
    import jaxtyping

    jaxtyping.install_import_hook("nearfar", "beartype.beartype")

import accelerate
import bm25s
import jinja2
import plotly
import pytrec_eval
import sentence_transformers
import sklearn.manifold
import transformers

import nearfar.api
import nearfar.cli.main
import nearfar.cli.mine_tables
import nearfar.negatives.job
import nearfar.training.job

__all__ = ["accelerate", "bm25s", "jinja2", "nearfar", "plotly", "pytrec_eval", "sentence_transformers"]
__all__ += ["sklearn", "transformers"]

gc.collect()
gc.freeze()  # a training asks for a garbage collection, which need not look at any of this
