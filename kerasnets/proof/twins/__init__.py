"""The networks once more in torch.nn alone, from the papers and listings: the independent judge of those in Keras.

Each takes torch's (n, channels, height, width) and gives logits. Where torchvision has the network, the twin is
torchvision's. A twin has the name of the builder in `kerasnets.models`, in a file of the same name.
"""

import importlib

from kerasnets.models import MODELS


def build(name, **options):
    """Build the twin of the network `name`, a torch.nn.Module; `options` are those of kerasnets.build."""
    return builder_of(name)(**getattr(MODELS[name], "keywords", {}), **options)


def builder_of(name):
    """The function that builds the twin of the network `name`."""
    function = getattr(MODELS[name], "func", MODELS[name])
    twins = importlib.import_module(f"kerasnets.proof.twins.{function.__module__.split('.')[-1]}")
    return getattr(twins, function.__name__)
