"""Where a sheet of paper lies in a photo of a desk, drawn without data."""

import cv2
import numpy as np
import pytest

from kerasnets.pictures import find_digits, sheet
from kerasnets.pictures.sheet import sheet_in

HEIGHT, WIDTH, DESK, PAPER, INK = 300, 400, 70, 220, 30
CENTRE = (200, 150)


def drawn(corners, desk=DESK, paper=PAPER):
    """A photo of a light polygon on a desk, uint8 (height, width), with grain, and the polygon's mask."""
    mask = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.array(corners, np.int32)], 1)
    return grainy(np.where(mask, paper, desk)), mask


def grainy(surface):
    return np.clip(surface + np.random.default_rng(0).normal(0, 3, surface.shape[:2]), 0, 255).astype(np.uint8)


def photo(size=(220, 150), turn=0.0, centre=CENTRE, desk=DESK):
    return drawn(cv2.boxPoints((centre, size, turn)), desk)


@pytest.mark.parametrize("desk", [15, 30, 110, 160])
@pytest.mark.parametrize("turn", [0, 8, -25, 45])
def test_a_sheet_on_a_darker_desk_is_found_without_its_edge(turn, desk):
    grey, mask = photo(turn=turn, desk=desk)
    found = sheet_in(grey)
    assert (found.shape, found.dtype) == (grey.shape, np.uint8)
    assert not (found > cv2.erode(mask, np.ones((5, 5), np.uint8))).any()
    assert found.sum() >= 0.75 * mask.sum()


def test_a_sheet_that_leaves_the_photo_is_found():
    grey, mask = photo(size=(300, 200), centre=(330, 150), turn=5)
    assert sheet_in(grey)[100:200, -20:].all()
    assert sheet_in(grey).sum() >= 0.75 * mask.sum()


def test_a_strip_with_writing_is_found():
    grey, mask = photo(size=(380, 90), turn=1)
    for x in range(30, 340, 50):
        cv2.putText(grey, "5", (x, 170), cv2.FONT_HERSHEY_SIMPLEX, 1.5, INK, 5)
    assert sheet_in(grey).sum() >= 0.7 * mask.sum()


def test_two_sheets_are_found():
    grey, first = photo(size=(150, 200), centre=(90, 150))
    second = np.flip(first, axis=1)
    found = sheet_in(np.where(second, np.flip(grey, axis=1), grey))
    assert (found & first).sum() >= 0.75 * first.sum()
    assert (found & second).sum() >= 0.75 * first.sum()


def test_writing_on_a_sheet_stays_whole_and_things_beside_it_are_left_out():
    ink = np.zeros((HEIGHT, WIDTH), np.uint8)
    _, mask = photo(turn=8)
    cv2.circle(ink, (40, 40), 25, 200, 3)
    cv2.line(ink, (380, 20), (390, 200), 200, 5)
    beside = ink.copy()
    cv2.line(ink, (150, 66), (150, 120), 200, 6)  # it begins above the sheet's edge
    cv2.putText(ink, "472", (130, 200), cv2.FONT_HERSHEY_SIMPLEX, 2, 200, 6)
    ink, beside = (cv2.GaussianBlur(each, (0, 0), 1) for each in (ink, beside))
    kept = sheet.on_sheet(ink, cv2.erode(mask, np.ones((7, 7), np.uint8)))
    assert abs(kept - np.where(beside, 0.0, ink)).max() <= 3  # with the pale rims of the strokes


def test_a_pen_on_the_desk_whose_end_lies_on_the_sheet_is_left_out_whole():
    ink = cv2.line(np.zeros((HEIGHT, WIDTH), np.uint8), (10, 150), (120, 150), 200, 5)
    assert not sheet.on_sheet(ink, photo()[1]).any()


def test_a_thing_that_covers_a_corner_changes_nothing():
    grey, mask = photo()
    cv2.circle(grey, (310, 75), 12, 30, -1)
    assert sheet_in(grey).sum() >= 0.7 * mask.sum()


