"""docs/porting.md as the tests read it, and what its lines do; the functions below run in the workers."""

import re

import numpy as np

from tests.conftest import ROOT

GUIDE = (ROOT / "docs/porting.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.S)  # two tutorials, three classes, two blocks of imports
COLUMNS = ("pytorch", "looks", "same")
REFUSED = "✗"


def rows():
    """row -> {column: [its pieces of code]}; a line that is refused begins with ✗."""
    result = {}
    for line in GUIDE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        name = re.fullmatch(r"`([a-z0-9-]+)`", cells[0])
        if name and len(cells) == 5:
            assert name[1] not in result, f"two rows are called {name[1]}"
            pieces = [re.findall(r"`([^`]+)`", cell) for cell in cells[1:4]]
            result[name[1]] = dict(zip(COLUMNS, pieces, strict=True)) | {"refused": cells[2].startswith(REFUSED)}
    return result


ROWS = rows()


def names(of):
    """What the guide's imports bring: of "pytorch" or "keras"; and tf, where TensorFlow is the backend."""
    import keras

    result = {"np": np}
    exec(BLOCKS[5] if of == "pytorch" else BLOCKS[6], result)
    if of == "keras" and keras.backend.backend() == "tensorflow":
        import tensorflow

        result["tf"] = tensorflow
    return result


def values(row, column, **given):
    """What the pieces of code in a cell are worth."""
    scope = names("pytorch" if column == "pytorch" else "keras") | given
    return [eval(piece, scope) for piece in ROWS[row][column]]


def numpy(value):
    import keras

    return np.asarray(keras.ops.convert_to_numpy(value))


def refusal(row, column="looks", **given):
    """The name of the error that the line in a cell ends in; "" where it runs."""
    try:
        values(row, column, **given)
    except Exception as error:
        return type(error).__name__
    return ""


# ---- a network as a class ----


def net(column):
    """What `Net` of a column comes to."""
    scope = {"__name__": __name__}
    exec(BLOCKS[2 + COLUMNS.index(column)], scope)
    return scope["Net"]()


def classes_agree(x):
    """(how far the right one is from the left one with its weights, and in training; weights of all before a call)."""
    import torch

    import kerasnets

    module, middle, right = map(net, COLUMNS)
    counts = [len(list(module.parameters())), len(middle.weights), len(right.weights)]
    kerasnets.load_torch_weights(right, module)
    expected = module.eval()(torch.tensor(x.transpose(0, 3, 1, 2).copy())).detach().numpy()
    return apart(numpy(right(x)), expected), apart(numpy(right(x, training=True)), expected), counts


def apart(one, other):
    return float(np.abs(one - other).max())


def refusal_of_a_class():
    """How kerasnets takes PyTorch's weights for the one in the middle."""
    import kerasnets

    try:
        kerasnets.load_torch_weights(net("looks"), {})
    except ValueError as error:
        return str(error)
    return ""


def dropout_inside(x):
    """How far the middle one's two answers are apart: in use, in training."""
    middle = net("looks")
    return [apart(numpy(middle(x, training=mode)), numpy(middle(x, training=mode))) for mode in (False, True)]


def loads_without_its_class(folder):
    """The errors that loading the files of the middle one and of the right one ends in."""
    import keras

    result = []
    for column in ("looks", "same"):
        model = net(column)
        model(np.zeros((1, 28, 28, 1)))
        model.save(folder / f"{column}.keras")
        try:
            keras.models.load_model(folder / f"{column}.keras")
            result.append("")
        except Exception as error:
            result.append(type(error).__name__)
    return result


def forward_in_place_of_call(x):
    """The error that a Keras class with `forward` ends in; "" where it runs."""
    import warnings

    scope = {"__name__": __name__}
    exec(BLOCKS[3].replace("def call(", "def forward("), scope)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras finds no layer built
        try:
            scope["Net"]().predict(x, verbose=0)
        except Exception as error:
            return type(error).__name__
    return ""


# ---- layers ----


def weights_in_keras_axes(weights):
    """PyTorch's weights in Keras' axes, written anew here: kerasnets' own are not the judge of the guide."""
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    return [array.transpose(axes[array.ndim]) for array in weights]


def modules_answer(row, x):
    """(what the modules give for x (n, height, width, channels), in its axes; the weights of each)."""
    import torch

    torch.manual_seed(3)
    modules = values(row, "pytorch")
    y, weights = torch.tensor(x if x.ndim == 2 else x.transpose(0, 3, 1, 2).copy()), []
    for module in modules:
        for name, tensor in module.state_dict().items():
            if "running_var" in name:
                tensor.uniform_(1e-3, 1e-2)
        state = [tensor.numpy() for name, tensor in module.state_dict().items() if "tracked" not in name]
        weights.append(state)
        with torch.no_grad():
            y = module.eval()(y)
    y = y.numpy()
    return (y.transpose(0, 2, 3, 1) if y.ndim == 4 else y), [state for state in weights if state]


def layers_answer(row, column, x, weights):
    """What the layers in a cell give for x, with PyTorch's weights where their shapes allow them."""
    y, weights = x, list(weights)
    for layer in values(row, column):
        if hasattr(layer, "build"):
            layer.build(y.shape)
            if layer.weights and weights:
                arrays = weights_in_keras_axes(weights.pop(0))
                if [array.shape for array in arrays] == [tuple(weight.shape) for weight in layer.weights]:
                    layer.set_weights(arrays)
        y = numpy(layer(y))
    return y


def after_a_step(row, column, x):
    """The statistics that a batch norm keeps after one batch: (mean, variance)."""
    if column == "pytorch":
        import torch

        [module] = values(row, column)
        module(torch.tensor(x.transpose(0, 3, 1, 2).copy()))
        return module.running_mean.numpy(), module.running_var.numpy()
    [layer] = values(row, column)
    layer(x, training=True)
    return numpy(layer.moving_mean), numpy(layer.moving_variance)


def frozen_norm(x):
    """The running mean of a frozen batch norm after a batch: (PyTorch's, Keras')."""
    import keras
    import torch

    module, layer = torch.nn.BatchNorm2d(3), keras.layers.BatchNormalization()
    layer.build(x.shape)
    exec(ROWS["batch-norm-frozen"]["pytorch"][0], {"layer": module})
    exec(ROWS["batch-norm-frozen"]["looks"][0], {"layer": layer})
    module.train()(torch.tensor(x.transpose(0, 3, 1, 2).copy()))
    layer(x, training=True)
    thawed = module.running_mean.numpy().copy()
    exec(ROWS["batch-norm-frozen"]["same"][0], {"layer": module})
    module(torch.tensor(x.transpose(0, 3, 1, 2).copy()))
    return thawed, module.running_mean.numpy(), numpy(layer.moving_mean)


def dropout_share(row, column, x):
    """Of each picture and channel, the share that is dropped: (n, channels)."""
    [layer] = values(row, column)
    if column == "pytorch":
        import torch

        return (layer(torch.tensor(x.transpose(0, 3, 1, 2).copy())) == 0).float().mean((2, 3)).numpy()
    return (numpy(layer(x, training=True)) == 0).mean((1, 2))


# ---- first weights ----

SHAPE = (3, 3, 64, 128)  # height, width, in, out; a bias has 4096


def draw(row, column):
    """(mean, deviation, largest deviations from the mean) of what a cell draws."""
    if column == "pytorch":
        import torch

        torch.manual_seed(0)
        [tensor] = values(row, column, w=torch.empty(128, 64, 3, 3))
        array = tensor.detach().numpy()
    else:
        import keras

        keras.utils.set_random_seed(0)
        [initializer] = values(row, column)
        shape = (4096,) if row == "init-bias" else SHAPE
        array = numpy(keras.initializers.get(initializer)(shape))
    return float(array.mean()), float(array.std()), float(np.abs(array - array.mean()).max())


def draw_twice(column):
    """Whether two layers that share what the cell has get the same weights."""
    [source] = values("init-seed", column)
    if column == "pytorch":
        import torch

        return bool((torch.randn(9, generator=source) == torch.randn(9, generator=source)).all())
    return bool((numpy(source((9,))) == numpy(source((9,)))).all())


# ---- loss ----


def loss_of(row, column, **arrays):
    """What the line in a cell comes to, as a number."""
    if column == "pytorch":
        import torch

        return float(values(row, column, **{name: torch.tensor(array) for name, array in arrays.items()})[0])
    return float(numpy(values(row, column, **arrays)[0]))


def loss_of_arrays(row, column, arrays):
    return loss_of(row, column, **arrays)


def loss_by_class_weight(x, y, w):
    """What a network whose logits are `x` has for a loss, where the classes have the weights `w`."""
    import keras

    model = small_model(10, 10)
    model.set_weights([np.eye(10), np.zeros(10)])
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(True))
    return float(model.train_on_batch(x, y, class_weight=dict(enumerate(w.tolist()))))


