"""A network's graph: walked, rebuilt in another layout, its weights counted and copied."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from kerasnets.graph.layout import TO_LAST, rebuild, stays_in_channels_last, up_to_probabilities
from kerasnets.graph.power import Power as Power  # plain Keras then reads each of our .h5 files
from kerasnets.graph.walk import copy_weights, has_weights, node_of, nodes, variables, weighted_layers
from kerasnets.graph.weights import count, drawing_nothing

__all__ = ["TO_LAST", "copy_weights", "count", "drawing_nothing", "has_weights", "node_of", "nodes", "rebuild",
           "stays_in_channels_last", "up_to_probabilities", "variables", "weighted_layers"]  # fmt: skip
