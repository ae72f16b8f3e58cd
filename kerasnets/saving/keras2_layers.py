"""Layers and operations of Keras 2 made anew by Keras 3, from names and plain settings alone."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from kerasnets.errors import BadInputError
from kerasnets.saving.keras_config import CODE

TAKE = "open it in the TensorFlow that made it, and save it by tf_keras or export it as ONNX"

# (layer, setting of Keras 2) -> setting of Keras 3
RENAMED = {("LeakyReLU", "alpha"): "negative_slope", ("ThresholdedReLU", "theta"): "threshold"}
# Settings that have no effect on what a trained network computes
NO_EFFECT = {
    "name", "trainable", "batch_input_shape", "dtype", "implementation", "ragged", "sparse", "time_major",
    "experimental_run_tf_function", "adjustment", "fused", "renorm_momentum", "reset_after", "unit_forget_bias",
    "input_dim", "input_length",
}  # fmt: skip
CLASSES = {"ThresholdedReLU": "ReLU"}  # Keras 2's name -> Keras 3's

# Functions of TensorFlow that a Keras 2 graph may call: the first argument, and others by TensorFlow's names
OPERATIONS: dict[str, Callable[..., Any]] = {
    "__operators__.add": lambda x, y: ops.add(x, y),
    "math.add": lambda x, y: ops.add(x, y),
    "math.subtract": lambda x, y: ops.subtract(x, y),
    "math.multiply": lambda x, y: ops.multiply(x, y),
    "math.truediv": lambda x, y: ops.divide(x, y),
    "math.divide": lambda x, y: ops.divide(x, y),
    "math.pow": lambda x, y: ops.power(x, y),
    "math.maximum": lambda x, y: ops.maximum(x, y),
    "math.minimum": lambda x, y: ops.minimum(x, y),
    "math.negative": ops.negative,
    "math.square": ops.square,
    "math.sqrt": ops.sqrt,
    "math.rsqrt": ops.rsqrt,
    "math.exp": ops.exp,
    "math.log": ops.log,
    "math.abs": ops.abs,
    "math.tanh": ops.tanh,
    "nn.tanh": ops.tanh,
    "math.sigmoid": ops.sigmoid,
    "nn.sigmoid": ops.sigmoid,
    "nn.relu": ops.relu,
    "nn.relu6": ops.relu6,
    "nn.elu": ops.elu,
    "nn.selu": ops.selu,
    "nn.silu": ops.silu,
    "nn.swish": ops.silu,
    "nn.gelu": lambda x, approximate=False: ops.gelu(x, approximate),
    "nn.leaky_relu": lambda x, alpha=0.2: ops.leaky_relu(x, alpha),
    "nn.softmax": lambda x, axis=-1: ops.softmax(x, -1 if axis is None else axis),
    "nn.log_softmax": lambda x, axis=-1: ops.log_softmax(x, -1 if axis is None else axis),
    "math.log_softmax": lambda x, axis=-1: ops.log_softmax(x, -1 if axis is None else axis),
    "nn.bias_add": lambda x, bias, data_format=None: ops.add(x, bias),
    "math.reduce_mean": lambda x, axis=None, keepdims=False: ops.mean(x, axis, keepdims),
    "math.reduce_sum": lambda x, axis=None, keepdims=False: ops.sum(x, axis, keepdims),
    "math.reduce_max": lambda x, axis=None, keepdims=False: ops.max(x, axis, keepdims),
    "reshape": lambda x, shape: ops.reshape(x, shape),
    "transpose": lambda x, perm: ops.transpose(x, perm),
    "expand_dims": lambda x, axis: ops.expand_dims(x, axis),
    "squeeze": lambda x, axis=None: ops.squeeze(x, axis),
    "concat": lambda values, axis: ops.concatenate(values, axis),
    "stack": lambda values, axis=0: ops.stack(values, axis),
    "reverse": lambda x, axis: ops.flip(x, axis),
    "clip_by_value": lambda x, clip_value_min, clip_value_max: ops.clip(x, clip_value_min, clip_value_max),
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "identity": lambda x: x,
    "__operators__.getitem": lambda x, slice_spec: item(x, [index_of(each) for each in slice_spec]),
}


def layer_of(entry: dict[str, Any]) -> Callable[..., Any]:
    """Return the layer, or the function, of one entry of a config.

    Raises:
        BadInputError: Keras 3 has no such layer, or not with these settings.
    """
    name, config = entry["class_name"], entry["config"]
    if name in ("TFOpLambda", "SlicingOpLambda"):
        return operation_of(str(config["function"]))
    kind = getattr(layers, CLASSES.get(name, str(name)), None)
    if name in CODE or not (isinstance(kind, type) and issubclass(kind, keras.Layer)):
        raise BadInputError(f"has a layer of the class {name!r:.40}, which Keras 3 does not have", remedy=TAKE)
    layer: keras.Layer = kind(**settings_of(kind, str(name), config))
    layer.trainable = bool(config.get("trainable", True))
    return layer


def operation_of(function: str) -> Callable[..., Any]:
    if function not in OPERATIONS:
        raise BadInputError(f"calls tf.{function:.40}, for which there is no translation", remedy=TAKE)
    return OPERATIONS[function]


def settings_of(kind: type, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a Keras 3 layer for the settings of Keras 2."""
    known = set(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]
    settings: dict[str, Any] = {}
    for key, value in config.items():
        key = RENAMED.get((name, key), key)
        if key in NO_EFFECT or key.endswith(("_initializer", "_constraint")) or key == "activity_regularizer":
            continue  # the weights are in the file
        if key not in known:
            if value and not (key == "groups" and value == 1):
                problem = f"has a {name:.40} with {key[:30]}={value!r:.30}, which Keras 3 does not have"
                raise BadInputError(problem, remedy=TAKE)
            continue
        settings[key] = setting_of(key, value)
    settings["name"] = str(config["name"]).replace("/", "_")
    return settings