def leaky(x):
    import keras

    return float(numpy(keras.layers.Activation("leaky_relu")(np.array([x], "float32")))[0])


# ---- optimizers and schedules ----


def take_steps(row, column, weights, x, y, steps, rates=()):
    """The weights of a dense layer after steps on the mean squared error."""
    if column == "pytorch":
        import torch

        network = torch.nn.Linear(*weights[0].shape)
        for parameter, array in zip(network.parameters(), weights, strict=True):
            parameter.data = torch.tensor(array.T.copy())
        scope = names("pytorch") | {"p": list(network.parameters())}
        optimizer = eval(ROWS[row][column][-1], scope)
        for i in range(steps):
            for group in optimizer.param_groups if rates else ():
                group["lr"] = rates[i]
            optimizer.zero_grad()
            ((network(torch.tensor(x)) - torch.tensor(y)) ** 2).mean().backward()
            for piece in ROWS[row][column][:-1]:
                eval(piece, scope)
            optimizer.step()
        return [parameter.detach().numpy().T for parameter in network.parameters()]
    import keras

    network = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(y.shape[1])])
    network.set_weights(weights)
    network.compile(values(row, column, network=network)[-1], "mse")
    for i in range(steps):
        if rates:
            network.optimizer.learning_rate = rates[i]
        network.train_on_batch(x, y)
    return network.get_weights()


