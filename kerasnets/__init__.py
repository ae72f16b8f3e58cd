"""kerasnets: the classic convolutional networks, defined once with Keras 3, the same on torch, TensorFlow and JAX.

Importing this package loads no framework; a name below does when it is first used and needs one. If KERAS_BACKEND is
not set, it is set to the first installed of torch, tensorflow and jax.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from kerasnets.runtime.backends import check_import, set_default

if TYPE_CHECKING:  # for type checkers and editors, which cannot follow _get
    from kerasnets import convert as convert
    from kerasnets import data as data
    from kerasnets import errors as errors
    from kerasnets import inspection as inspection
    from kerasnets import models as models
    from kerasnets import prediction as prediction
    from kerasnets import recipes as recipes
    from kerasnets import saving as saving
    from kerasnets import training as training
    from kerasnets import transfer as transfer
    from kerasnets.convert import load_torch_weights as load_torch_weights
    from kerasnets.convert import torch_state_dict as torch_state_dict
    from kerasnets.convert.adoption import adopt as adopt
    from kerasnets.convert.from_torch.conversion import from_torch as from_torch
    from kerasnets.convert.to_torch import to_torch as to_torch
    from kerasnets.data import DATASETS as DATASETS
    from kerasnets.data import load_data as load_data
    from kerasnets.errors import BadInputError as BadInputError
    from kerasnets.inspection.description import describe as describe
    from kerasnets.inspection.probes import gradients as gradients
    from kerasnets.inspection.probes import named_weights as named_weights
    from kerasnets.inspection.probes import saliency as saliency
    from kerasnets.inspection.probes import take_step as take_step
    from kerasnets.inspection.probes import trace as trace
    from kerasnets.inspection.report import inspect_network as inspect_network
    from kerasnets.models import build as build
    from kerasnets.models import list_models as list_models
    from kerasnets.prediction import Classifier as Classifier
    from kerasnets.recipes import RECIPES as RECIPES
    from kerasnets.saving import Card as Card
    from kerasnets.saving import Guest as Guest
    from kerasnets.saving import load as load
    from kerasnets.saving import save as save
    from kerasnets.training.train import train as train
    from kerasnets.transfer import feature_extractor as feature_extractor
    from kerasnets.transfer import features as features
    from kerasnets.transfer import freeze as freeze
    from kerasnets.transfer import headless as headless
    from kerasnets.transfer import unfreeze as unfreeze
    from kerasnets.transfer import with_classes as with_classes

# public name -> module of the package that defines it
_HOMES = {
    "build": "models",
    "list_models": "models",
    "adopt": "convert.adoption",
    "Guest": "saving",
    "describe": "inspection.description",
    "inspect_network": "inspection.report",
    "named_weights": "inspection.probes",
    "trace": "inspection.probes",
    "gradients": "inspection.probes",
    "take_step": "inspection.probes",
    "saliency": "inspection.probes",
    "features": "transfer",
    "feature_extractor": "transfer",
    "headless": "transfer",
    "with_classes": "transfer",
    "freeze": "transfer",
    "unfreeze": "transfer",
    "load_torch_weights": "convert",
    "torch_state_dict": "convert",
    "to_torch": "convert.to_torch",
    "from_torch": "convert.from_torch.conversion",
    "train": "training.train",
    "RECIPES": "recipes",
    "DATASETS": "data",
    "load_data": "data",
    "load": "saving",
    "save": "saving",
    "Card": "saving",
    "Classifier": "prediction",
    "BadInputError": "errors",
}
__all__ = list(_HOMES)
__version__: str  # computed when it is first used: the metadata of packages cost 20 ms


if "keras" in sys.modules:  # from here on, plain Keras can read each of our .h5 files
    importlib.import_module("kerasnets.graph")
else:  # so that the next `import keras` does not look for TensorFlow where torch alone is installed
    set_default()


def _get(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in {home.split(".")[0] for home in _HOMES.values()}:  # kerasnets.models.MODELS
        return importlib.import_module(f"kerasnets.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'kerasnets' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"kerasnets.{_HOMES[name]}"), name)
    except ImportError as error:
        check_import(error)
        raise


if not TYPE_CHECKING:  # a type checker would take every name for a public one
    __getattr__ = _get


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


def _version() -> str:
    """Return the version of the installed package; "0+unknown" for a source tree that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("kerasnets")
    except metadata.PackageNotFoundError:
        return "0+unknown"
