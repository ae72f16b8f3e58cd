"""The ink on a sheet of paper: how much of the light each pixel takes away from the paper around it.

A pixel is the paper's brightness times the light that falls there times what the ink lets through. The paper in that
light is estimated by a closing; the quotient of both is free of shadows. Printed rulings are part of the paper.
"""

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np

from kerasnets.pictures.rulings import rulings_in
from kerasnets.pictures.sheet import FAINTEST, on_sheet, sheet_in
from kerasnets.pictures.sizes import quantile, resize, rim, shrink, to_grey

Box = tuple[int, int, int, int]  # x, y, width, height

PAPER_SIDE = 200  # pixels: the size at which a disc is laid on the paper
PHOTO_SIDE = 50  # pixels: a smaller picture is not treated as a photo
WIDEST_STROKE = 0.25  # of the photo's longer side; anything wider is paper
FRAMES = 4  # that are taken off, one around the other: two lines and the paper between them are three
SMALLEST = 8  # pixels, of what is inside a frame
OTHER = 0.2  # of the greatest difference from a frame's colour; paper in shadow has more
UNIFORM = 0.9  # of a rim's pixels; a frame has no more of another colour than by JPEG
STROKE = 0.05  # of a photo's longer side, the deviation of the blur that is wider than a usual stroke
SKEW = 0.75  # the least skewness that decides; nearly all photos of real_photos.py with seed 1 have more
SHEET = 0.05  # of a photo's area: a lighter region, wider than any stroke, is a sheet on a dark desk
UNEVEN = 2.2  # the ground's brightness in the light / in the dark, of a board that a lamp shines on at most
GROUND = 50  # grey levels: light falls on a ground as light as that
SHEET_EDGE = 0.02  # of the longer side: what the mask of a sheet leaves out
DARKEST = 12  # grey levels: of paper on which ink could be seen, between a frame and what is inside
GRAIN = 6  # grey levels: on dark wood or in a deep shadow, grain takes a large share of the light
BLACK = 76  # of 255, 0.3 of the paper's light: ink that takes less in all colours is a coloured pen


@dataclass(frozen=True)
class Ink:
    """The share of the paper's light that is missing: uint8 (height, width), 0..255.

    Attributes:
        pen: Without printed rulings, which are part of the paper.
        all: With them.
        origin: (x, y) in the picture; what is outside is a frame, or the desk around a sheet.
        doubt: Why it may be no ink; "" if nothing speaks against it.
        of_sheet: Whether it is that on a sheet, without the desk around it.
    """

    pen: np.ndarray
    all: np.ndarray
    origin: tuple[int, int]
    doubt: str = ""
    of_sheet: bool = False


def ink_of(picture: np.ndarray, widest: float = WIDEST_STROKE) -> Ink:
    """Return the Ink of a picture.

    Args:
        picture: uint8 (height, width[, 1 or 3]), at the size at which its ink is looked for. Its frames are cut off.
        widest: The widest stroke, as a share of the longer side.
    """
    grey = to_grey(picture)
    x, y, width, height = inside_frames(grey)
    grey = grey[y : y + height, x : x + width]
    picture = picture[y : y + height, x : x + width]
    sheet = sheet_in(grey) if min(width, height) >= PHOTO_SIDE else None
    if sheet is not None:
        left, top, wide, high = cv2.boundingRect(sheet)
        if min(wide, high) >= PHOTO_SIDE:
            edge = round(SHEET_EDGE * max(grey.shape))
            right, bottom = left + wide + edge, top + high + edge
            left, top = max(left - edge, 0), max(top - edge, 0)
            window = np.s_[top:bottom, left:right]
            found = without_rulings(dark_ink(picture[window], widest, sheet[window]), (x + left, y + top))
            return dataclasses.replace(found, of_sheet=True)
    if is_light(grey):
        return without_rulings(dark_ink(picture, widest), (x, y))
    ink = missing_light(255 - grey, widest)
    return dataclasses.replace(without_rulings(ink, (x, y)), doubt=doubt_about(ink, grey))


def doubt_about(light_ink: np.ndarray, grey: np.ndarray) -> str:
    """Return why light ink may be none: on a dark ground in uneven light, paper may be the lightest place."""
    ground = grey[light_ink < FAINTEST]
    if min(grey.shape) < PHOTO_SIDE or not ground.size:
        return ""
    dark, light = quantile(ground, 0.1), quantile(ground, 0.9)
    return "a light place in uneven light" if light > max(UNEVEN * dark, GROUND) else ""


def dark_ink(picture: np.ndarray, widest: float, sheet: np.ndarray | None = None) -> np.ndarray:
    """Return the share of light that dark ink takes, rulings included: uint8 (height, width), 0..255.

    Coloured rulings shine in their own colour. A pen is dark in all three, unless it is a bright one.

    Args:
        picture: uint8 (height, width[, 1 or 3]).
        widest: As of `ink_of`.
        sheet: The mask of a sheet that alone is read; None if all is.
    """
    if picture.shape[2:] == (3,):
        red, green, blue = cv2.split(picture)
        ink = read_on(missing_light(cv2.max(cv2.max(red, green), blue), widest), sheet)
        if ink.max() >= BLACK:
            return ink
    return read_on(missing_light(to_grey(picture), widest), sheet)


