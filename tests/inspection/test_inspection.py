"""Layers, gradients, a step and saliency of a network are the same as in PyTorch."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import kerasnets
from kerasnets import data
from kerasnets.inspection import figures
from kerasnets.proof.case import draw_weights
from tests.cli.test_app import ROWS, SAMPLE, SHIPPED, only_line, run

RATE = 0.05  # of the step
NEAR = 1e-4  # of the largest: float32 on four programs

# tanh and average pooling; ReLU inside of layers; batch norm, dropout, and ReLU as a layer
SHAPES = {"lenet5": (28, 28, 1), "mnist_cnn": (20, 24, 3), "baseline_cnn": (20, 24, 3)}  # LeNet-5 ends in 1x1

# LeCun et al. 1998, figure 2, in Keras' order of axes: kernels of 5x5, 120 and 84 units
WEIGHTS = {
    "c1/kernel": (5, 5, 1, 6),
    "c1/bias": (6,),
    "c3/kernel": (5, 5, 6, 16),
    "c3/bias": (16,),
    "c5/kernel": (5, 5, 16, 120),
    "c5/bias": (120,),
    "f6/kernel": (120, 84),
    "f6/bias": (84,),
    "logits/kernel": (84, 10),
    "logits/bias": (10,),
}


def batch(name):
    """(images, labels) of 8: float32 (8, height, width, channels), 0..1."""
    rng = np.random.default_rng(3)
    return rng.random((8, *SHAPES[name]), "float32"), rng.integers(0, 10, 8)


# ---- run in the workers ----


def draw(name, layout="channels_last"):
    network = kerasnets.build(name, input_shape=SHAPES[name], layout=layout)
    network.set_weights(draw_weights(network, 0))
    return network


def inspect(name, layout="channels_last"):
    """The results of all probes as NumPy arrays, and whether the network is unchanged."""
    import keras

    network, (images, labels) = draw(name, layout), batch(name)
    before = network.get_weights()
    result = {
        "trace": [(a.name, a.kind, a.output, a.zeros_before, a.zeros) for a in kerasnets.trace(network, images)],
        "gradients": [(g.name, g.shape, g.before, g.after) for g in kerasnets.gradients(network, images, labels)],
        "step": vars(kerasnets.take_step(network, images, labels, keras.optimizers.SGD(RATE))),
        "saliency": kerasnets.saliency(network, images, labels),
    }
    return result, all(np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True))


def weights_of(name):
    return {weight.name: weight.values for weight in kerasnets.named_weights(draw(name))}


def inspect_by_torch(name):
    """The same results by plain PyTorch, in Keras' order of axes."""
    import torch
    from torch import nn

    from kerasnets.proof import twins

    network, (images, labels) = draw(name), batch(name)
    pictures, labels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)
    twin = twins.build(name, input_shape=SHAPES[name])
    twin.load_state_dict(kerasnets.torch_state_dict(network))
    for module in twin:
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    outputs, x = [], pictures
    with torch.no_grad():
        for module in twin.eval():
            x = module(x)
            outputs.append(x.permute(0, 2, 3, 1).numpy() if x.ndim == 4 else x.numpy())
    return {"outputs": outputs, **saliency_in_torch(twin, pictures, labels), **step_in_torch(twin, pictures, labels)}


def saliency_in_torch(twin, pictures, labels):
    """Simonyan et al. 2014, section 3.1."""
    pictures = pictures.clone().requires_grad_()
    twin(pictures)[range(len(labels)), labels].sum().backward()
    twin.zero_grad()
    return {"saliency": pictures.grad.abs().amax(1).numpy()}


def step_in_torch(twin, pictures, labels):
    import torch

    def judge():
        logits = twin(pictures)
        return torch.nn.functional.cross_entropy(logits, labels), int((logits.argmax(1) == labels).sum())

    twin.train()
    optimizer = torch.optim.SGD(twin.parameters(), RATE)
    optimizer.zero_grad()
    absent = all(parameter.grad is None for parameter in twin.parameters())
    loss, right = judge()
    loss.backward()
    gradients = twin.state_dict() | {name: parameter.grad for name, parameter in twin.named_parameters()}
    optimizer.step()
    loss_after, right_after = judge()
    return {"absent": absent, "gradients": gradients, "losses": [loss.item(), loss_after.item()],
            "right": [right, right_after]}  # fmt: skip


def judgement(name):
    """The result of `inspect_by_torch`, with gradients in Keras' axes: {name: array}."""
    result = inspect_by_torch(name)
    network = kerasnets.build(name, input_shape=SHAPES[name])
    kerasnets.load_torch_weights(network, result["gradients"])
    trained = {id(variable) for variable in network.trainable_variables}
    return result | {"gradients": {v.path: np.array(v) for v in network.weights if id(v) in trained}}


