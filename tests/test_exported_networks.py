"""Every network gives the same as ONNX, in OpenCV and in onnxruntime, as in Keras."""

import cv2
import numpy as np
import pytest

from kerasnets.models.registry import NETWORKS
from kerasnets.runtime.processes import Worker
from tests.conftest import strictly
from tests.exports import export, pictures, plain_keras, save_network

onnxruntime = pytest.importorskip("onnxruntime")

# In every run, at sizes that take seconds: one network of each family and of each kind of layer.
SMALL = {
    "lenet5": {},
    "mnist_cnn": {},
    "baseline_cnn": {},
    "sigmoid_cnn": {},
    "cifar_net": {},
    "dnn_tabular": {},
    "fc2layer": {},
    "alexnet": {"input_shape": (67, 67, 3), "num_classes": 10, "units": 32},
    "alexnet_torchvision": {"input_shape": (63, 63, 3), "num_classes": 10, "units": 32},
    "vgg7_bn": {"input_shape": (32, 32, 3), "num_classes": 10, "units": 32, "filters": 16},
    "vgg16_1x1": {"input_shape": (32, 40, 3), "num_classes": 10, "units": 32, "filters": 8},
    "nin": {},
    "googlenet": {"input_shape": (32, 32, 3), "num_classes": 10},
    "googlenet_mini": {},
    "resnet18": {"input_shape": (32, 32, 3), "num_classes": 10},
    "resnet20": {},
    "resnet_mini": {},
    "densenet40": {},
}
COUNT = 6  # pictures


def by_opencv(path, images):
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(images)
    return network.forward().copy()


def by_onnxruntime(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def check(workers, folder, name, options):
    """Fail if the ONNX file of a network, with weights drawn by NumPy, differs from Keras."""
    model, exported = folder / f"{name}.keras", folder / f"{name}.onnx"
    try:
        shape = workers["torch"](save_network, model, name, options)
        export(model, exported, workers)
        images = pictures(COUNT, shape, seed=1)
        expected = workers["torch"](plain_keras, model, images)
        assert len(set(expected.argmax(axis=1))) > 1  # the predictions differ between pictures,
        assert 0.01 < np.median(expected.max(axis=1)) < 0.999  # and are not certain
        for judge in (by_opencv, by_onnxruntime):
            result = judge(exported, images)
            np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4, err_msg=judge.__name__)
            np.testing.assert_array_equal(result.argmax(axis=1), expected.argmax(axis=1), judge.__name__)
    finally:
        for path in (model, exported):  # half a GB each
            path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.whole_registry] * (name in ("densenet40", "googlenet", "resnet18")))
    for name in SMALL
])  # fmt: skip
def test_a_small_network_gives_the_same_as_onnx(workers, tmp_path, name):
    check(workers, tmp_path, name, SMALL[name])


@pytest.mark.whole_registry
@pytest.mark.parametrize("name", [name for name in NETWORKS if SMALL.get(name) != {}])
def test_every_network_gives_the_same_as_onnx_at_full_size(tmp_path, name):
    """Each in a process of its own, like an export: seven VGGs in one process kept 16 GB."""
    worker = Worker("torch", strictly)
    try:
        check({"torch": worker}, tmp_path, name, {})
    finally:
        worker.close()
