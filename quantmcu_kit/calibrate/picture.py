"""One picture file to pixels. Everything that Pillow may do with a hostile or odd file is settled here."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")  # no EPS: opening one runs Ghostscript
_MODES = {1: "L", 3: "RGB"}
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
_DRAFT = 4  # a JPEG is decoded at reduced size only where that leaves at least 4 pixels for one of the network's


class UnreadablePicture(Exception):
    """The picture cannot be used; the text says why."""


def decode(path: Path, height: int, width: int, channels: int) -> np.ndarray:
    """uint8 [height, width, channels] of a picture file: turned by its EXIF, whole, resized bilinearly.

    Transparent pixels show white, as in a viewer. 16-bit grey is scaled to 8 bits. Of an animation the first frame
    counts.

    Args:
        channels: 1 (grey) or 3 (RGB).
    Raises:
        UnreadablePicture: missing, broken, over Pillow's limit of about 89 million pixels, or of an undefined range.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            if not os.path.isfile(path):  # opening a pipe would wait for ever
                raise UnreadablePicture("no such file")
            with Image.open(path, formats=_known_formats()) as image:
                image.draft(None, (_DRAFT * width, _DRAFT * height))
                eight_bit = _eight_bits(_upright(image))
                converted = _without_alpha(eight_bit).convert(_MODES[channels])
                resized = converted.resize((width, height), Image.Resampling.BILINEAR)
                return np.asarray(resized, np.uint8).reshape(height, width, channels)
        except UnreadablePicture:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise UnreadablePicture("too many pixels") from None
        except Exception as error:  # a decoder fed with garbage may raise anything: OSError, struct.error, KeyError ...
            raise UnreadablePicture(_reason(error)) from None


def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a picture"
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF says; with broken EXIF as it lies, as viewers show it."""
    image.load()
    try:
        image.getexif()
    except Exception:
        return image
    return ImageOps.exif_transpose(image)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The picture in a mode whose samples have 8 bits. Pillow's own conversion clips 16-bit grey to 255."""
    if image.mode == "F":
        raise UnreadablePicture("floating-point pixels have no defined range")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    samples = np.asarray(image).astype(np.int64)
    if samples.min(initial=0) < 0 or samples.max(initial=0) > 65535:
        raise UnreadablePicture("32-bit pixels have no defined range")
    samples[samples == image.info.get("transparency", -1)] = 65535  # a PNG may name one grey that is transparent: white
    return Image.fromarray(((samples + 128) // 257).astype(np.uint8))


def _without_alpha(image: Image.Image) -> Image.Image:
    """The picture over white where it has transparency."""
    if image.mode not in _ALPHA_MODES and "transparency" not in image.info:
        return image
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
