"""What the user may choose: one field = one command-line flag = one row of the documentation."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from quantmcu_kit.errors import QmkitError

PREPROCESSES = ("pm1", "01", "imagenet", "raw")
ROUNDINGS = ("nearest", "second-order")
RANGES = ("minmax", "percentile", "mse")


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class Options:
    """Options of a build. The flag of ``field_name`` is ``--field-name``."""

    board: str = _option("nano33ble", "Board to build for; `qmkit boards` lists them.")
    images: Path | None = _option(
        None,
        "Pictures for calibration: a folder, a CSV of path,label, or an .npz/.npy. Default: images/ beside the model.",
    )
    preprocess: str | None = _option(
        None, "How pixels become the network's input: pm1 (x/127.5-1), 01 (x/255), imagenet, or raw (0..255)."
    )
    mean: str | None = _option(None, "Explicit normalisation (x-mean)/std: one number, or one per channel as a,b,c.")
    std: str | None = _option(None, "See --mean.")
    limit: int = _option(250, "Most calibration pictures used, spread over the set.")
    bits: int = _option(8, "Bits of feature maps and weights.")
    range: str = _option("mse", "How the range of a feature map is chosen: minmax, percentile or mse.")
    rounding: str = _option("second-order", "How weights are rounded: nearest or second-order (GPTQ).")
    name: str | None = _option(None, "Name of the library and prefix of its symbols. Default: the model's file name.")
    output: Path | None = _option(None, "Folder to write the library to. Default: lib/NAME.")
    force: bool = _option(False, "Replace what lies in --output, and build even what does not fit the board.")

    def __post_init__(self) -> None:
        _require(self.bits == 8, "bits", self.bits, "feature maps and weights have 8 bits", "--bits 8")
        _require(self.limit >= 1, "limit", self.limit, "calibration needs at least one picture", "--limit 100")
        _require(self.range in RANGES, "range", self.range, "the choices are " + ", ".join(RANGES), "--range minmax")
        _require(
            self.rounding in ROUNDINGS,
            "rounding",
            self.rounding,
            "the choices are " + ", ".join(ROUNDINGS),
            "--rounding nearest",
        )
        _require(
            self.preprocess is None or self.preprocess in PREPROCESSES,
            "preprocess",
            self.preprocess,
            "the choices are " + ", ".join(PREPROCESSES),
            "--preprocess pm1, or --mean and --std for any other",
        )

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """(mean, std) of --mean and --std, None when neither is given."""
        if self.mean is None and self.std is None:
            return None
        return _numbers("mean", self.mean or "0"), _numbers("std", self.std or "1", positive=True)


def help_of(name: str) -> str:
    """The help text of one option."""
    return next(entry.metadata["help"] for entry in fields(Options) if entry.name == name)


def _require(condition: bool, name: str, value: object, why: str, hint: str) -> None:
    if not condition:
        raise QmkitError("bad-option", f"--{name} {value} is not possible", why=why, hint=hint)


def _numbers(name: str, text: str, positive: bool = False) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    valid = values and all(abs(value) < 1e30 and (value > 0 or not positive) for value in values)
    kind = "positive numbers" if positive else "numbers"
    _require(bool(valid), name, text, f"it takes one or three {kind}", f"--{name} 127.5 or --{name} 123.7,116.3,103.5")
    return values
