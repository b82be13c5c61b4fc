"""Ranges, weights, rounding and ties, against hand calculation and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quantmcu_kit import passes, quantize, tflite
from quantmcu_kit.calibrate.moments import gather_moments
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Calibration, InputMoments, PrecisionPlan, TensorStats
from quantmcu_kit.ir.types import Quant
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.ranges import choose_range, quant_of_range
from quantmcu_kit.quantize.rounding import round_rows
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.quantize.weights import least_scale, quantize_bias, weight_scale
from tests.support.networks import VALID, Network
from tests.support.tflite_builder import options


def stats_of(values: np.ndarray, bins: int = 2048) -> TensorStats:
    """Statistics of a sample, its histogram by numpy."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    counts, _ = np.histogram(values, bins, (low, high or 1.0))
    return TensorStats(float(values.min()), float(values.max()), counts, low, high or 1.0)


class TestRanges:
    def test_minmax_takes_the_extremes_and_zero(self):
        assert choose_range(stats_of(np.array([0.5, 2.0])), "minmax") == (0.0, 2.0)
        assert choose_range(stats_of(np.array([-3.0, -1.0])), "minmax") == (-3.0, 0.0)

    def test_percentile_cuts_the_tails(self):
        values = np.concatenate([np.linspace(0, 1, 100_000), [50.0, 60.0]])
        low, high = choose_range(stats_of(values), "percentile")
        assert low == 0.0
        assert 0.99 < high < 1.1  # 10 of 100,002 values may be cut: both outliers go

    def test_percentile_without_outliers_stays_near_the_extremes(self):
        low, high = choose_range(stats_of(np.linspace(-2, 3, 50_000)), "percentile")
        assert low == pytest.approx(-2, abs=0.01) and high == pytest.approx(3, abs=0.01)

    def test_mse_is_near_the_best_clipping(self):
        """Brute force: the squared error of really quantizing a heavy-tailed sample."""
        x = np.random.default_rng(0).standard_t(4, 20_000).astype(np.float32)

        def error(low: float, high: float) -> float:
            quant = quant_of_range(low, high)
            return float(((quant.dequantize(quant.quantize(x, -128, 127)) - x) ** 2).mean())

        low, high = choose_range(stats_of(x), "mse")
        fractions = np.linspace(0.3, 1, 15)  # edges are searched down to 0.3 of the extremes
        best = min(error(x.min() * f, x.max() * g) for f in fractions for g in fractions)
        assert error(low, high) <= 1.05 * best
        assert error(low, high) < error(x.min(), x.max())

    @pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
    @pytest.mark.parametrize("constant", [0.0, 2.5, -4.0])
    def test_constant_maps_have_a_range(self, method, constant):
        low, high = choose_range(stats_of(np.full(10, constant)), method)
        quant = quant_of_range(low, high)
        assert quant.s > 0
        assert quant.dequantize(quant.quantize(np.float32([constant]), -128, 127))[0] == pytest.approx(
            constant, rel=0.01
        )

    def test_zero_is_a_level(self):
        for low, high in [(-1.0, 1.0), (-0.1, 5.3), (0.0, 6.0), (-7.0, 0.0)]:
            quant = quant_of_range(low, high)
            assert quant.dequantize(quant.quantize(np.float32([0.0]), -128, 127))[0] == 0.0
            assert -128 <= quant.z <= 127


class TestWeights:
    def test_largest_weight_becomes_127(self):
        weights = np.float32([[[[0.5, -1.0]]], [[[0.1, 0.2]]]])
        scale = weight_scale(weights, 0, np.zeros(2))
        np.testing.assert_allclose(scale, [1.0 / 127, 0.2 / 127], rtol=1e-6)

    def test_zero_channel_is_safe(self):
        assert weight_scale(np.zeros((2, 3), np.float32), 0, np.zeros(2)).tolist() == [1.0, 1.0]

    def test_bias_of_a_dead_channel_fits(self):
        """Weights of 1e-30 beside a bias of 0.26: the scale grows until the bias fits, and the weights become zero."""
        bias = np.array([-0.26])
        scale = weight_scale(np.float32([[1e-30, -1e-30]]), 0, least_scale(bias, 0.02))
        values, quant = quantize_bias(bias, 0.02, Quant(scale, np.zeros(1, np.int32), 0))
        assert abs(int(values[0])) < 2**29
        assert values[0] * float(quant.scale[0]) == pytest.approx(-0.26, rel=1e-5)

    def test_bias_by_hand(self):
        values, quant = quantize_bias(
            np.array([1.0, -0.5]), 0.5, Quant(np.float32([0.01, 0.02]), np.zeros(2, np.int32), 0)
        )
        assert values.tolist() == [200, -50]
        np.testing.assert_allclose(quant.scale, [0.005, 0.01], rtol=1e-6)