def rates(row, column, steps):
    """The learning rate of each step from 0.1 on."""
    if column == "pytorch":
        import torch

        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
        [scheduler] = values(row, column, optimizer=optimizer)
        result = []
        for _ in range(steps):
            result.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return result
    [schedule] = values(row, column)
    return [float(numpy(getattr(schedule, "schedule", schedule)(i))) for i in range(steps)]


def plateau(column, losses):
    """The learning rate of each epoch, where `losses` are what the epochs come to."""
    if column == "pytorch":
        import torch

        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
        [scheduler] = values("plateau", column, optimizer=optimizer)
        step, rate = scheduler.step, lambda: optimizer.param_groups[0]["lr"]
    else:
        import keras

        model = small_model()
        model.compile(keras.optimizers.SGD(0.1), "mse")
        [callback] = values("plateau", column)
        callback.set_model(model)
        callback.on_train_begin()
        step, rate = lambda loss: callback.on_epoch_end(0, {"loss": loss}), lambda: model.optimizer.learning_rate
    result = []
    for loss in losses:
        result.append(round(float(numpy(rate())), 6) if column != "pytorch" else rate())
        step(loss)
    return result


# ---- data ----


def of_pictures(row, column, x):
    """What a transform, or a layer in training, makes of x: float or uint8 (n, height, width, channels)."""
    if column == "pytorch":
        import torch

        transform = values(row, column)[0]
        return transform(torch.tensor(x.transpose(0, 3, 1, 2).copy())).numpy().transpose(0, 2, 3, 1)
    for layer in values(row, column):
        x = numpy(layer(x, training=True) if row in ("flip", "rotation", "crop") else layer(x))
    return x


def to_tensor(x):
    """What ToTensor makes of one picture, in Keras' axes."""
    return values("scale", "pytorch", x=x)[0].numpy().transpose(1, 2, 0)


def small_model(columns=4, classes=3, bias=None):
    import keras

    model = keras.Sequential([keras.Input((columns,)), keras.layers.Dense(classes)])
    if bias is not None:
        model.set_weights([np.zeros((columns, classes), "float32"), np.asarray(bias, "float32")])
    return model


def order_of_fit(count, seed):
    """The rows that `fit` takes in an epoch: row k has a loss of k squared, and each batch tells the mean so far."""
    import keras

    keras.utils.set_random_seed(seed)
    model, means = small_model(classes=1, bias=[0]), []
    model.compile(keras.optimizers.SGD(0.0), "mse")
    tell = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: means.append(logs["loss"]))
    model.fit(np.zeros((count, 4)), np.arange(count), batch_size=1, verbose=0, callbacks=[tell])
    sums = np.array(means) * np.arange(1, count + 1)
    return np.sqrt(abs(np.diff(sums, prepend=0))).round().astype(int).tolist()


