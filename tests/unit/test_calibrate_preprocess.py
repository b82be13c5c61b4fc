"""How pixels become numbers: what each name means, what a quantization tells, and what is only a guess."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.calibrate import resolve_preprocess
from quantmcu_kit.errors import EXIT_BAD_INPUT, QmkitError
from quantmcu_kit.ir.graph import Graph, Port, Tensor
from quantmcu_kit.ir.types import DType, Quant

PIXELS = np.arange(256, dtype=np.uint8)
PIXEL_MINUS_128 = np.arange(-128, 128)
# The usual statistics of ImageNet for pixels in 0..1, from torchvision's documentation.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601


def network(*shapes, scale=None, zero_point=0, dtype=DType.I8):
    """A network of inputs alone; where a scale is given, int8 inside and ``dtype`` at its port."""
    tensors, ports = {}, []
    for index, shape in enumerate(shapes):
        name = f"x{index}"
        quant = None if scale is None else Quant.per_tensor(scale, zero_point)
        tensors[name] = Tensor(name, shape, DType.F32 if scale is None else DType.I8, quant)
        ports.append(Port(name, name, DType.F32 if scale is None else dtype, shape, quant))
    return Graph("network", tensors, (), tuple(ports), ())


def rgb(**options):
    return network((1, 8, 8, 3), **options)


def normalised(preprocess, channels=3):
    """[channels, 256]: the real value of each pixel value."""
    return preprocess.normalise(np.repeat(PIXELS[:, None], channels, axis=1)).T


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "expected"), [("pm1", PIXELS / 127.5 - 1), ("01", PIXELS / 255), ("raw", PIXELS.astype(float))]
)
def test_named(name, expected, channels):
    preprocess = resolve_preprocess(network((1, 8, 8, channels)), preprocess=name)
    assert (preprocess.name, preprocess.origin) == (name, f"--preprocess {name}")
    values = normalised(preprocess, channels)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, np.tile(expected, (channels, 1)), rtol=1e-6, atol=1e-7)


def test_imagenet():
    expected = (PIXELS / 255 - IMAGENET_MEAN[:, None]) / IMAGENET_STD[:, None]
    values = normalised(resolve_preprocess(rgb(), preprocess="imagenet"))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


def test_imagenet_on_grey():
    """The mean is that of the grey picture: the luminance of the three means."""
    preprocess = resolve_preprocess(network((1, 8, 8, 1)), preprocess="imagenet")
    np.testing.assert_allclose(preprocess.mean, [LUMINANCE @ IMAGENET_MEAN * 255])
    np.testing.assert_allclose(preprocess.std, [LUMINANCE @ IMAGENET_STD * 255])


@pytest.mark.parametrize(
    ("mean", "std"), [((10.0,), (2.0,)), ((1.0, 2.0, 3.0), (4.0,)), ((1.0,), (4.0, 5.0, 6.0)), ((1.0,) * 3, (2.0,) * 3)]
)
def test_explicit(mean, std):
    preprocess = resolve_preprocess(rgb(), normalisation=(mean, std))
    assert (preprocess.name, preprocess.origin) == ("custom", "--mean and --std")
    expected = (PIXELS - np.broadcast_to(mean, 3)[:, None]) / np.broadcast_to(std, 3)[:, None]
    np.testing.assert_allclose(normalised(preprocess), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("channels", "mean", "std"), [(3, (1.0, 2.0), (1.0,)), (3, (1.0,), (1.0,) * 4), (1, (1.0,) * 3, (1.0,) * 3)]
)
def test_explicit_numbers_that_do_not_fit_the_channels(channels, mean, std):
    with pytest.raises(QmkitError) as caught:
        resolve_preprocess(network((1, 8, 8, channels)), normalisation=(mean, std))
    assert (caught.value.code, caught.value.exit_code) == ("bad-option", EXIT_BAD_INPUT)
    assert f"--mean has {len(mean)} and --std {len(std)}" in caught.value.message
    assert f"{channels} channel" in caught.value.why


def test_both_ways_at_once():
    with pytest.raises(QmkitError) as caught:
        resolve_preprocess(rgb(), preprocess="pm1", normalisation=((0.0,), (1.0,)))
    assert caught.value.code == "bad-option" and "--mean" in caught.value.message


@pytest.mark.parametrize("dtype", [DType.I8, DType.U8, DType.F32])
@pytest.mark.parametrize(
    ("scale", "zero_point", "name"),
    [
        (1 / 128, 0, "pm1"),  # [-1, 0.992]
        (1 / 127.5, -1, "pm1"),
        (2.02 / 255, 0, "pm1"),
        (1 / 255, -128, "01"),
        (1 / 256, -128, "01"),
        (1.0, -128, "raw"),
        (4.758 / 255, -14, "imagenet"),  # [-2.118, 2.640] is what the three channels span together
    ],
)
def test_derived_from_the_range_of_a_quantized_input(scale, zero_point, name, dtype):
    graph = rgb(scale=scale, zero_point=zero_point, dtype=dtype)
    preprocess = resolve_preprocess(graph)
    assert preprocess.name == name and preprocess.origin.startswith("derived from the input's range [")
    if name == "imagenet" or dtype is DType.F32:  # levels are no pixel values, or the model file takes real ones
        named = resolve_preprocess(graph, preprocess=name)
        assert (preprocess.mean, preprocess.std) == (named.mean, named.std)
    else:
        table = preprocess.table(graph.tensors["x0"].quant, 3)
        np.testing.assert_array_equal(table, np.tile(PIXEL_MINUS_128, (3, 1)))


@pytest.mark.parametrize(("scale", "name"), [(1 / 255, "01"), (1.0, "raw")])
def test_unsigned_ranges_pass_pixels_through(scale, name):
    graph = rgb(scale=scale, zero_point=-128)
    table = resolve_preprocess(graph, preprocess=name).table(graph.tensors["x0"].quant, 3)
    assert table.dtype == np.int8
    np.testing.assert_array_equal(table, np.tile(PIXEL_MINUS_128, (3, 1)))


@pytest.mark.parametrize(("dtype", "kind"), [(DType.U8, "uint8"), (DType.I8, "int8")])
@pytest.mark.parametrize(
    ("scale", "zero_point"), [(0.5, -3), (0.0234, 13), (6 / 255, -128), (1 / 128, -128), (2.2 / 255, 0)]
)
def test_unusual_range_takes_pixels_as_they_are(scale, zero_point, dtype, kind):
    graph = rgb(scale=scale, zero_point=zero_point, dtype=dtype)
    preprocess = resolve_preprocess(graph)
    assert f"the {kind} input takes pixels as they are" in preprocess.origin
    np.testing.assert_array_equal(preprocess.table(graph.tensors["x0"].quant, 3), np.tile(PIXEL_MINUS_128, (3, 1)))


@given(st.floats(-30, 30), st.floats(1, 2), st.integers(-128, 127), st.sampled_from([1, 3]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_pixels_as_they_are_for_every_scale(exponent, mantissa, zero_point, channels):
    """Rounding of the normalisation never reaches the next integer, whatever the scale."""
    graph = network((1, 8, 8, channels), scale=mantissa * 2.0 ** round(exponent), zero_point=zero_point)
    preprocess = resolve_preprocess(graph)
    if preprocess.name == "imagenet":
        return
    table = preprocess.table(graph.tensors["x0"].quant, channels)
    np.testing.assert_array_equal(table, np.tile(PIXEL_MINUS_128, (channels, 1)))


def test_stated_normalisation_beats_the_derived_one():
    graph = rgb(scale=1 / 255, zero_point=-128)
    assert resolve_preprocess(graph, preprocess="pm1").name == "pm1"
    assert resolve_preprocess(graph, normalisation=((1.0,), (2.0,))).name == "custom"


@pytest.mark.parametrize("channels", [1, 3])
def test_float_network_gets_a_guess_that_says_so(channels):
    preprocess = resolve_preprocess(network((1, 8, 8, channels)))
    assert preprocess.name == "pm1" and "guess" in preprocess.origin and "--preprocess" in preprocess.origin


@pytest.mark.parametrize("shapes", [[(1, 10)], [(1, 8, 8, 2)], [(1, 8, 8)], [(1,)], [()], [(1, 8, 8, 3)] * 2])
@pytest.mark.parametrize("scale", [None, 1 / 255])
def test_network_that_takes_no_pictures(shapes, scale):
    assert resolve_preprocess(network(*shapes, scale=scale)) is None
