"""The inside of a network: its layers and weights, one picture on its way through, gradients, one training step."""

from kerasnets.runtime.chosen import BACKEND as BACKEND
