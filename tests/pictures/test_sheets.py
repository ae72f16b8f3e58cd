"""Digits on a sheet are found where they were drawn, in reading order, and can be read."""

import time

import cv2
import numpy as np
import pytest

from kerasnets import pictures
from kerasnets.errors import BadInputError
from kerasnets.pictures import NothingSeenError
from kerasnets.pictures.sheets import draw_boxes, find_digits, reading_order
from tests.conftest import mostly_first
from tests.pictures import photo_digits
from tests.pictures.test_photo_digits import labels_of

SEEDS = (3, 4, 5)  # sheets.py was developed on sheets of seeds 101, 102, 1 and 2
SHARE = 0.95  # of all digits, and of all sheets


def overlap(one, other):
    """Return the intersection of two boxes (x, y, width, height) over their union."""
    x, y = (max(one[i], other[i]) for i in (0, 1))
    right, bottom = (min(one[i] + one[i + 2], other[i] + other[i + 2]) for i in (0, 1))
    shared = max(right - x, 0) * max(bottom - y, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def drawn_sheet(*texts, height=400, width=900, paper=235, ink=30):
    """Rows of print, each from (words, x, y), y being their foot."""
    picture = np.full((height, width, 3), paper, np.uint8)
    for text, x, y in texts:
        cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 2.5, (ink,) * 3, 6, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("seed", mostly_first(SEEDS))
def test_digits_of_photographed_sheets_are_found_in_reading_order_and_read(workers, seed):
    digits = found = more = in_order = 0
    pixels, truth = [], []
    sheets = photo_digits.sheets(20, seed)
    for content, drawn in sheets:
        there = find_digits(pictures.decode(content, "sheet.jpg"))
        overlaps = [[overlap(one.box, box) for one in there] for _, box in drawn]
        places = [int(np.argmax(row)) if max(row) > 0.5 else None for row in overlaps]
        hits = [i for i in places if i is not None]
        digits, found, more = digits + len(drawn), found + len(hits), more + len(there) - len(hits)
        in_order += places == list(range(len(there)))
        pixels += [pictures.prepare(there[i].pixels, "mnist", (28, 28, 1)) for i in hits]
        truth += [str(digit) for i, (digit, _) in zip(places, drawn, strict=True) if i is not None]
    read = workers["jax"](labels_of, pixels)
    right = sum(label == digit for label, digit in zip(read, truth, strict=True))
    print(f"{digits} digits, {found} found, {more} more, {in_order} sheets in order, {right} read")
    assert found >= SHARE * digits
    assert more <= (1 - SHARE) * digits
    assert in_order >= SHARE * len(sheets)
    assert right >= SHARE * digits


PRINT = (("314", 60, 120), ("27", 500, 130), ("65", 100, 320))
SHEETS = {
    "dark on light": drawn_sheet(*PRINT),
    "light on dark": drawn_sheet(*PRINT, paper=10, ink=240),
    "grey": drawn_sheet(*PRINT)[..., 0],
    "large": cv2.resize(drawn_sheet(*PRINT), None, fx=4, fy=4),
    "with the table at one side": np.hstack([drawn_sheet(*PRINT)[:, :840], np.full((400, 60, 3), 90, np.uint8)]),
    "in shadow": (drawn_sheet(*PRINT) * np.where(np.arange(900) > 430, 0.6, 1)[:, None]).astype(np.uint8),
}


@pytest.mark.parametrize("name", SHEETS)
def test_boxes_are_in_pixels_of_the_picture_rows_first(name):
    digits = find_digits(SHEETS[name])
    scale = SHEETS[name].shape[1] / 900
    middles = [((x + width / 2) / scale, (y + height / 2) / scale) for x, y, width, height in (d.box for d in digits)]
    assert len(digits) == 7
    assert [x < 450 for x, _ in middles] == [True, True, True, False, False, True, True]
    assert [y < 200 for _, y in middles] == [True] * 5 + [False] * 2
    assert [x for x, _ in middles[:5]] == sorted(x for x, _ in middles[:5])
    for digit in digits:
        assert digit.pixels.dtype == np.uint8
        assert digit.pixels.ndim == 2
        assert digit.pixels[0].max() == 0  # a margin of black


def test_ruled_lines_and_specks_are_not_digits():
    picture = np.full((400, 900, 3), 235, np.uint8)
    for y in range(40, 400, 50):
        cv2.line(picture, (0, y), (900, y), (190, 205, 225), 2)
    picture = np.minimum(picture, drawn_sheet(*PRINT))
    cv2.line(picture, (100, 200), (800, 200), (30, 30, 30), 4)
    for place in ((450, 60), (700, 300), (300, 370)):
        cv2.circle(picture, place, 4, (30, 30, 30), -1)
    expected = find_digits(drawn_sheet(*PRINT))
    digits = find_digits(picture)
    assert len(digits) == len(expected)
    for one, other in zip(digits, expected, strict=True):
        assert overlap(one.box, other.box) > 0.8


def test_parts_of_one_digit_are_one_digit():
    """A 5 whose bar is a tenth of its height away from its body."""
    picture = np.full((300, 400), 230, np.uint8)
    cv2.line(picture, (150, 60), (230, 60), 20, 8)
    cv2.polylines(picture, [np.array([(150, 75), (145, 120), (200, 110), (225, 160), (145, 190)])], False, 20, 8)
    cv2.line(picture, (320, 60), (320, 190), 20, 8)
    assert len(find_digits(picture)) == 2


@pytest.mark.parametrize("paper", [0, 90, 255])
def test_a_sheet_without_digits_is_refused(paper):
    with pytest.raises(BadInputError, match=r"no digit to see: .*; take "):
        find_digits(np.full((300, 400, 3), paper, np.uint8))


def test_a_sheet_with_only_a_line_is_refused():
    picture = np.full((300, 400), 230, np.uint8)
    cv2.line(picture, (50, 150), (350, 150), 20, 4)
    with pytest.raises(BadInputError, match="no digit to see on the sheet; take a picture of the paper alone"):
        find_digits(picture)


def bare(kind):
    """Paper without digits, 400x400, with grain."""
    paper = np.full((400, 400), 215, np.float64)
    paper += np.random.default_rng(3).normal(0, 4, paper.shape) + np.linspace(-40, 25, 400)
    if kind != "plain":
        paper[::25] = 150
    if kind == "squared":
        paper[:, ::25] = 150
    if kind == "margin":
        paper[:, 60:62] = 110
    return np.clip(paper, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["plain", "lined", "squared", "margin"])
def test_paper_without_digits_is_refused_with_its_lines(kind):
    with pytest.raises(NothingSeenError, match="no digit to see"):
        find_digits(bare(kind))


@pytest.mark.parametrize("kind", ["lined", "squared", "margin"])
def test_lined_paper_is_not_said_to_be_of_one_colour(kind):
    with pytest.raises(NothingSeenError, match="no digit to see: only the lines of its paper; take"):
        pictures.prepare(bare(kind), "mnist", (28, 28, 1))


def test_a_ring_around_another_colour_is_no_zero():
    """A white cup of coffee on a desk, and the ring alone."""
    desk = np.full((300, 400, 3), (150, 100, 60), np.uint8)
    cv2.circle(desk, (200, 150), 60, (230, 230, 230), 16, cv2.LINE_AA)
    assert len(find_digits(desk)) == 1
    cv2.circle(desk, (200, 150), 53, (70, 40, 20), -1, cv2.LINE_AA)
    with pytest.raises(NothingSeenError, match="no digit to see on the sheet"):
        find_digits(desk)


@pytest.mark.parametrize("gap", [4, 7, 40])
def test_digits_near_to_each_other_are_told_apart(gap):
    """7 pixels are less than a tenth of their height."""
    picture = np.full((300, 600), 235, np.uint8)
    for left in (100, 164 + gap, 228 + 2 * gap):
        cv2.ellipse(picture, (left + 30, 150), (24, 44), 0, 0, 360, 30, 8, cv2.LINE_AA)
    boxes = [digit.box for digit in find_digits(picture)]
    assert len(boxes) == 3
    assert all(50 < width < 66 and 90 < height < 106 for _, _, width, height in boxes)


def test_a_screen_of_dots_is_refused_in_time():
    dots = np.full((1200, 1600), 230, np.uint8)
    for i in range(20):
        dots[20 + i // 5 : -20 : 20, 20 + i % 5 : -20 : 20] = 30
    begun = time.process_time()
    with pytest.raises(BadInputError, match="has 4524 parts, and a sheet has 500 digits at most; take a sharper"):
        find_digits(dots)
    assert time.process_time() - begun < 2


def test_boxes_and_labels_are_drawn_on_a_copy():
    picture = drawn_sheet(*PRINT)
    before = picture.copy()
    digits = find_digits(picture)
    drawn = draw_boxes(picture, digits, list("3142765"))
    np.testing.assert_array_equal(picture, before)
    changed = (drawn != picture).any(axis=2)
    for x, y, width, _ in (digit.box for digit in digits):
        assert changed[y - 3 : y, x : x + width].any()  # the box's upper side
        assert changed[max(y - 20, 0) : y - 4, x : x + 20].any()  # the label
    assert draw_boxes(picture[..., 0], digits, list("3142765")).shape == picture.shape


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("slope", [-0.2, -0.1, 0, 0.15, 0.2])
def test_rows_that_rise_or_fall_stay_together(slope, seed):
    """Next to each other, digits of a steep row have few lines in common: the slope of the others levels them."""
    random = np.random.default_rng(seed)
    boxes = [
        (round(100 + 190 * i + random.uniform(-15, 15)),
         round(300 + 240 * row + slope * 190 * i + random.uniform(-6, 6)), 40, 50)
        for row in range(3) for i in range(5)
    ]  # fmt: skip
    assert reading_order(boxes) == [(i, i // 5) for i in range(15)]
