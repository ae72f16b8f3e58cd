"""Digits, letters and signs in MNIST's form, drawn in the fonts that matplotlib and OpenCV bring.

They are bent, and made thinner or thicker. Some fonts are held out, to judge what was learned of the others.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kerasnets import pictures
from kerasnets.pictures import NothingSeenError

SIDE = 220  # pixels of the field on which a letter is drawn
# Those that a person too could take for a digit are left out: b B D g I i j J l o O q Q s S y z Z.
LETTERS = "ACEFGHKLMNPRTUVWXYacdefhkmnprtuvwx"
SIGNS = "&@#?+=%$*<>^{}~"
OTHERS = LETTERS * 2 + SIGNS
STYLES = "", "-Bold", "-Oblique", "-BoldOblique"
FONTS: tuple[str | int, ...] = (
    *(f"DejaVuSans{style}" for style in STYLES), *(f"DejaVuSansMono{style}" for style in STYLES),
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)  # fmt: skip
HELD_OUT: tuple[str | int, ...] = (
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)  # fmt: skip


def draw_forms(letters: str, fonts: Sequence[str | int], count: int, random: np.random.Generator) -> np.ndarray:
    """Return pictures of letters in MNIST's form, uint8 (count, 28, 28, 1)."""
    forms: list[np.ndarray] = []
    while len(forms) < count:
        letter, font = letters[int(random.integers(len(letters)))], fonts[int(random.integers(len(fonts)))]
        ink = bend(draw_letter(letter, font, random), random)
        try:
            forms.append(pictures.to_mnist_form(255 - ink))
        except NothingSeenError:  # too thin a letter was made thinner
            continue
    return np.stack(forms)


def draw_letter(letter: str, font: str | int, random: np.random.Generator) -> np.ndarray:
    """Return a letter white on black, uint8 (SIDE, SIDE). A number is a font of OpenCV, a name one of matplotlib."""
    if isinstance(font, int):
        field = np.zeros((SIDE, SIDE), np.uint8)
        return cv2.putText(field, letter, (60, 150), font, 4, 255, int(random.integers(4, 16)), cv2.LINE_AA)
    image = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(image).text((65, 40), letter, font=font_of(font), fill=255)
    return np.array(image)


@functools.cache
def font_of(name: str) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path()) / f"fonts/ttf/{name}.ttf"), SIDE // 2)


def bend(ink: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return ink thinner or thicker, turned, slanted, stretched and bent at random."""
    choice, side = random.random(), int(random.integers(1, 7))
    if choice < 0.3:
        ink = cv2.dilate(ink, np.ones((side, side), np.uint8))
    elif choice < 0.5:
        ink = cv2.erode(ink, np.ones((min(side, 3), min(side, 3)), np.uint8))
    angle, slant = np.deg2rad(random.normal(0, 8)), random.normal(0, 0.18)
    wide, tall = random.uniform(0.75, 1.25, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [[wide, slant], [0, tall]]
    middle = np.full(2, SIDE / 2)
    matrix = np.column_stack([turn, middle - turn @ middle])
    ink = cv2.warpAffine(ink, matrix, (SIDE, SIDE))
    smooth = random.uniform(8, 20)
    reach = smooth * random.uniform(0, 5)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    moves = (random.uniform(-1, 1, (SIDE, SIDE)).astype(np.float32) for _ in range(2))
    across, down = (cv2.GaussianBlur(move, (0, 0), smooth) * np.float32(reach) for move in moves)
    return cv2.remap(ink, x + across, y + down, cv2.INTER_LINEAR)
