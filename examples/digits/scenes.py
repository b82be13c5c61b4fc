"""Scenes for the example network: a handwritten digit on a card, 96x96 RGB, as a small camera would see it.

The digits are real: scikit-learn's `load_digits` (8x8 pictures, 16 grey levels). Everything around them is drawn:
a surface with texture and light fall-off, some clutter, a tilted card with a shadow, ink, focus blur, sensor noise, and
the 5-6-5 bit colours that the cheap camera modules of microcontroller boards deliver.

`render` is a pure function of (digit, seed): the same pair gives the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits

SIZE = 96  # pixels per side of a scene
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MIN_CONTRAST = 70.0  # least luminance difference between ink and paper, of 255
HELD_OUT_FRACTION = 0.3

_LUMA = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue in luminance (ITU-R BT.601)
_WARM = np.array([1.0, 0.2, -1.0])
_ROWS, _COLUMNS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)


@dataclass(frozen=True)
class Digits:
    """Source pictures: `pictures` float64 [n, 8, 8] of ink in 0..1, `labels` int64 [n]."""

    pictures: np.ndarray
    labels: np.ndarray

    def take(self, index: np.ndarray) -> Digits:
        return Digits(self.pictures[index], self.labels[index])


def split_digits(seed: int) -> tuple[Digits, Digits]:
    """(train, held-out): disjoint source pictures, each class divided in the same proportion."""
    data = load_digits()
    digits = Digits(data.images / 16.0, data.target)
    rng = np.random.default_rng(seed)
    train, held_out = [], []
    for label in range(len(CLASS_NAMES)):
        members = rng.permutation(np.flatnonzero(digits.labels == label))
        cut = round(len(members) * HELD_OUT_FRACTION)
        held_out.append(members[:cut])
        train.append(members[cut:])
    return digits.take(np.concatenate(train)), digits.take(np.concatenate(held_out))


def render_many(digits: Digits, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` scenes, uint8 [count, 96, 96, 3], and labels [count]: the classes in turn, each with its next picture."""
    members = [np.flatnonzero(digits.labels == label) for label in range(len(CLASS_NAMES))]
    scenes = np.empty((count, SIZE, SIZE, 3), np.uint8)
    labels = np.arange(count) % len(CLASS_NAMES)
    for i, label in enumerate(labels):
        turn = i // len(CLASS_NAMES) % len(members[label])
        scenes[i] = render(digits.pictures[members[label][turn]], (seed, i))
    return scenes, labels


