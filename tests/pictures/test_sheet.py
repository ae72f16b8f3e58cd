"""Where a sheet of paper lies in a photo of a desk, drawn without data."""

import cv2
import numpy as np
import pytest

from kerasnets.pictures.sheet import sheet_in

HEIGHT, WIDTH, DESK, PAPER = 300, 400, 70, 220
CENTRE = (200, 150)


def photo(size=(220, 150), turn=0.0, centre=CENTRE, desk=DESK):
    """A photo of a sheet on a desk, uint8 (height, width), and the sheet's mask."""
    corners = cv2.boxPoints((centre, size, turn)).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros((HEIGHT, WIDTH), np.uint8), corners, 1)
    grain = np.random.default_rng(0).normal(0, 3, mask.shape)
    return np.clip(np.where(mask, PAPER, desk) + grain, 0, 255).astype(np.uint8), mask


@pytest.mark.parametrize("desk", [15, 30, 110, 180])
@pytest.mark.parametrize("turn", [0, 8, -25, 45])
def test_a_sheet_on_a_darker_desk_is_found_without_its_edge(turn, desk):
    grey, mask = photo(turn=turn, desk=desk)
    found = sheet_in(grey)
    assert (found.shape, found.dtype) == (grey.shape, np.uint8)
    assert not (found & ~cv2.erode(mask, np.ones((5, 5), np.uint8)) & 1).any()
    assert found.sum() >= 0.75 * mask.sum()


def test_what_lies_on_the_desk_and_at_the_edge_is_not_on_the_sheet():
    grey, mask = photo()
    cv2.circle(grey, (40, 40), 25, 200, -1)  # a light cup
    cv2.line(grey, (20, 250), (100, 170), 150, 5)  # a light pen that touches a corner
    cv2.circle(grey, (310, 90), 20, 30, -1)  # a dark cup that covers a corner
    found = sheet_in(grey)
    assert not found[:70, :70].any()
    assert not found[230:, :70].any()
    assert not found[cv2.circle(np.zeros_like(grey), (310, 90), 20, 1, -1) > 0].any()
    assert found.sum() >= 0.6 * mask.sum()


def test_writing_is_on_the_sheet():
    grey, _ = photo()
    cv2.putText(grey, "472", (120, 180), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 1, 12)
    assert sheet_in(grey)[grey == 1].all()


def test_a_sheet_that_reaches_over_the_edge_of_the_photo_is_found():
    grey, mask = photo(size=(300, 200), centre=(330, 150), turn=5)
    assert sheet_in(grey)[100:200, -20:].all()
    assert sheet_in(grey).sum() >= 0.75 * mask.sum()


def shadow():
    """The edge of a shadow across a sheet that fills the photo."""
    grey = np.full((HEIGHT, WIDTH), PAPER, np.uint8)
    cv2.fillConvexPoly(grey, np.array([(0, 0), (180, 0), (240, HEIGHT), (0, HEIGHT)]), 110)
    return cv2.GaussianBlur(grey, (0, 0), 3)


def lamp():
    """The round light of a lamp."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (60 + 180 * np.exp(-((x - 200) ** 2 + (y - 150) ** 2) / 8000)).astype(np.uint8)


def frame():
    """A box that is drawn on paper."""
    return cv2.rectangle(np.full((HEIGHT, WIDTH), PAPER, np.uint8), (80, 60), (320, 240), 40, 4)


def coin():
    return cv2.circle(np.full((HEIGHT, WIDTH), DESK, np.uint8), CENTRE, 110, PAPER, -1)


def strip():
    return photo(size=(350, 60))[0]


def light_desk():
    return photo(desk=PAPER - 15)[0]


def letter():
    return cv2.putText(np.zeros((HEIGHT, WIDTH), np.uint8), "4", (100, 260), cv2.FONT_HERSHEY_TRIPLEX, 9, 255, 30)


def noise():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)


@pytest.mark.parametrize("draw", [shadow, lamp, frame, coin, strip, light_desk, letter, noise])
def test_what_is_no_sheet_on_a_darker_desk_is_not_taken_for_one(draw):
    assert sheet_in(draw()) is None


def test_a_picture_of_one_colour_has_no_sheet():
    assert sheet_in(np.full((HEIGHT, WIDTH), 128, np.uint8)) is None