class TestSecondOrderRounding:
    @staticmethod
    def moments(columns: np.ndarray) -> InputMoments:
        mean = columns.mean(axis=1)
        centred = columns - mean[:, None]
        return InputMoments(mean, np.matmul(centred.transpose(0, 2, 1), centred) / columns.shape[1], columns.shape[1])

    def test_without_correlation_it_is_rounding_to_nearest(self):
        moments = InputMoments(np.zeros((1, 4)), np.eye(4)[None], 10**9)
        rows = np.array([[[0.4, 1.6, -2.4, 126.7], [0.2, -0.6, 300.0, -300.0]]])
        assert round_rows(rows, np.ones((1, 2)), moments).tolist() == [[[0, 2, -2, 127], [0, -1, 127, -127]]]

    def test_error_of_the_output_is_below_rounding_to_nearest(self):
        rng = np.random.default_rng(1)
        columns = (rng.normal(size=(2, 4000, 12)) @ rng.normal(size=(2, 12, 12))).astype(np.float32)
        rows, scale = rng.normal(size=(2, 5, 12)) * 6, np.ones((2, 5))
        moments = self.moments(columns)

        def error(integers: np.ndarray) -> float:
            difference = integers - rows
            return float(np.einsum("grk,gkl,grl->", difference, moments.covariance, difference))

        assert error(round_rows(rows, scale, moments)) < 0.7 * error(np.rint(rows))

    def test_close_to_the_best_of_all_roundings(self):
        """Brute force over every combination of floor and ceiling of six weights."""
        rng = np.random.default_rng(2)
        mixing = rng.normal(size=(6, 6)) + 1.0
        columns = (rng.normal(size=(1, 5000, 6)) @ mixing).astype(np.float32)
        moments, row = self.moments(columns), rng.normal(size=6) * 4
        covariance = moments.covariance[0]

        def error(integers: np.ndarray) -> float:
            return float((integers - row) @ covariance @ (integers - row))

        best = min(error(np.floor(row) + np.array(bits)) for bits in itertools.product((0, 1), repeat=6))
        found = error(round_rows(row[None, None], np.ones((1, 1)), moments)[0, 0])
        assert best <= found <= 3 * best
        assert found < error(np.rint(row))

    def test_dead_inputs_are_safe(self):
        moments = InputMoments(np.zeros((1, 3)), np.zeros((1, 3, 3)), 5)
        rows = np.array([[[0.6, -1.2, 3.0]]])
        assert round_rows(rows, np.ones((1, 1)), moments).tolist() == [[[1, -1, 3]]]


def test_rows_and_weights_are_inverse():
    rng = np.random.default_rng(0)
    for op, shape, groups in (
        ("CONV_2D", (5, 3, 2, 4), 1),
        ("DEPTHWISE_CONV_2D", (1, 3, 3, 12), 6),
        ("FULLY_CONNECTED", (7, 9), 1),
    ):
        linear, weights = TABLE[op].linear, rng.normal(size=shape)
        rows = linear.rows(weights, groups)
        assert np.array_equal(linear.weights(rows, shape), weights)
        # Output channels come in order: the first one's weights are the first row.
        first = np.take(weights, 0, axis=TABLE[op].weight_axis)
        assert np.array_equal(np.sort(first.ravel()), np.sort(rows[0, 0]))
        assert rows.shape[0] * rows.shape[1] == shape[TABLE[op].weight_axis]


