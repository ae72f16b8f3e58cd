"""Small networks, one for each layer with its options, and what runs both sides. Imported in workers."""

import numpy as np

PICTURE, ODD, ROW, SEQUENCE = (8, 10, 4), (9, 11, 4), (6,), (9, 4)


def layers():
    """{name: (input shape, function from tensor to tensor)}"""
    from keras import layers as L
    from keras import ops

    def chain(*made):
        def call(x):
            for layer in made:
                x = layer(x)
            return x

        return call

    return {
        "Conv2D": (PICTURE, L.Conv2D(3, 3)),
        "Conv2D same": (PICTURE, L.Conv2D(3, (3, 5), padding="same", activation="relu")),
        "Conv2D same, stride 2, even": (PICTURE, L.Conv2D(3, 3, strides=2, padding="same")),
        "Conv2D same, stride 2, odd": (ODD, L.Conv2D(3, 3, strides=2, padding="same", use_bias=False)),
        "Conv2D same, even kernel": (PICTURE, L.Conv2D(3, (2, 4), padding="same")),
        "Conv2D same, dilated": (ODD, L.Conv2D(3, 3, padding="same", dilation_rate=(2, 1))),
        "Conv2D grouped": (PICTURE, L.Conv2D(6, 3, groups=2, activation="gelu")),
        "Conv2D channels_first": ((4, 8, 10), chain(L.Conv2D(3, 3, data_format="channels_first", strides=2))),
        "Conv1D causal": (SEQUENCE, L.Conv1D(3, 3, padding="causal", dilation_rate=2)),
        "Conv1D same, stride 2": ((10, 4), L.Conv1D(3, 4, strides=2, padding="same")),
        "Conv3D": ((5, 6, 7, 2), L.Conv3D(3, 3, padding="same", strides=(1, 2, 2))),
        "Conv2DTranspose valid": (PICTURE, L.Conv2DTranspose(3, 3, strides=2)),
        "Conv2DTranspose same": (PICTURE, L.Conv2DTranspose(3, 4, strides=2, padding="same")),
        "Conv2DTranspose stride above kernel": (PICTURE, L.Conv2DTranspose(3, 2, strides=3)),
        "DepthwiseConv2D": (PICTURE, L.DepthwiseConv2D(3, padding="same", strides=2, depth_multiplier=2)),
        "DepthwiseConv1D": (SEQUENCE, L.DepthwiseConv1D(3, use_bias=False)),
        "SeparableConv2D": (PICTURE, L.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, activation="relu")),
        "SeparableConv1D": (SEQUENCE, L.SeparableConv1D(5, 3)),
        "padded Conv2D": (PICTURE, chain(L.ZeroPadding2D((1, 2)), L.Conv2D(3, 3, strides=2))),
        "padded at the end": (PICTURE, chain(L.ZeroPadding2D(((0, 1), (2, 1))), L.Conv2D(3, 3, strides=2))),
        "Dense": (ROW, L.Dense(4, use_bias=False)),
        "Dense square": (ROW, L.Dense(6, activation="tanh")),
        "Dense of pixels": (PICTURE, chain(L.Dense(5), L.Conv2D(3, 3))),
        "Embedding": ((7,), chain(L.Embedding(11, 5), L.GlobalAveragePooling1D(), L.Dense(3))),
        "Flatten": (PICTURE, chain(L.Flatten(), L.Dense(3))),
        "Flatten, norm, dropout": (
            PICTURE,
            chain(L.Flatten(), L.BatchNormalization(), L.Dropout(0.5), L.ReLU(), L.Dense(3)),
        ),
        "Flatten alone": (PICTURE, chain(L.ReLU(), L.Flatten())),
        "Flatten, softmax": (PICTURE, chain(L.Flatten(), L.Softmax(), L.Dense(2))),
        "Flatten, layer norm": (PICTURE, chain(L.Flatten(), L.LayerNormalization(), L.Dense(2))),
        "Flatten channels_first": (
            (3, 8, 10),
            chain(L.Conv2D(4, 3, data_format="channels_first"), L.Flatten(data_format="channels_first"), L.Dense(3)),
        ),
        "Flatten of two, joined": (
            PICTURE,
            lambda x: L.Dense(3)(L.Concatenate()([L.Flatten()(x), L.Flatten()(L.MaxPooling2D()(x))])),
        ),
        "Flatten, added to itself": (
            PICTURE,
            lambda x: (lambda y: L.Dense(3)(L.Add()([y, L.ReLU()(y)])))(L.Flatten()(x)),
        ),
        "Reshape to a sequence": (PICTURE, chain(L.Conv2D(6, 3), L.Reshape((48, 6)), L.Conv1D(3, 3))),
        "Reshape of pixels": (PICTURE, chain(L.Reshape((4, 20, 4)), L.Conv2D(3, 3))),
        "Reshape mixing": (PICTURE, chain(L.Reshape((16, 5, 4)), L.Reshape((20, 16)), L.Dense(3))),
        "Reshape of unknown": (PICTURE, chain(L.Reshape((-1, 8)), L.Dense(3))),
        "squeeze and excite": (
            PICTURE,
            lambda x: L.Multiply()(
                [x, L.Dense(4, activation="sigmoid")(L.Reshape((1, 1, 4))(L.GlobalAveragePooling2D()(x)))]
            ),
        ),
        "Permute": (PICTURE, chain(L.Permute((3, 1, 2)), L.Flatten(), L.Dense(3))),
        "Permute of sides": (PICTURE, chain(L.Permute((2, 1, 3)), L.Conv2D(3, (3, 1)))),
        "RepeatVector": (ROW, chain(L.RepeatVector(3), L.Dense(2))),
        "ZeroPadding1D": (SEQUENCE, L.ZeroPadding1D((1, 2))),
        "ZeroPadding2D": (PICTURE, L.ZeroPadding2D(((1, 2), (3, 0)))),
        "Cropping2D": (PICTURE, L.Cropping2D(((1, 0), (2, 3)))),
        "UpSampling2D": (PICTURE, L.UpSampling2D((2, 3))),
        "UpSampling2D bilinear": (PICTURE, L.UpSampling2D(2, interpolation="bilinear")),
        "UpSampling1D": (SEQUENCE, L.UpSampling1D(2)),
        "BatchNormalization": (PICTURE, L.BatchNormalization(epsilon=1e-2, momentum=0.8)),
        "BatchNormalization without scale": (PICTURE, L.BatchNormalization(scale=False)),
        "BatchNormalization without center": (PICTURE, L.BatchNormalization(center=False)),
        "BatchNormalization bare": (PICTURE, L.BatchNormalization(center=False, scale=False)),
        "BatchNormalization of rows": (ROW, L.BatchNormalization()),
        "BatchNormalization of sequences": (SEQUENCE, L.BatchNormalization()),
        "BatchNormalization channels_first": ((4, 8, 10), L.BatchNormalization(axis=1)),
        "LayerNormalization": (PICTURE, L.LayerNormalization(epsilon=1e-2)),
        "LayerNormalization of maps": (PICTURE, L.LayerNormalization(axis=(1, 2, 3), center=False, scale=False)),
        "GroupNormalization": (PICTURE, L.GroupNormalization(2)),
        "Rescaling": (PICTURE, chain(L.Rescaling(1 / 127.5, -1), L.Conv2D(3, 3))),
        "Rescaling of channels": (PICTURE, L.Rescaling([1.0, 2.0, 3.0, 0.5], [0.1, 0.2, -0.3, 0.0])),
        "Normalization": (PICTURE, L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 1.0, 0.5, 9.0])),
        "Normalization of rows": (ROW, L.Normalization(mean=[1.0] * 6, variance=[4.0, 1.0, 0.5, 9.0, 1.0, 2.0])),
        "MaxPooling2D": (ODD, L.MaxPooling2D(3, 2)),
        "MaxPooling2D same": (ODD, L.MaxPooling2D(3, 2, padding="same")),
        "MaxPooling2D same, even": (PICTURE, L.MaxPooling2D(3, 2, padding="same")),
        "MaxPooling2D same, stride 1": (PICTURE, L.MaxPooling2D((2, 3), 1, padding="same")),
        "MaxPooling2D padded": (PICTURE, chain(L.ReLU(), L.ZeroPadding2D(1), L.MaxPooling2D(3, 2))),
        "MaxPooling2D padded, negative": (PICTURE, chain(L.ZeroPadding2D(1), L.MaxPooling2D(3, 2))),
        "MaxPooling2D padded at the end": (
            PICTURE,
            chain(L.ReLU(), L.ZeroPadding2D(((0, 1), (0, 1))), L.MaxPooling2D(3, 2)),
        ),
        "MaxPooling2D of one pixel": (ODD, L.MaxPooling2D(1, 2)),
        "MaxPooling1D": (SEQUENCE, L.MaxPooling1D(2)),
        "AveragePooling2D": (PICTURE, L.AveragePooling2D((2, 3))),
        "AveragePooling2D same": (PICTURE, L.AveragePooling2D(3, 1, padding="same")),
        "AveragePooling2D same, odd": (ODD, L.AveragePooling2D(3, 2, padding="same")),
        "GlobalAveragePooling2D": (PICTURE, L.GlobalAveragePooling2D(keepdims=True)),
        "GlobalMaxPooling2D": (PICTURE, L.GlobalMaxPooling2D()),
        "GlobalAveragePooling1D": (SEQUENCE, L.GlobalAveragePooling1D()),
        "Dropouts": (
            PICTURE,
            chain(L.Dropout(0.2), L.SpatialDropout2D(0.3), L.Dropout(0.1, noise_shape=(None, 1, 1, 1))),
        ),
        "Add and Average": (PICTURE, lambda x: L.Average()([L.Add()([x, x]), L.ReLU()(x)])),
        "Subtract and Multiply": (PICTURE, lambda x: L.Multiply()([L.Subtract()([x, L.ReLU()(x)]), x])),
        "Maximum and Minimum": (PICTURE, lambda x: L.Maximum()([L.Minimum()([x, -x]), L.Rescaling(0.5)(x), x * 0.1])),
        "Concatenate": (PICTURE, lambda x: L.Concatenate()([x, L.Conv2D(2, 1)(x)])),
        "Concatenate of heights": (PICTURE, lambda x: L.Concatenate(axis=1)([x, L.ReLU()(x)])),
        "operations": (
            PICTURE,
            lambda x: (ops.abs(x) + 1) ** 0.5 / 3 - ops.maximum(x, 0.5) * ops.mean(x, axis=(1, 2), keepdims=True),
        ),
        "operations, turned": (PICTURE, lambda x: ops.transpose(ops.reshape(1 - x, (-1, 80, 4)), (0, 2, 1))),
        "operations, joined": (
            ROW,
            lambda x: ops.concatenate([ops.softmax(x), ops.clip(x, -1, 1), ops.gelu(x, True)], 1),
        ),
        "ReLU": (ROW, chain(L.ReLU(max_value=6), L.ReLU(negative_slope=0.3))),
        "LeakyReLU, ELU": (ROW, chain(L.LeakyReLU(0.1), L.ELU(0.5))),
        "PReLU": (PICTURE, L.PReLU(shared_axes=[1, 2])),
        "Softmax of axis 1": (PICTURE, L.Softmax(axis=1)),
        "Activation of a layer": (ROW, L.Activation(L.LeakyReLU(0.3))),
    }


