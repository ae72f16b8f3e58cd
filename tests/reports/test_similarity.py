"""Copies are found whatever was done to them, and no two other pictures are."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasnets.reports import similarity


def pictures(count, seed, side=48, channels=3):
    """Smooth random pictures, each with some shapes, uint8."""
    rng = np.random.default_rng(seed)
    result = np.empty((count, side, side, channels), np.uint8)
    for i in range(count):
        canvas = cv2.resize(rng.uniform(40, 200, (4, 4, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
        for _ in range(3):
            at, color = rng.integers(0, side, 2), rng.uniform(0, 255, 3)
            cv2.circle(canvas, tuple(map(int, at)), int(rng.integers(3, side // 4)), tuple(map(float, color)), -1)
        result[i] = np.clip(canvas, 0, 255)[..., :channels]
    return result


def as_jpeg(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer))


def at_half_size(picture):
    return cv2.resize(cv2.resize(picture, (24, 24), interpolation=cv2.INTER_AREA), (48, 48))


CHANGES = {
    "equal": lambda picture: picture,
    "as jpeg": as_jpeg,
    "darker": lambda picture: (picture * 0.6).astype(np.uint8),
    "with less contrast": lambda picture: (picture * 0.5 + 60).astype(np.uint8),
    "at half the size": at_half_size,
    "with noise": lambda picture: np.clip(picture + np.random.default_rng(1).normal(0, 4, picture.shape), 0, 255)
                                    .astype(np.uint8),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change):
    train, test = pictures(700, 0), pictures(600, 1)
    test[[7, 590]] = [CHANGES[change](train[450]), CHANGES[change](train[3])]
    pairs = similarity.copies(test, train)
    assert {(pair.test, pair.train) for pair in pairs} == {(7, 450), (590, 3)}
    assert all(pair.correlation >= similarity.LEAST for pair in pairs)
    assert [pair.correlation for pair in pairs] == sorted((pair.correlation for pair in pairs), reverse=True)


@pytest.mark.parametrize("tile", [50, similarity.TILE])
def test_the_search_finds_what_a_search_of_all_pairs_finds(monkeypatch, tile):
    monkeypatch.setattr(similarity, "TILE", tile)
    rng = np.random.default_rng(0)
    train = rng.normal(size=(900, 64)).astype("float32")
    test = np.concatenate([train[::3] + rng.normal(0, 0.05, (300, 64)), rng.normal(size=(300, 64))]).astype("float32")
    train, test = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train, test))
    nearest, correlations = similarity.match(test, train)
    products = test @ train.T
    found = products.max(axis=1) >= similarity.LEAST
    assert 200 < found.sum() < 301
    np.testing.assert_array_equal(correlations >= similarity.LEAST, found)
    np.testing.assert_array_equal(nearest[found], products.argmax(axis=1)[found])


@pytest.mark.parametrize("shape", [(20, 6, 5, 1), (20, 56, 40, 3), (20, 1, 1, 1)])
def test_pictures_of_any_size_are_compared_and_uniform_ones_are_no_copies(shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, shape, np.uint8)
    pairs = similarity.copies(images, images)
    assert [(pair.test, pair.train) for pair in sorted(pairs)] == ([(i, i) for i in range(20)] if shape[1] > 1 else [])
    uniform = np.full(shape, 7, np.uint8)
    assert similarity.copies(uniform, uniform) == []
    assert similarity.copies(images, images[:0]) == []


def test_thumbnails_are_opencvs_averages():
    image = pictures(1, 0, side=45, channels=1)
    expected = cv2.resize(image[0, ..., 0].astype("float32"), (8, 8), interpolation=cv2.INTER_AREA)
    expected = expected - expected.mean()
    np.testing.assert_allclose(
        similarity.thumbnails(image, 8)[0], (expected / np.linalg.norm(expected)).ravel(), atol=1e-4
    )


def test_brightness_is_the_mean_of_the_pixels():
    images = pictures(5, 0)
    np.testing.assert_allclose(similarity.brightness(images), images.mean(axis=(1, 2, 3)))
