"""Odd and hostile picture files: pixels by hand or by Pillow called directly, and a reason for each refusal."""

from __future__ import annotations

import os
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from quantmcu_kit.calibrate.picture import UnreadablePicture, decode

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


def pixels(path, channels=3):
    """The picture in its own size."""
    with Image.open(path) as image:
        return decode(path, image.height, image.width, channels)


def refusal(path, channels=3):
    with pytest.raises(UnreadablePicture) as caught:
        decode(path, 4, 4, channels)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def png(path, width, height, *, depth=8, colour=0, rows=b"", chunks=()):
    """A PNG written by hand: what it claims need not be true. ``rows`` begin with a filter byte each."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = b"".join(chunk(*entry) for entry in chunks)
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + extra + end)


def over_white(colour, alpha):
    alpha = alpha[..., None] / 255
    return colour * alpha + 255 * (1 - alpha)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif", ".webp"])
def test_lossless_pixels_come_through(tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(RGB).save(path, lossless=True)
    found = pixels(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, RGB)


def test_grey_to_rgb_repeats_it(path):
    Image.fromarray(GREY).save(path)
    np.testing.assert_array_equal(pixels(path, 1), GREY[..., None])
    np.testing.assert_array_equal(pixels(path, 3), np.repeat(GREY[..., None], 3, axis=2))


def test_rgb_to_grey_is_its_luminance(path):
    """ITU-R 601: 0.299 R + 0.587 G + 0.114 B."""
    Image.fromarray(RGB).save(path)
    found = pixels(path, 1)
    assert found.shape == (5, 7, 1)
    assert np.abs(found[..., 0] - RGB @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


def test_one_bit_picture(path):
    Image.fromarray(GREY > 127).save(path)
    np.testing.assert_array_equal(pixels(path, 1)[..., 0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_shows_white(path, channels):
    alpha = np.random.default_rng(1).integers(0, 256, (5, 7), dtype=np.uint8)
    alpha[0, :2] = 0, 255
    colour = GREY[..., None] if channels == 1 else RGB
    Image.fromarray(np.dstack([colour, alpha]), "LA" if channels == 1 else "RGBA").save(path)
    found = pixels(path, channels)
    assert np.abs(found - over_white(colour, alpha)).max() <= 1
    assert (found[0, 0] == 255).all() and (found[0, 1] == colour[0, 1]).all()


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_transparent_palette_entry_shows_white(tmp_path, suffix):
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    path = tmp_path / f"picture{suffix}"
    image.save(path, transparency=1)
    table = np.array([[10, 20, 30], [255, 255, 255], [70, 80, 90]])
    np.testing.assert_array_equal(pixels(path), table[indices])


def test_palette_with_partial_transparency(path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([100, 100, 100, 100, 100, 100])
    image.save(path, transparency=bytes([255, 128]))
    found = pixels(path, 1)[0, :, 0]
    assert found[0] == 100 and abs(found[1] - (100 * 128 + 255 * 127) / 255) <= 1


def test_transparent_colour_of_rgb_shows_white(path):
    """A PNG without an alpha channel may name one colour that is transparent."""
    Image.fromarray(RGB).save(path, transparency=tuple(int(value) for value in RGB[2, 3]))
    expected = RGB.copy()
    expected[2, 3] = 255
    np.testing.assert_array_equal(pixels(path), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bit_grey_is_scaled(tmp_path, suffix):
    """Nearest of v/257: a half never occurs, as 257 is odd."""
    values = np.concatenate([np.arange(256) * 257, [128, 129, 65406, 65407, 1000]]).astype(np.uint16)
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(values[None, :]).save(path)
    expected = [*range(256), 0, 1, 254, 255, 4]
    assert pixels(path, 1)[0, :, 0].tolist() == expected
    np.testing.assert_array_equal(pixels(path, 3)[0], np.array([expected] * 3).T)


def test_transparent_grey_of_sixteen_bits_shows_white(path):
    rows = b"\0" + struct.pack(">3H", 0, 257, 5 * 257)
    png(path, 3, 1, depth=16, rows=rows, chunks=[(b"tRNS", struct.pack(">H", 257))])
    assert pixels(path, 1)[0, :, 0].tolist() == [0, 255, 5]


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_cmyk(tmp_path, suffix):
    inks = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 255, 255, 0): (255, 0, 0)}
    inks[0, 0, 0, 255] = (0, 0, 0)
    for number, (ink, colour) in enumerate(inks.items()):
        path = tmp_path / f"{number}{suffix}"
        Image.new("CMYK", (8, 8), ink).save(path)
        assert np.abs(decode(path, 8, 8, 3).astype(int) - colour).max() <= 2, ink


# What a viewer shows of the stored rows; EXIF 2.3, tag 274: where row 0 and column 0 of the file lie.
TURNED = {
    1: lambda stored: stored,  # top, left
    2: lambda stored: stored[:, ::-1],  # top, right
    3: lambda stored: stored[::-1, ::-1],  # bottom, right
    4: lambda stored: stored[::-1],  # bottom, left
    5: lambda stored: stored.swapaxes(0, 1),  # left, top
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],  # right, top
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
    8: lambda stored: stored.swapaxes(0, 1)[::-1],  # left, bottom
}


@pytest.mark.parametrize("orientation", TURNED)
def test_picture_is_turned_as_its_exif_says(path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(RGB).save(path, exif=exif)
    expected = TURNED[orientation](RGB)
    np.testing.assert_array_equal(decode(path, *expected.shape), expected)


@pytest.mark.parametrize("exif", [b"garbage", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\x05\0garb"])
def test_broken_exif_leaves_the_picture_as_it_lies(path, exif):
    Image.fromarray(RGB).save(path, exif=exif)
    np.testing.assert_array_equal(pixels(path), RGB)


def test_first_frame_of_an_animation(tmp_path):
    path = tmp_path / "picture.gif"
    frames = [Image.new("L", (4, 4), level) for level in (30, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert (pixels(path, 1) == 30).all()


@pytest.mark.parametrize("size", [(3, 2), (9, 16), (5, 7), (1, 1)])
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_whole_picture_is_resized_as_pillow_does(path, size, channels, mode):
    image = Image.fromarray(RGB).convert(mode)
    image.save(path)
    expected = np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR)).reshape(*size, channels)
    np.testing.assert_array_equal(decode(path, *size, channels), expected)


def test_resizing_by_hand(path):
    """Twice as wide: centres at 1/4 and 3/4 between two pixels. Half as wide: a triangle of width 4, 1:3:3:1."""
    Image.fromarray(np.array([[0, 200]], np.uint8)).save(path)
    assert decode(path, 1, 4, 1)[0, :, 0].tolist() == [0, 50, 150, 200]
    Image.fromarray(np.array([[0, 70, 140, 210]], np.uint8)).save(path)
    # 0 and 70 weigh 3, 140 weighs 1: (3*0 + 3*70 + 140) / 7; nothing lies before the border.
    assert decode(path, 1, 2, 1)[0, :, 0].tolist() == [50, 160]


def test_large_jpeg_decoded_at_reduced_size_looks_the_same(tmp_path):
    y, x = np.mgrid[:512, :768]
    smooth = np.stack([x / 3, y / 2, 255 - x / 3], axis=-1).astype(np.uint8)
    path = tmp_path / "picture.jpg"
    Image.fromarray(smooth).save(path, quality=95)
    expected = Image.fromarray(smooth).resize((24, 16), Image.Resampling.BILINEAR)
    assert np.abs(decode(path, 16, 24, 3).astype(int) - np.asarray(expected)).max() <= 4


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp", ".gif", ".ppm"])
def test_truncated_picture_is_refused(tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    noise = np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path)


def test_corrupt_picture_is_refused(path):
    Image.fromarray(RGB).save(path)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"IDAT") + 4 :] = b"\xff" * 40
    path.write_bytes(damaged)
    assert refusal(path)


@pytest.mark.parametrize("content", [b"just some text\n", b"", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    assert refusal(path) == "not a picture"


def test_floating_point_pixels_are_refused(tmp_path):
    path = tmp_path / "picture.tif"
    Image.fromarray(np.zeros((4, 4), np.float32)).save(path)
    assert refusal(path) == "floating-point pixels have no defined range"


@pytest.mark.parametrize("extreme", [-1, 65536])
def test_thirty_two_bit_pixels_are_refused(tmp_path, extreme):
    path = tmp_path / "picture.tif"
    Image.fromarray(np.array([[0, extreme]], np.int32)).save(path)
    assert refusal(path) == "32-bit pixels have no defined range"


@pytest.mark.parametrize("side", [9500, 20000, 60000])
def test_decompression_bomb_is_refused_without_memory(path, side):
    """Pillow only warns up to twice its limit of about 89 million pixels, and raises beyond."""
    resource = pytest.importorskip("resource")
    png(path, side, side, rows=b"")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(path) == "too many pixels"
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 20e6


def test_what_is_no_file_is_refused(tmp_path, path):
    assert refusal(path) == "no such file"
    assert refusal(tmp_path) == "no such file"
    assert refusal(tmp_path / "nul\0byte.png") == "no such file"
    assert refusal(tmp_path / ("long" * 1000)) == "no such file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe_is_refused_at_once(path):
    os.mkfifo(path)
    assert refusal(path) == "no such file"
