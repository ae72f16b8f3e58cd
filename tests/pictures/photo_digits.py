"""Photos of handwritten digits, one or a sheet of them, drawn from strokes of our own: the judge of how photos are prepared.

Dark pen on light paper, as a phone sees it: in light that falls off, under a shadow's soft edge, tilted by up to 15
degrees, grainy, blurred, packed as JPEG; the digit anywhere and of any size, its strokes thin to thick.

python -m tests.photo_digits 7 sheet.png     a sheet of the 100 photos of seed 7, to look at
"""

# ruff: noqa: E501 (a stroke a line)

import sys

import cv2
import numpy as np

# digit -> ways to write it, each as strokes of (x, y) in a unit square, y downwards: the corners of a line that is then
# rounded. A corner given twice stays sharp.
SHAPES = {
    0: [
        [[(0.5, 0.02), (0.16, 0.08), (0.08, 0.5), (0.2, 0.94), (0.5, 1.0), (0.82, 0.92), (0.92, 0.5), (0.8, 0.06), (0.48, 0.01)]],
        [[(0.6, 0.0), (0.3, 0.06), (0.2, 0.45), (0.22, 0.95), (0.5, 1.02), (0.74, 0.9), (0.8, 0.45), (0.7, 0.04), (0.42, 0.03)]],
        [[(0.35, 0.08), (0.1, 0.3), (0.05, 0.8), (0.35, 1.02), (0.75, 0.98), (0.97, 0.6), (0.85, 0.1), (0.5, -0.04), (0.25, 0.12)]],
    ],
    1: [
        [[(0.5, 0.0), (0.5, 0.5), (0.5, 1.0)]],
        [[(0.57, 0.0), (0.52, 0.5), (0.44, 1.0)]],
        [[(0.25, 0.27), (0.42, 0.15), (0.56, 0.0), (0.56, 0.0), (0.55, 0.5), (0.54, 1.0)]],
        [[(0.28, 0.22), (0.42, 0.14), (0.54, 0.0), (0.54, 0.0), (0.53, 0.5), (0.52, 1.0)], [(0.25, 1.0), (0.5, 0.99), (0.8, 1.0)]],
    ],
    2: [
        [[(0.12, 0.25), (0.2, 0.0), (0.75, -0.04), (0.9, 0.35), (0.55, 0.68), (0.08, 0.98), (0.08, 0.98), (0.5, 0.97), (0.95, 0.98)]],
        [[(0.15, 0.2), (0.3, -0.02), (0.8, -0.02), (0.82, 0.35), (0.5, 0.75), (0.2, 1.03), (0.05, 0.92), (0.2, 0.78), (0.45, 0.9), (0.7, 1.02), (0.95, 0.93)]],
        [[(0.1, 0.15), (0.4, -0.03), (0.85, 0.05), (0.78, 0.45), (0.45, 0.75), (0.1, 0.93), (0.15, 0.97), (0.5, 0.92), (0.95, 0.96)]],
    ],
    3: [
        [[(0.15, 0.12), (0.4, -0.04), (0.88, 0.05), (0.82, 0.4), (0.4, 0.48), (0.4, 0.48), (0.88, 0.5), (0.95, 0.85), (0.55, 1.04), (0.1, 0.9)]],
        [[(0.15, 0.02), (0.5, 0.02), (0.85, 0.02), (0.85, 0.02), (0.62, 0.24), (0.42, 0.42), (0.42, 0.42), (0.85, 0.46), (0.92, 0.85), (0.5, 1.04), (0.1, 0.9)]],
        [[(0.2, 0.08), (0.55, -0.05), (0.85, 0.15), (0.7, 0.42), (0.48, 0.46), (0.75, 0.5), (0.9, 0.75), (0.6, 1.03), (0.15, 0.95)]],
    ],
    4: [
        [[(0.3, 0.0), (0.22, 0.35), (0.1, 0.6), (0.1, 0.6), (0.5, 0.6), (0.95, 0.58)], [(0.72, 0.22), (0.7, 0.6), (0.68, 1.0)]],
        [[(0.68, 1.0), (0.68, 0.5), (0.68, 0.0), (0.68, 0.0), (0.35, 0.38), (0.04, 0.68), (0.04, 0.68), (0.5, 0.68), (0.98, 0.67)]],
        [[(0.2, 0.02), (0.18, 0.25), (0.2, 0.5), (0.2, 0.5), (0.5, 0.52), (0.85, 0.48)], [(0.82, 0.0), (0.8, 0.5), (0.78, 1.0)]],
    ],
    5: [
        [[(0.85, 0.02), (0.5, 0.03), (0.25, 0.02), (0.25, 0.02), (0.22, 0.25), (0.18, 0.44), (0.18, 0.44), (0.55, 0.34), (0.95, 0.5), (0.85, 0.98), (0.45, 1.04), (0.1, 0.92)]],
        [[(0.25, 0.04), (0.23, 0.25), (0.2, 0.46), (0.2, 0.46), (0.6, 0.36), (0.92, 0.6), (0.8, 1.0), (0.4, 1.04), (0.1, 0.9)], [(0.24, 0.03), (0.5, 0.03), (0.85, 0.0)]],
        [[(0.9, -0.02), (0.6, 0.02), (0.35, 0.03), (0.28, 0.2), (0.25, 0.42), (0.5, 0.42), (0.82, 0.55), (0.8, 0.85), (0.5, 1.02), (0.12, 0.98)]],
    ],
    6: [
        [[(0.72, 0.0), (0.35, 0.2), (0.1, 0.65), (0.25, 1.0), (0.7, 1.05), (0.92, 0.75), (0.65, 0.5), (0.3, 0.58), (0.16, 0.78)]],
        [[(0.5, 0.0), (0.25, 0.35), (0.12, 0.75), (0.4, 1.04), (0.82, 0.95), (0.82, 0.6), (0.5, 0.52), (0.2, 0.72)]],
        [[(0.82, 0.08), (0.55, -0.04), (0.2, 0.2), (0.08, 0.7), (0.3, 1.04), (0.75, 1.02), (0.9, 0.72), (0.6, 0.48), (0.25, 0.6), (0.14, 0.8)]],
    ],
    7: [
        [[(0.08, 0.04), (0.5, 0.03), (0.92, 0.02), (0.92, 0.02), (0.68, 0.45), (0.45, 1.0)]],
        [[(0.08, 0.04), (0.5, 0.03), (0.92, 0.02), (0.92, 0.02), (0.68, 0.45), (0.45, 1.0)], [(0.38, 0.5), (0.6, 0.49), (0.86, 0.46)]],
        [[(0.1, 0.16), (0.1, 0.02), (0.1, 0.02), (0.5, 0.05), (0.9, 0.0), (0.9, 0.0), (0.62, 0.5), (0.5, 1.0)]],
        [[(0.1, 0.06), (0.3, 0.0), (0.6, 0.06), (0.9, 0.02), (0.85, 0.25), (0.6, 0.6), (0.52, 1.0)]],
    ],
    8: [
        [[(0.8, 0.14), (0.5, -0.05), (0.12, 0.1), (0.3, 0.42), (0.75, 0.6), (0.92, 0.88), (0.5, 1.06), (0.08, 0.88), (0.25, 0.6), (0.7, 0.42), (0.85, 0.12), (0.72, 0.06)]],
        [
            [(0.5, 0.0), (0.2, 0.06), (0.2, 0.42), (0.5, 0.47), (0.8, 0.42), (0.8, 0.06), (0.48, 0.0)],
            [(0.5, 0.47), (0.1, 0.52), (0.08, 0.98), (0.5, 1.02), (0.92, 0.98), (0.9, 0.52), (0.48, 0.47)],
        ],
        [[(0.5, 0.48), (0.15, 0.3), (0.25, 0.0), (0.7, -0.02), (0.85, 0.25), (0.5, 0.48), (0.12, 0.72), (0.2, 1.03), (0.75, 1.03), (0.88, 0.72), (0.5, 0.48)]],
    ],
    9: [
        [[(0.82, 0.18), (0.6, -0.04), (0.18, 0.05), (0.14, 0.45), (0.5, 0.55), (0.82, 0.3), (0.84, 0.12), (0.84, 0.12), (0.82, 0.55), (0.8, 1.0)]],
        [[(0.8, 0.2), (0.55, -0.02), (0.18, 0.1), (0.2, 0.48), (0.6, 0.5), (0.82, 0.22), (0.82, 0.5), (0.7, 0.85), (0.45, 1.02), (0.2, 0.97)]],
        [[(0.85, 0.1), (0.5, -0.06), (0.15, 0.15), (0.25, 0.5), (0.65, 0.48), (0.85, 0.12), (0.85, 0.12), (0.72, 0.6), (0.55, 1.0)]],
    ],
}  # fmt: skip

