"""Mixed precision and compiled steps learn the same as a float32 training, and leave no trace in a file."""

import dataclasses
from unittest import mock

import numpy as np
import pytest

from kerasnets.recipes import Recipe

RECIPE = Recipe(
    "mnist_cnn", "drawn", mean=0.5, std=0.25, optimizer="sgd", learning_rate=0.05, momentum=0.9, batch_size=8, epochs=2,
    validation=0, goal=None,
)  # fmt: skip
BFLOAT16 = 2.0**-8  # what it rounds to, relative: eight bits


def network(drops=False):
    """Convolution, batch normalization, perhaps dropout, a dense layer: small, because compilation takes time."""
    import keras
    from keras import layers

    inputs = x = keras.Input((12, 12, 1))
    x = layers.Conv2D(16, 3, activation="relu", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Dropout(0.5, name="dropout")(x) if drops else x
    x = layers.Dense(3, name="logits")(layers.Flatten(name="to_row")(x))
    return keras.Model(inputs, x, name="small")


def learn(drops=False, count=20, **changes):
    """(logits, losses, kinds of the weights, whether the output is float32) after two epochs of three steps."""
    import keras

    from kerasnets.training.train import trainee_of

    keras.utils.set_random_seed(0)
    recipe = dataclasses.replace(RECIPE, **changes)
    rng = np.random.default_rng(0)
    start = network(drops)
    for variable in start.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    trainee = trainee_of(start, recipe, recipe.scaling, 3)
    pixels, labels = rng.integers(0, 256, (count, 12, 12, 1), np.uint8), rng.integers(0, 3, count)
    history = trainee.fit(pixels, labels, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    logits = trainee.predict(pixels, verbose=0)
    kinds = {str(variable.dtype) for variable in trainee.trainable_variables}
    return logits, np.array(history["loss"]), kinds, is_compiled(trainee)


def is_compiled(trainee):
    import keras

    if keras.backend.backend() == "torch":
        return hasattr(trainee.forward_pass, "_torchdynamo_orig_callable")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with mock.patch.object(tf, "function", wraps=tf.function) as made:
            trainee.make_train_function(force=True)
        return any(call.kwargs.get("jit_compile") for call in made.mock_calls)
    return bool(trainee.jit_compile)


def test_bfloat16_stays_within_its_rounding_and_keeps_float32_weights(worker):
    logits, losses, kinds, _ = worker(learn)
    mixed, its_losses, its_kinds, _ = worker(in_bfloat16)
    assert kinds == its_kinds == {"float32"}
    assert mixed.dtype == np.float32
    difference = abs(mixed - logits).max() / abs(logits).max()
    assert BFLOAT16 / 64 < difference < 8 * BFLOAT16  # it was used, and six steps add up
    np.testing.assert_allclose(its_losses, losses, rtol=8 * BFLOAT16)


def in_bfloat16():
    return learn(precision="mixed_bfloat16")


def test_a_compiled_step_learns_the_same(worker):
    logits, losses, _, _ = worker(learn)
    compiled, its_losses, _, it_was = worker(count_programs)
    assert it_was
    np.testing.assert_allclose(compiled, logits, rtol=0, atol=1e-4 * abs(logits).max())
    np.testing.assert_allclose(its_losses, losses, rtol=1e-4)


def count_programs():
    return learn(compiled=True)


@pytest.mark.all_faults
def test_a_compiled_training_does_not_depend_on_what_was_compiled_before(workers):
    """The first training of a process has batches of 8 and 4, the one between two equal ones of 8 and 5."""
    first, _, again = workers["torch"](compile_three)
    np.testing.assert_equal(again, first)


def compile_three():
    return [learn(drops=True, count=count, compiled=True)[:2] for count in (20, 21, 20)]


def test_bfloat16_and_compilation_work_together(worker):
    logits, losses, _, _ = worker(learn)
    mixed, its_losses, its_kinds, it_was = worker(both)
    assert it_was
    assert its_kinds == {"float32"}
    assert abs(mixed - logits).max() < 8 * BFLOAT16 * abs(logits).max()
    np.testing.assert_allclose(its_losses, losses, rtol=8 * BFLOAT16)


def both():
    return learn(precision="mixed_bfloat16", compiled=True)


def test_without_a_gpu_a_compiled_training_does_not_mention_cuda(workers):
    """The warning of PyTorch if it finds CUDA's files but no GPU when it searches for a compiler."""
    assert workers["torch"](warnings_of) == ["of something else"]


def warnings_of():
    import logging

    from torch.utils import cpp_extension

    from kerasnets.training.train import trainee_of

    trainee_of(network(), dataclasses.replace(RECIPE, compiled=True), RECIPE.scaling, 3)
    messages = []
    catcher = logging.Handler()
    catcher.emit = lambda record: messages.append(record.getMessage())
    cpp_extension.logger.addHandler(catcher)
    try:
        with mock.patch.dict("os.environ", CUDA_HOME="/usr/local"), mock.patch("torch.cuda.is_available", bool):
            cpp_extension._find_cuda_home()
        cpp_extension.logger.warning("of something else")
    finally:
        cpp_extension.logger.removeHandler(catcher)
    return messages
