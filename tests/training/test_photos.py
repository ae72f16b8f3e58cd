"""Photos are cropped, mirrored and coloured at their own size, by (seed, epoch, index) alone."""

import numpy as np
import pytest

from kerasnets import data, pictures
from kerasnets.data import streams
from kerasnets.training import photos
from tests.stand_ins import encoded, write_folder

SHAPE = (24, 20, 3)


def picture(seed, height=60, width=90):
    """Smooth, so that resizing in another way makes little difference."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return np.asarray(pictures.cut(small, (0, 0, 4, 6), (height, width, 3)))


def folder_of(tmp_path, suffix=".png", sizes=((60, 90), (90, 60), (200, 300), (21, 33))):
    pixels = {f"{name}/{i:02}{suffix}": picture((label, i), *sizes[i % len(sizes)])
              for label, name in enumerate(("ant", "bee")) for i in range(8)}  # fmt: skip
    return write_folder(tmp_path / "pets", {name: encoded(p, suffix) for name, p in pixels.items()}), pixels


def load(path, stream=True):
    reading = data.Reading(stream=stream, native=True)
    return data.load_data(path, None, SHAPE[:2], "crop", reading=reading).train_images


def change(images, chosen, name="photo_colour", seed=1, epoch=2, shape=SHAPE):
    return photos.change_photos(images, np.asarray(chosen), shape, name, seed, epoch)


# ---- by (seed, epoch, index) alone ----


@pytest.mark.parametrize("name", photos.PHOTOS)
def test_a_photo_is_changed_alike_in_any_order_and_company(tmp_path, name):
    images = load(folder_of(tmp_path)[0])
    every = change(images, np.arange(len(images)), name)
    order = np.random.default_rng(0).permutation(len(images))
    np.testing.assert_array_equal(change(images, order, name), every[order])
    np.testing.assert_array_equal(change(images, [5], name), every[5:6])


def test_another_seed_epoch_or_index_is_another_change():
    images = np.stack([picture(0)] * 3)
    results = [change(images, [0]), change(images, [1]), change(images, [0], seed=2), change(images, [0], epoch=3)]
    assert len({result.tobytes() for result in results}) == 4


def test_upright_photos_are_the_same_but_for_the_mirror():
    """Of 32 photos, each is that of the mirrored kind, or its mirror image; about half are."""
    images = np.stack([picture(0)] * 32)
    for name in ("photo", "photo_colour"):
        mirrored, upright = change(images, np.arange(32), name), change(images, np.arange(32), f"{name}_upright")
        same = [np.array_equal(a, b) for a, b in zip(mirrored, upright, strict=True)]
        assert 8 <= sum(same) <= 24
        for a, b, is_same in zip(mirrored, upright, same, strict=True):
            if name == "photo":
                np.testing.assert_array_equal(a, b if is_same else b[:, ::-1])


def test_photos_in_memory_are_changed_like_streamed_ones(tmp_path):
    path, _ = folder_of(tmp_path)
    chosen = np.arange(len(load(path)))
    np.testing.assert_array_equal(change(load(path, True), chosen), change(load(path, False), chosen))


def test_photos_of_an_array_are_changed_like_those_in_files(tmp_path):
    path, pixels = folder_of(tmp_path, sizes=((60, 90),))
    images = load(path)
    array = np.stack([pixels[images.index.names[place]] for place in images.places])
    chosen = np.arange(len(array))
    np.testing.assert_array_equal(change(images, chosen), change(array, chosen))


def test_the_numbers_are_those_of_philox_in_numpy_1_17():
    """The first words of the counter (0, 0, 0, 7) under the key (5, 3), as NumPy 1.26 and 2.4 give them."""
    raw = np.random.Philox(key=np.array([5, 3], "uint64"), counter=[0, 0, 0, 7]).random_raw(3)
    assert photos.draw((5, 3), 7, 3) == [(int(word) >> 11) / 2**53 for word in raw]
    assert photos.draw((2**32 - 1, 0), 2**40, 4) != photos.draw((2**32 - 1, 0), 2**40 + 1, 4)


# ---- the crop ----


def test_crops_have_the_areas_and_ratios_of_torchvision():
    """Area is uniform in 0.08..1 and the logarithm of the ratio in log 3/4..log 4/3; in a square most of them fit."""
    boxes = np.array([photos.choose_box((1000, 1000), photos.draw((0, 0), i, 22)) for i in range(4000)])
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 1000).all()
    assert (left + width <= 1000).all()
    area, ratio = height * width / 1e6, width / height
    assert area.min() > 0.079
    assert 0.749 < ratio.min() < ratio.max() < 1.335
    small = area < 0.5  # all of these fit at any ratio
    assert np.quantile(area[small], (0.25, 0.5, 0.75)) == pytest.approx((0.185, 0.29, 0.395), abs=0.02)
    assert np.quantile(np.log(ratio[small]), (0.25, 0.5, 0.75)) == pytest.approx((-0.144, 0, 0.144), abs=0.03)
    room = 1000 - height
    assert (top / np.maximum(room, 1)).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("size", "box"), [((10, 1000), (0, 494, 10, 13)), ((1000, 10), (494, 0, 13, 10))])
def test_a_thin_photo_is_cropped_in_the_middle(size, box):
    """As torchvision does after ten tries: the whole shorter side, at the nearest ratio."""
    assert photos.choose_box(size, [0.999] * 22)[2:] == box[2:]
    top, left, height, width = photos.choose_box(size, [0.999] * 22)
    assert (top, left) == ((size[0] - height) // 2, (size[1] - width) // 2)


def test_half_of_the_photos_are_mirrored():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 20:] = 255
    changed = change(np.stack([image] * 400), np.arange(400), "photo").astype(int)
    mirrored = changed[:, :, :10].sum(axis=(1, 2, 3)) > changed[:, :, 10:].sum(axis=(1, 2, 3))
    assert 150 < mirrored.sum() < 250


def test_a_crop_of_a_large_jpeg_is_nearly_that_of_its_pixels(tmp_path):
    """A JPEG is decoded at half or a quarter of its size where the crop allows it."""
    pixels = picture(3, 400, 600)
    content, path = encoded(pixels, ".jpg"), tmp_path / "a.jpg"
    whole = pictures.decode(content, path)
    for box in ((0, 0, 400, 600), (100, 37, 101, 203), (3, 5, 391, 97), (10, 10, 30, 30)):
        result = pictures.cut_from_file(content, path, (400, 600), box, SHAPE)
        difference = np.abs(result.astype(int) - pictures.cut(whole, box, SHAPE))
        assert difference.mean() < 2
        assert difference.max() < 16
    assert pictures.cut_from_file(content, path, (400, 500), (0, 0, 400, 500), SHAPE) is None


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path):
    content = encoded(picture(3, 401, 600), ".jpg")
    assert pictures.decode(content, "a.jpg", 4).shape == (101, 150, 3)
    colours = pictures.decode(content, "a.jpg").reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(pictures.decode(content, "a.jpg", 4).reshape(-1, 3).mean(axis=0), colours, atol=2)
    assert pictures.decode(encoded(picture(3, 401, 600), ".png"), "a.png", 4).shape == (401, 600, 3)


# ---- colours ----


def test_no_change_of_colours_leaves_each_pixel():
    np.testing.assert_array_equal(photos.change_colours(picture(0), 1, 1, 1), picture(0))


@pytest.mark.parametrize("factors", [(1.3, 1, 1), (1, 0.7, 1), (1, 1, 1.4), (0.8, 1.2, 0.6)])
def test_colours_are_changed_like_by_torchvision(factors):
    """Without rounding and clipping in between, so of colours that stay within 0..255."""
    pixels = (picture(0).astype(float) * 0.4 + 70).astype(np.uint8)
    brightness, contrast, saturation = factors
    grey = np.array([0.299, 0.587, 0.114])
    wanted = pixels * brightness
    wanted = contrast * wanted + (1 - contrast) * (wanted @ grey).mean()
    wanted = saturation * wanted + (1 - saturation) * (wanted @ grey)[..., None]
    assert 0 < wanted.min() < wanted.max() < 255
    np.testing.assert_allclose(photos.change_colours(pixels, *factors), wanted, atol=1)  # OpenCV has 10 binary digits


def test_grey_photos_have_brightness_and_contrast():
    pixels = picture(0)[..., :1]
    assert photos.change_colours(pixels, 0.5, 1, 0.3).mean() == pytest.approx(pixels.mean() / 2, abs=0.5)
    assert photos.change_colours(pixels, 1, 0.5, 1).std() == pytest.approx(pixels.std() / 2, abs=0.5)
    grey = np.stack([picture(i)[..., :1] for i in range(3)])
    assert change(grey, [0, 1, 2], shape=(9, 9, 1)).shape == (3, 9, 9, 1)


# ---- the test ----


@pytest.mark.parametrize(("shape", "side"), [((224, 224, 3), 256), ((64, 64, 3), 73), ((28, 56, 3), 64)])
def test_a_test_takes_the_middle_of_a_photo_without_squashing_it(shape, side):
    image = picture(0, 300, 450)
    scaled = pictures.cut(image, (0, 0, 300, 450), (side, round(side * 1.5), 3)).astype(int)
    top, left = (scaled.shape[0] - shape[0]) // 2, (scaled.shape[1] - shape[1]) // 2
    middle = scaled[top : top + shape[0], left : left + shape[1]]
    assert np.abs(pictures.prepare(image, "crop", shape) - middle).mean() < 3


def test_a_test_of_224_pixels_is_torchvisions():
    image = picture(0, 300, 450)
    both = (pictures.prepare(image, kind, (224, 224, 3)) for kind in ("crop", "crop256"))
    np.testing.assert_array_equal(*both)


def test_a_photo_in_memory_and_in_a_file_have_the_same_methods():
    public = lambda kind: {name for name in vars(kind) if not name.startswith("_")}  # noqa: E731
    assert public(streams.Photo) == public(streams.ArrayPhoto) == {"cut"}