def order_of_loader():
    """The rows that PyTorch's loader gives by default."""
    import torch

    return torch.cat(list(torch.utils.data.DataLoader(torch.arange(12), batch_size=4))).tolist()


def order_of_batches():
    """The rows of kerasnets' Batches in two epochs of 12."""
    [plan] = values("shuffle", "same", x=np.zeros((12, 4)), y=np.arange(12))
    return np.concatenate([plan[i][1] for i in range(6)]).tolist()


def first_value(row, column, y):
    if column == "pytorch":
        import torch

        y = torch.tensor(y)
    return numpy(values(row, column, y=y)[0])


def scale(column, x):
    return numpy(values("scale", column, x=x)[0])


def turn(x):
    """What `axes` has for x: PyTorch's, scrambled, ours."""
    import torch

    return tuple(values("axes", column, x=torch.tensor(x))[0].numpy() for column in COLUMNS)


def all_crops(picture):
    """All crops of 32x32 out of a picture padded by 4, each mirrored too."""
    import torch
    from torchvision.transforms import functional

    padded = functional.pad(torch.tensor(picture).permute(2, 0, 1), 4)
    crops = [functional.crop(padded, top, left, 32, 32) for top in range(9) for left in range(9)]
    crops += [functional.hflip(crop) for crop in crops]
    return [crop.permute(1, 2, 0).contiguous().numpy() for crop in crops]


def our_crops(x):
    [(change, draw)] = values("crop", "same")
    return change(x, *draw(len(x), np.random.default_rng(0)))


def validation_accuracy(y):
    """Of a network that answers 9 to everything."""
    import keras

    model = small_model(classes=10, bias=[0] * 9 + [1])
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(True),
                  metrics=["accuracy"])  # fmt: skip
    code = "model." + ROWS["split"]["looks"][0].replace(")", ", verbose=0)")
    fitted = eval(code, {"model": model, "x": np.zeros((100, 4)), "y": y})
    return fitted.history["val_accuracy"][0]


def split_labels(y):
    [(_, part)] = values("split", "same", y=y)
    return y[part].tolist()


def random_split_labels(y):
    import torch
    from torch.utils.data import random_split

    torch.manual_seed(0)
    [(_, part)] = [eval(ROWS["split"]["pytorch"][0], {"random_split": random_split, "data": y.tolist()})]
    return list(part)


def batches_of_a_loader(count):
    import torch

    return len(torch.utils.data.DataLoader(torch.zeros(count, 4)))


def steps_of_fit(count, batch_size=None):
    import keras

    model, steps = small_model(), []
    model.compile("sgd", "mse")
    count_it = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch))
    model.fit(np.zeros((count, 4)), np.zeros((count, 3)), batch_size=batch_size, verbose=0, callbacks=[count_it])
    return len(steps)


def batches_seen(column, x, y):
    """How many batches an epoch of the rows x is."""
    if column == "pytorch":
        return len(list(values("drop-last", column, x=x)[0]))
    import keras

    model, seen = small_model(), []
    model.compile("sgd", "mse")
    count_it = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    code = "model." + ROWS["drop-last"][column][0][:-1] + ", verbose=0, callbacks=[count_it])"
    eval(code, {"model": model, "x": x, "y": y, "count_it": count_it})
    return len(seen)


def of_folder(column, folder):
    """(class names, pictures in the order that the line in a cell gives, their labels) of a folder of class folders."""
    [result] = values("folder", column, folder=folder)
    if column == "pytorch":
        return result.classes, [np.asarray(picture) for picture, _ in result], result.targets
    if column == "same":
        images, labels = (
            [getattr(result, f"{part}_{what}") for part in ("train", "test")] for what in ("images", "labels")
        )
        return list(result.class_names), list(np.concatenate(images)), np.concatenate(labels).tolist()
    pictures, labels = zip(*result.unbatch().as_numpy_iterator(), strict=True)
    return result.class_names, list(pictures), [int(label) for label in labels]


def read(column, path):
    return values("imread", column, path=str(path))[0]