SIZES = ((640, 480), (480, 640), (800, 600), (600, 800), (1280, 960), (500, 500))  # (width, height) in pixels
PENS = ((35, 30, 30), (25, 25, 90), (30, 50, 150), (150, 30, 40), (20, 90, 50), (85, 85, 90))  # RGB; the last a pencil
PAPERS = ((250, 250, 250), (235, 235, 230), (245, 235, 210), (215, 225, 235), (205, 200, 190))  # RGB


def photos(count, seed):
    """`count` photos as (JPEG's bytes, digit), every digit as often as the others."""
    rng = np.random.default_rng(seed)
    return [(photo(i % 10, rng), i % 10) for i in range(count)]


def photo(digit, rng):
    """The bytes of one JPEG."""
    width, height = SIZES[rng.integers(len(SIZES))]
    size = min(width, height) * rng.uniform(0.15, 0.75)  # of the digit, its height in pixels
    strokes = written(digit, rng, size, rng.uniform(-15, 15))
    low, high = bounds(strokes)
    free = np.array((width, height)) - (high - low)
    margin = np.minimum(free / 2, 0.1 * size + 8)
    offset = margin + rng.uniform(0, 1, 2) * (free - 2 * margin) - low
    pen = max(size * rng.uniform(0.03, 0.13), 1.6)
    mask = drawn([stroke + offset for stroke in strokes], pen, (height, width))
    return as_seen(mask, rng, PENS[rng.integers(len(PENS))])


