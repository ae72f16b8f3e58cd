"""Registers keras.ops.power for the reader of .h5 files, which by itself finds layers alone.

Importing this module is enough. AlexNet's local response normalization needs a power, for which Keras has no layer.
"""

import keras

from kerasnets.graph.walk import producer

# Its class is not public, yet .keras files name it; an operation that was called has it.
Power: type = type(producer(keras.ops.power(keras.KerasTensor((1,)), 2.0)))

keras.saving.get_custom_objects().setdefault("Power", Power)