def saliency_of_file(path, pixels):
    return kerasnets.saliency(path, pixels)


def saliency_of_file_in_torch(path, pixels):
    import torch

    from kerasnets.proof import twins

    twin = twins.build("mnist_cnn").eval()
    twin.load_state_dict(kerasnets.torch_state_dict(kerasnets.load(path)[0]))
    pictures = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype("float32")).requires_grad_()
    twin(pictures / 255).amax(1).sum().backward()
    return pictures.grad.abs().amax(1).numpy()


def heads_and_zeros():
    """The trace and gradients of a network with an auxiliary head, softmax at its end, and a frozen layer."""
    from keras import Input, Model, layers

    inputs = Input((8, 8, 1))
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    flat = layers.Flatten(name="flatten")(x)
    aux = layers.Dense(2, activation="softmax", name="aux")(flat)
    network = Model(inputs, [layers.Dense(2, activation="softmax", name="answer")(flat), aux], name="two_heads")
    network.get_layer("conv").trainable = False
    images = np.ones((1, 8, 8, 1), "float32")
    traced = [(a.name, a.kind) for a in kerasnets.trace(network, images)]
    return traced, [g.name for g in kerasnets.gradients(network, images, np.array([1]))]


def error_of(case):
    from keras import Input, Model, Sequential, layers

    network = draw("lenet5")
    images, labels = batch("lenet5")
    inputs = Input((28, 28, 1))
    shared = layers.Conv2D(1, 3, padding="same", name="shared")
    cases = {
        "images": lambda: kerasnets.trace(network, images[:, :20]),
        "no images": lambda: kerasnets.trace(network, images[:0]),
        "labels": lambda: kerasnets.gradients(network, images, labels + 5),
        "float labels": lambda: kerasnets.gradients(network, images, labels.astype(float)),
        "fewer labels": lambda: kerasnets.take_step(network, images, labels[:3]),
        "shared": lambda: kerasnets.trace(Model(inputs, shared(shared(inputs)), name="twice"), images),
        "unbuilt": lambda: kerasnets.saliency(Sequential([layers.Dense(2)], name="unbuilt"), images),
    }
    try:
        cases[case]()
    except ValueError as error:
        return str(error)
    return None


def refusal_of(given):
    """(class, message) of the error by which `given` is refused."""
    from kerasnets.inspection import page

    values, layers = given.pop("values", ()), given.pop("layers", ())
    try:
        result = kerasnets.inspect_network(**given)
        result.text(values)
        list(page.parts_of(result, layers))
    except ValueError as error:
        return type(error).__name__, str(error)
    return None


def note_of_gradients(network):
    """The note above the table of gradients."""
    from kerasnets.inspection import tables

    return tables.table_of_gradients(kerasnets.inspect_network(network)).note


def subject_words(network, **given):
    from kerasnets.inspection.subject import subject_of

    subject = subject_of(network, **given)
    return subject.picture.words, subject.batch.words, subject.batch.images.shape, subject.network.input.dtype


def page_of_scripts(folder):
    """The page of a network whose layer, class, picture and name are scripts."""
    from unittest import mock

    from keras import Input, Model, layers

    from kerasnets.inspection import report
    from kerasnets.inspection.subject import Examples, Subject
    from kerasnets.saving import Card

    script = "<script>alert(1)<|script>"  # Keras refuses a slash in the name of a layer
    inputs = Input((8, 8, 1))
    x = layers.Conv2D(2, 3, activation="relu", name=script)(inputs)
    network = Model(inputs, layers.Dense(2, name="logits")(layers.Flatten(name="flatten")(x)))
    picture = Examples(np.ones((1, 8, 8, 1), np.uint8), None, f"{script}.jpg")
    card = Card(script, (script, "other"), (8, 8, 1))
    subject = Subject(network, card, f"{script}.keras", picture, picture)
    with mock.patch.object(report, "subject_of", return_value=subject):
        report.inspect_network(script).write_page(f"{folder}/page.html")


# ---- tests ----


@pytest.fixture(scope="module")
def judge(workers):
    """name -> the results by PyTorch."""
    return {name: workers["torch"](judgement, name) for name in SHAPES}


