"""The graph of a network, node by node, and all else that Keras keeps in private attributes.

No other file of the package reads them. `tests/graph/test_walk.py` fails on a Keras that has changed one.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import initializers
from keras.src.backend.common import dtypes, global_state


@dataclass(frozen=True, eq=False)
class Node:
    """One call of an operation: a layer, or a function of keras.ops."""

    operation: keras.Operation
    input_tensors: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    args: tuple[Any, ...]  # of the call; symbolic tensors among them
    kwargs: dict[str, Any]

    @property
    def is_input(self) -> bool:
        return not self.input_tensors

    def fill_in(self, values: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) with each symbolic tensor replaced by `values[id(tensor)]`."""

        def value(argument: Any) -> Any:
            return values[id(argument)] if isinstance(argument, keras.KerasTensor) else argument

        return keras.tree.map_structure(value, (self.args, self.kwargs))


def nodes(network: keras.Model) -> list[Node]:
    """Return the nodes of the graph, each after the nodes that it needs; branches in the order in which they join."""
    done: dict[int, Any] = {}
    waiting = list(reversed(network.outputs))
    while waiting:
        node = _node(waiting[-1])
        needed = next((tensor for tensor in node.input_tensors if id(_node(tensor)) not in done), None)
        if needed is None:
            done[id(node)] = node
            waiting.pop()
        else:
            waiting.append(needed)
    return list(map(_copy, done.values()))


def node_of(tensor: keras.KerasTensor) -> Node:
    """Return the node that gives a symbolic tensor."""
    return _copy(_node(tensor))


def producer(tensor: keras.KerasTensor) -> Any:
    """Return the operation, mostly a layer, that gives a symbolic tensor."""
    return _node(tensor).operation


def weighted_layers(network: keras.Model) -> list[keras.Layer]:
    """Return the layers that hold weights in the builder's order: one branch after the other, first to last.

    Keras' own order, by depth in the graph, depends on the layout: in channels_first a branch may have a Permute more.
    """
    return [node.operation for node in nodes(network) if has_weights(node.operation)]


def variables(network: keras.Model) -> list[keras.Variable]:
    """Return the weights of `network` in the order of `weighted_layers`."""
    return [variable for layer in weighted_layers(network) for variable in layer.weights]


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give `target` the weights of `source`, whose layers have the same names, in either layout."""
    for layer in weighted_layers(source):
        target.get_layer(layer.name).set_weights(layer.get_weights())


def has_weights(operation: keras.Operation) -> bool:
    return bool(getattr(operation, "weights", None))


# ---- initial weights that are not drawn ----

STATE = 2  # numbers in the state of a random generator, which no file holds and which are not counted
DRAWN = (initializers.VarianceScaling, initializers.RandomNormal, initializers.Zeros)  # replaced by zeros


@contextlib.contextmanager
def skip_initializers(most: int | None = None) -> Iterator["PendingVariables"]:
    """Fill the weights of the networks that this thread builds with zeros and ones from NumPy.

    JAX takes seconds to draw the initial weights of a deep network, and as long to fill them with a constant, because
    it compiles for each shape. Keras delays the first values of variables that are made in a StatelessScope; here their
    initializers are replaced before they run. Inside the `with` the weights take no memory, and none at all if an
    exception ends it. Only the networks of this thread are affected.

    Args:
        most: How many numbers the weights may hold; ValueError is raised at the layer that would have more. The
            `numbers` of what the `with` gives tell whether that was the reason.
    """
    before = _pending_variables()
    if isinstance(before, PendingVariables):
        yield before
        return
    pending = PendingVariables(most)
    global_state.set_global_attribute("uninitialized_variables", pending)
    with keras.StatelessScope() as scope:
        try:
            yield pending
        except BaseException:
            pending.clear()
            raise
        for variable in pending:
            value = scope.get_current_value(variable)
            if value is not None:  # assigned inside the `with`, as by `load_model`
                variable._initializer = _constant(value)
    for network in pending.networks:
        register_parameters(network)


def register_parameters(network: keras.Model) -> None:
    """Make the weights of a network built in `skip_initializers` parameters of PyTorch, as Keras does on torch.

    In a StatelessScope Keras leaves it out, and PyTorch's exporter would refuse the weights as constants. Called inside
    of the `with`, it is done when the weights have their values, at its end.
    """
    pending = _pending_variables()
    if isinstance(pending, PendingVariables):
        pending.networks.append(network)
    elif keras.backend.backend() == "torch":
        for layer in (*network.layers, network):
            layer.torch_params  # noqa: B018  registers them when it is first read


class PendingVariables(list[keras.Variable]):
    """The variables that wait for their first value: Keras appends each, and here it gets another initializer."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most = most
        self.numbers = 0  # in all variables
        self.networks: list[keras.Model] = []  # whose parameters are registered at the end

    def append(self, variable: keras.Variable) -> None:
        size = math.prod(variable.shape)
        self.numbers += size if size > STATE else 0
        if self.most is not None and self.numbers > self.most:
            raise ValueError(f"more than {self.most:,} weights")
        initializer = variable._initializer
        if isinstance(initializer, DRAWN):
            variable._initializer = _zeros
        elif isinstance(initializer, initializers.Ones):
            variable._initializer = _ones
        super().append(variable)


def _pending_variables() -> object:
    return global_state.get_global_attribute("uninitialized_variables")


def _zeros(shape: tuple[int, ...], dtype: str | None = None) -> Any:
    return keras.ops.convert_to_tensor(np.zeros(shape, dtype or keras.config.floatx()))


def _ones(shape: tuple[int, ...], dtype: str | None = None) -> Any:
    return keras.ops.convert_to_tensor(np.ones(shape, dtype or keras.config.floatx()))


def _constant(value: Any) -> Callable[..., Any]:
    return lambda shape, dtype=None: value


# ---- float64 ----


@contextlib.contextmanager
def keep_float64() -> Iterator[None]:
    """Let products of float64 be float64 in this process: by Keras' rule they are float32 on torch and JAX.

    It changes a table of Keras for all threads, so the process should do nothing else at that time.
    """
    table = dtypes.BIT64_TO_BIT32_DTYPE
    before = table["float64"]
    table["float64"] = "float64"
    try:
        yield
    finally:
        table["float64"] = before


# ---- Keras' own nodes ----


def _node(tensor: keras.KerasTensor) -> Any:
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def _copy(node: Any) -> Node:
    arguments = node.arguments
    return Node(node.operation, tuple(node.input_tensors), tuple(node.outputs), arguments.args, arguments.kwargs)