def read_on(ink: np.ndarray, sheet: np.ndarray | None) -> np.ndarray:
    return ink if sheet is None else on_sheet(ink, sheet)


def without_rulings(ink: np.ndarray, origin: tuple[int, int]) -> Ink:
    if min(ink.shape) < PHOTO_SIDE:
        return Ink(ink, ink, origin)
    return Ink(255 - cv2.divide(255 - ink, 255 - rulings_in(ink), scale=255), ink, origin)


def missing_light(grey: np.ndarray, widest: float) -> np.ndarray:
    """Return the share of light that dark ink takes from lighter paper: uint8 in the shape of `grey`, 0..255."""
    if min(grey.shape) < PHOTO_SIDE:
        paper = np.full_like(grey, quantile(rim(grey), 0.5))
        return 255 - quotient(grey, paper)
    light = quotient(grey, closing(cv2.medianBlur(grey, 3), widest))  # of grain, a closing follows the lightest
    usual = np.searchsorted(np.cumsum(np.bincount(light.ravel(), minlength=256)), light.size / 2)
    return 255 - cv2.convertScaleAbs(light, alpha=255 / max(int(usual), 1))  # most of a photo is paper


def quotient(grey: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """Return grey / paper, uint8, 255 for 1; 1 where they are no farther apart than grain, or too dark to tell."""
    light = cv2.divide(cv2.add(grey, np.full_like(grey, GRAIN)), paper, scale=255)
    light[paper < DARKEST] = 255
    return light


def closing(grey: np.ndarray, widest: float) -> np.ndarray:
    """Return `grey` with everything filled that is darker than its surroundings and narrower than `widest`.

    A square keeps the edges of shadows sharp, and is fast at any size. Its corners reach from a shadow into a stroke
    that leads out of it; a disc does not, which is laid on a smaller picture.
    """
    reach = round(widest * max(grey.shape)) | 1
    square = morphology(grey, np.ones((reach, reach), np.uint8))
    small = shrink(grey, PAPER_SIDE)
    reach = round(widest * max(small.shape)) | 1
    disc = morphology(small, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    disc = cv2.erode(disc, np.ones((3, 3), np.uint8))  # no brighter than the dark side of an edge
    return np.maximum(square, resize(disc, *grey.shape))


def morphology(grey: np.ndarray, pen: np.ndarray) -> np.ndarray:
    """Return the closing by `pen`, as if the rim went on outside."""
    pad = len(pen) // 2 + 1
    padded = cv2.copyMakeBorder(grey, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    return cv2.morphologyEx(padded, cv2.MORPH_CLOSE, pen)[pad:-pad, pad:-pad]


def is_light(grey: np.ndarray) -> bool:
    """Whether the ink is darker than its paper.

    Strokes are narrow, and what is between them is wide: minus its blur, a photo has few pixels that are far off on the
    ink's side and many that are near on the other. Edges of shadows, sheets and lamps are off to both sides alike. If
    that does not decide, as for a digit that fills its picture, the paper is what the rim shows.
    """
    small = shrink(grey, 100)
    if min(grey.shape) >= PHOTO_SIDE:
        fine = small.astype(np.float32)
        fine -= cv2.GaussianBlur(fine, (0, 0), STROKE * max(small.shape))
        squares = fine * fine
        skew = float((squares * fine).mean()) / max(float(squares.mean()) ** 1.5, 1e-6)
        if abs(skew) >= SKEW:
            return skew < 0
        opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((21, 21), np.uint8), borderType=cv2.BORDER_REPLICATE)
        if (opened > middle_of(small)).mean() >= SHEET:
            return True
    return quantile(rim(small), 0.5) > middle_of(small)


def middle_of(grey: np.ndarray) -> float:
    return (int(grey.min()) + int(grey.max())) / 2


def inside_frames(grey: np.ndarray) -> Box:
    """Return the box (x, y, width, height) of a picture inside its frames, which are rectangles of one colour each."""
    x, y, width, height = 0, 0, grey.shape[1], grey.shape[0]
    for _ in range(FRAMES):
        box = inside_frame(grey[y : y + height, x : x + width])
        if box is None:
            break
        x, y, width, height = x + box[0], y + box[1], box[2], box[3]
    return x, y, width, height


def inside_frame(grey: np.ndarray) -> Box | None:
    """Return the box inside one frame, None if there is none.

    Around a frame's inside, no pixel has the frame's colour; around the ink on a sheet, many have the paper's.
    """
    level = quantile(rim(grey), 0.5)
    off = cv2.absdiff(grey, np.full_like(grey, level))
    reach = int(off.max()) * OTHER
    if off.max() < DARKEST or (rim(off) > reach).mean() > 1 - UNIFORM:
        return None
    other = (off > reach).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(other)
    if rim(other[y : y + height, x : x + width]).mean() < UNIFORM:
        return None
    blur = max(grey.shape) // 200
    x, y, width, height = x + blur, y + blur, width - 2 * blur, height - 2 * blur
    inner = grey[y : y + height, x : x + width]
    if min(width, height) < SMALLEST or np.ptp(inner) < off.max() / 2:
        return None  # a bar, such as a straight 1
    return x, y, width, height
