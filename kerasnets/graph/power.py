"""Makes the reader of .h5 files know Keras' one operation in our networks: it looks up layers alone by itself.

Importing this is enough. AlexNet's local response normalization raises to a power, for which Keras has no layer.
"""

import keras
from keras.src.ops.numpy import Power  # not public, yet .keras files name it by this very path

keras.saving.get_custom_objects().setdefault("Power", Power)
