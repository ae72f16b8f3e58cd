"""kerasnets: the classic convolutional networks, defined once with Keras 3, the same on torch, TensorFlow and JAX.

Importing this package loads no framework; a name below does when it is first used and needs one.
"""

import importlib
import sys

# public name -> module of the package that holds it
_HOMES = {
    "build": "models",
    "list_models": "models",
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
__version__ = "0.1.0"


if "keras" in sys.modules:  # plain Keras can read each of our .h5 files from here on
    importlib.import_module("kerasnets.graph")


def __getattr__(name):
    if name in {home.split(".")[0] for home in _HOMES.values()}:  # kerasnets.models.MODELS
        return importlib.import_module(f"kerasnets.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'kerasnets' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kerasnets.{_HOMES[name]}"), name)


def __dir__():
    return sorted([*globals(), *_HOMES])
