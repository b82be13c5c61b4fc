"""How pixels become the network's input: stated by the user, derived from a quantization, or guessed aloud."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph, Port
from quantmcu_kit.ir.types import DType, Quant

_NAMED = {
    "pm1": ((127.5,), (127.5,)),
    "01": ((0.0,), (255.0,)),
    "raw": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
_GUESS = "pm1"  # what TensorFlow's own image networks are trained with
_TOLERANCE = 0.02  # of the range: quantizers widen [-1, 1] by a step or so


def resolve_preprocess(
    graph: Graph,
    *,
    preprocess: str | None = None,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
) -> Preprocess | None:
    """The normalisation of pictures, None for a network that takes none.

    Args:
        graph: a cleaned graph; a network takes pictures when its only input is [1, h, w, 1 or 3].
        preprocess: ``pm1``, ``01``, ``imagenet`` or ``raw``.
        normalisation: explicit (mean, std), one number or one per channel.
    Raises:
        QmkitError: ``bad-option`` when both are given, or numbers and channels do not fit.
    """
    if preprocess and normalisation:
        raise QmkitError(
            "bad-option",
            "--preprocess and --mean/--std exclude one another",
            hint="give the one that was used in training",
        )
    shape = graph.tensors[graph.inputs[0].tensor].shape
    if len(graph.inputs) != 1 or len(shape) != 4 or shape[3] not in (1, 3):
        if preprocess or normalisation:
            raise QmkitError(
                "bad-option",
                "--preprocess, --mean and --std are for networks that take pictures",
                why=f"the input is {'x'.join(map(str, shape))}, not 1 x height x width x 1 or 3",
                hint="leave them out: arrays go in as they are",
            )
        return None
    if normalisation:
        return _explicit(normalisation, shape[3])
    if preprocess:
        return _named(preprocess, shape[3], f"--preprocess {preprocess}")
    quant = graph.tensors[graph.inputs[0].tensor].quant
    if quant is not None:
        return _derived(quant, graph.inputs[0], shape[3])
    return _named(_GUESS, shape[3], "a guess: give --preprocess if the network was trained otherwise")


def _explicit(normalisation: tuple[tuple[float, ...], tuple[float, ...]], channels: int) -> Preprocess:
    mean, std = normalisation
    if not {len(mean), len(std)} <= {1, channels}:
        raise QmkitError(
            "bad-option",
            f"--mean has {len(mean)} and --std {len(std)} numbers",
            why=f"the network's input has {channels} channel{'s' if channels > 1 else ''}",
            hint="give one number for all channels, or one for each",
        )
    return Preprocess("custom", mean, std, "--mean and --std")


def _named(name: str, channels: int, origin: str) -> Preprocess:
    mean, std = _NAMED[name]
    if len(mean) > channels:  # imagenet on grey: the luminance-weighted averages of its three channels
        luminance = np.array([0.299, 0.587, 0.114])
        mean, std = (float(luminance @ mean),), (float(luminance @ std),)
    return Preprocess(name, mean, std, origin)


def _derived(quant: Quant, port: Port, channels: int) -> Preprocess:
    """The normalisation that the real range of a quantized input tells.

    Where the model file takes integers and their 256 levels can be the 256 pixel values, they are: quantized input =
    pixel − 128. Normalising first would round pixels that fall between two levels, and leave one level out.
    """
    low, high = (float(quant.s) * (q - quant.z) for q in (-128, 127))
    margin = _TOLERANCE * (high - low)
    ranges = {"pm1": (-1.0, 1.0), "01": (0.0, 1.0), "raw": (0.0, 255.0), "imagenet": (-2.118, 2.64)}
    near = (name for name, edges in ranges.items() if abs(low - edges[0]) + abs(high - edges[1]) <= 2 * margin)
    name = next(near, None)
    told = f"the input's range [{low:.3g}, {high:.3g}]"
    if name == "imagenet" or (name and port.dtype is DType.F32):
        return _named(name, channels, f"derived from {told}")
    kind = "uint8" if port.dtype is DType.U8 else "int8"
    origin = f"derived from {told}" if name else f"the {kind} input takes pixels as they are: {told} is no usual one"
    # real = scale · (pixel − 128 − zero_point)
    return Preprocess(name or "raw", (128.0 + quant.z,), (1.0 / float(quant.s),), origin)
