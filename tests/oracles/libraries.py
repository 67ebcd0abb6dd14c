"""Peers whose losses ours are compared with, imported without their noise and without what the losses do not need."""

import sys
import warnings
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def quiet():
    """Warnings of other packages are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def quietly(make):
    """What ``make`` makes, without warnings of other packages."""
    with quiet():
        return make()


def lightly_losses():
    """``lightly.loss``, with a stand-in for torchvision.

    Its package names image operators when it is imported, none of which a loss compared here uses. torchvision itself
    is not installed: its wheel fits one build of torch only, and transformers would trip over one that does not fit.
    """
    finder = _StandIn()
    sys.meta_path.append(finder)
    try:
        with quiet():
            import lightly.loss
            import lightly.loss.hypersphere_loss
        return lightly.loss
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if isinstance(module, _Absent)]:
            del sys.modules[name]


class _Absent(ModuleType):
    """A module that has a class of any name that is asked for."""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return type(name, (), {})


class _StandIn(MetaPathFinder, Loader):
    """Finds a stand-in for torchvision and whatever is inside of it."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] == "torchvision" else None

    def create_module(self, spec):
        return _Absent(spec.name)

    def exec_module(self, module):
        pass
