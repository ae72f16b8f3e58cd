"""Each layer of the tables, with its options, gives in PyTorch what it gives in Keras; what is not known is refused."""

import pytest

from tests.convert.to_torch import cases

# Where the backends differ among themselves: rounding sizes, padding, axes
ON_OTHER_BACKENDS = ("Conv2D same, stride 2, even", "DepthwiseConv2D", "Flatten, norm, dropout",
                     "BatchNormalization without scale", "MaxPooling2D same, even", "operations")  # fmt: skip


def test_every_layer_gives_what_it_gives_in_keras(workers):
    assert workers["torch"](cases.wrong_layers) == {}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_layers_are_translated_on_other_backends(workers, backend):
    assert workers[backend](cases.wrong_layers, ON_OTHER_BACKENDS) == {}


@pytest.mark.whole_registry
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_layer_is_translated_on_other_backends(workers, backend):
    assert workers[backend](cases.wrong_layers) == {}


def activations():
    import keras

    import kerasnets

    wrong = {}
    for name in cases.ACTIVATIONS:
        inputs = keras.Input((8,))
        model = keras.Model(inputs, keras.layers.Dense(8, activation=name)(inputs))
        cases.draw(model)
        distance = cases.apart(model, kerasnets.to_torch(model))
        if not distance < 1e-5:
            wrong[name] = distance
    return wrong


def test_every_activation_gives_what_it_gives_in_keras(workers):
    assert workers["torch"](activations) == {}


def refusals():
    import keras
    from keras import layers, ops

    import kerasnets

    class Doubled(layers.Layer):
        def call(self, x):
            return 2 * x

    class OwnConv2D(layers.Conv2D):
        def call(self, x):
            return super().call(x) + 1

    def shared(x):
        layer = layers.Conv2D(4, 3, strides=2, padding="same", name="shared")
        return layers.Flatten()(layer(x)), layers.Flatten()(layer(layers.ZeroPadding2D(((0, 1), (0, 1)))(x)))

    made = {
        "own layer": Doubled(name="twice"),
        "own subclass": OwnConv2D(2, 3, name="own"),
        "random": layers.RandomFlip(name="flip"),
        "order": lambda x: ops.sort(x, axis=-1),
        "batch": lambda x: ops.mean(x, axis=0, keepdims=True),
        "slopes": layers.PReLU(name="slopes"),
        "two ways": shared,
        "mask": lambda x: layers.LSTM(3, name="lstm")(layers.Reshape((16, 4))(x)),
    }
    messages = {}
    for name, call in made.items():
        inputs = keras.Input((8, 8, 1))
        try:
            kerasnets.to_torch(keras.Model(inputs, call(inputs)))
        except kerasnets.BadInputError as error:
            messages[name] = str(error).partition(",")[0]
    for name, model in {"no model": 1, "no graph": keras.Model()}.items():
        try:
            kerasnets.to_torch(model)
        except ValueError as error:
            messages[name] = str(error)[:50]
    return messages


def test_the_layer_that_has_no_translation_is_named(workers):
    messages = workers["torch"](refusals)
    assert messages["own layer"] == "layer 'twice' is a Doubled"
    assert messages["own subclass"] == "layer 'own' is a OwnConv2D"
    assert messages["random"] == "layer 'flip' is a RandomFlip"
    assert messages["order"].endswith("is a Sort")
    assert "mixes the pictures of a batch" in messages["batch"]
    assert messages["slopes"].startswith("layer 'slopes' has a slope for each pixel")
    assert messages["two ways"] == "layer 'shared' is called in two ways"
    assert messages["mask"] == "layer 'lstm' is a LSTM"
    assert (
        messages["no model"]
        == messages["no graph"]
        == "a keras.Model from inputs to outputs, or its file, is translated, not "[:50]
    )


def text_of(model):
    import kerasnets

    return kerasnets.to_torch(model).source.partition("class ")[2]


def texts_by_name_and_file():
    import kerasnets
    from kerasnets.saving import shipped

    path = shipped.path_of("small_cnn-mnist", shipped.KERAS)
    texts = {text_of("small_cnn-mnist"), text_of(path), text_of(str(path)), text_of(kerasnets.load(path)[0])}
    try:
        kerasnets.to_torch("small_cnn-mnits")
    except kerasnets.BadInputError as error:
        return texts, str(error)


def test_a_file_and_the_name_of_a_shipped_model_are_translated_too(workers):
    texts, message = workers["torch"](texts_by_name_and_file)
    assert len(texts) == 1
    assert message.startswith("unknown model 'small_cnn-mnits'; choose one of: small_cnn-mnist, ")


def wrong_translation():
    """What is said where a table is wrong: of an activation in the middle of a network, and behind a softmax."""
    import keras
    from keras import layers

    import kerasnets
    from kerasnets.convert.to_torch import activations as table

    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="first")(inputs)
    x = layers.Activation("silu", name="second")(x)
    x = layers.Flatten(name="third")(x)
    model = keras.Model(inputs, layers.Dense(3, name="last")(x))
    leveled = keras.Model(inputs, layers.Dense(3, activation="softmax", name="last")(x))
    cases.draw(model)
    leveled.set_weights([100 * weight for weight in leveled.get_weights()])
    before, messages = table.FUNCTIONS[keras.activations.silu], []
    for text in ("{0} * torch.tanh({0})", "F.silu({0}) * 1.01"):
        table.FUNCTIONS[keras.activations.silu] = text
        for network in (model, leveled):
            try:
                kerasnets.to_torch(network)
                messages.append("taken")
            except kerasnets.BadInputError as error:
                messages.append(str(error))
    table.FUNCTIONS[keras.activations.silu] = before
    return messages


def test_a_wrong_translation_is_not_returned_and_its_first_layer_is_named(workers):
    messages = workers["torch"](wrong_translation)
    assert len(messages) == 4
    assert all("differs from Keras by" in message and "'second' (Activation)" in message for message in messages), (
        messages
    )


def several_calls():
    """Shared layers, models in models, several inputs and outputs."""
    import keras
    import numpy as np
    import torch
    from keras import layers

    import kerasnets

    part = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()], name="tower")
    left, right, row = (
        keras.Input((8, 8, 3), name="left"),
        keras.Input((8, 8, 3), name="right"),
        keras.Input((5,), name="row"),
    )
    joined = layers.Concatenate()([part(left), part(right)])
    dense = layers.Dense(5, name="same")
    y = layers.Add()([dense(dense(row)), layers.Dense(5)(layers.Flatten()(joined))])
    model = keras.Model([left, right, row], {"maps": joined, "scores": y, 'odd "name"\n': dense(y)})
    cases.draw(model)
    module = kerasnets.to_torch(model)
    rng = np.random.default_rng(1)
    values = [rng.standard_normal((2, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    expected = model(values)
    with torch.no_grad():
        results = module(*(torch.from_numpy(np.ascontiguousarray(cases.to_first(x, ""))) for x in values))
    distances = [
        float(np.abs(results[key].numpy() - cases.to_first(keras.ops.convert_to_numpy(value), "")).max())
        for key, value in expected.items()
    ]
    return list(results), max(distances), sorted(name for name, _ in module.named_children()), module.source


def test_shared_layers_inner_models_and_several_inputs_are_kept(workers):
    keys, distance, names, source = workers["torch"](several_calls)
    assert keys == ["maps", "scores", 'odd "name"\n']
    assert distance < 1e-4
    assert names == ["dense", "same", "tower"]
    assert "def forward(self, left, right, row):" in source
    assert source.count("self.tower(") == 2