def sheets(count, seed):
    """`count` photos of sheets as (JPEG's bytes, [(digit, (x, y, width, height))] in reading order)."""
    rng = np.random.default_rng(seed)
    return [sheet(rng) for _ in range(count)]


def sheet(rng):
    """One to four rows of up to eight digits of uneven sizes and distances, tilted by up to 4 degrees, with specks."""
    width, height = ((1280, 960), (1600, 1200), (960, 1280))[rng.integers(3)]
    rows = rng.integers(1, 5)
    size = min(height / (rows + 1) * rng.uniform(0.45, 0.65), width / 9)  # of a digit, its usual height in pixels
    pen = max(2, size * rng.uniform(0.05, 0.11))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-4, 4), 1)
    found, strokes = [], []
    for row in range(rows):
        left, level = 0.08 * width + rng.uniform(0, 1) * size, height * (row + 1) / (rows + 1)
        for _ in range(rng.integers(1, 9)):
            digit, tall = int(rng.integers(10)), size * rng.uniform(0.75, 1.15)
            shape = written(digit, rng, tall, rng.uniform(-8, 8))
            low, high = bounds(shape)
            if left + high[0] - low[0] > 0.9 * width:
                break
            offset = np.array((left - low[0], level + rng.uniform(-0.1, 0.1) * size))
            shape = [(stroke + offset) @ turn[:, :2].T + turn[:, 2] for stroke in shape]
            low_there, high_there = bounds(shape)
            found.append((digit, (*(low_there - pen / 2), *(high_there - low_there + pen))))
            strokes += shape
            left += high[0] - low[0] + pen + size * rng.uniform(0.25, 1.2)
    mask = drawn(strokes, pen, (height, width))
    for _ in range(rng.integers(0, 6)):
        place = rng.uniform((0, 0), (width, height)).astype(int).tolist()
        cv2.circle(mask, place, int(rng.integers(1, 4)), float(rng.uniform(0.3, 1)), -1, cv2.LINE_AA)
    return as_seen(mask, rng, PENS[rng.integers(len(PENS))]), found


