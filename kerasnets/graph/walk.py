"""The graph of a network walked: the one place that touches Keras' private attributes."""


def weighted_layers(network):
    """The layers that hold weights, as their builder names them: one branch after the other, first to last.

    Keras' own order, by depth in the graph, changes with the layout, where a Permute stands in a branch.
    """
    return [node.operation for node in nodes(network) if has_weights(node.operation)]


def copy_weights(source, target):
    """Give `target` the weights of `source`, whose layers have the same names, in whatever layout."""
    for layer in weighted_layers(source):
        target.get_layer(layer.name).set_weights(layer.get_weights())


def variables(network):
    """The weights of `network` in the order of `weighted_layers`."""
    return [variable for layer in weighted_layers(network) for variable in layer.weights]


def has_weights(operation):
    return bool(getattr(operation, "weights", None))


def nodes(network):
    """The nodes of the graph, each after those that it needs; branches in the order in which their end joins them."""
    done, waiting = {}, list(reversed(network.outputs))
    while waiting:
        node = node_of(waiting[-1])
        needed = next((tensor for tensor in node.input_tensors if id(node_of(tensor)) not in done), None)
        if needed is None:
            done[id(node)] = node
            waiting.pop()
        else:
            waiting.append(needed)
    return list(done.values())


def node_of(tensor):
    """The node of the graph that gives a symbolic tensor."""
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]
