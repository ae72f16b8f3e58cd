"""Rulings, printed lines that run through a sheet: level, upright or both, and somewhat turned."""

import cv2
import numpy as np

Points = tuple[np.ndarray, np.ndarray]  # rows, columns

MOST_TURN = 12.0  # degrees that a photo is turned
STEP, FINE = 0.5, 0.1  # degrees between the angles that are tried: at first, and around the best
NOISE = 13  # of 255, 0.05 of the paper's light; fainter lines do no harm
MOST_INK = 240  # of 255; something is to be seen of ink on the line
THIN = 5  # pixels of 400: a wider stroke is a pen's
FEWEST = 50  # points of thin lines, which cannot be a ruling
POINTS = 1500  # of the ink by which an angle is judged
BLOCKS = 8  # parts of a line
LINES = 5  # of these parts, that have to be inked for a ruling


def rulings_in(ink: np.ndarray) -> np.ndarray:
    """Return the ink of rulings, uint8 in the shape of `ink`, 0..MOST_INK."""
    rows, columns = thin_points(ink)
    if len(rows) < FEWEST:
        return np.zeros_like(ink)
    level = lines_along(ink, best_angle((rows, columns)))
    upright = cv2.transpose(lines_along(cv2.transpose(ink), best_angle((columns, rows))))
    return np.minimum(np.maximum(level, upright), np.uint8(MOST_INK))


def thin_points(ink: np.ndarray) -> Points:
    """Return (rows, columns) of a regular sample of the pixels of thin lines, however faint."""
    mask = (ink > NOISE).astype(np.uint8)
    thin = max(THIN, round(THIN / 400 * max(ink.shape)))
    thick = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((thin, thin), np.uint8))
    rows, columns = np.nonzero(cv2.subtract(mask, cv2.dilate(thick, np.ones((3, 3), np.uint8))))
    step = max(1, len(rows) // POINTS)
    return rows[::step].astype(np.float32), columns[::step].astype(np.float32)


def best_angle(points: Points) -> float:
    """Return the angle in degrees, 0 level, along which the points lie on the fewest lines."""
    angles = np.arange(-MOST_TURN, MOST_TURN + STEP / 2, STEP)
    best = angles[np.argmax([crowding(points, angle) for angle in angles])]
    angles = np.arange(best - STEP, best + STEP + FINE / 2, FINE)
    return float(angles[np.argmax([crowding(points, angle) for angle in angles])])


def crowding(points: Points, angle: float) -> int:
    """Return the sum of the squares of the numbers of points on each line at an angle."""
    rows, columns = points
    places = (rows - np.float32(np.tan(np.deg2rad(angle))) * columns).astype(np.int32)
    votes = np.bincount(places - places.min())
    return int(votes @ votes)


def lines_along(ink: np.ndarray, angle: float) -> np.ndarray:
    """Return the ink of lines that run through the picture at an angle, uint8 in the shape of `ink`.

    Along a line, the median of a part is free of the pen's strokes, which cross it, and five of eight parts are inked
    by no stroke of a digit.
    """
    height, width = ink.shape
    slope = np.tan(np.deg2rad(angle))
    shift = np.array([[1, 0, 0], [-slope, 1, slope * width / 2]], np.float32)
    level = cv2.warpAffine(ink, shift, (width, height))
    wide = width // BLOCKS
    if wide < 3:
        return np.zeros_like(ink)
    blocks = level[:, : wide * BLOCKS].reshape(height, BLOCKS, wide)
    middles = np.partition(blocks, wide // 2, axis=2)[..., wide // 2]
    line = np.ascontiguousarray(np.partition(middles, BLOCKS - LINES, axis=1)[:, BLOCKS - LINES, None])
    back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return cv2.warpAffine(cv2.repeat(line, 1, width), shift, (width, height), flags=back)
