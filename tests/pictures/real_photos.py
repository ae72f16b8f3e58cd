"""Photos as people take them, of MNIST's handwriting on paper: shadows, rulings, pencil, glare, a desk, boxes, forms.

The ink is a training picture of MNIST, enlarged until its strokes have the sharp edges of a pen. Each kind of photo has
its trouble and, like every photo, some blur, grain, tilt and JPEG.

python -m tests.pictures.real_photos SEED FOLDER     writes ten photos of each kind, to look at
"""

import sys
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 480, 640
PENS = ((30, 30, 35), (25, 35, 110), (40, 55, 150), (60, 20, 25))  # RGB; black, two blues, a dark red
PAPERS = ((248, 248, 246), (238, 236, 228), (244, 236, 214), (222, 226, 232))
RULINGS = ((150, 180, 225), (225, 140, 140), (150, 205, 165), (175, 175, 180), (185, 150, 205))  # blue, red, green, ...
DESKS = ((92, 62, 40), (60, 60, 64), (150, 112, 74), (28, 28, 30), (176, 170, 160))


class Scene:
    """Reflectance of a sheet, float32 (height, width, 3) in 0..1, on which things are laid, and how it is seen."""

    def __init__(self, rng, height=HEIGHT, width=WIDTH, paper=None):
        self.rng, self.height, self.width = rng, height, width
        color = PAPERS[rng.integers(len(PAPERS))] if paper is None else paper
        self.surface = np.full((height, width, 3), np.array(color, np.float32) / 255, np.float32)
        self.light = np.ones((height, width), np.float32)

    def lay(self, mask, color, strength=1.0):
        """Lay ink of a colour where `mask`, 0..1, is: what is below shows through as through a filter."""
        cover = (mask * strength)[..., None]
        self.surface = self.surface * (1 - cover) + np.minimum(self.surface, np.array(color, np.float32) / 255) * cover

    def seen(self):
        """The JPEG's bytes."""
        rng = self.rng
        height, width = self.light.shape
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        lamp = 1 - rng.uniform(0, 0.2) * (1 + np.cos(angle) * x + np.sin(angle) * y)
        fibres = cv2.resize(rng.normal(0, 0.006, (height // 6, width // 6)).astype(np.float32), (width, height))
        picture = (self.surface + fibres[..., None]) * (self.light * lamp)[..., None] * 255 * rng.uniform(0.8, 1)
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.2) * width / 640)
        picture += rng.normal(0, rng.uniform(1, 5), picture.shape)
        picture = np.clip(picture, 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))]
        return cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), quality)[1].tobytes()


def pen_strokes(digit, side, rng, thin=0.0):
    """A training picture of MNIST, 28x28, as pen strokes, thinner with `thin` of 1: float32 of `side` pixels, 0..1."""
    large = cv2.resize(digit.astype(np.float32) / 255, (side, side), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), side / 28 * 0.5)
    level = 0.4 + 0.25 * thin
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-8, 8), 1)
    large = cv2.warpAffine(large, turn, (side, side))
    return np.clip((large - level) * side / 28 * 0.9 + 0.5, 0, 1)


def placed(scene, strokes, center=None):
    """The mask of strokes somewhere on the scene, and its centre."""
    side = len(strokes)
    if center is None:
        center = [
            scene.rng.uniform(0.55 * side, size - 0.55 * side) if size > 1.1 * side else size / 2
            for size in (scene.width, scene.height)
        ]
    left, top = (round(middle - side / 2) for middle in center)
    mask = np.zeros((scene.height + 2 * side, scene.width + 2 * side), np.float32)
    mask[top + side : top + 2 * side, left + side : left + 2 * side] = strokes
    return mask[side:-side, side:-side], center


def write(scene, digit, pen=None, size=None, center=None, strength=None):
    """Write one digit; return the centre and side of its field."""
    rng = scene.rng
    side = round(size or rng.uniform(0.35, 0.85) * scene.height)
    mask, center = placed(scene, pen_strokes(digit, side, rng, rng.uniform(0, 1)), center)
    color = PENS[rng.integers(len(PENS))] if pen is None else pen
    scene.lay(mask, color, rng.uniform(0.85, 1) if strength is None else strength)
    return center, side


