"""How far a network lies from the truth that its judge has left, on the backend of this process."""

import contextlib
import functools
import math
from unittest import mock

import keras
import numpy as np
from keras.layers import Conv2D
from keras.src import backend  # not public: see result_type

from kerasnets import models, saving
from kerasnets.graph import rebuild, variables
from kerasnets.graph.weights import drawing_nothing
from kerasnets.proof.case import SCALING, STEPS

LEARNING_RATE, MOMENTUM = 2**-7, 0.875  # float32, which some backends keep them in, has them without rounding
RESULT_TYPE = backend.result_type
NOISE = 1e-10  # of float64, as a share of the largest gradient: of a bias that a following batch norm cancels


def measure(case, layout):
    """Return (distances, names of weights that one step did not move) of the network on this backend.

    The logits are those of float32. Gradients and steps are computed in float64: where float32's rounding takes a ReLU
    from one side of 0 to the other, a gradient jumps, by PyTorch's own hand too, and nothing could be said of it.
    """
    forget()
    images, labels = case.images(), case.labels()
    network = undrawn(case, layout)
    weights = unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network)
    assign(network, weights)
    found = {"logits": logits_of(network, images[0]), "training_logits": logits_of(network, images[0], training=True)}
    with in_float64():
        network = undrawn(case, layout)
        assign(network, weights)
        found["gradients"], unmoved = first_step(network, weights, images[0], labels[0])
        for number in range(1, STEPS):
            step(network, images[number], labels[number])
        found["steps"] = [after - before for before, after in zip(weights, values(network), strict=True)]
    return distances(network, found, case.folder), unmoved


def forget():
    """Let go of what earlier networks were compiled into, which would come to gigabytes over the registry."""
    keras.utils.clear_session()
    if backend.backend() == "jax":
        import jax

        jax.clear_caches()


def undrawn(case, layout="channels_last"):
    """The network with weights of 0, since the case has its own."""
    with drawing_nothing():
        return models.build(case.name, layout=layout, **case.options)


def logits_of(network, images, training=False):
    """The logits of the main head. JAX, which would compile each operation for each shape, compiles them as one."""
    if backend.backend() == "jax":
        import jax

        trainable, others = (
            [v.value for v in network.trainable_variables],
            [v.value for v in network.non_trainable_variables],
        )
        outputs, _ = jax.jit(functools.partial(network.stateless_call, training=training))(trainable, others, images)
    else:
        outputs = network(images, training=training)
    return keras.ops.convert_to_numpy(outputs[0] if isinstance(outputs, (list, tuple)) else outputs)


@contextlib.contextmanager
def in_float64():
    """Let Keras build and compute in float64, and put everything back."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        with contextlib.ExitStack() as stack:
            for module in (backend, backend.common.dtypes):
                stack.enter_context(mock.patch.object(module, "result_type", result_type))
            if backend.backend() == "jax":
                import jax

                stack.enter_context(jax.enable_x64(True))
            yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def result_type(*dtypes):
    """In place of Keras' own, by which a dense layer of float64 multiplies in float32 on torch and JAX."""
    return "float64" if any(str(dtype).endswith("float64") for dtype in dtypes) else RESULT_TYPE(*dtypes)


def first_step(network, weights, images, labels):
    """The gradient of each weight, and the names of those that one step did not move.

    After the first step the velocity is the gradient times -LEARNING_RATE, a power of two, and so without rounding.
    """
    compile_anew(network)
    step(network, images, labels)
    velocities = map(keras.ops.convert_to_numpy, network.optimizer.momentums)
    found = {id(weight): v / -LEARNING_RATE for weight, v in zip(network.trainable_weights, velocities, strict=True)}
    gradients = [found.get(id(weight), np.zeros(weight.shape)) for weight in variables(network)]
    return gradients, unmoved_weights(network, weights)


