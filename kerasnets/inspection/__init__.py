"""A network looked into: layer by layer, its weights, one picture on its way through, gradients, one step."""

from kerasnets.runtime.chosen import BACKEND as BACKEND
