"""The table: ATen's operator -> the function that gives it as Keras layers.

A function takes the Builder and the operator's own arguments, with their defaults: Values for tensors that depend on
the input, torch.Tensors for parameters and constants. It returns a Value, or a list of them.
"""

from kerasnets.convert.from_torch import (
    activations,
    arithmetic,
    convolutions,
    normalizations,
    pooling,
    products,
    reductions,
    regions,
    reshapes,
    resizing,
)

OPERATORS = {
    **convolutions.OPERATORS,
    **products.OPERATORS,
    **normalizations.OPERATORS,
    **activations.OPERATORS,
    **pooling.OPERATORS,
    **reductions.OPERATORS,
    **arithmetic.OPERATORS,
    **reshapes.OPERATORS,
    **regions.OPERATORS,
    **resizing.OPERATORS,
}

COPIES = ("clone", "_to_copy", "lift_fresh_copy")

# Operators whose result may share its memory with their first argument
VIEWS = (
    *(name for name in reshapes.OPERATORS if name not in COPIES),
    "slice", "select", "chunk", "split", "split_with_sizes", "unbind",
)  # fmt: skip