def refusal_of_loss(column, x, y):
    if column == "pytorch":
        import torch

        x, y = torch.tensor(x), torch.tensor(y)
    return refusal("labels-outside", column, x=x, y=y)


def refusal_of_train():
    """How kerasnets takes labels of no class."""
    import dataclasses

    import kerasnets

    digits = kerasnets.load_data("digits")
    digits = dataclasses.replace(digits, train_labels=np.full_like(digits.train_labels, 10))
    try:
        kerasnets.train("mnist_cnn-digits", arrays=digits, epochs=1)
    except ValueError as error:
        return type(error).__name__, str(error)
    return ""


def first_adam_step(column, gradient):
    """How far the first step of a cell's Adam goes at a gradient."""
    if column == "pytorch":
        import torch

        weight = torch.zeros(1, requires_grad=True)
        weight.grad = torch.tensor([gradient])
        values("adam-epsilon", column, p=[weight])[0].step()
        return abs(weight.item())
    import keras

    weight = keras.Variable([0.0])
    values("adam-epsilon", column)[0].apply([keras.ops.convert_to_tensor([gradient], "float32")], [weight])
    return float(abs(numpy(weight)[0]))


# ---- the loop ----


def share_that_remains(column, x):
    """The share of numbers that a call of dropout in a cell leaves."""
    if column == "pytorch":
        import torch

        x = torch.tensor(x)
    return float((numpy(values("mode", column, x=x)[0]) != 0).mean())


def accumulate(x, y):
    """(PyTorch's gradient after two backward calls, after one; Keras' and PyTorch's weights after a mean of two)."""
    import torch

    network = torch.nn.Linear(4, 3)
    first = [parameter.detach().numpy().T.copy() for parameter in network.parameters()]
    gradients = []
    for i in (0, 1):
        ((network(torch.tensor(x[i])) - torch.tensor(y[i])) ** 2).mean().backward()
        gradients.append(network.bias.grad.numpy().copy())
    alone = torch.autograd.grad(((network(torch.tensor(x[1])) - torch.tensor(y[1])) ** 2).mean(), network.bias)[0]
    model = small_model()
    model.set_weights(first)
    model.compile(values("gradients-add-up", "same")[0], "mse")
    for i in (0, 1):
        model.train_on_batch(x[i], y[i])
    return gradients[1], gradients[0] + alone.numpy(), first[1] - 0.1 * gradients[1] / 2, model.get_weights()[1]


def loss_of_an_epoch(x, y):
    """What `fit` tells of an epoch in batches of 4 that learns nothing, and the loss of each batch."""
    import keras

    model = small_model(4, 3)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    reported = model.fit(x, y, batch_size=4, shuffle=False, verbose=0).history["loss"][0]
    batches = [((model.predict_on_batch(x[i : i + 4]) - y[i : i + 4]) ** 2).mean() for i in range(0, len(x), 4)]
    return reported, [float(loss) for loss in batches]


def accuracies_of_an_epoch(x, y):
    """(accuracy that `fit` tells of its epoch, accuracy on the same data afterwards, PyTorch's way)."""
    import keras

    model = small_model(4, 3, bias=[0, 0, 0])
    model.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    history = model.fit(x, y, batch_size=4, verbose=0).history
    scope = {"history": history, "x": x, "y": y}
    reported = eval(ROWS["train-accuracy"]["looks"][0], scope)[0]
    after = eval("model." + ROWS["train-accuracy"]["same"][0].replace(")", ", verbose=0)"), scope | {"model": model})[1]
    return reported, after, float((model.predict(x, verbose=0).argmax(1) == y).mean())


def graph_of(x):
    """Whether what a model gives hangs in a graph, and what type `predict` gives."""
    scope = {"model": small_model(), "x": x}
    called, predicted = (eval(ROWS["no-grad"][column][0], scope) for column in ("looks", "same"))
    return bool(getattr(called, "requires_grad", False)), type(predicted).__name__


def places_of(line):
    """After the line in Keras' column: where a network's weights lie, and where they are made under `keras.device`."""
    import keras
    import torch

    model = small_model()
    model.compile("sgd", "mse")
    eval(line, {"model": model, "x": np.zeros((8, 4)), "y": np.zeros((8, 3))})
    with keras.device("meta"):
        elsewhere = keras.Variable([0.0])
    best = "cuda" if torch.cuda.is_available() else "cpu"
    return model.weights[0].value.device.type, elsewhere.value.device.type, best