def distance(found, truth):
    return float(np.abs(found - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize(("name", "layout"), [("mnist_cnn", "channels_first"), ("baseline_cnn", "channels_last")])
def test_layers_gradients_step_and_saliency_agree_with_pytorch(worker, judge, name, layout):
    agree(name, judge[name], *worker(inspect, name, layout))


def test_they_agree_for_lenet5_too(workers, judge):
    agree("lenet5", judge["lenet5"], *workers["torch"](inspect, "lenet5"))


def agree(name, truth, found, is_unchanged):
    assert is_unchanged
    found["trace"] = [row for row in found["trace"] if row[1] != "Permute"]  # of channels_first
    assert len(found["trace"]) == 1 + len(truth["outputs"])  # the input; the twin has a module for each of the others
    before = None
    for (layer, kind, output, zeros_before, zeros), expected in zip(found["trace"][1:], truth["outputs"], strict=True):
        if kind == "Flatten":  # which PyTorch flattens in another order
            output, expected = np.sort(output), np.sort(expected)
        assert output.shape == expected.shape, layer
        assert distance(output, expected) < NEAR, layer
        assert zeros == pytest.approx((expected == 0).mean(), abs=1e-3)
        if kind in ("relu", "tanh"):
            assert zeros_before == pytest.approx((before == 0).mean(), abs=1e-3)
        else:
            assert zeros_before is None
        before = expected
    assert truth["absent"]
    assert [each[0] for each in found["gradients"]] == list(truth["gradients"])
    largest = max(np.abs(gradient).max() for gradient in truth["gradients"].values())
    for weight, shape, absent, present in found["gradients"]:
        expected = truth["gradients"][weight]
        assert absent is None
        assert present.shape == tuple(shape) == expected.shape
        if not (name == "baseline_cnn" and weight == "conv1/bias"):  # the norm behind it leaves noise
            assert distance(present, expected) < NEAR, weight
        assert np.abs(present - expected).max() < NEAR * largest
    step = found["step"]
    assert (step["optimizer"], step["learning_rate"], step["examples"]) == ("SGD", RATE, 8)
    assert [step["loss_before"], step["loss_after"]] == pytest.approx(truth["losses"], rel=NEAR)
    assert [step["right_before"], step["right_after"]] == truth["right"]
    assert found["saliency"].shape == (8, *SHAPES[name][:2])
    assert distance(found["saliency"], truth["saliency"]) < NEAR


def test_relu_gives_zeros_and_gets_none(workers):
    result, _ = workers["torch"](inspect, "mnist_cnn")
    shares = [(before, after) for _, kind, _, before, after in result["trace"] if kind == "relu"]
    assert len(shares) == 4
    assert all(before == 0 and 0.1 < after < 0.9 for before, after in shares)


def test_weights_have_names_shapes_and_values(worker):
    result = worker(weights_of, "lenet5")
    assert {name: values.shape for name, values in result.items()} == WEIGHTS
    rng = np.random.default_rng(0)  # as cases.draw_weights draws the first of them, He normal
    first = rng.standard_normal((5, 5, 1, 6), "float32") * np.float32((2 / 25) ** 0.5)
    assert np.array_equal(result["c1/kernel"], first)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_saliency_of_a_model_file_is_by_raw_pixels(workers, worker, suffix):
    pixels = data.load_data("digits").test_images[:4]
    truth = workers["torch"](saliency_of_file_in_torch, str(SHIPPED), pixels)
    assert distance(worker(saliency_of_file, str(SHIPPED.with_suffix(suffix)), pixels), truth) < NEAR


def test_softmax_and_other_heads_are_left_out_and_frozen_weights_have_no_gradient(worker):
    traced, gradients = worker(heads_and_zeros)
    assert [name for name, _ in traced][1:] == ["conv", "conv", "flatten", "answer"]
    assert [kind for _, kind in traced] == ["InputLayer", "Conv2D", "relu", "Flatten", "Dense"]
    assert gradients == ["answer/kernel", "answer/bias"]


@pytest.mark.parametrize(("case", "words"), [
    ("images", "images must be (n, 28, 28, 1), not (8, 20, 28, 1)"),
    ("no images", "there are no images to inspect; pass at least one"),
    ("labels", "labels must be 8 integers of 0 to 9, not array("),
    ("float labels", "labels must be 8 integers of 0 to 9, not array("),
    ("fewer labels", "labels must be 8 integers of 0 to 9, not array("),
    ("shared", "twice calls 'shared' more than once; it cannot be traced by layer"),
    ("unbuilt", "inspection needs a built keras.Model with one input, not <Sequential name=unbuilt"),
])  # fmt: skip
def test_a_model_or_array_that_cannot_be_inspected_gets_one_line(workers, case, words):
    assert workers["torch"](error_of, case).startswith(words)


# ---- the subject ----


@pytest.mark.parametrize(("given", "kind", "words"), [
    (dict(network="lenet6"), "ValueError", "unknown network 'lenet6'; choose one of: lenet5"),
    (dict(network=str(SHIPPED), image="no.jpg"), "BadInputError", "no.jpg"),
    (dict(network=str(ROWS), image=str(SAMPLE)), "BadInputError", "takes rows of 3 numbers, no pictures"),
    (dict(network=str(SHIPPED), label="cat"), "ValueError", "no class 'cat'; choose one of: 0"),
    (dict(network=str(SHIPPED), dataset="sum3"), "BadInputError", "sums of three numbers has "),
    (dict(network=str(SHIPPED), values=["conv9*"]), "ValueError", "no weight is called 'conv9*'"),
    (dict(network=str(SHIPPED), layers=["conv9"]), "ValueError", "no layer with maps or filters is called conv9"),
])  # fmt: skip
def test_a_wrong_argument_gets_one_line(workers, given, kind, words):
    result, message = workers["torch"](refusal_of, given)
    assert result == kind
    assert words in message
    assert "\n" not in message


def test_without_a_picture_and_data_noise_is_used_and_announced(workers):
    picture, taken, shape, dtype = workers["torch"](subject_words, "resnet18")  # ImageNet is not in DATASETS
    assert picture.startswith("random noise")
    assert taken == picture
    assert (shape, dtype) == ((1, 224, 224, 3), "uint8")


@pytest.mark.parametrize(("network", "has_both"), [("lenet5", False), ("baseline_cnn", True)])
def test_the_note_mentions_batch_norm_and_dropout_if_the_network_has_them(workers, network, has_both):
    note = workers["torch"](note_of_gradients, network)
    assert ("Batch normalization" in note) == ("Dropout" in note) == has_both


def test_the_norm_of_a_gradient_is_drawn_as_a_point():
    activities = [SimpleNamespace(name="c1", kind="relu", before=1, zeros_before=0.0, zeros=0.5)]
    gradients = [
        SimpleNamespace(name=name, after=np.full(4, size)) for name, size in (("c1/kernel", 1.5), ("c1/bias", 0))
    ]
    left, right = figures.by_layer(activities, gradients).axes
    assert right.get_xscale() == "log"
    assert not right.patches
    assert right.collections[0].get_offsets().tolist() == [[3.0, 0.0], [0.0, 1.0]]
    assert [bar.get_width() for bar in left.patches] == [0.5]  # there are no zeros before the activation


def test_a_script_as_the_name_of_a_layer_class_or_file_is_shown_as_text(workers, tmp_path):
    workers["torch"](page_of_scripts, str(tmp_path))
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;|script&gt;") >= 8  # network, picture, class; layer in three tables


# ---- the script ----


def test_the_script_prints_all_tables_and_writes_one_page(tmp_path):
    page = tmp_path / "page.html"
    process = run(tmp_path, "inspect_network.py", SHIPPED, SAMPLE, "--values", "logits/bias", "--out", page)
    assert (process.returncode, process.stderr) == (0, "")
    for title in ("Weights", "One picture, layer by layer", "Gradients of one batch", "One step of SGD"):
        assert f"\n{title}" in process.stdout
    assert "64 training pictures of scikit-learn's digits" in process.stdout  # MNIST is not here
    assert process.stdout.splitlines()[-1].startswith(
        "result model=mnist_cnn answer='3' probability=1.0000 loss_before="
    )
    text = page.read_text()
    assert text.count('<img src="data:image/png;base64,') == 4  # the answer, maps, filters, bars
    assert text.count("<table>") == 4
    assert not {"http:", "https:", "<script", "<link"} & set(text.replace('"', " ").split())


def test_json_of_a_fresh_network_says_which_label_was_assumed(tmp_path):
    result = json.loads(run(tmp_path, "inspect_network.py", "cifar_net", SAMPLE, "--json", "--seed", 5).stdout)
    assert result["network"] == "cifar_net with fresh weights of seed 5"
    assert result["label"] == result["ranking"][0]["label"]
    assert "likeliest" in result["label_is"]
    assert result["batch"] == result["picture"]
    assert np.shape(result["saliency"]) == (32, 32)
    assert {row["before"] for row in result["gradients"]} == {None}
    assert all(row["after"] is not None for row in result["gradients"])
    assert result["step"]["examples"] == 1


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["no.keras"], 3, "no model file no.keras"),
    ([SHIPPED, "--out", "page.txt"], 2, "page.txt must end in .html"),
    ([SHIPPED, "--layers", "conv1"], 2, "--layers goes with --out"),
    ([SHIPPED, "--learning-rate", "0"], 2, "--learning-rate must be above 0, not 0"),
])  # fmt: skip
def test_a_failure_of_the_script_is_one_line_with_its_exit_code(tmp_path, arguments, code, words):
    assert words in only_line(run(tmp_path, "inspect_network.py", *arguments), code)