def setting_of(key: str, value: Any) -> Any:
    """Return one argument; objects are made of their names and numbers alone."""
    if key.endswith("activation"):
        return activation_of(value)
    if key.endswith("_regularizer"):
        return regularizer_of(value)
    if key in ("layer", "backward_layer") and value:
        return layer_of(value)
    if key == "axis" and isinstance(value, (list, tuple)) and len(value) == 1:
        return value[0]
    return plain(value)


def plain(value: Any) -> Any:
    """Return a value of numbers, text and lists; an array of NumPy as lists; None for another object."""
    if isinstance(value, dict):
        inner = value.get("config") if value.get("class_name") in ("__numpy__", "__tuple__", "TensorShape") else None
        return plain(inner.get("value")) if isinstance(inner, dict) else None
    return [plain(each) for each in value] if isinstance(value, list) else value


def activation_of(value: Any) -> Any:
    """Return an activation by its name, or the layer that serves as one."""
    if isinstance(value, dict) and value.get("class_name") not in ("function", None):
        return layer_of(value)
    name = value.get("config") if isinstance(value, dict) else value
    if name is None:
        return None
    name = str(name).removesuffix("_v2")  # softmax_v2, of tf.nn.softmax
    if not hasattr(keras.activations, name) or name in ("get", "serialize", "deserialize"):
        raise BadInputError(f"has an activation {name!r:.40} of its author's own", remedy=TAKE)
    return name


def regularizer_of(value: Any) -> Any:
    """Return a regularizer by its two numbers; none if it is no sum of L1 and L2."""
    numbers = value.get("config") if isinstance(value, dict) else None
    if not isinstance(numbers, dict):
        return None
    parts = [numbers.get(name) for name in ("l1", "l2")]
    l1, l2 = (float(part) if isinstance(part, (int, float)) else 0.0 for part in parts)
    return keras.regularizers.L1L2(l1, l2) if l1 or l2 else None


def item(x: Any, index: list[Any]) -> Any:
    """Return x[index]; a whole axis turned round is a flip, because Keras has no negative steps on torch."""
    axes = index_axes(index, len(x.shape))
    turned = [axis for axis, each in axes if isinstance(each, slice) and each == slice(None, None, -1)]
    x = ops.flip(x, turned) if turned else x
    rest = [slice(None) if isinstance(each, slice) and each == slice(None, None, -1) else each for each in index]
    is_whole = all(each is Ellipsis or each == slice(None) for each in rest)
    return x if is_whole else x[tuple(rest)]


def index_axes(index: list[Any], rank: int) -> list[tuple[int, Any]]:
    """Return (axis, part of the index) of the parts before and after an ellipsis."""
    before = index.index(Ellipsis) if Ellipsis in index else len(index)
    after = len(index) - before - 1
    return [*enumerate(index[:before]), *((rank - after + i, each) for i, each in enumerate(index[before + 1 :]))]


def index_of(spec: Any) -> Any:
    """Return one index of x[...], as Keras 2 wrote it."""
    if isinstance(spec, dict) and "start" in spec:
        return slice(spec["start"], spec["stop"], spec["step"])
    if isinstance(spec, dict) and spec.get("class_name") == "__ellipsis__":
        return Ellipsis
    return spec if isinstance(spec, int) else None