def lines(scene, distance, color, thick, angle=0.0, offset=0.0):
    """The mask of parallel rulings over the whole scene; angle in degrees, 0 level."""
    y, x = np.mgrid[0 : scene.height, 0 : scene.width].astype(np.float32)
    turn = np.deg2rad(angle)
    phase = (y * np.cos(turn) - x * np.sin(turn) + offset) % distance
    scene.lay(np.clip(thick / 2 + 0.5 - abs(phase - distance / 2), 0, 1), color)


def plain(digit, rng):
    scene = Scene(rng)
    write(scene, digit)
    return scene.seen()


def shadow(digit, rng):
    """Light that is up to four times weaker on one side of a soft edge, which runs across the digit."""
    scene = Scene(rng)
    (x0, y0), side = write(scene, digit, size=rng.uniform(0.45, 0.85) * HEIGHT)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    along = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle) + rng.uniform(-0.15, 0.15) * side
    soft = np.exp(rng.uniform(np.log(1.5), np.log(60)))
    scene.light *= 1 - (1 - 1 / rng.uniform(2, 4)) / (1 + np.exp(-along / soft))
    return scene.seen()


def lined(digit, rng):
    scene = Scene(rng)
    distance, angle = rng.uniform(30, 90), rng.uniform(-6, 6)
    color, thick = RULINGS[rng.integers(len(RULINGS))], rng.uniform(1, 3)
    lines(scene, distance, color, thick, angle, rng.uniform(0, distance))
    if rng.uniform() < 0.4:  # a margin
        x = rng.uniform(0.1, 0.25) * WIDTH
        mask = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.line(mask, (int(x), 0), (int(x + HEIGHT * np.tan(np.deg2rad(angle))), HEIGHT), 1, 2, cv2.LINE_AA)
        scene.lay(mask, (230, 90, 90))
    write(scene, digit, size=rng.uniform(0.3, 0.7) * HEIGHT)
    return scene.seen()


def squared(digit, rng):
    scene = Scene(rng)
    distance, angle = rng.uniform(20, 60), rng.uniform(-6, 6)
    color, thick = RULINGS[rng.integers(len(RULINGS))], rng.uniform(1, 2.5)
    for turn in (angle, angle + 90):
        lines(scene, distance, color, thick, turn, rng.uniform(0, distance))
    write(scene, digit, size=rng.uniform(0.3, 0.7) * HEIGHT)
    return scene.seen()


def pencil(digit, rng):
    scene = Scene(rng)
    side = round(rng.uniform(0.35, 0.8) * HEIGHT)
    mask, _ = placed(scene, pen_strokes(digit, side, rng, 1))
    grain = cv2.GaussianBlur(rng.normal(0, 1, mask.shape).astype(np.float32), (0, 0), 1.2)
    scene.lay(np.clip(mask * (0.75 + 0.6 * grain), 0, 1), (130, 130, 135), rng.uniform(0.5, 0.9))
    return scene.seen()


def glare(digit, rng):
    """A lamp that the paper mirrors: a bright blot, which the picture cannot hold, near the digit or on it."""
    scene = Scene(rng, paper=(205, 204, 200))
    (x0, y0), side = write(scene, digit, strength=0.95)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    cx, cy = x0 + rng.uniform(-0.8, 0.8) * side, y0 + rng.uniform(-0.8, 0.8) * side
    wide = rng.uniform(0.12, 0.5) * HEIGHT
    blot = np.exp(-(((x - cx) / wide) ** 2 + ((y - cy) / wide / rng.uniform(0.5, 1)) ** 2))
    scene.surface += (rng.uniform(0.2, 0.6) * blot)[..., None]
    return scene.seen()


def desk(digit, rng):
    """A sheet, somewhat turned, on a darker desk of another colour; its edge is sharp and has a shadow."""
    scene = Scene(rng)
    write(scene, digit, size=rng.uniform(0.3, 0.55) * HEIGHT)
    return on_desk(scene).seen()


