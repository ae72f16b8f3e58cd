"""A picture is prepared like the training data of its network, or refused."""

import os

import cv2
import numpy as np
import pytest

from kerasnets import data, pictures
from kerasnets.errors import BadInputError

WHITE, DARK = 250, 40  # grey levels of paper and cloth


def shirt(height=400, width=300, body=200, cloth=DARK, paper=WHITE):
    """A shirt off the middle of its paper: `body` pixels high, its sleeves together 0.8 of that wide."""
    picture = np.full((height, width), paper, np.uint8)
    top, left, wide = height // 10, width // 10, int(0.8 * body)
    picture[top : top + body, left + wide // 4 : left + wide - wide // 4] = cloth
    picture[top : top + body // 3, left : left + wide] = cloth
    return picture


def box(form):
    """(rows, columns) of the pixels that are not black."""
    rows, columns = np.nonzero(form[..., 0] > 20)
    return (rows.min(), rows.max()), (columns.min(), columns.max())


CLOTHES = {
    "dark on white": shirt(),
    "light on black": shirt(cloth=220, paper=5),
    "colour": np.repeat(shirt()[..., None], 3, axis=2),
    "small": shirt(height=100, width=80, body=60),
    "large": shirt(height=3000, width=2400, body=2000),
    "grain": np.clip(shirt() + np.random.default_rng(0).normal(0, 1.5, (400, 300)), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("case", CLOTHES)
def test_clothing_becomes_light_on_black_28_pixels_long_and_centred(case):
    """Xiao et al. 2017, arXiv:1708.07747, section 2: trimmed, longest edge 28, centred, negated."""
    form = pictures.prepare(CLOTHES[case], "fashion", (28, 28, 1))
    assert (form.shape, form.dtype) == ((28, 28, 1), np.uint8)
    rows, columns = box(form)
    assert rows == (0, 27)
    assert abs(np.ptp(columns) + 1 - 0.8 * 28) <= 1
    assert abs(sum(columns) - 27) <= 1  # as far from the left as from the right
    assert form[14, 14, 0] > 150
    assert form[20, 2, 0] == form[20, 25, 0] == 0  # below the sleeves
    assert form[4, 6, 0] > 150  # a sleeve


def test_a_wide_piece_is_28_wide():
    form = pictures.prepare(shirt().T, "fashion", (28, 28, 1))
    assert box(form)[1] == (0, 27)


@pytest.fixture(scope="module")
def fashion():
    if "KERASNETS_DATA" not in os.environ:
        pytest.skip("the real Fashion-MNIST is not here: set KERASNETS_DATA to the folder that holds FashionMNIST/raw")
    return data.load_data("fashion_mnist")


@pytest.mark.parametrize("margins", [(60, 20, 40, 90), (5, 5, 5, 5)])
@pytest.mark.parametrize("negative", [True, False])
def test_a_photo_of_a_fashion_mnist_picture_becomes_that_picture_again(fashion, negative, margins):
    """Its makers started with larger pictures, dark on white, with a margin. Nine of ten of those give the same pixels;
    the others have edges too faint to distinguish from paper, so that they are cropped differently."""
    same = near = 0
    for picture in fashion.test_images[:300, ..., 0]:
        large = cv2.resize(picture, (280, 280), interpolation=cv2.INTER_NEAREST)
        photo = cv2.copyMakeBorder(large, *margins, cv2.BORDER_CONSTANT, value=0)
        form = pictures.prepare(255 - photo if negative else photo, "fashion", (28, 28, 1))[..., 0]
        same += np.array_equal(form, picture)
        near += np.corrcoef(form.ravel(), picture.ravel())[0, 1] > 0
    assert same >= 0.85 * 300
    assert near == 300  # none is mistaken for its negative


@pytest.mark.parametrize("kind", ["fashion", "mnist_padded", "mnist_permuted"])
def test_a_picture_of_one_colour_has_nothing_to_see(kind):
    with pytest.raises(BadInputError, match=r"shirt\.jpg has no.* to see: it is all of one colour; take") as caught:
        pictures.prepare(np.full((60, 50), 99, np.uint8), kind, (28, 28, 1), "shirt.jpg")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 3000), (3000, 3), (1, 20_000), (1, 1), (2, 2), (29, 28), (28, 28)])
def test_clothing_of_odd_shapes_is_answered_or_refused_as_bad_input(shape):
    picture = np.full(shape, 240, np.uint8)
    picture[shape[0] // 2, shape[1] // 2] = 0
    try:
        form = pictures.prepare(picture, "fashion", (28, 28, 1))
    except BadInputError:
        return
    assert (form.shape, form.dtype) == ((28, 28, 1), np.uint8)


def test_a_network_with_a_larger_input_gets_the_form_enlarged():
    """alexnet_plain takes Fashion-MNIST at 224x224."""
    form = pictures.prepare(shirt(), "fashion", (224, 224, 1))
    assert form.shape == (224, 224, 1)
    small = pictures.prepare(shirt(), "fashion", (28, 28, 1)).astype(float)
    blocks = form.reshape(28, 8, 28, 8).mean((1, 3))  # the mean of the block for each pixel
    assert np.abs(blocks - small[..., 0]).mean() < 8


@pytest.mark.parametrize("size", [32, 33])
def test_a_padded_digit_is_mnists_form_in_a_rim_of_zeros(size):
    """LeCun et al. 1998, section II.B: 28x28 in the middle of 32x32."""
    digit = np.full((300, 200), 255, np.uint8)
    cv2.putText(digit, "7", (50, 220), cv2.FONT_HERSHEY_SIMPLEX, 6, 0, 20)
    form = pictures.prepare(digit, "mnist_padded", (size, size, 1))
    assert (form.shape, form.dtype) == ((size, size, 1), np.uint8)
    np.testing.assert_array_equal(form[2:30, 2:30], pictures.prepare(digit, "mnist", (28, 28, 1)))
    form[2:30, 2:30] = 0
    assert (form == 0).all()


def test_a_permuted_digit_has_the_pixels_of_mnists_form():
    digit = np.full((300, 200), 255, np.uint8)
    cv2.putText(digit, "4", (50, 220), cv2.FONT_HERSHEY_SIMPLEX, 6, 0, 20)
    plain, permuted = (pictures.prepare(digit, kind, (28, 28, 1)) for kind in ("mnist", "mnist_permuted"))
    np.testing.assert_array_equal(np.sort(permuted, axis=None), np.sort(plain, axis=None))
    assert not np.array_equal(permuted, plain)


def test_a_network_of_rows_refuses_a_picture_in_one_line():
    with pytest.raises(BadInputError) as caught:
        pictures.prepare(np.zeros((28, 28), np.uint8), "row", (3,), "photo.jpg")
    assert str(caught.value).startswith("photo.jpg is a picture, and the model takes rows of 3 numbers, no pictures; ")
    assert "\n" not in str(caught.value)


def test_every_data_set_names_a_kind_that_exists():
    for name, row in data.DATASETS.items():
        assert row.input_kind in pictures.KINDS, name
