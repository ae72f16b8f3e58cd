"""A network's graph: its nodes, a copy in another layout, its weights counted and copied."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from kerasnets.graph.layout import (
    TO_LAST,
    Scaling,
    in_full_precision,
    is_full,
    rebuild,
    stays_in_channels_last,
    up_to_probabilities,
)
from kerasnets.graph.power import Power as Power  # from here on plain Keras reads each of our .h5 files
from kerasnets.graph.walk import (
    Node,
    copy_weights,
    has_weights,
    keep_float64,
    node_of,
    nodes,
    producer,
    skip_initializers,
    variables,
    weighted_layers,
)
from kerasnets.graph.weights import count

__all__ = [
    "TO_LAST", "Node", "Scaling", "copy_weights", "count", "has_weights", "in_full_precision",
    "is_full", "keep_float64", "node_of", "nodes", "producer", "rebuild", "skip_initializers", "stays_in_channels_last",
    "up_to_probabilities", "variables", "weighted_layers",
]  # fmt: skip
