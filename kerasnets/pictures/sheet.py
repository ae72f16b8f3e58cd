"""Find the sheet of paper in a photo of a darker desk, so that only its ink is read.

If the photo leaves a doubt, as a shadow or another large light thing does, no sheet is found, and the whole photo is
read. The constants were chosen on photos of tests/pictures/real_photos.py, with seeds that no test of desks uses.
"""

import cv2
import numpy as np

from kerasnets.pictures.sizes import quantile, shrink

SIDE = 200  # pixels: the size at which a sheet is looked for
LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8)  # thresholds that are tried, from the darkest to the lightest grey
MIN_AREA = 0.1  # of the photo
OTHER_AREA = 0.05  # of the photo: a light region of this size is a sheet too, or there is doubt
SLENDER, MIN_INK = 2.5, 0.01  # aspect ratio above which so much of a sheet is inked: an empty one may be a light 1
MIN_EXTENT = 0.8  # area of the outline / area of the smallest rectangle around it
MIN_LIGHT = 0.85  # share of the outline that is light: a white letter has dark holes
CORNERS = (4, 5, 6)  # more than four if the sheet leaves the photo
TOLERANCE = 3  # pixels of SIDE by which a region may differ from its outline
MIN_SIDES = 3  # inside the photo; the edge of a shadow is one or two
MIN_LENGTH = 0.1  # of the photo's longer side; a shorter side is a corner that something covers
ALONG = np.linspace(0.1, 0.9, 20)  # of a side: where the brightness outside and inside is compared
BEYOND = np.linspace(-0.3, -0.08, 8), np.linspace(1.08, 1.3, 8)  # likewise: the edge of a shadow goes on there
MAX_STEP = 0.78  # brightness outside / brightness inside; a tinted form around a white field has more
MARGIN = 3  # pixels of SIDE: the sheet's edge and its shadow
FAINTEST = 28  # of 255, the ink of a pen; the palest digit of sheets has 44, and grain and folds mostly have less
HALO = 5  # pixels: what belongs to a part around it


def sheet_in(grey: np.ndarray) -> np.ndarray | None:
    """Return the mask of a sheet, or several, on a darker desk, without the edges; None if no such sheet is seen.

    Args:
        grey: uint8 (height, width), 0..255.

    Returns:
        uint8 in the shape of `grey`, 1 on the sheet.
    """
    small = cv2.medianBlur(shrink(grey, SIDE), 5)
    dark, light = quantile(small, 0.02), quantile(small, 0.98)
    for level in LEVELS:  # the lowest finds the largest region, with what lies in shadow
        mask = sheets_above(dark + level * (light - dark), small)
        if mask is not None:
            return cv2.resize(mask, grey.shape[::-1], interpolation=cv2.INTER_NEAREST) if mask.any() else None
    return None


def sheets_above(level: float, small: np.ndarray) -> np.ndarray | None:
    """Return the mask of the large regions lighter than `level`, without their edges, if all are sheets; else None."""
    _, light = cv2.threshold(small, level, 1, cv2.THRESH_BINARY)
    regions, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [region for region in regions if cv2.contourArea(region) >= OTHER_AREA * small.size]
    if max(map(cv2.contourArea, large), default=0) < MIN_AREA * small.size:
        return None
    result = np.zeros_like(small)
    scale = max(small.shape) / SIDE
    side = 2 * max(1, round(MARGIN * scale)) + 1
    for region in large:
        outline = cv2.approxPolyDP(cv2.convexHull(region), TOLERANCE * scale, closed=True)
        if not is_sheet(outline, light, small):
            return None
        whole = cv2.fillConvexPoly(np.zeros_like(small), outline, 1)
        result |= cv2.erode(whole, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return result


def is_sheet(outline: np.ndarray, light: np.ndarray, small: np.ndarray) -> bool:
    """Whether an outline is that of a rectangle, perhaps seen from the side, on something darker.

    Args:
        outline: int32 (n, 1, 2), the corners around a light region.
        light: uint8 in the shape of `small`, 1 where it is lighter than a level.
        small: uint8 (height, width), the photo.
    """
    if len(outline) not in CORNERS:
        return False
    shorter, longer = sorted(cv2.minAreaRect(outline)[1])
    if cv2.contourArea(outline) < MIN_EXTENT * shorter * longer:
        return False
    light_share = light[cv2.fillConvexPoly(np.zeros_like(light), outline, 1) > 0].mean()
    if light_share < MIN_LIGHT or (longer > SLENDER * shorter and light_share > 1 - MIN_INK):
        return False
    corners = outline[:, 0]
    steps = steps_across(corners, ALONG, small)
    is_shadow = any(min(steps_across(corners, beyond, small), default=1) < MAX_STEP for beyond in BEYOND)
    return len(steps) >= MIN_SIDES and max(steps) <= MAX_STEP and not is_shadow


def steps_across(corners: np.ndarray, points: np.ndarray, small: np.ndarray) -> list[float]:
    """Return brightness outside / brightness inside of the sides between corners, int32 (n, 2).

    Short sides are left out, and those of which most points are not in the photo.

    Args:
        corners: Of a sheet.
        points: On the line through two corners, 0 at one and 1 at the other.
        small: uint8 (height, width), the photo.
    """
    along = corners[[*range(1, len(corners)), 0]] - corners
    length = np.hypot(along[:, 0], along[:, 1])
    outward = along[:, ::-1] * (1, -1) / length[:, None]
    middle = corners[:, None] + points[:, None] * along[:, None]
    margin = MARGIN * max(small.shape) / SIDE
    both = np.rint(middle + margin * np.array([outward, -outward])[:, :, None]).astype(int)  # (2, n, points, 2)
    last = np.array(small.shape[::-1]) - 1
    is_seen = ((both >= 0) & (both <= last)).all(axis=(0, 3))
    outside, inside = (small[each[..., 1], each[..., 0]].astype(np.float32) for each in both.clip(0, last))
    steps = outside / np.maximum(inside, 1)
    is_side = (length >= MIN_LENGTH * max(small.shape)) & (2 * is_seen.sum(axis=1) >= len(points))
    return [quantile(steps[i][is_seen[i]], 0.5) for i in np.flatnonzero(is_side)]


def on_sheet(ink: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    """Return the ink on a sheet. A connected part is kept whole if half of its pixels lie on the sheet, or left out.

    Args:
        ink: uint8 (height, width).
        sheet: The mask of `sheet_in`.
    """
    count, parts = cv2.connectedComponents((ink >= FAINTEST).astype(np.uint8))
    all_pixels = np.bincount(parts.ravel(), minlength=count)
    inside = np.bincount(parts[sheet > 0], minlength=count)
    is_kept = 2 * inside >= all_pixels
    is_kept[0] = False
    square = np.ones((HALO, HALO), np.uint8)
    kept = is_kept[parts].astype(np.uint8)
    others = cv2.dilate(np.where(parts > 0, 1 - kept, 0).astype(np.uint8), square)
    return np.where((cv2.dilate(kept, square) > 0) | ((sheet > 0) & (others == 0)), ink, 0).astype(np.uint8)
