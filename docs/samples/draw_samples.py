"""Draw the sample pictures of this folder: digits from strokes of our own, as a camera, a pen or a screen shows them.

python docs/samples/draw_samples.py
"""

from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent

# Each digit as strokes of (x, y) in a unit square, y downwards: the corners of a line that is then rounded.
STROKES = {
    0: [[(0.5, 0.03), (0.2, 0.1), (0.12, 0.5), (0.2, 0.92), (0.5, 0.98), (0.8, 0.9), (0.87, 0.5), (0.78, 0.08), (0.47, 0.02)]],
    1: [[(0.3, 0.25), (0.45, 0.15), (0.55, 0.02), (0.55, 0.5), (0.52, 1.0)]],
    2: [[(0.15, 0.25), (0.25, 0.02), (0.75, 0.0), (0.85, 0.35), (0.5, 0.7), (0.12, 0.97), (0.5, 0.92), (0.9, 0.97)]],
    3: [[(0.17, 0.12), (0.45, -0.02), (0.85, 0.1), (0.75, 0.42), (0.4, 0.47), (0.8, 0.5), (0.92, 0.8), (0.55, 1.02), (0.13, 0.9)]],
    4: [[(0.35, 0.02), (0.3, 0.3), (0.15, 0.58), (0.5, 0.6), (0.9, 0.55)], [(0.7, 0.2), (0.68, 0.6), (0.64, 1.0)]],
    5: [[(0.82, 0.03), (0.5, 0.05), (0.28, 0.05), (0.22, 0.42), (0.55, 0.36), (0.88, 0.55), (0.8, 0.95), (0.4, 1.02), (0.13, 0.88)]],
    6: [[(0.68, 0.02), (0.35, 0.25), (0.15, 0.65), (0.3, 0.98), (0.7, 1.0), (0.85, 0.72), (0.6, 0.52), (0.3, 0.58), (0.2, 0.75)]],
    7: [[(0.1, 0.07), (0.5, 0.05), (0.9, 0.03), (0.72, 0.4), (0.5, 0.7), (0.4, 1.0)]],
    8: [[(0.78, 0.12), (0.5, -0.03), (0.2, 0.12), (0.3, 0.4), (0.7, 0.6), (0.85, 0.85), (0.5, 1.03), (0.15, 0.85), (0.3, 0.6),
         (0.68, 0.4), (0.8, 0.12)]],
    9: [[(0.78, 0.2), (0.55, 0.0), (0.2, 0.1), (0.18, 0.42), (0.5, 0.52), (0.78, 0.3), (0.8, 0.15), (0.78, 0.55), (0.7, 1.0)]],
}  # fmt: skip


def main():
    rng = np.random.default_rng(7)
    for digit, ink in ((3, (60, 42, 38)), (8, (45, 45, 50)), (5, (150, 60, 30))):
        name = {3: "three-on-paper", 8: "eight-pencil", 5: "five-blue-pen"}[digit]
        pen = {3: 0.085, 8: 0.045, 5: 0.06}[digit]
        cv2.imwrite(str(HERE / f"{name}.jpg"), photo(digit, ink, pen, rng), [cv2.IMWRITE_JPEG_QUALITY, 82])
    cv2.imwrite(str(HERE / "seven-white-on-black.png"), drawn(7, 200, 0.11))
    cv2.imwrite(str(HERE / "two-transparent.png"), transparent(2, 160, 0.1))
    for digit in STROKES:
        cv2.imwrite(str(HERE / f"screen-{digit}.png"), 255 - drawn(digit, 120, 0.1))
    cv2.imwrite(str(HERE / "sheet.jpg"), sheet(("2026", "314159", "8707"), rng), [cv2.IMWRITE_JPEG_QUALITY, 82])


def drawn(digit, side, pen):
    """White strokes on black: uint8 (side, side). pen: the stroke's width as a fraction of the digit's height."""
    canvas = np.zeros((side * 4, side * 4), np.uint8)
    height = 2.6 * side  # of four times the side: a margin all around
    for stroke in STROKES[digit]:
        points = rounded(np.array(stroke)) * (height * 0.72, height) + (side * 1.05, side * 0.7)
        cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 255, round(pen * height), cv2.LINE_AA)
    return cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)


def rounded(points):
    """Round the corners of a line by cutting them four times (Chaikin 1974); its ends stay."""
    for _ in range(4):
        cut = np.stack([0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], 1)
        points = np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])
    return points


def photo(digit, ink, pen, rng):
    """A digit on a sheet as a phone sees it: tilted, lit from one side, with grain. uint8 BGR (480, 640, 3)."""
    mask = np.zeros((480, 640), np.float32)
    mask[60:420, 140:500] = drawn(digit, 360, pen) / 255.0
    tilt = cv2.getRotationMatrix2D((320, 240), rng.uniform(-9, 9), 1)
    mask = cv2.GaussianBlur(cv2.warpAffine(mask, tilt, (640, 480)), (0, 0), 1.3)[..., None]
    y, x = np.mgrid[0:480, 0:640]
    light = 0.95 - 0.35 * x / 640 - 0.15 * y / 480
    paper = np.array((205, 222, 230)) * light[..., None]
    picture = paper * (1 - mask) + np.array(ink) * light[..., None] * mask
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def sheet(rows, rng):
    """Rows of digits on one sheet, under a shadow's edge, tilted by 2 degrees. uint8 BGR (720, 960, 3)."""
    mask = np.zeros((720, 960), np.float32)
    for row, digits in enumerate(rows):
        for column, digit in enumerate(digits):
            side = int(rng.uniform(140, 190))
            left, top = 40 + 145 * column + int(rng.uniform(0, 20)), 20 + 225 * row + int(rng.uniform(0, 30))
            there = mask[top : top + side, left : left + side]
            np.maximum(there, drawn(int(digit), side, 0.08) / 255.0, out=there)
    mask = cv2.warpAffine(mask, cv2.getRotationMatrix2D((480, 360), 2, 1), (960, 720))
    mask = cv2.GaussianBlur(mask, (0, 0), 1)[..., None]
    y, x = np.mgrid[0:720, 0:960]
    light = (0.97 - 0.2 * x / 960) * (1 - 0.3 / (1 + np.exp((700 - x - 0.6 * y) / 12)))
    picture = (np.array((215, 228, 232)) * (1 - mask) + np.array((120, 50, 35)) * mask) * light[..., None]
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def transparent(digit, side, pen):
    """Dark strokes on nothing: uint8 BGRA (side, side, 4)."""
    picture = np.zeros((side, side, 4), np.uint8)
    picture[..., :3] = 40
    picture[..., 3] = drawn(digit, side, pen)
    return picture


if __name__ == "__main__":
    main()