ACTIVATIONS = ("celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh",
               "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid",
               "silu", "soft_shrink", "softmax", "softplus", "softsign", "tanh", "tanh_shrink")  # fmt: skip


def network(name):
    import keras

    shape, call = layers()[name]
    inputs = keras.Input(shape, name="input")
    model = keras.Model(inputs, call(inputs), name="network")
    draw(model)
    return model


def draw(model, seed=0):
    """Give a model weights of which none is 0 or 1."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(
                rng.uniform(0.2, 1.2, weight.shape) * (1 if "var" in weight.name else rng.choice([-1, 1], weight.shape))
            )


def to_first(x, name):
    """(n, ..., channels) -> (n, channels, ...) where PyTorch's users expect that: maps, and sequences of 1D windows."""
    moves = x.ndim > 3 or (x.ndim == 3 and any(word in name for word in ("Conv1D", "MaxPooling1D", "to a sequence")))
    return np.moveaxis(x, -1, 1) if moves and "channels_first" not in name else x


def apart(model, module, name="", seed=1):
    """The largest difference of both outputs, as a share of the largest number."""
    import keras
    import torch

    rng = np.random.default_rng(seed)
    shape = (3, *(size or 20 for size in model.input_shape[1:]))
    x = rng.standard_normal(shape).astype("float32")
    if any(isinstance(layer, keras.layers.Embedding) for layer in model.layers):
        x = rng.integers(0, 11, shape)
    expected = to_first(keras.ops.convert_to_numpy(model(x)), name)
    with torch.no_grad():
        y = module(torch.from_numpy(np.ascontiguousarray(to_first(x, name)))).numpy()
    assert y.shape == expected.shape, (y.shape, expected.shape)
    return float(np.abs(y - expected).max() / np.abs(expected).max())


def wrong_layers(names=()):
    """{name: what is wrong} of the layers whose translation differs, among `names` or all."""
    import kerasnets

    wrong = {}
    for name in names or layers():
        model = network(name)
        try:
            module = kerasnets.to_torch(model)
            distance = apart(model, module, name)
        except Exception as error:
            wrong[name] = f"{type(error).__name__}: {error}"[:300]
            continue
        if not distance < 1e-5:
            wrong[name] = distance
    return wrong
