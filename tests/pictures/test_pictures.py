"""From pixels to a network's input: polarity, MNIST's form, sizes, refusals."""

import contextlib

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from kerasnets import pictures
from kerasnets.errors import BadInputError
from kerasnets.pictures import digits

# ---- refusing ----


def test_a_picture_of_one_colour_has_no_digit():
    with pytest.raises(BadInputError, match="no digit to see"):
        pictures.prepare(np.full((50, 50), 77, np.uint8), "mnist", (28, 28, 1))


@pytest.mark.parametrize("shape", [(3, 3000), (3000, 3), (1, 20_000), (1, 1), (2, 2)])
def test_odd_shapes_are_answered_or_refused_as_bad_input(shape):
    picture = np.full(shape, 240, np.uint8)
    picture[shape[0] // 2, shape[1] // 2] = 0
    with contextlib.suppress(BadInputError):
        assert pictures.prepare(picture, "mnist", (28, 28, 1)).shape == (28, 28, 1)


@pytest.mark.parametrize(
    "array", [np.zeros((0, 0), np.uint8), np.zeros((28, 28)), np.zeros((28, 28, 2), np.uint8), np.zeros(28, np.uint8)]
)
def test_an_array_that_is_not_a_picture_is_wrong_usage(array):
    with pytest.raises(ValueError, match="a picture is uint8"):
        pictures.prepare(array, "mnist", (28, 28, 1))


# ---- MNIST's form ----


def test_every_picture_of_mnist_passes_untouched_in_either_polarity(mnist):
    for images in (mnist.train_images, mnist.test_images):
        assert (np.stack([pictures.to_mnist_form(picture) for picture in images]) == images).all()
    assert (np.stack([pictures.to_mnist_form(255 - picture) for picture in images]) == images).all()


def test_ink_is_placed_where_mnists_makers_placed_it(mnist):
    """Each picture, cut out of its field and placed in a new one, has the same pixels."""
    for picture in mnist.test_images[..., 0]:
        x, y, width, height = cv2.boundingRect(picture)
        ink = picture[y : y + height, x : x + width].astype(np.float32) / 255
        np.testing.assert_array_equal(digits.centre_by_mass(ink), picture)


def bar(height=300, width=400, thickness=30, ink=20, paper=220):
    """A slanted stroke, dark on light."""
    picture = np.full((height, width), paper, np.uint8)
    cv2.line(picture, (width // 2 - 20, height // 4), (width // 2 + 30, height * 3 // 4), ink, thickness, cv2.LINE_AA)
    return picture


FORMS = {
    "dark on light": bar(),
    "light on dark": bar(ink=250, paper=10),
    "rgb": np.repeat(bar()[..., None], 3, axis=2),
    "straight": cv2.line(np.full((300, 300), 255, np.uint8), (150, 60), (150, 240), 0, 12),
    "straight and thin": cv2.line(np.full((300, 300), 255, np.uint8), (150, 60), (150, 240), 0, 2),
    "tiny": cv2.resize(bar(), (16, 12), interpolation=cv2.INTER_AREA),
    "huge": cv2.resize(bar(), (4000, 3000), interpolation=cv2.INTER_LINEAR),
    "thin pen": bar(thickness=2),
    "grain": np.clip(bar() + np.random.default_rng(0).normal(0, 8, (300, 400)), 0, 255).astype(np.uint8),
    "cropped to its stroke": bar()[70:230, 165:245],
    "thick": bar(thickness=60),
    "under a shadow": (bar() * np.where(np.add.outer(np.arange(300), np.arange(400)) < 260, 0.6, 1)).astype(np.uint8),
    "lit from one side": (bar() * np.linspace(0.35, 1, 400)).astype(np.uint8),
    "lit from above": (bar() * np.linspace(1, 0.4, 300)[:, None]).astype(np.uint8),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_stroke_fills_the_box_and_is_centred_by_mass(name):
    """http://yann.lecun.com/exdb/mnist: a 20x20 box, the centre of mass in the middle of 28x28, white on black."""
    form = pictures.prepare(FORMS[name], "mnist", (28, 28, 1))
    assert (form.shape, form.dtype) == ((28, 28, 1), np.uint8)
    rows, columns = np.nonzero(form[..., 0] > 40)
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    weights = form[..., 0].astype(float)
    centre = (weights.sum(1) @ np.arange(28) / weights.sum(), weights.sum(0) @ np.arange(28) / weights.sum())
    np.testing.assert_allclose(centre, (14, 14), atol=0.51)
    assert form.max() == 255
    assert np.median(form) == 0
    top, bottom = columns[rows == rows.min()].mean(), columns[rows == rows.max()].mean()
    assert top == bottom if "straight" in name else top < bottom  # neither mirrored nor turned


def test_specks_and_shadows_at_the_rim_are_not_ink():
    picture = bar()
    cv2.circle(picture, (40, 40), 3, 30, -1)
    picture[:, :12] = 90
    np.testing.assert_allclose(
        pictures.to_mnist_form(picture).astype(int), pictures.to_mnist_form(bar()).astype(int), atol=30
    )


# ---- whole pictures ----


def test_a_whole_picture_keeps_its_colours_and_is_averaged_when_it_shrinks():
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[..., 0] = np.tile([0, 255], (64, 32))  # red stripes of one pixel: half as bright when shrunk
    picture[..., 2] = 40
    small = pictures.prepare(picture, "picture", (32, 32, 3))
    np.testing.assert_allclose(small[..., 0], 127.5, atol=0.6)
    assert (small[..., 1] == 0).all()
    assert (small[..., 2] == 40).all()


def test_grey_goes_into_colour_and_colour_into_grey():
    grey = np.full((10, 10), 90, np.uint8)
    np.testing.assert_array_equal(pictures.prepare(grey, "picture", (5, 5, 3)), np.full((5, 5, 3), 90))
    red = np.full((10, 10, 3), (255, 0, 0), np.uint8)
    # ITU-R BT.601: 0.299 of red
    np.testing.assert_array_equal(pictures.prepare(red, "picture", (5, 5, 1)), np.full((5, 5, 1), round(0.299 * 255)))


def by_torchvision(picture, side):
    from torchvision import transforms

    chain = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(224)])
    return np.asarray(chain(Image.fromarray(picture)))


@pytest.mark.parametrize("side", [256, 232])
def test_the_centre_of_a_photo_is_cropped_as_torchvision_does(workers, side):
    photo = load_sample_image("china.jpg")  # a real one, 427x640
    for picture in (photo, photo.transpose(1, 0, 2).copy(), photo[:201, :333].copy()):
        ours = pictures.prepare(picture, f"crop{side}", (224, 224, 3))
        np.testing.assert_array_equal(ours, workers["torch"](by_torchvision, picture, side))


def test_a_picture_too_thin_to_be_scaled_is_refused():
    """256 pixels across would be 25,600,000 down: 20 GB."""
    with pytest.raises(BadInputError, match="1x100000 pixels, which are too thin a picture; crop it nearer"):
        pictures.prepare(np.zeros((100_000, 1), np.uint8), "crop256", (224, 224, 3))


def test_the_centre_of_any_picture_has_the_shape_of_the_input():
    for shape in [(1, 1), (1, 500), (500, 1), (223, 225, 3), (224, 224, 1)]:
        for wanted in [(224, 224, 3), (300, 260, 3), (32, 32, 1)]:
            assert pictures.prepare(np.zeros(shape, np.uint8), "crop256", wanted).shape == wanted
