"""The graph is walked in the builder's order, weights are not drawn on demand, and Keras still has what this reads."""

import ast
import re
import threading

import numpy as np
import pytest

import kerasnets
from tests.conftest import ROOT

PACKAGE = ROOT / "kerasnets"
PRIVATE = r"\._(keras_history|inbound_nodes|outbound_nodes|initializer|layers)\b|\bglobal_state\b"

# ---- run in the workers ----


def two_branches():
    """A network of two branches whose second is the deeper one, with an operation of keras.ops at the end."""
    import keras
    from keras import layers

    inputs = keras.Input((4, 4, 3), name="input")
    left = layers.Conv2D(2, 1, name="left")(inputs)
    right = layers.Conv2D(2, 3, padding="same", name="right1")(inputs)
    right = layers.Conv2D(2, 1, name="right2")(right)
    joined = layers.Add(name="sum")([left, right])
    return keras.Model(inputs, keras.ops.power(joined, 2.0), name="branched")


def walk():
    """(names of operations; their numbers of inputs; weighted layers; the power's arguments; name of a producer)."""
    from kerasnets.graph import nodes, producer, weighted_layers

    network = two_branches()
    walked = nodes(network)
    last = walked[-1]
    filled = last.fill_in({id(last.input_tensors[0]): "value"})
    return (
        [node.operation.name for node in walked[:-1]],
        [len(node.input_tensors) for node in walked],
        [layer.name for layer in weighted_layers(network)],
        filled,
        [node.is_input for node in walked],
        producer(network.get_layer("right2").output).name,
    )


def private_attributes():
    """{private attribute of Keras: whether it is as graph/walk.py reads it}."""
    import keras
    from keras.src.backend.common import dtypes, global_state

    layer = keras.layers.Dense(2)
    output = layer(keras.Input((3,)))
    operation, node_index, tensor_index = output._keras_history
    node = operation._inbound_nodes[node_index]
    with keras.StatelessScope(initialize_variables=False):
        variable = keras.Variable(initializer="zeros", shape=(2,))
        waiting = global_state.get_global_attribute("uninitialized_variables")
    global_state.set_global_attribute("uninitialized_variables", [])
    return {
        "KerasTensor._keras_history": operation is layer and tensor_index == 0,
        "Operation._inbound_nodes": len(layer._inbound_nodes) == 1,
        "Node.operation": node.operation is layer,
        "Node.input_tensors": len(node.input_tensors) == 1,
        "Node.outputs": node.outputs[0] is output,
        "Node.arguments": len(node.arguments.args) == 1 and node.arguments.kwargs == {},
        "Variable._initializer": isinstance(variable._initializer, keras.initializers.Zeros),
        "uninitialized_variables": len(waiting) == 1 and waiting[0] is variable,
        "BIT64_TO_BIT32_DTYPE": "float64" in dtypes.BIT64_TO_BIT32_DTYPE,
    }


def build_without_drawing(layout):
    """(the values of weights not drawn; of a network that another thread builds meanwhile; of one built afterwards)."""
    from kerasnets.graph import skip_initializers

    elsewhere = []
    with skip_initializers():
        network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3), layout=layout)
        thread = threading.Thread(target=lambda: elsewhere.append(kerasnets.build("fc2layer")))
        thread.start()
        thread.join()
    return constants(network), constants(elsewhere[0]), constants(kerasnets.build("fc2layer"))


def constants(network):
    """{weight: its value, or None if it is not constant}."""
    weights = {variable.path: np.asarray(variable.numpy()) for variable in network.weights}
    return {path: float(w.flat[0]) if (w == w.flat[0]).all() else None for path, w in weights.items()}


def assign_inside():
    """The weights of a network that were assigned while they were not drawn, read inside and after."""
    from kerasnets.graph import skip_initializers

    rng = np.random.default_rng(0)
    with skip_initializers():
        network = kerasnets.build("fc2layer")
        expected = [rng.random(weight.shape, "float32") for weight in network.weights]
        network.set_weights(expected)
        inside = [np.asarray(weight.value) for weight in network.weights]
    return all(map(np.array_equal, expected, inside)), all(map(np.array_equal, expected, network.get_weights()))


