"""The config of a Keras model, in JSON: code and impossible sizes in it are refused before Keras builds anything."""

import json
import math
import re
import sys
from typing import Any

from kerasnets.errors import BadInputError

MOST_CONFIG = 2**23  # bytes of JSON, which can take 35 times as much memory; DenseNet-201's has 700,000
MOST_LAYERS = 4_000  # DenseNet-201 has 709
MOST_CALLS = 20_000  # of layers, in models within models too
DEEPEST = 60  # lists in lists
MOST_INPUT = 150_000_000  # numbers: 50 million pixels in colour

# Modules that the classes of a config may come from: those of Keras' layers and of their parts.
MODULES = (
    "builtins",
    "keras",
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.losses",
    "keras.metrics",
    "keras.models",
    "keras.ops",
    "keras.optimizers",
    "keras.random",
    "keras.regularizers",
    "keras.src.models.functional",
    "keras.src.models.sequential",
    "keras.src.ops.image",
    "keras.src.ops.linalg",
    "keras.src.ops.math",
    "keras.src.ops.nn",
    "keras.src.ops.numpy",
)
# Classes of Keras' own in other modules; the operations that call a function, as a loop does, are not among them
CLASSES = {
    "keras.quantizers": (
        "AbsMaxQuantizer",
        "Float8QuantizationConfig",
        "Int4QuantizationConfig",
        "Int8QuantizationConfig",
    ),
    "keras.src.applications.convnext": ("LayerScale", "StochasticDepth"),
    "keras.src.applications.inception_resnet_v2": ("CustomScaleLayer",),
    "keras.src.ops.core": (
        "Cast",
        "ConvertToTensor",
        "SaturateCast",
        "Scatter",
        "ScatterUpdate",
        "Slice",
        "SliceUpdate",
        "StopGradient",
        "Unstack",
    ),
}
# Modules that functions may come from. An operation as a function, instead of an activation, could make maps of any
# size, which no shape of a layer tells; Keras itself saves no such function so that it can be loaded.
FUNCTIONS = ("builtins", "keras.activations", "keras.losses", "keras.metrics")
# Classes in these modules that run code from the file, or read other files
CODE = {
    "__lambda__",
    "__typespec__",
    "FeatureSpace",
    "FlaxLayer",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
}


def check(text: str | bytes, version: str = "") -> dict[str, Any]:
    """Return the config in JSON `text`: {"class_name": ..., "config": {...}}.

    Args:
        text: The JSON.
        version: Of the Keras that wrote it. The classes of Keras 2 are never imported, but made anew by their names.

    Raises:
        BadInputError: The config names code, or is larger or deeper than any model's.
        ValueError: The text is not the JSON of a model.
    """
    config = json.loads(text)
    if is_keras_2(version):
        config = without_modules(config)
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError("its config is not a model's")
    if config.get("class_name") not in ("Functional", "Sequential", "Model"):
        problem = f"is of the class {config.get('class_name')!r:.40}, whose code is not in it"
        raise BadInputError(problem, remedy="make it of Keras' layers alone")
    # The settings of the training are not loaded, so they are not checked.
    waiting: list[tuple[object, int]] = [(config | {"compile_config": None}, 0)]
    classes = 0
    while waiting:
        part, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadInputError(f"has a config nested more than {DEEPEST} deep", remedy="train or copy it again")
        if isinstance(part, dict):
            classes += part.get("class_name") not in (None, "__keras_tensor__", "DTypePolicy")
            check_class(part)
            waiting += [(value, depth + 1) for value in part.values()]
        elif isinstance(part, list):
            waiting += [(value, depth + 1) for value in part]
    if classes > 8 * MOST_LAYERS:  # a layer with its initializers, regularizers and constraints
        raise BadInputError(f"has more than {MOST_LAYERS:,} layers", remedy="make it of fewer")
    if calls(config["config"]) > MOST_CALLS:
        raise BadInputError(f"calls its layers more than {MOST_CALLS:,} times", remedy="make it of fewer")
    return config


def version(value: object) -> str:
    """Return the version of Keras as a file has it, or "" if it is none."""
    value = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return value if re.fullmatch(r"[0-9]+(\.[0-9]+)*[-a-z0-9.]{0,12}", value) else ""


def is_keras_2(version: str) -> bool:
    return version.startswith("2.")


def without_modules(part: Any, depth: int = 0) -> Any:
    """Return a config of Keras 2 as that of Keras 3 is nested, and without the modules of its classes."""
    if depth > DEEPEST:
        raise BadInputError(f"has a config nested more than {DEEPEST} deep", remedy="train or copy it again")
    if isinstance(part, list):
        return [without_modules(each, depth + 1) for each in part]
    if not isinstance(part, dict):
        return part
    part = {key: without_modules(value, depth + 1) for key, value in part.items() if key != "module"}
    if part.get("class_name") == "Sequential" and isinstance(part.get("config"), list):  # until Keras 2.2.2
        part["config"] = {"name": "sequential", "layers": part["config"]}
    if part.get("class_name") == "Sequential" and isinstance(part.get("build_config"), dict):
        part["config"].setdefault("build_config", part["build_config"])
    return part


def calls(part: object) -> int:
    """Return how often a model calls its layers: as often as a model in it is called, so often are the layers there."""
    if isinstance(part, list):
        return sum(map(calls, part))
    if not isinstance(part, dict):
        return 0
    if "inbound_nodes" not in part:
        return sum(map(calls, part.values()))
    nodes = part["inbound_nodes"]
    return max(1, len(nodes) if isinstance(nodes, list) else 1) * max(1, calls(part.get("config")))


def check_class(part: dict[str, Any]) -> None:
    """Raise BadInputError if `part`, which may be the config of an object, names code or a class outside of Keras."""
    if "class_name" not in part:
        return
    name, module = part["class_name"], part.get("module")
    if name in CODE or part.get("function_type") == "lambda":
        problem = f"holds {name}, which is code or reads other files, and was not run"
        raise BadInputError(problem, remedy="make it of other layers")
    modules = FUNCTIONS if name == "function" else MODULES
    is_known = not isinstance(module, str) or module in modules or name in CLASSES.get(module, ())
    if not is_known and not is_registered(part):
        name = part.get("config") if name == "function" else name
        problem = f"asks for {name!r:.40} of {module!r:.40}, code that is not in it and was not run"
        raise BadInputError(problem, remedy="make it of Keras' layers")


def is_registered(part: dict[str, Any]) -> bool:
    """Whether the running program has registered the class with Keras."""
    return "keras" in sys.modules and part.get("registered_name") in sys.modules["keras"].saving.get_custom_objects()


def input_shape(config: dict[str, Any]) -> tuple[int, ...]:
    """Return (height, width, channels) or (columns,) of the first input layer; () if a size is open."""
    layers = config.get("layers", ())
    inputs = [layer["config"] for layer in layers if layer["class_name"] == "InputLayer"]
    inputs += [layer["config"] for layer in layers[:1] if layer["config"].get("batch_input_shape")]
    shape: list[int | None] = [None]
    if inputs:
        shape = (inputs[0].get("batch_shape") or inputs[0].get("batch_input_shape"))[1:]
    if math.prod(size or 1 for size in shape) > MOST_INPUT:
        problem = f"takes pictures of {shape!s:.40}, more than any picture has"
        raise BadInputError(problem, remedy="make it for smaller ones")
    closed = tuple(size for size in shape if size is not None)
    return closed if len(closed) == len(shape) else ()