def render(digit: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """One scene, uint8 [96, 96, 3], around one 8x8 picture of ink in 0..1."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(38, 66)  # pixels that the 8x8 picture spans
    tilt = np.deg2rad(rng.uniform(-12, 12))
    margin = SIZE / 2 - height / 2 - 3
    centre = SIZE / 2 + rng.uniform(-margin, margin, 2)
    v, u = _frame(centre, tilt)

    paper = _surface(rng)
    if rng.random() < 0.75:  # otherwise the digit is painted on the bare surface, where clutter could hide it
        for _ in range(rng.integers(0, 4)):
            paper = _blend(paper, _clutter_mask(rng), _colour(rng))
        paper = _card(rng, paper, v, u, height / 2 * rng.uniform(1.05, 1.35, 2))
    ink_mask = _ink_mask(rng, digit, v, u, height)
    under_ink = (paper * ink_mask[..., None]).sum((0, 1)) / ink_mask.sum()
    scene = _blend(paper, ink_mask * rng.uniform(0.85, 1.0), _ink_colour(rng, under_ink))
    return _camera(rng, scene)


def _frame(centre: np.ndarray, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates (v down, u right) seen from `centre`, turned by `tilt` radians."""
    dy, dx = _ROWS - centre[0], _COLUMNS - centre[1]
    return dy * np.cos(tilt) - dx * np.sin(tilt), dy * np.sin(tilt) + dx * np.cos(tilt)


def _blend(canvas: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return canvas + mask[..., None] * (colour - canvas)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A colour as rooms have them: a grey, more often warm (wood, brick) than cold (steel, slate), seldom vivid."""
    grey, warmth = rng.uniform(35, 215), rng.normal(15, 20)
    vividness = 40 if rng.random() < 0.2 else 10
    return np.clip(grey + warmth * _WARM + rng.uniform(-vividness, vividness, 3), 0, 255)


def _surface(rng: np.random.Generator) -> np.ndarray:
    """Table or wall: one colour with blotches, and sometimes a grain (wood, cloth) along one direction."""
    blotches = ndimage.zoom(rng.normal(0, 1, (5, 5)), SIZE / 5, order=3, mode="nearest", grid_mode=True)
    texture = rng.uniform(2, 12) * blotches
    if rng.random() < 0.6:
        v, _ = _frame(np.zeros(2), rng.uniform(0, np.pi))
        wave = v * rng.uniform(0.15, 0.9) + rng.uniform(0, 2) * blotches
        texture += rng.uniform(3, 12) * np.sin(wave)
    return _colour(rng) + texture[..., None]


def _rounded_box(v: np.ndarray, u: np.ndarray, half: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance in pixels to a box with half sides `half` (v, u) and rounded corners; negative inside."""
    outside_v, outside_u = np.abs(v) - half[0] + radius, np.abs(u) - half[1] + radius
    corner = np.hypot(np.maximum(outside_v, 0), np.maximum(outside_u, 0))
    return corner + np.minimum(np.maximum(outside_v, outside_u), 0) - radius


def _clutter_mask(rng: np.random.Generator) -> np.ndarray:
    """A pencil, coin or box lying about: coverage in 0..1."""
    v, u = _frame(rng.uniform(0, SIZE, 2), rng.uniform(0, np.pi))
    half = np.array([rng.uniform(1, 12), rng.uniform(3, 40)])
    radius = rng.uniform(0.2, 1.0) * half.min()
    return np.clip(0.5 - _rounded_box(v, u, half, radius), 0, 1)


def _card(rng: np.random.Generator, canvas: np.ndarray, v: np.ndarray, u: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Lays a card (light three times out of four) with a soft shadow on the canvas."""
    radius = rng.uniform(1, 9)
    drop, softness = rng.uniform(0.5, 3.5, 2), rng.uniform(2, 6)
    shadow = np.clip(0.5 - _rounded_box(v - drop[0], u - drop[1], half, radius) / softness, 0, 1)
    canvas = canvas * (1 - rng.uniform(0.2, 0.55) * shadow[..., None])
    base = rng.uniform(185, 245) if rng.random() < 0.75 else rng.uniform(20, 80)
    colour = np.clip(base + rng.normal(5, 8) * _WARM + rng.uniform(-8, 8, 3), 5, 250)
    return _blend(canvas, np.clip(0.5 - _rounded_box(v, u, half, radius), 0, 1), colour)


def _ink_mask(rng: np.random.Generator, digit: np.ndarray, v: np.ndarray, u: np.ndarray, height: float) -> np.ndarray:
    """The 8x8 picture enlarged to `height` pixels with a pen's sharp edge: coverage in 0..1."""
    pitch = height / 8
    slant, aspect = rng.uniform(-0.15, 0.15), rng.uniform(0.85, 1.15)
    row = v / pitch + 3.5
    column = (u + slant * v) / (pitch * aspect) + 3.5
    ink = ndimage.map_coordinates(digit, [row, column], order=3, mode="constant", prefilter=True)
    middle, width = rng.uniform(0.33, 0.5), rng.uniform(0.12, 0.3)
    t = np.clip((ink - middle) / (2 * width) + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def _ink_colour(rng: np.random.Generator, paper: np.ndarray) -> np.ndarray:
    """A colour whose luminance is at least MIN_CONTRAST away from that of `paper` (the side with more room)."""
    luma = float(paper @ _LUMA)
    room = luma if luma > 127.5 else 255 - luma
    strength = np.sqrt(rng.random())  # pens are mostly dark
    distance = MIN_CONTRAST + strength * max(room - 20 - MIN_CONTRAST, 0)
    vividness = 70 if rng.random() < 0.5 else 15
    tint = rng.uniform(-vividness, vividness, 3)
    tint -= tint @ _LUMA  # keeps the luminance
    target = luma - distance if luma > 127.5 else luma + distance
    return np.clip(target + tint, 0, 255)


def _camera(rng: np.random.Generator, scene: np.ndarray) -> np.ndarray:
    """Light fall-off, exposure, white balance, focus, sensor noise and the RGB565 pixels of a camera module."""
    v, _ = _frame(np.full(2, SIZE / 2), rng.uniform(0, 2 * np.pi))
    light = rng.uniform(0.8, 1.15) * (1 + rng.uniform(0, 0.3) * v / SIZE)
    scene = scene * light[..., None] * rng.uniform(0.92, 1.08, 3)
    blur = rng.uniform(0.2, 0.9)
    scene = ndimage.gaussian_filter(scene, (blur, blur, 0))
    scene = scene + rng.normal(0, rng.uniform(0.5, 3.0), (SIZE, SIZE, 1))
    return _rgb565(np.clip(np.rint(scene), 0, 255).astype(np.uint8))


def _rgb565(scene: np.ndarray) -> np.ndarray:
    """Keeps 5, 6 and 5 bits of a colour and refills the low bits with the high ones, so that 255 stays 255."""
    red_blue, green = scene & 0xF8, scene & 0xFC
    kept = np.stack([red_blue[..., 0], green[..., 1], red_blue[..., 2]], axis=-1)
    return kept | kept >> np.array([5, 6, 5], np.uint8)
