"""Transfer learning: the features of a trained network, the network without its head, and with other classes.

`model` is a keras.Model, as `build` and `load` return, or the path of a model file (except in `freeze` and `unfreeze`).
A network from a file scales its pixels itself and keeps that layer here: it takes raw pixels, uint8 0..255.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from kerasnets.transfer.extraction import feature_extractor, features, headless
from kerasnets.transfer.parts import channels_last, check_images, main_output, nameable, open_model
from kerasnets.transfer.retraining import freeze, unfreeze, with_classes

__all__ = ["channels_last", "check_images", "feature_extractor", "features", "freeze", "headless", "main_output",
           "nameable", "open_model", "unfreeze", "with_classes"]  # fmt: skip