def on_desk(scene, things=0):
    rng = scene.rng
    color = np.array(DESKS[rng.integers(len(DESKS))], np.float32) / 255
    height, width = scene.light.shape
    grain = cv2.resize(rng.normal(0, 1, (height // 2, width // 40)).astype(np.float32), (width, height))
    back = color * (1 + 0.06 * grain[..., None])
    for _ in range(things):
        lay_thing(back, rng)
    shrink = rng.uniform(0.6, 0.9)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-12, 12), shrink)
    turn[:, 2] += rng.uniform(-0.5, 0.5, 2) * (1 - shrink) * np.array((width, height))
    sheet = cv2.warpAffine(scene.surface, turn, (width, height), flags=cv2.INTER_AREA)
    mask = cv2.warpAffine(np.ones((height, width), np.float32), turn, (width, height))[..., None]
    scene.surface = sheet * mask + back * (1 - mask)
    return scene


def lay_thing(surface, rng):
    """Draw a cup from above, a pen, a coin, a note or a cable."""
    height, width = surface.shape[:2]
    place, side = rng.uniform((0, 0), (width, height)), rng.uniform(0.05, 0.2) * height
    color = tuple(rng.uniform(0, 1, 3).tolist())
    x, y = (round(each) for each in place.tolist())
    kind, turn = rng.integers(5), rng.uniform(0, 2 * np.pi)
    far = (round(x + 2 * side * np.cos(turn)), round(y + 2 * side * np.sin(turn)))
    if kind == 0:
        cv2.circle(surface, (x, y), round(side), color, -1)
        cv2.circle(surface, (x, y), round(0.8 * side), (0.2, 0.12, 0.08), -1)
    elif kind == 1:
        cv2.line(surface, (x, y), far, color, max(2, round(0.1 * side)))
    elif kind == 2:
        cv2.circle(surface, (x, y), round(0.4 * side), (0.7, 0.6, 0.4), -1)
    elif kind == 3:
        corners = cv2.boxPoints(((x, y), (side, 0.8 * side), np.rad2deg(turn)))
        cv2.fillConvexPoly(surface, corners.astype(np.int32), color)
    else:
        corners = place + np.cumsum(rng.normal(0, 0.5 * side, (12, 2)), axis=0)
        cv2.polylines(surface, [corners.astype(np.int32)], False, color, max(2, round(0.05 * side)))


def boxed(digit, rng):
    """A box drawn by hand or printed around the digit, thin or thick."""
    scene = Scene(rng)
    (x, y), side = write(scene, digit, size=rng.uniform(0.35, 0.7) * HEIGHT)
    half = side * rng.uniform(0.5, 0.62)
    shake = rng.uniform(0, 0.03) * side
    corners = np.array([(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)])
    corners += rng.normal(0, shake, corners.shape)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    thick = int(rng.integers(1, 7))
    cv2.polylines(mask, [np.rint(corners * 16).astype(np.int32)], True, 1, thick, cv2.LINE_AA, 4)
    scene.lay(mask, PENS[rng.integers(len(PENS))])
    return scene.seen()


def framed(digit, rng):
    """A picture with a frame of one colour, some pixels wide, on all sides."""
    scene = Scene(rng, 280, 280)
    write(scene, digit, size=rng.uniform(0.5, 0.9) * 280)
    wide = int(rng.integers(3, 16))
    frame = np.array([(10, 10, 10), (120, 120, 120), (160, 40, 40), (30, 60, 130)][rng.integers(4)], np.float32) / 255
    for edge in (np.s_[:wide], np.s_[-wide:], np.s_[:, :wide], np.s_[:, -wide:]):
        scene.surface[edge] = frame
    return scene.seen()


def thin(digit, rng):
    """A fine pen on a large sheet."""
    scene = Scene(rng)
    side = round(rng.uniform(0.25, 0.45) * HEIGHT)
    strokes = pen_strokes(digit, side, rng, 1)
    strokes = cv2.erode(strokes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (max(1, side // 45),) * 2))
    mask, _ = placed(scene, strokes)
    scene.lay(mask, PENS[rng.integers(len(PENS))])
    return scene.seen()


KINDS = {each.__name__: each for each in (plain, shadow, lined, squared, pencil, glare, desk, boxed, framed, thin)}

# ---- pictures that show no digit, or several -------------------------------------------------------------------------


def bare_desk(rng):
    return on_desk(Scene(rng)).seen()


def bare_desk_with_things(rng):
    return on_desk(Scene(rng), rng.integers(3, 9)).seen()


def bare_lines(rng):
    scene = Scene(rng)
    distance, angle = rng.uniform(30, 90), rng.uniform(-6, 6)
    for turn in (angle, angle + 90)[: rng.integers(1, 3)]:
        lines(scene, distance, RULINGS[rng.integers(len(RULINGS))], rng.uniform(1, 3), turn)
    return scene.seen()


def bare_paper(rng):
    return Scene(rng).seen()


def several(digits, rng):
    """Digits in a row."""
    scene = Scene(rng)
    side = min(0.55 * HEIGHT, 0.9 * WIDTH / len(digits))
    for i, digit in enumerate(digits):
        x = WIDTH / 2 + (i - (len(digits) - 1) / 2) * side * 0.85
        write(scene, digit, PENS[0], side, (x, HEIGHT / 2 + rng.uniform(-0.05, 0.05) * side), 0.95)
    return scene.seen()


# ---- sheets ----------------------------------------------------------------------------------------------------------


def lined_sheet(digits, rng, tall=44):
    """Rows of small digits, `tall` pixels with their field, on lined or squared paper: the bytes, and the rows."""
    height, width = 960, 1280
    scene = Scene(rng, height, width)
    distance, angle = tall * rng.uniform(1.3, 1.8), rng.uniform(-2, 2)
    color, thick = RULINGS[rng.integers(len(RULINGS))], rng.uniform(1, 2.5)
    lines(scene, distance, color, thick, angle, distance / 2)
    if rng.uniform() < 0.3:
        lines(scene, distance, color, thick, angle + 90)
    pen, rows = PENS[rng.integers(len(PENS))], []
    waiting = list(digits)
    slope = np.tan(np.deg2rad(angle))
    for k in range(2, int(height / distance) - 1, int(rng.integers(2, 4))):
        row = []
        x = width * rng.uniform(0.12, 0.2)
        while waiting and len(row) < 8 and x < 0.85 * width:
            y = k * distance - 0.35 * tall + slope * x + rng.uniform(-0.05, 0.05) * tall
            write(scene, waiting[0][0], pen, tall * rng.uniform(0.95, 1.1), (x, y), 0.95)
            row.append(waiting.pop(0)[1])
            x += tall * rng.uniform(0.9, 1.5)
        if row:
            rows.append(row)
    return scene.seen(), rows


def sheet_on_desk(digits, rng, tall=90):
    """Rows of five digits, `tall` pixels with their field, on a sheet on a desk with things: the bytes and the rows."""
    scene = Scene(rng, 960, 1280)
    rows = [digits[i : i + 5] for i in range(0, len(digits), 5)]
    for k, row in enumerate(rows):
        for i, (digit, _) in enumerate(row):
            x, y = 260 + 190 * i + rng.uniform(-20, 20), 960 * (k + 1) / (len(rows) + 1) + rng.uniform(-5, 5)
            write(scene, digit, PENS[0], tall * rng.uniform(0.9, 1.1), (x, y), 0.95)
    return on_desk(scene, rng.integers(3, 9)).seen(), [[label for _, label in row] for row in rows]


def form_row(digits, rng):
    """A row of a form: a printed cell for each digit, side by side."""
    height, width = 300, 1200
    scene = Scene(rng, height, width)
    cell = rng.uniform(70, 110)
    left, top = (width - cell * len(digits)) / 2, (height - cell) / 2
    mask, thick = np.zeros((height, width), np.float32), int(rng.integers(1, 4))
    for i in range(len(digits)):
        corners = [(round(left + i * cell), round(top)), (round(left + (i + 1) * cell), round(top + cell * 1.1))]
        cv2.rectangle(mask, *corners, 1, thick, cv2.LINE_AA)
    scene.lay(mask, [(40, 40, 40), (150, 150, 150), (210, 90, 90), (90, 140, 200)][rng.integers(4)])
    for i, (digit, _) in enumerate(digits):
        write(
            scene, digit, PENS[i % 1], cell * rng.uniform(0.75, 0.95), (left + (i + 0.5) * cell, height / 2 + 3), 0.95
        )
    return scene.seen(), [[label for _, label in digits]]


def photos(images, labels, kind, count, seed):
    """(bytes, digit) of `count` photos of a kind; images (n, 28, 28) and labels are MNIST's training part."""
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    chosen = rng.choice(len(labels), count, replace=False)
    return [(KINDS[kind](images[i], rng), int(labels[i])) for i in chosen]


def main():
    from kerasnets import data

    mnist = data.load_data("mnist")
    images, labels = mnist.train_images[..., 0], mnist.train_labels
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for i, (content, digit) in enumerate(photos(images, labels, kind, 10, int(sys.argv[1]))):
            (folder / f"{kind}-{i}-{digit}.jpg").write_bytes(content)


if __name__ == "__main__":
    main()