def compile_anew(network):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(LEARNING_RATE, MOMENTUM)
    # TensorFlow's own kernels know no gradient of a convolution in channels_first on a CPU. XLA's do, and are slower.
    in_channels_first = any(layer.name == "channels_first" for layer in network.layers)
    jit_compile = in_channels_first if backend.backend() == "tensorflow" else "auto"
    with drawing_nothing():  # the optimizer's variables
        network.compile(optimizer, [loss] * len(network.outputs), jit_compile=jit_compile)
        optimizer.build(network.trainable_variables)


def step(network, images, labels):
    network.train_on_batch(images, labels if len(network.outputs) == 1 else [labels] * len(network.outputs))


def unmoved_weights(network, before):
    """Trainable weights that are as `before`, but for a convolution's bias that a following batch norm cancels."""
    norms = (layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization))
    cancelled = {id(maker_of(layer.input).bias) for layer in norms if isinstance(maker_of(layer.input), Conv2D)}
    return [
        variable.path
        for variable, old, new in zip(variables(network), before, values(network), strict=True)
        if variable.trainable and id(variable) not in cancelled and np.array_equal(old, new)
    ]


def maker_of(tensor):
    """The layer that gives `tensor`, seen through what moves its axes."""
    layer = tensor._keras_history.operation
    return maker_of(layer.input) if isinstance(layer, keras.layers.Permute) else layer


def distances(network, found, folder):
    """How far each quantity that was found lies from the truth in `folder`: largest difference over largest value.

    Of gradients and steps, that of the worst tensor.
    """
    far = {}
    for quantity, value in found.items():
        truth = np.load(folder / f"{quantity}.npy", mmap_mode="r")
        is_list = isinstance(value, list)
        far[quantity] = worst_distance(value, unflat(truth, network)) if is_list else distance(value.ravel(), truth)
    return far


def distance(found, truth):
    return float(np.abs(found - truth).max() / np.abs(truth).max())


def worst_distance(found, truth):
    """The largest distance of a tensor. One whose truth is 0, but for noise, is measured by the largest of all."""
    largest = max(np.abs(tensor).max() for tensor in truth)
    scales = (np.abs(tensor).max() for tensor in truth)
    far = [
        np.abs(mine - theirs).max() / (scale if scale > NOISE * largest else largest)
        for mine, theirs, scale in zip(found, truth, scales, strict=True)
    ]
    return float(np.max(far))  # NaN where one is, which Python's max would pass over


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays]) if isinstance(arrays, list) else np.ravel(arrays)


def unflat(vector, network):
    """The parts of `vector` in the shapes of the network's weights, in the order of `variables`."""
    shapes = [variable.shape for variable in variables(network)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]


def values(network):
    """The network's weights as arrays, in the order of `variables`, which is the same in either layout."""
    return [keras.ops.convert_to_numpy(variable) for variable in variables(network)]


def assign(network, arrays):
    for variable, array in zip(variables(network), arrays, strict=True):
        variable.assign(array)


def save_files(case):
    """Save the network, from pixels to probabilities, as .keras and as .h5; return the paths."""
    network = undrawn(case)
    assign(network, unflat(np.load(case.folder / "weights.npy", mmap_mode="r"), network))
    with drawing_nothing():
        model = rebuild(network, scaling=SCALING, probabilities=True)
    card = saving.Card(case.name, tuple("0123456789"), case.options["input_shape"])
    paths = [case.folder / f"{backend.backend()}{suffix}" for suffix in saving.SUFFIXES]
    for path in paths:
        saving.save(model, path, card)
    return paths


def load_files(paths, case):
    """Load what another backend has saved; return {suffix: how far its logits for the pixels lie from the truth}."""
    pixels = case.pixels()[0]
    far = {}
    for path in paths:
        with drawing_nothing():
            network, _ = saving.load(path, logits=True)
        far[path.suffix] = distances(network, {"logits": logits_of(network, pixels)}, case.folder)
    return {suffix: found["logits"] for suffix, found in far.items()}
