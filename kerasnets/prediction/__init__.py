"""From pictures to class names and probabilities, with any engine that runs the model file."""

from kerasnets.prediction.answers import Prediction, Sheet
from kerasnets.prediction.classifier import Classifier

__all__ = ["Classifier", "Prediction", "Sheet"]
