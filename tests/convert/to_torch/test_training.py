"""In training mode the module does what Keras does."""

from tests.convert.to_torch import cases


def step():
    """The outputs, the gradient of the loss and the statistics of batch norm in training mode, Keras' and PyTorch's."""
    import keras
    import numpy as np
    import torch
    from keras import layers

    import kerasnets

    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization(momentum=0.8, scale=False, name="norm")(x)
    x = layers.BatchNormalization(name="frozen", trainable=False)(x)
    x = layers.Flatten()(layers.ReLU()(x))
    model = keras.Model(inputs, layers.Dense(3, name="dense")(x))
    cases.draw(model)
    module = kerasnets.to_torch(model)
    before = model.get_layer("norm").get_weights()
    values = np.random.default_rng(1).standard_normal((16, 8, 8, 3)).astype("float32")
    tensor = torch.from_numpy(values)
    model.zero_grad()
    expected = model(tensor, training=True)
    expected.square().mean().backward()
    module.train()
    y = module(tensor.permute(0, 3, 1, 2))
    y.square().mean().backward()
    gradient = model.get_layer("conv").kernel.value.grad.numpy().transpose(3, 2, 0, 1)
    mean = model.get_layer("norm").moving_mean.numpy() - module.norm.running_mean.numpy()
    n = 16 * 6 * 6
    old, keras_var = before[2], model.get_layer("norm").moving_variance.numpy()
    unbiased = 0.8 * old + (keras_var - 0.8 * old) * n / (n - 1)  # PyTorch's running variance alone is unbiased
    return {
        "outputs": float((y - expected).detach().abs().max()),
        "gradient": float(np.abs(module.conv.weight.grad.numpy() - gradient).max() / np.abs(gradient).max()),
        "mean": float(np.abs(mean).max()),
        "variance": float(np.abs(unbiased - module.norm.running_var.numpy()).max()),
        "scale is fixed": not module.norm.weight.requires_grad and bool((module.norm.weight == 1).all()),
        "frozen": not module.frozen.training and module.norm.training,
        "frozen statistics": bool(
            (module.frozen.running_mean == torch.tensor(model.get_layer("frozen").get_weights()[2])).all()
        ),
    }


def test_batch_norm_and_gradients_are_keras(workers):
    result = workers["torch"](step)
    assert result["outputs"] < 1e-4
    assert result["gradient"] < 1e-4
    assert result["mean"] < 1e-5
    assert result["variance"] < 1e-5
    assert result["scale is fixed"]
    assert result["frozen"]
    assert result["frozen statistics"]


def dropouts():
    import keras
    import torch
    from keras import layers

    import kerasnets

    made = {
        "Dropout": layers.Dropout(0.25),
        "SpatialDropout2D": layers.SpatialDropout2D(0.25),
        "paths": layers.Dropout(0.25, noise_shape=(None, 1, 1, 1)),
    }
    results = {}
    for name, layer in made.items():
        inputs = keras.Input((6, 6, 50))
        module = kerasnets.to_torch(keras.Model(inputs, layer(inputs))).train()
        torch.manual_seed(0)
        y = module(torch.ones(200, 50, 6, 6))
        zeros = {"Dropout": y == 0, "SpatialDropout2D": (y == 0).all((2, 3)), "paths": (y == 0).all((1, 2, 3))}
        results[name] = {kind: float(part.float().mean()) for kind, part in zeros.items()}, float(y.max())
    return results


def test_dropout_drops_numbers_maps_or_samples(workers):
    results = workers["torch"](dropouts)
    for (shares, most), expected in zip(
        results.values(), ((0.25, 0, 0), (0.25, 0.25, 0), (0.25, 0.25, 0.25)), strict=True
    ):
        assert abs(most - 1 / 0.75) < 1e-5
        assert all(abs(share - wanted) < 0.1 for share, wanted in zip(shares.values(), expected, strict=True)), shares