def written(turn, gap, color=INK):
    """Digits at the upper edge of a sheet on a desk, uint8 (900, 1200, 3) RGB, 40 pixels tall."""
    paper = np.full((600, 800, 3), 235, np.uint8)
    cv2.putText(
        paper, "7 2 9", (260, gap + 44), cv2.FONT_HERSHEY_SIMPLEX, 2, (color,) * 3 if color == INK else color, 5
    )
    matrix = cv2.getRotationMatrix2D((400, 300), turn, 1)
    matrix[:, 2] += 200, 150
    mask = cv2.warpAffine(np.ones(paper.shape[:2], np.float32), matrix, (1200, 900))[..., None]
    there = cv2.warpAffine(paper, matrix, (1200, 900)) * mask + 60 * (1 - mask)
    return np.clip(there + np.random.default_rng(0).normal(0, 3, (900, 1200, 1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("turn", [0, 6, 12])
@pytest.mark.parametrize("gap", [6, 14, 30, 100])
def test_no_digit_near_the_edge_is_cut(turn, gap):
    heights = [digit.box[3] for digit in find_digits(written(turn, gap))]
    assert len(heights) == 3 if gap >= 14 else len(heights) <= 3
    assert all(40 <= height <= 55 for height in heights), heights


@pytest.mark.parametrize("color", [(225, 30, 30), (20, 60, 220), (230, 60, 160)])
@pytest.mark.parametrize("turn", [0, 10, 20])
def test_a_coloured_pen_is_seen_on_a_sheet_that_is_turned(turn, color):
    assert len(find_digits(written(turn, 200, color))) == 3


@pytest.mark.parametrize("soft", [1, 5, 12])
@pytest.mark.parametrize("strength", [0.45, 0.6, 0.75])
@pytest.mark.parametrize("desk", [60, 110, 150])
def test_what_lies_in_a_shadow_on_the_sheet_is_not_left_out(desk, strength, soft):
    grey, _ = photo(size=(320, 230), turn=4, desk=desk)
    light = np.where(np.arange(WIDTH) < 210, 1, strength).astype(np.float32)[None]
    found = sheet_in(np.uint8(grey * cv2.GaussianBlur(np.repeat(light, HEIGHT, axis=0), (0, 0), soft)))
    assert found is None or found[120:180, 260:330].all()


# ---- what is no sheet on a darker desk -------------------------------------------------------------------------------


def shadow():
    """The edge of a shadow across a sheet that fills the photo."""
    return cv2.GaussianBlur(drawn([(0, 0), (180, 0), (240, HEIGHT), (0, HEIGHT)], PAPER, 110)[0], (0, 0), 3)


def corner():
    """Light that falls through a window into a corner of the photo."""
    return drawn([(0, 0), (280, 0), (280, 220), (0, 220)])[0]


def lamp():
    """The round light of a lamp."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (60 + 180 * np.exp(-((x - 200) ** 2 + (y - 150) ** 2) / 8000)).astype(np.uint8)


def frame():
    """A box that is drawn on paper."""
    return cv2.rectangle(np.full((HEIGHT, WIDTH), PAPER, np.uint8), (80, 60), (320, 240), 40, 4)


def hollow():
    """A light picture frame around something dark."""
    return grainy(cv2.rectangle(np.full((HEIGHT, WIDTH), DESK, np.uint8), (80, 60), (320, 240), PAPER, 20))


def angle():
    return drawn([(80, 50), (320, 50), (320, 150), (200, 150), (200, 250), (80, 250)])[0]


def kite():
    return drawn([(200, 20), (290, 110), (200, 290), (110, 110)])[0]


def plate():
    turns = np.arange(8) * np.pi / 4
    return drawn(np.stack([200 + 120 * np.cos(turns), 150 + 120 * np.sin(turns)], axis=1))[0]


def sheet_beside_a_plate():
    """What might be written on the plate?"""
    return cv2.circle(photo(size=(180, 240), centre=(110, 150))[0], (310, 150), 60, PAPER, -1)


def note():
    return photo(size=(120, 90))[0]


def bar():
    """A 1, light on dark."""
    return photo(size=(230, 56), turn=85)[0]


def light_desk():
    return photo(desk=PAPER - 15)[0]


def field_of_a_form():
    return photo(desk=round(0.8 * PAPER))[0]


def letter():
    black = np.zeros((HEIGHT, WIDTH), np.uint8)
    return grainy(cv2.putText(black, "4", (100, 260), cv2.FONT_HERSHEY_TRIPLEX, 9, 255, 30))


def noise():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)


def one_color():
    return np.full((HEIGHT, WIDTH), 128, np.uint8)


def very_wide():
    return np.where(np.arange(4000) < 1800, PAPER, DESK).astype(np.uint8)[None].repeat(50, axis=0)


@pytest.mark.parametrize("draw", [
    shadow, corner, lamp, frame, hollow, angle, kite, plate, sheet_beside_a_plate, note, bar, light_desk,
    field_of_a_form, letter, noise, one_color, very_wide,
])  # fmt: skip
def test_what_is_no_sheet_on_a_darker_desk_is_not_taken_for_one(draw):
    assert sheet_in(draw()) is None
