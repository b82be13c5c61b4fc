#!/usr/bin/env python3
"""Send pictures to a board that runs picture_over_serial.ino, and print what the network sees in them.

    pip install pyserial pillow
    python send_picture.py /dev/ttyACM0 ../../examples/digits/images/*.png --labels ../../examples/digits/labels.txt

The port is COM3 or the like on Windows; `python -m serial.tools.list_ports` lists them. Pictures are turned by their
EXIF and resized whole to the size that the board asks for. A picture that is damaged on its way is sent again, at
most twice. Exit code 0: every picture was classified; 1: the board refused one or fell silent; 2: bad port or picture.
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BAUD = 115_200
ATTEMPTS = 3


class Port(Protocol):
    """What is used of a serial.Serial with a timeout."""

    def write(self, data: bytes, /) -> object:
        """Send everything."""

    def readline(self) -> bytes:
        """What arrived up to a line end or the timeout."""


class BoardError(Exception):
    """The board refused a picture, or did not answer; the text says why."""


@dataclass(frozen=True)
class Size:
    """The picture that the board expects."""

    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class Answer:
    """The board's answer: class index, its score, microseconds of the run."""

    index: int
    score: float
    microseconds: int


def frame(pixels: bytes) -> bytes:
    """The frame that carries a picture."""
    return b"QMK1" + struct.pack("<I", len(pixels)) + pixels + struct.pack("<I", zlib.crc32(pixels))


def wait_until_ready(port: Port, patience: float = 10) -> Size:
    """The size of picture that the board asks for; raises BoardError after ``patience`` seconds."""
    size = _first_match(port, re.compile(r"ready (\d+)x(\d+)x(\d+)"), patience)
    return Size(*map(int, size.groups()))


def classify(port: Port, pixels: bytes, patience: float = 30) -> Answer:
    """Send one picture and wait for the answer; raises BoardError with the board's own words."""
    for attempt in range(1, ATTEMPTS + 1):
        port.write(frame(pixels))
        reply = _first_match(port, re.compile(r"ok class=(\d+) score=(\S+) us=(\d+)|error (\w+): .*"), patience)
        index, score, microseconds, error = reply.groups()
        if error is None:
            return Answer(int(index), float(score), int(microseconds))
        if error not in ("timeout", "crc") or attempt == ATTEMPTS:
            break
    raise BoardError(reply[0])


def _first_match(port: Port, pattern: re.Pattern[str], patience: float) -> re.Match[str]:
    deadline = time.monotonic() + patience
    line = b""
    while time.monotonic() < deadline:
        line += port.readline()
        if line.endswith(b"\n"):
            found = pattern.fullmatch(line.decode("ascii", "replace").strip())
            if found:
                return found
            line = b""
    raise BoardError(f"the board was silent for {patience:g} s: does it run picture_over_serial, is this its port?")


def load_pixels(path: Path, size: Size) -> bytes:
    """The picture as the board wants it, top row first, the channels of each pixel together; raises ValueError."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            converted = ImageOps.exif_transpose(image).convert("RGB" if size.channels == 3 else "L")
            return converted.resize((size.width, size.height), Image.Resampling.BILINEAR).tobytes()
    except Exception as error:  # a decoder fed with garbage may raise anything
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port")
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--labels", type=Path, help="text file with one class name per line")
    arguments = parser.parse_args()
    try:
        import PIL  # noqa: F401
        import serial
    except ImportError as error:
        print(f"{error.name} is missing: pip install pyserial pillow", file=sys.stderr)
        return 2
    try:
        names = arguments.labels.read_text("utf-8").splitlines() if arguments.labels else []
        with serial.Serial(arguments.port, BAUD, timeout=0.2, write_timeout=30) as port:
            size = wait_until_ready(port)
            for path in arguments.pictures:
                answer = classify(port, load_pixels(path, size))
                name = names[answer.index] if answer.index < len(names) else f"class {answer.index}"
                print(f"{path}  {name}  {answer.score:.3f}  {answer.microseconds / 1000:.1f} ms")
    except BoardError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:  # pyserial's errors are OSErrors
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
