"""From pictures to class names and probabilities, by whatever engine runs the model file."""

from kerasnets.prediction.classifier import Classifier, Prediction, Sheet

__all__ = ["Classifier", "Prediction", "Sheet"]