def error_of_moving(column):
    """The error that moving a model in a cell ends in; "" where it is moved."""
    if column == "looks":
        return refusal("device", column, model=small_model(), device="cpu")
    import torch

    return refusal("device", column, model=torch.nn.Linear(4, 3), x=torch.zeros(8, 4), device="cpu")


def at_lower_precision(column, x):
    """(type, how far from float32) of what a dense layer gives under the line in a cell; a layer made before it."""
    if column == "pytorch":
        import torch

        layer, x = torch.nn.Linear(4, 3), torch.tensor(x)
        expected = layer(x)
        with values("autocast", column)[0]:
            result = layer(x)
        return str(result.dtype), apart(result.float().detach().numpy(), expected.detach().numpy())
    import keras

    plain = keras.layers.Dense(3)
    expected = numpy(plain(x))
    try:
        [layer] = values("autocast", column)
        if layer is None:  # a policy was set
            layer = plain
        else:
            layer.build(x.shape)
            layer.set_weights(plain.get_weights())
        result = layer(x)
        return keras.backend.standardize_dtype(result.dtype), apart(numpy(keras.ops.cast(result, "float32")), expected)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def first_scale(column):
    """What the loss is multiplied by at first; by nothing where an optimizer has no scale."""
    [scaler] = values("grad-scaler", column)
    if column == "pytorch":
        return scaler.get_scale()
    return float(getattr(scaler, "initial_scale", 1))


def optimizer_under(policy):
    """The class of the optimizer that `compile` makes of the one in the middle."""
    import keras

    keras.mixed_precision.set_global_policy(policy)
    try:
        model = small_model()
        model.compile(values("grad-scaler", "looks")[0], "mse")
        return type(model.optimizer).__name__
    finally:
        keras.mixed_precision.set_global_policy("float32")


def weights_in_the_checkpoint(column, losses, folder):
    """Which epoch's weights are in the file when training has ended."""
    import contextlib

    import keras

    model = small_model(1, 1)
    with contextlib.chdir(folder):
        [callback] = values("checkpoint-best", column)
        callback.set_model(model)
        for epoch, loss in enumerate(losses):
            model.set_weights([np.full((1, 1), epoch), np.zeros(1)])
            callback.on_epoch_end(epoch, {"loss": loss})
        return float(keras.models.load_model("m.keras").get_weights()[0][0, 0])


def weights_after_a_stop(column, losses):
    """Which epoch's weights are there after training stops early."""
    model = small_model(1, 1)
    model.compile("sgd", "mse")
    [callback] = values("early-stop", column)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        model.set_weights([np.full((1, 1), epoch), np.zeros(1)])
        callback.on_epoch_end(epoch, {"loss": loss})
        if model.stop_training:
            break
    callback.on_train_end()
    return float(model.get_weights()[0][0, 0])


def dtype_of(column):
    return str(numpy(values("float64", column)[0]).dtype)


# ---- saving ----


def carry(column, x):
    """How far a layer with a PyTorch layer's weights, turned as in a cell, is from it; by row."""
    import keras
    import torch

    result = {}
    for row, module, layer, given in (
        ("kernel-axes", torch.nn.Conv2d(4, 4, 3, bias=False), keras.layers.Conv2D(4, 3, use_bias=False), x),
        ("dense-axes", torch.nn.Linear(4, 4, bias=False), keras.layers.Dense(4, use_bias=False), x[:, 0, 0]),
    ):
        weight = values(row, "pytorch", layer=module)[0].detach().numpy()
        layer.build(given.shape)
        layer.set_weights(values(row, column, weight=weight))
        answer = module(torch.tensor(given.transpose(0, 3, 1, 2).copy() if given.ndim == 4 else given)).detach().numpy()
        answer = answer.transpose(0, 2, 3, 1) if answer.ndim == 4 else answer
        result[row] = float(np.abs(numpy(layer(given)) - answer).max())
    return result


