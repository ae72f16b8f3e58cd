"""torch_state_dict of layers of one's own: PyTorch's module of the same layers loads it and gives the same numbers."""

from tests.convert.to_torch import cases


def wrong_states():
    import keras
    import numpy as np
    import torch
    from keras import layers
    from torch import nn

    import kerasnets

    eps = {"epsilon": 1e-5, "name": "own"}
    pairs = {
        "norm without scale": (layers.BatchNormalization(scale=False, **eps), nn.BatchNorm2d(4)),
        "norm without center": (layers.BatchNormalization(center=False, **eps), nn.BatchNorm2d(4)),
        "bare norm": (layers.BatchNormalization(center=False, scale=False, **eps), nn.BatchNorm2d(4, affine=False)),
        "depthwise, twice as many": (
            layers.DepthwiseConv2D(3, depth_multiplier=2, name="own"),
            nn.Conv2d(4, 8, 3, groups=4),
        ),
        "grouped": (layers.Conv2D(6, 3, groups=2, name="own"), nn.Conv2d(4, 6, 3, groups=2)),
        "transposed": (layers.Conv2DTranspose(5, 3, name="own"), nn.ConvTranspose2d(4, 5, 3)),
        "slopes": (layers.PReLU(shared_axes=[1, 2], name="own"), nn.PReLU(4)),
        "group norm": (layers.GroupNormalization(2, **eps), nn.GroupNorm(2, 4)),
    }
    wrong = {}
    x = np.random.default_rng(0).standard_normal((2, 7, 9, 4)).astype("float32")
    for name, (layer, module) in pairs.items():
        inputs = keras.Input((7, 9, 4))
        model = keras.Model(inputs, layer(inputs))
        cases.draw(model)
        state = kerasnets.torch_state_dict(model)
        module.load_state_dict({key.removeprefix("own."): tensor for key, tensor in state.items()})
        with torch.no_grad():
            y = module.eval()(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        expected = keras.ops.convert_to_numpy(model(x))
        distance = float(np.abs(y - expected).max() / np.abs(expected).max())
        if not distance < 1e-5:
            wrong[name] = distance
    return wrong


def test_a_module_of_the_same_layers_loads_the_weights(workers):
    assert workers["torch"](wrong_states) == {}


def refused_states():
    import keras
    from keras import layers

    import kerasnets

    class Scale(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(shape[-1],), name="factor")

        def call(self, x):
            return x * self.factor

    messages = []
    for layer in (Scale(name="scale"), keras.Sequential([layers.Dense(2), layers.Dense(2)], name="inner")):
        inputs = keras.Input((3,))
        try:
            kerasnets.torch_state_dict(keras.Model(inputs, layer(inputs)))
        except kerasnets.BadInputError as error:
            messages.append(str(error))
    return messages


def test_a_layer_that_pytorch_may_have_under_other_names_is_refused(workers):
    own, inner = workers["torch"](refused_states)
    assert own.startswith("layer 'scale' is a Scale, which has no translation to PyTorch")
    assert inner.endswith("use kerasnets.to_torch(model).state_dict()")
