"""A sheet of paper on a darker desk: its place in a photo. What lies beside the sheet is not written on it."""

import cv2
import numpy as np

from kerasnets.pictures.sizes import quantile, shrink

SIDE = 200  # pixels: the size at which a sheet is looked for
SHARES = (0.2, 0.35, 0.5, 0.65, 0.8)  # between the darkest and the lightest grey: the levels that are tried
SMALLEST = 0.15  # of the photo's area
SLENDER = 2.5  # the longer side of a sheet, in shorter ones; what is longer is a stroke
RIGHT = 0.8  # of the rectangle around a sheet, which may be seen from the side or reach over the photo's rim
CORNERS = (4, 5, 6)  # of a sheet, likewise
BEND = 0.006  # of the outline's length, by which a side may bend
FULL = 0.94  # of the outline, with what is written inside
LIGHT = 0.85  # of the outline, without it; of a white letter or digit on black, holes are dark
GRAIN = 0.25  # grey levels, the deviation of a desk; beside a drawing, everything is of one colour
SEEN = 3  # sides within the photo; the edge of a shadow leaves one or two
CLEAR = 0.85  # of the length of these sides, beyond which it is darker
SHORT = 0.1  # of SIDE: a shorter side is a corner that something covers
PLACES = np.linspace(0.1, 0.9, 20)  # along a side, as fractions of it, at which its edge is looked at
DARKER = 0.88  # of the brightness within an edge: what is beyond is not, where light falls off
THING = 9  # pixels of SIDE: what reaches beyond an edge and is no wider, as a pen, is not the sheet's
EDGE = 3  # pixels of SIDE that are taken off: the sheet's edge and its shadow


def sheet_in(grey: np.ndarray) -> np.ndarray | None:
    """Return the mask of a sheet that lies on a darker desk, without its edge; None if no such sheet is seen.

    Args:
        grey: uint8 (height, width), 0..255.

    Returns:
        uint8 in the shape of `grey`, 1 on the sheet.
    """
    small = cv2.medianBlur(shrink(grey, SIDE), 5)
    dark, light = quantile(small, 0.02), quantile(small, 0.98)
    sheets = [sheet_above(dark + share * (light - dark), small) for share in SHARES]
    _, mask = max(filter(None, sheets), key=lambda sheet: sheet[0], default=(0.0, None))
    if mask is None:
        return None
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((THING, THING), np.uint8))
    mask = cv2.erode(mask, np.ones((2 * EDGE + 1,) * 2, np.uint8), borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(mask, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)


def sheet_above(level: float, small: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Return the largest region above a level, if it is a sheet: the share of its outline that it fills, and a mask."""
    _, mask = cv2.threshold(small, level, 1, cv2.THRESH_BINARY)
    regions, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    region = max(regions, key=cv2.contourArea, default=None)
    if region is None or (area := cv2.contourArea(region)) < SMALLEST * small.size:
        return None
    hull = cv2.convexHull(region)
    outline = cv2.approxPolyDP(hull, BEND * cv2.arcLength(hull, True), True)
    fullness = area / cv2.contourArea(outline)
    if fullness < FULL or not has_form_of_sheet(outline, small):
        return None
    filled, polygon = (cv2.drawContours(np.zeros_like(small), [each], -1, 1, cv2.FILLED) for each in (region, outline))
    beside = small[cv2.dilate(polygon, np.ones((2 * EDGE + 1,) * 2, np.uint8)) == 0]
    is_paper = mask[polygon > 0].mean() >= LIGHT and beside.size and beside.std() >= GRAIN
    return (fullness, np.bitwise_and(filled, polygon)) if is_paper else None


def has_form_of_sheet(outline: np.ndarray, small: np.ndarray) -> bool:
    """Whether an outline, int32 (n, 1, 2), is that of a rectangle, perhaps seen from the side, on something darker."""
    shorter, longer = sorted(cv2.minAreaRect(outline)[1])
    is_right = longer <= SLENDER * shorter and cv2.contourArea(outline) >= RIGHT * shorter * longer
    if len(outline) not in CORNERS or not is_right:
        return False
    sides = steps_across(outline[:, 0], small)
    edges = [length for length, step in sides if step <= DARKER]
    return len(edges) >= SEEN and sum(edges) >= CLEAR * sum(length for length, _ in sides)


def steps_across(corners: np.ndarray, small: np.ndarray) -> list[tuple[float, float]]:
    """Return (length, brightness beyond over that within) of the sides between corners, int32 (n, 2).

    Short sides and those along the photo's rim are left out.
    """
    along = corners[[*range(1, len(corners)), 0]] - corners
    length = np.hypot(along[:, 0], along[:, 1])
    outward = along[:, ::-1] * (1, -1) / length[:, None]
    middle = corners[:, None] + PLACES[:, None] * along[:, None]
    both = np.rint(middle + EDGE * np.array([outward, -outward])[:, :, None]).astype(int)  # (2, n, places, 2)
    last = np.array(small.shape[::-1]) - 1
    is_seen = ((both >= 0) & (both <= last)).all(axis=(0, 3))
    beyond, within = (small[each[..., 1], each[..., 0]].astype(np.float32) for each in both.clip(0, last))
    steps = beyond / np.maximum(within, 1)
    is_side = (length >= SHORT * SIDE) & (2 * is_seen.sum(axis=1) >= len(PLACES))
    return [(float(length[i]), quantile(steps[i][is_seen[i]], 0.5)) for i in np.flatnonzero(is_side)]