def carry_over(x):
    """How far a network with a state_dict is from its module, and whether `set_weights` takes the arrays."""
    import keras
    import torch
    from torch import nn

    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 6 * 6, 5)).eval()
    inputs = y = keras.Input((8, 8, 3))
    for layer in (keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(epsilon=1e-5), keras.layers.Flatten(),
                  keras.layers.Dense(5)):  # fmt: skip
        y = layer(y)
    scope = {"model": keras.Model(inputs, y), "state": module.state_dict()}
    scope["arrays"] = [tensor.numpy() for tensor in scope["state"].values()]
    refused = ""
    try:
        values("state-dict", "looks", **scope)
    except ValueError as error:
        refused = type(error).__name__
    values("state-dict", "same", **scope)
    answer = module(torch.tensor(x.transpose(0, 3, 1, 2).copy())).detach().numpy()
    return float(np.abs(scope["model"].predict(x, verbose=0) - answer).max()), refused


def loaded_where_a_shape_differs(folder):
    """The error of each column, where the last of two layers has 3 classes and the weights are of 5.

    And of Keras: whether the first layer was loaded, and the last one left as it was.
    """
    import contextlib
    import warnings

    import keras
    from torch import nn

    def two_layers(classes):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(6), keras.layers.Dense(classes)])

    state = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 5)).state_dict()
    other, model = two_layers(5), two_layers(3)
    before = model.get_weights()
    errors = {
        "pytorch": refusal("strict", "pytorch", model=nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3)), state=state)
    }
    errors["same"] = refusal("strict", "same", model=model, state=state)
    unchanged = all(map(np.array_equal, before, model.get_weights()))
    with contextlib.chdir(folder), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        other.save_weights("m.weights.h5")
        values("strict", "looks", model=model)
    first, last = model.get_weights()[0], model.get_weights()[2]
    taken = np.array_equal(first, other.get_weights()[0]), np.array_equal(last, before[2])
    return errors, unchanged, taken, len(warned) > 0


def refusal_where_a_tensor_is_missing(column):
    """The error of a state_dict without its last bias."""
    from torch import nn

    module = nn.Sequential(nn.Linear(4, 3))
    state = {"0.weight": module.state_dict()["0.weight"]}
    return refusal("strict", column, model=small_model() if column == "same" else module, state=state)


def save_and_load(row, folder):
    """Save and load as in the cells of a row: {column: the model} in `folder`, of one that has been trained."""
    import contextlib

    import keras

    import kerasnets

    model = kerasnets.build("small_cnn")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    model.train_on_batch(np.zeros((2, 28, 28, 1)), np.zeros(2))
    card = kerasnets.Card("small_cnn", tuple("0123456789"), (28, 28, 1), "mnist")
    (folder / "looks").mkdir(exist_ok=True)
    (folder / "same").mkdir(exist_ok=True)
    for column in ("looks", "same"):
        with contextlib.chdir(folder / column):
            values(row, column, model=model, card=card, scaling=(1 / 255, 0.0))
    return model


