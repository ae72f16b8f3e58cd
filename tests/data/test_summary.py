"""The summary of a data set has the figures that NumPy computes."""

import json
from collections import Counter

import numpy as np
import pytest

from kerasnets.data import Data
from kerasnets.data.summary import summarize


def random_data(shape, dtype, classes=3):
    """70 images or rows, the first 50 to train on, in classes of unequal size."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (70, *shape)).astype(dtype) + np.arange(shape[-1]).astype(dtype) * 20
    labels = np.minimum(rng.integers(0, 2 * classes, 70), classes - 1)
    names = tuple(f"class {i}" for i in range(classes))
    return Data(images[:50], labels[:50], images[50:], labels[50:], title="made up", class_names=names)


# The last has more training pixels than are summed at a time.
@pytest.mark.parametrize("shape", [(9, 7, 3), (9, 7, 1), (150, 151, 3)])
def test_mean_and_std_are_of_the_training_pixels_divided_by_255(shape):
    data = random_data(shape, np.uint8)
    result, pixels = summarize(data), data.train_images.astype("float64") / 255
    np.testing.assert_allclose(result.mean, pixels.mean((0, 1, 2)), rtol=1e-10)
    np.testing.assert_allclose(result.std, pixels.std((0, 1, 2)), rtol=1e-10)


def test_mean_and_std_of_a_table_are_by_column():
    data = random_data((4,), np.float32)
    np.testing.assert_allclose(summarize(data).mean, data.train_images.astype("float64").mean(0), rtol=1e-10)
    np.testing.assert_allclose(summarize(data).std, data.train_images.astype("float64").std(0), rtol=1e-10)


def test_the_classes_of_each_part_are_counted():
    data = random_data((4, 4, 1), np.uint8, classes=5)
    result = summarize(data)
    assert result.counts["train"].tolist() == [Counter(data.train_labels.tolist())[i] for i in range(5)]
    assert result.counts["test"].tolist() == [Counter(data.test_labels.tolist())[i] for i in range(5)]


def test_a_class_without_test_pictures_counts_zero():
    data = random_data((4, 4, 1), np.uint8)
    part = Data(data.train_images, data.train_labels, data.test_images[:1], np.array([0]), class_names=data.class_names)
    assert summarize(part).counts["test"].tolist() == [1, 0, 0]


def test_the_last_line_is_the_result_and_every_class_has_one():
    data = random_data((9, 7, 3), np.uint8)
    *classes, result = summarize(data).lines()
    assert [line.split("  ")[0] for line in classes] == ["class 0", "class 1", "class 2"]
    assert result.startswith("result data='made up' train=50 test=20 classes=3 shape=9x7x3 mean=")
    means = [float(figure) for figure in result.split("mean=")[1].split()[0].split(",")]
    np.testing.assert_allclose(means, (data.train_images / 255).mean((0, 1, 2)), atol=5.1e-5)


def test_a_program_can_read_the_summary():
    data = random_data((9, 7, 3), np.uint8)
    read = json.loads(json.dumps(summarize(data).as_dict()))
    assert read["counts"]["train"] == np.bincount(data.train_labels).tolist()
    assert read["image_shape"] == [9, 7, 3]
    np.testing.assert_allclose(read["mean"], (data.train_images / 255).mean((0, 1, 2)))


def test_real_mnist_has_its_published_mean_and_std(mnist):
    result = summarize(
        mnist
    )  # 0.1307 and 0.3081: transforms.Normalize((0.1307,), (0.3081,)) of PyTorch's MNIST example
    assert result.mean[0] == pytest.approx(0.1307, abs=5e-5)
    assert result.std[0] == pytest.approx(0.3081, abs=5e-5)