def float_network() -> Graph:
    """x -> conv -> max pool -> (pool, conv) -> concat -> mean -> fully-connected-like conv -> softmax."""
    net = Network("float32")
    net.map("x", (1, 8, 8, 3))
    net.conv("x", "a", 6)
    options_ = options("Pool2DOptions", padding=VALID, stride_w=2, stride_h=2, filter_width=2, filter_height=2)
    net.node("MAX_POOL_2D", ["a"], "pooled", (1, 4, 4, 6), options_)
    net.conv("pooled", "b", 4)
    net.node("CONCATENATION", ["pooled", "b"], "joined", (1, 4, 4, 10), options("ConcatenationOptions", axis=3))
    net.mean("joined", "averages", (1, 2))
    net.node("SOFTMAX", ["averages"], "scores", (1, 10), options("SoftmaxOptions", beta=1.0))
    return passes.run_all(tflite.load(net.build(["x"], ["scores"]), name="net"))


def calibrated(graph: Graph, x: np.ndarray) -> Calibration:
    """Statistics straight from the float interpreter and numpy."""
    maps = Interpreter(graph, integer=False, keep_all=True).run({"x": x})
    return Calibration(
        {name: stats_of(values) for name, values in maps.items()}, gather_moments(graph, iter([x])), len(x)
    )


X = np.random.default_rng(5).normal(size=(32, 8, 8, 3)).astype(np.float32)


def test_ties_follow_the_ops_that_cannot_rescale():
    groups = [set(group) for group in tie_groups(float_network())]
    assert {"a", "pooled", "b", "joined"} in groups
    assert {"x"} in groups and {"averages"} in groups and {"scores"} in groups


@pytest.mark.parametrize("rounding", ["nearest", "second-order"])
@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_integer_network_follows_the_float_one(method, rounding):
    graph = float_network()
    integer = quantize.apply(graph, calibrated(graph, X), PrecisionPlan(), quantize.Settings(method, rounding))
    quants = {name: integer.tensors[name].quant for name in ("x", "a", "pooled", "b", "joined", "scores")}
    assert quants["a"].same_as(quants["pooled"]) and quants["b"].same_as(quants["joined"])
    assert (float(quants["scores"].s), quants["scores"].z) == (1 / 256, -128)
    expected = Interpreter(graph, integer=False, keep_all=True).run({"x": X})
    q = quants["x"].quantize(X, -128, 127).astype(np.int8)
    got = Interpreter(integer, integer=True, keep_all=True).run({"x": q})
    for name in ("a", "joined", "averages"):
        real = integer.tensors[name].quant.dequantize(got[name])
        step = float(integer.tensors[name].quant.s)
        assert np.sqrt(np.mean((real - expected[name]) ** 2)) < 1.5 * step, name


def test_bias_correction_takes_back_the_mean_shift():
    """Coarse weights made coarser: the mean of each channel comes back to the float network's."""
    graph = float_network()
    calibration = calibrated(graph, X + 1.0)
    shifts = []
    for correction in (False, True):
        settings = quantize.Settings("minmax", "nearest", bias_correction=correction)
        integer = quantize.apply(graph, calibration, PrecisionPlan(), settings)
        node = integer.nodes[0]
        weights, bias = (integer.tensors[name] for name in node.inputs[1:])
        real = graph.tensors[graph.nodes[0].inputs[1]].data
        error = (weights.quant.dequantize(weights.data) - real).reshape(len(real), -1)
        offset = bias.quant.dequantize(bias.data) - graph.tensors[graph.nodes[0].inputs[2]].data
        shifts.append(np.abs(error @ calibration.moments[node.name].mean[0] + offset).max())
    assert shifts[1] < 1e-3 < shifts[0]


def test_integer_graphs_pass_through():
    net = Network("int8")
    net.map("x", (1, 8, 8, 3))
    net.conv("x", "y", 4)
    graph = passes.run_all(tflite.load(net.build(["x"], ["y"]), name="net"))
    assert quantize.apply(graph, Calibration({}, {}, 0), PrecisionPlan(), quantize.Settings()) is graph
