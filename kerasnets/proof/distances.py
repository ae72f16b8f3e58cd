"""How far a network is from the reference values of its judge, on the backend of this process.

Run by verification.py in processes that do nothing else: float64 is set for the whole process.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.layers import Conv2D

from kerasnets import models, saving
from kerasnets.graph import keep_float64, producer, rebuild, skip_initializers, variables
from kerasnets.proof.case import SCALING, STEPS, Case

LEARNING_RATE, MOMENTUM = 2**-7, 0.875  # exact in float32, in which some backends keep them
NOISE = 1e-10  # of float64, as a share of the largest gradient: of a bias that a following batch norm cancels


def measure(case: Case, layout: str, trains: bool) -> tuple[dict[str, float], list[str]]:
    """Return (distance of each quantity, names of weights that one step did not move) on this backend.

    Logits are computed in float32. Gradients and steps, if it `trains`, are computed in float64, to the last digits;
    fit_distances.py measures them in float32.
    """
    release_memory()
    images, labels = case.images(), case.labels()
    network = build_with_zeros(case, layout)
    weights = unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network)
    assign(network, weights)
    measured: dict[str, Any] = {
        "logits": logits_of(network, images[0]),
        "training_logits": logits_of(network, images[0], training=True),
    }
    if not trains:
        return distances(network, measured, case.folder), []
    with in_float64():
        network = build_with_zeros(case, layout)
        assign(network, weights)
        measured["gradients"], unmoved = first_step(network, weights, images[0], labels[0])
        for number in range(1, STEPS):
            step(network, images[number], labels[number])
        measured["steps"] = [after - before for before, after in zip(weights, values(network), strict=True)]
    return distances(network, measured, case.folder), unmoved


def save_files(case: Case) -> list[Path]:
    """Save the network, from pixels to probabilities, as .keras and as .h5; return the paths."""
    network = build_with_zeros(case)
    assign(network, unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network))
    model = rebuild(network, scaling=SCALING, probabilities=True)
    card = saving.Card(case.name, tuple("0123456789"), case.options["input_shape"])
    paths = [case.folder / f"{keras.backend.backend()}{suffix}" for suffix in saving.SUFFIXES]
    for path in paths:
        saving.save(model, path, card)
    return paths


def load_files(paths: Sequence[Path], case: Case) -> dict[str, float]:
    """Load the files of another backend; return {suffix: distance of the logits}."""
    pixels = case.pixels()[0]
    far = {}
    for path in paths:
        with skip_initializers():
            network, _ = saving.load(path, logits=True)
        far[path.suffix] = distances(network, {"logits": logits_of(network, pixels)}, case.folder)["logits"]
    return far


# ---- the network of a case ----


def build_with_zeros(case: Case, layout: str = "channels_last") -> keras.Model:
    """Build the network with weights of 0, because the case has its own."""
    with skip_initializers():
        return models.build(case.name, layout=layout, **case.options)


def values(network: keras.Model) -> list[np.ndarray]:
    """Return the weights as arrays, in the order of `variables`, which is the same in either layout."""
    return [keras.ops.convert_to_numpy(variable) for variable in variables(network)]


def assign(network: keras.Model, arrays: Sequence[np.ndarray]) -> None:
    for variable, array in zip(variables(network), arrays, strict=True):
        variable.assign(array)


def release_memory() -> None:
    """Free the compiled functions of earlier networks, which would take gigabytes over the whole registry."""
    keras.utils.clear_session()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()


@contextlib.contextmanager
def in_float64() -> Iterator[None]:
    """Let Keras build and compute in float64, and restore everything."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        with keep_float64(), enable_x64():
            yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def enable_x64() -> contextlib.AbstractContextManager[None]:
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


# ---- logits, gradients and steps ----


def logits_of(network: keras.Model, images: np.ndarray, training: bool = False) -> np.ndarray:
    """Return the logits of the main head. On JAX one compilation replaces one for each operation and shape."""
    if keras.backend.backend() == "jax":
        import jax

        trainable = [variable.value for variable in network.trainable_variables]
        others = [variable.value for variable in network.non_trainable_variables]
        outputs, _ = jax.jit(functools.partial(network.stateless_call, training=training))(trainable, others, images)
    else:
        outputs = network(keras.ops.convert_to_tensor(images), training=training)
    return keras.ops.convert_to_numpy(outputs[0] if isinstance(outputs, (list, tuple)) else outputs)