def written(digit, rng, size, tilt):
    """The strokes of one digit as a hand varies them: arrays (n, 2) of x and y in pixels around (0, 0)."""
    shapes = SHAPES[digit]
    slant, aspect = rng.uniform(-0.1, 0.3), rng.uniform(0.5, 0.8)
    turn = cv2.getRotationMatrix2D((0, 0), tilt, 1)[:, :2]
    change = turn @ np.array([[aspect, -slant], [0, 1]]) * size
    strokes = []
    for corners in shapes[rng.integers(len(shapes))]:
        corners = np.array(corners)
        same = np.concatenate([[False], (corners[1:] == corners[:-1]).all(1)])
        shake = rng.normal(0, 0.018, corners.shape)
        shake[same] = shake[np.flatnonzero(same) - 1]  # a sharp corner stays one
        strokes.append((rounded(corners + shake) - 0.5) @ change.T)
    return strokes


def rounded(points):
    """Round the corners of a line by cutting them four times (Chaikin 1974); its ends stay."""
    for _ in range(4):
        cut = np.stack([0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], 1)
        points = np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])
    return points


def bounds(strokes):
    points = np.concatenate(strokes)
    return points.min(0), points.max(0)


def drawn(strokes, pen, shape):
    """Where the ink is: float32 `shape`, 0..1. pen: the width of its strokes in pixels."""
    mask = np.zeros((shape[0] * 2, shape[1] * 2), np.uint8)  # twice as large, for smooth edges
    for stroke in strokes:
        points = np.rint(stroke * 2 * 16).astype(np.int32)
        cv2.polylines(mask, [points], False, 255, max(1, round(pen * 2)), cv2.LINE_AA, shift=4)
    return cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def as_seen(mask, rng, ink):
    """A JPEG's bytes: the ink on paper, lit, blurred and grained."""
    height, width = mask.shape
    light = lit(height, width, rng)[..., None]
    paper = np.array(PAPERS[rng.integers(len(PAPERS))], np.float32)
    fibres = cv2.resize(rng.normal(0, 1, (height // 8, width // 8)).astype(np.float32), (width, height))[..., None]
    mask = (mask * rng.uniform(0.8, 1))[..., None]  # not every pen covers
    picture = (paper * (1 - mask) + np.array(ink, np.float32) * mask + 1.5 * fibres) * light
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6) * max(width, height) / 640)
    picture += rng.normal(0, rng.uniform(1, 8), picture.shape)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    quality = int(rng.integers(50, 96))
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def lit(height, width, rng):
    """How much light falls where: a lamp from one side, a darker rim, and on half of the photos a shadow; 0..1."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - rng.uniform(0, 0.25) * (1 + np.cos(angle) * x + np.sin(angle) * y)
    light *= 1 - rng.uniform(0, 0.12) * (x * x + y * y)
    if rng.random() < 0.5:
        angle, edge, soft = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.8), rng.uniform(0.03, 0.25)
        distance = np.cos(angle) * x + np.sin(angle) * y - edge
        light *= 1 - rng.uniform(0.15, 0.45) / (1 + np.exp(-distance / soft))
    return light


def main():
    tiles = []
    for content, _ in photos(100, int(sys.argv[1])):
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        tiles.append(cv2.resize(picture, (160, 160), interpolation=cv2.INTER_AREA))
    cv2.imwrite(sys.argv[2], np.vstack([np.hstack(tiles[i : i + 10]) for i in range(0, 100, 10)]))


if __name__ == "__main__":
    main()