def parameters(layout):
    """(weights, PyTorch parameters that are these weights) of a network built while its weights were not drawn."""
    from kerasnets.graph import skip_initializers

    with skip_initializers():
        network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3), layout=layout)
    registered = {id(parameter) for parameter in network.parameters()}
    return len(network.weights), sum(id(weight.value) in registered for weight in network.weights)


def after_an_error():
    """How many variables wait for a value after an exception, and the kernel of a network that is built then."""
    from keras.src.backend.common import global_state

    from kerasnets.graph import skip_initializers

    try:
        with skip_initializers():
            kerasnets.build("fc2layer")
            raise KeyError("stop")
    except KeyError:
        waiting = len(global_state.get_global_attribute("uninitialized_variables"))
    return waiting, constants(kerasnets.build("fc2layer"))["dense1/kernel"]


def types_of_products():
    """The dtypes of float64 with float32 and with a Python number in `keep_float64`, and of two float64 after it."""
    import keras

    from kerasnets.graph import keep_float64

    with keep_float64():
        inside = [keras.backend.result_type("float64", other) for other in ("float32", float)]
    return inside, keras.backend.result_type("float64", "float64")


# ---- tests ----


def test_nodes_come_branch_by_branch_each_after_its_inputs(worker):
    names, inputs, weighted, filled, is_input, name = worker(walk)
    assert names == ["input", "left", "right1", "right2", "sum"]
    assert inputs == [0, 1, 1, 1, 2, 1]
    assert weighted == ["left", "right1", "right2"]
    assert filled == (("value", 2.0), {}) or filled == (("value",), {"x2": 2.0})
    assert is_input == [True] + [False] * 5
    assert name == "right2"


def test_keras_has_the_private_attributes_that_walk_reads(worker):
    """If this fails, Keras has changed: mend kerasnets/graph/walk.py, the only file that reads them."""
    result = worker(private_attributes)
    assert [name for name, is_there in result.items() if not is_there] == []


def test_no_other_file_reads_private_attributes_of_keras():
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "graph/walk.py"}:
        text = path.read_text()
        assert not re.search(PRIVATE, text), path
        for node in ast.walk(ast.parse(text)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(module.startswith("keras.src") for module in modules), path


def test_no_shipped_file_patches_by_mock():
    for path in PACKAGE.rglob("*.py"):
        assert "unittest" not in path.read_text(), path


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_weights_that_are_not_drawn_are_zeros_and_ones_in_this_thread_alone(worker, layout):
    values, elsewhere, afterwards = worker(build_without_drawing, layout)
    assert {path: value for path, value in values.items() if value != 0} == {
        "norm1/gamma": 1.0,
        "norm1/moving_variance": 1.0,
    } | {path: value for path, value in values.items() if "seed" in path}
    for drawn in (elsewhere, afterwards):
        assert [path for path, value in drawn.items() if value is None] == [
            "dense1/kernel",
            "dense2/kernel",
            "logits/kernel",
        ]


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_weights_that_are_not_drawn_are_parameters_of_pytorch(workers, layout):
    weights, registered = workers["torch"](parameters, layout)
    assert registered == weights > 0


def test_weights_that_are_assigned_instead_of_drawn_keep_their_values(worker):
    assert worker(assign_inside) == (True, True)


def test_an_error_leaves_no_weight_waiting(worker):
    assert worker(after_an_error) == (0, None)


@pytest.mark.parametrize(("backend", "after"), [("torch", "float32"), ("jax", "float32"), ("tensorflow", "float64")])
def test_float64_is_kept_on_demand_alone(workers, backend, after):
    assert workers[backend](types_of_products) == (["float64", "float64"], after)