def first_step(
    network: keras.Model, weights: Sequence[np.ndarray], images: np.ndarray, labels: np.ndarray
) -> tuple[list[np.ndarray], list[str]]:
    """Return the gradient of each weight, and the names of the weights that one step did not move.

    After the first step the velocity is the gradient times -LEARNING_RATE, a power of two, which does not round.
    """
    compile_anew(network)
    step(network, images, labels)
    velocities = map(keras.ops.convert_to_numpy, network.optimizer.momentums)
    gradients = {
        id(weight): v / -LEARNING_RATE for weight, v in zip(network.trainable_weights, velocities, strict=True)
    }
    every = [gradients.get(id(weight), np.zeros(weight.shape)) for weight in variables(network)]
    return every, unmoved_weights(network, weights)


def compile_anew(network: keras.Model) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(LEARNING_RATE, MOMENTUM)
    # TensorFlow's own kernels have no gradient of a convolution in channels_first on a CPU. XLA's do, but are slower.
    in_channels_first = any(layer.name == "channels_first" for layer in network.layers)
    jit_compile = in_channels_first if keras.backend.backend() == "tensorflow" else "auto"
    network.compile(optimizer, [loss] * len(network.outputs), jit_compile=jit_compile)
    with skip_initializers():  # the optimizer's variables
        optimizer.build(network.trainable_variables)


def step(network: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    network.train_on_batch(images, labels if len(network.outputs) == 1 else [labels] * len(network.outputs))


def unmoved_weights(network: keras.Model, before: Sequence[np.ndarray]) -> list[str]:
    """Return the trainable weights that are as `before`, except a convolution's bias that a following norm cancels."""
    norms = (layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization))
    cancelled = {id(source_of(layer.input).bias) for layer in norms if isinstance(source_of(layer.input), Conv2D)}
    return [
        variable.path
        for variable, old, new in zip(variables(network), before, values(network), strict=True)
        if variable.trainable and id(variable) not in cancelled and np.array_equal(old, new)
    ]


def source_of(tensor: keras.KerasTensor) -> Any:
    """Return the layer that gives `tensor`; a Permute, which only moves axes, is skipped."""
    layer = producer(tensor)
    return source_of(layer.input) if isinstance(layer, keras.layers.Permute) else layer


# ---- distances ----


def distances(network: keras.Model, measured: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """Return how far each quantity is from the reference in `folder`: largest difference over largest value.

    Args:
        network: Gives the shapes of its weights.
        measured: quantity -> array, or list of an array for each weight, of which the worst counts.
        folder: Holds <quantity>.npy.
    """
    far = {}
    for quantity, value in measured.items():
        reference = np.load(folder / f"{quantity}.npy", mmap_mode="r")
        if isinstance(value, list):
            far[quantity] = worst_distance(value, unflat(reference, network))
        else:
            far[quantity] = distance(value.ravel(), reference)
    return far


def distance(value: np.ndarray, reference: np.ndarray) -> float:
    return float(np.abs(value - reference).max() / np.abs(reference).max())


def worst_distance(values: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """Return the largest distance of a tensor. If its reference is only noise, its scale is the largest of all."""
    scales = [np.abs(reference).max() for reference in references]
    largest = max(scales)
    far = [
        np.abs(value - reference).max() / (scale if scale > NOISE * largest else largest)
        for value, reference, scale in zip(values, references, scales, strict=True)
    ]
    return float(np.max(far))  # NaN if one is NaN, which Python's max would ignore


def flat(arrays: Any) -> np.ndarray:
    return np.concatenate([np.ravel(array) for array in arrays]) if isinstance(arrays, list) else np.ravel(arrays)


def unflat(vector: np.ndarray, network: keras.Model) -> list[np.ndarray]:
    """Return the parts of `vector` in the shapes of the network's weights, in the order of `variables`."""
    shapes = [variable.shape for variable in variables(network)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]