def outputs_from_pixels(folder):
    """From both files of `save-scaling`: the largest number for pixels 0..255, and how far from the first network."""
    import keras

    model = save_and_load("save-scaling", folder)
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1)).astype("uint8")
    logits = model.predict(x / 255, verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loaded = [keras.models.load_model(folder / name / "m.keras", compile=False) for name in ("looks", "same")]
    return [float(np.abs(network.predict(x, verbose=0) - expected).max()) for network in loaded]


def optimizers_named(folder):
    """Whether the files of `save-for-others` name an optimizer of torch's own."""
    import zipfile

    save_and_load("save-for-others", folder)
    texts = [zipfile.ZipFile(folder / name / "m.keras").read("config.json").decode() for name in ("looks", "same")]
    return ["backend.torch.optimizers" in text for text in texts]


def goes_on(folder):
    """The errors that training on ends in, from the files of `save-and-go-on`."""
    import warnings

    import keras

    result = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls .h5 legacy
        save_and_load("save-and-go-on", folder)
        for path in ("looks/m.h5", "same/m.keras"):
            model = keras.models.load_model(folder / path)
            try:
                model.fit(np.zeros((2, 28, 28, 1)), np.zeros(2), verbose=0)
                result.append("")
            except Exception as error:
                result.append(type(error).__name__)
    return result


# ---- randomness ----


def seeded(column):
    """The weights that Keras draws after the seed of a cell is set, twice."""
    import keras

    result = []
    for _ in range(2):
        values("seed", column)
        result.append(numpy(keras.layers.Dense(3).kernel_initializer((4, 3))))
    return result


def set_from_numpy(arrays):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    values("seed-elsewhere", "same", model=model, arrays=arrays)
    return model.get_weights()[0]


# ---- from tf.keras ----


def inputs_of_lines():
    """What the lines take: a network, a batch, a layer and its weights, and batches."""
    from kerasnets.data import fitting

    model = small_model()
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, k, b = (rng.normal(size=shape).astype("float32") for shape in ((8, 4), (4, 3), (3,)))
    model.set_weights([k, b])
    y = np.arange(8) % 3
    return {"model": model, "x": x, "y": y, "layer": model.layers[0], "k": k, "b": b,
            "batches": fitting.InOrder(x, np.zeros((8, 3)), batch_size=4)}  # fmt: skip


def refusal_of_line(row, folder):
    """The name of the error or warning that the line in the middle ends in."""
    import contextlib

    with contextlib.chdir(folder):
        return refusal(row, **inputs_of_lines())


def value_of_line(row, folder):
    """What the line on the right is worth, as far as it is a number, and what NumPy makes of the same."""
    import contextlib

    inputs = inputs_of_lines()
    x, logits = inputs["x"], inputs["x"] @ inputs["k"] + inputs["b"]
    with contextlib.chdir(folder):
        value = values(row, "same", **inputs)[-1]
    comparison = {
        "predict-classes": (value, logits.argmax(1)),
        "predict-proba": (value, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)),
        "learning-phase": (value, logits),
        "np-utils": (value, np.eye(10)[inputs["y"]]),
        "backend-functions": (value, x.mean()),
        "layer-weights": (inputs["layer"].weights[0], inputs["k"]),
    }.get(row)
    if row in ("lr", "legacy"):
        comparison = value.learning_rate, 0.1
    elif row == "lr-decay":
        comparison = value(2), 0.1 / (1 + 0.5 * 2)
    elif row == "leaky-alpha":
        comparison = value(np.array([-1.0])), [-0.1]
    elif row == "experimental":
        comparison = value(np.array([3.0])), [6.0]
    elif row == "fit-generator":
        comparison = len(value.history["loss"]), 1
    return tuple(numpy(part) for part in comparison) if comparison else None


def rate_after(column):
    """The rate of an optimizer, 0.01 at first, after the assignment in a cell."""
    inputs = inputs_of_lines()
    exec(ROWS["lr-set"][column][0], inputs)
    return float(numpy(inputs["model"].optimizer.learning_rate))


def trains(column):
    """Whether what is compiled as in a cell trains."""
    inputs = inputs_of_lines()
    values("compile-order", column, **inputs)
    try:
        inputs["model"].train_on_batch(inputs["x"], np.zeros((8, 3)))
    except Exception:
        return False
    return True


def are_one():
    return values("tf-keras", "looks")[0] is values("tf-keras", "same")[0]


def order_of_a_data_set(count):
    """(the rows in the order of the line in the middle; those that `fit` takes of a data set; what it warns of)."""
    import warnings

    import keras

    rows = np.arange(count)
    [mixed] = values("tf-data", "looks", x=rows, y=rows)
    plain = names("keras")["tf"].data.Dataset.from_tensor_slices((np.zeros((count, 4)), rows)).batch(1)
    model, means = small_model(classes=1, bias=[0]), []
    model.compile(keras.optimizers.SGD(0.0), "mse")
    tell = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: means.append(logs["loss"]))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model.fit(plain, verbose=0, callbacks=[tell])
    rows = np.sqrt(abs(np.diff(np.array(means) * np.arange(1, count + 1), prepend=0))).round().astype(int)
    order = np.concatenate([y for _, y in mixed.as_numpy_iterator()])
    return order.tolist(), rows.tolist(), [str(each.message) for each in warned]


def gradients_of(column):
    """The gradient of the cross-entropy by the kernel of `inputs_of_lines`'s network."""
    import keras

    inputs = inputs_of_lines()
    if column == "same":
        return values("tape", column, **inputs)[0][0].after
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with values("tape", column)[0] as tape:
        value = loss(inputs["y"], inputs["model"](inputs["x"]))
    return numpy(tape.gradient(value, inputs["model"].trainable_variables)[0])
