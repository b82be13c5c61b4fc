"""Decoded samples at the network's door: element types, layouts and quantization of the model file."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.calibrate import quantized_inputs, resolve_preprocess, runtime_inputs
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph, Port, Tensor
from quantmcu_kit.ir.types import DType, Quant
from tests.support.reference import run_reference
from tests.support.tflite_builder import OperatorDef, TensorDef, build

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
INT8 = RNG.integers(-128, 128, (3, 4, 5, 3)).astype(np.int8)
FLOATS = RNG.normal(size=(3, 4, 5, 3)).astype(np.float32)
UNIT = Preprocess("01", (0.0,), (255.0,), "")
QUANT = Quant.per_tensor(0.02, 5)


def network(dtype, quant=None, shape=(1, 4, 5, 3), file_shape=None, permutation=None):
    inner = Tensor("x", shape, DType.F32 if quant is None else DType.I8, quant)
    port = Port("x", "x", dtype, file_shape or shape, None if dtype is DType.F32 else quant, permutation)
    return Graph("network", {"x": inner}, (), (port,), ())


def tflite_quantize(values, quant):
    """What TFLite's own QUANTIZE makes of float32 values."""
    shape = (1, *values.shape[1:])
    maps = [TensorDef("x", shape), TensorDef("y", shape, "int8", float(quant.s), quant.z)]
    return run_reference(build(maps, [OperatorDef("QUANTIZE", ["x"], ["y"])], ["x"], ["y"]), [values])[0]


def test_float_network_takes_normalised_pixels():
    found = runtime_inputs(network(DType.F32), PIXELS, UNIT)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, PIXELS.astype(np.float32) / np.float32(255))


def test_per_channel_normalisation():
    preprocess = Preprocess("custom", (10.0, 20.0, 30.0), (2.0, 4.0, 8.0), "")
    found = runtime_inputs(network(DType.F32), PIXELS, preprocess)
    for channel, (mean, std) in enumerate([(10, 2), (20, 4), (30, 8)]):
        np.testing.assert_array_equal(found[..., channel], (PIXELS[..., channel] - np.float32(mean)) / std)


def test_float_network_takes_floats_as_they_are():
    np.testing.assert_array_equal(runtime_inputs(network(DType.F32), FLOATS, UNIT), FLOATS)


def test_float_network_without_normalisation_takes_bytes_as_numbers():
    np.testing.assert_array_equal(runtime_inputs(network(DType.F32), PIXELS, None), PIXELS.astype(np.float32))


def test_int8_samples_mean_nothing_to_a_float_network():
    with pytest.raises(QmkitError) as caught:
        runtime_inputs(network(DType.F32), INT8, None)
    assert caught.value.code == "bad-array" and "float32" in caught.value.hint


def test_float_port_of_an_integer_network():
    """The file quantizes at its door: int8 samples are given back their real values."""
    graph = network(DType.F32, QUANT)
    found = runtime_inputs(graph, INT8, None)
    np.testing.assert_allclose(found, (INT8.astype(float) - 5) * 0.02, rtol=1e-6)
    np.testing.assert_array_equal(tflite_quantize(found, QUANT), INT8)
    np.testing.assert_array_equal(runtime_inputs(graph, PIXELS, UNIT), PIXELS.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("quant", [QUANT, Quant.per_tensor(1 / 127.5, -1), Quant.per_tensor(0.0186584, -14)])
@pytest.mark.parametrize("name", ["pm1", "01", "raw", "imagenet"])
def test_pixels_are_quantized_as_tflite_does(name, quant):
    """All 256 pixel values, through the table, are what QUANTIZE makes of the normalised picture."""
    pixels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    graph = network(DType.I8, quant, (1, 16, 16, 3))
    preprocess = resolve_preprocess(graph, preprocess=name)
    real = (pixels.astype(np.float32) - np.float32(preprocess.mean)) / np.float32(preprocess.std)
    expected = tflite_quantize(real, quant)
    np.testing.assert_array_equal(quantized_inputs(graph, pixels, preprocess), expected)
    np.testing.assert_array_equal(runtime_inputs(graph, pixels, preprocess), expected)


@pytest.mark.parametrize("data", [FLOATS, FLOATS * 100, PIXELS], ids=["floats", "saturating", "bytes"])
def test_real_numbers_are_quantized_as_tflite_does(data):
    found = quantized_inputs(network(DType.I8, QUANT), data, None)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, tflite_quantize(data.astype(np.float32), QUANT))


def test_halves_round_away_from_zero_and_ends_saturate():
    values = np.array([[0.25, -0.25, 0.75, -0.75, 100.0, -100.0]], np.float32)
    found = quantized_inputs(network(DType.I8, Quant.per_tensor(0.5, 3), (1, 6)), values, None)
    assert found.tolist() == [[4, 2, 5, 1, 127, -128]]


def test_int8_samples_are_taken_as_they_are():
    graph = network(DType.I8, QUANT)
    np.testing.assert_array_equal(quantized_inputs(graph, INT8, UNIT), INT8)
    np.testing.assert_array_equal(runtime_inputs(graph, INT8, UNIT), INT8)


def test_uint8_port_takes_pixels_as_they_are():
    """Inside, a uint8 file is an int8 network; at its door 128 is added again."""
    graph = network(DType.U8, Quant.per_tensor(1 / 255, -128))
    found = runtime_inputs(graph, PIXELS, UNIT)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, PIXELS)
    np.testing.assert_array_equal(quantized_inputs(graph, PIXELS, UNIT), PIXELS.astype(int) - 128)
    np.testing.assert_array_equal(runtime_inputs(graph, INT8, UNIT), INT8.astype(int) + 128)


@pytest.mark.parametrize("dtype", [DType.F32, DType.I8, DType.U8])
def test_channels_come_first_where_the_file_has_them_so(dtype):
    quant = None if dtype is DType.F32 else Quant.per_tensor(1 / 255, -128)
    graph = network(dtype, quant, file_shape=(1, 3, 4, 5), permutation=(0, 2, 3, 1))
    found = runtime_inputs(graph, PIXELS, UNIT)
    assert found.shape == (3, 3, 4, 5) and found.flags.c_contiguous
    plain = runtime_inputs(network(dtype, quant), PIXELS, UNIT)
    for channel in range(3):
        np.testing.assert_array_equal(found[:, channel], plain[..., channel])


def test_samples_take_the_shape_of_the_file():
    graph = network(DType.F32, shape=(1, 4, 5, 3), file_shape=(1, 60))
    np.testing.assert_array_equal(runtime_inputs(graph, FLOATS, None), FLOATS.reshape(3, 60))
