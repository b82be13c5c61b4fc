"""Adjustments, fitting to quantized inputs, and equalization, against least squares and the float network."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit import quantize
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.adjust import Adjustments
from quantmcu_kit.quantize.feedback import _Pair
from tests.support.float_networks import RELU, RELU6, calibrated, inverted_residual, pictures

SETTINGS = quantize.Settings()
MAPS = ("stem", "expand", "depthwise", "project", "sum", "last")


def weights_of(graph: Graph) -> list[str]:
    return [node.inputs[1] for node in graph.nodes if TABLE[node.op].weight_axis is not None]


def plan(graph: Graph, weights: int, maps: int) -> PrecisionPlan:
    """Narrow weights everywhere, narrow maps wherever they may be."""
    return PrecisionPlan(8, {(WHOLE, name): maps for name in MAPS}, dict.fromkeys(weights_of(graph), weights))


def run(graph: Graph, x: np.ndarray, name: str) -> np.ndarray:
    """Real values of a map of an integer graph on real inputs."""
    source = graph.inputs[0].tensor
    q = graph.tensors[source].quant.quantize(x, -128, 127).astype(np.int8)
    maps = Interpreter(graph, integer=True, keep_all=True).run({source: q})
    return graph.tensors[name].quant.dequantize(maps[name])


def real(graph: Graph, x: np.ndarray, name: str) -> np.ndarray:
    return Interpreter(graph, integer=False, keep_all=True).run({graph.inputs[0].tensor: x})[name]


def same(a: Graph, b: Graph) -> bool:
    """Whether two integer graphs compute the same, byte for byte."""
    assert a.tensors.keys() == b.tensors.keys()
    pairs = [(tensor, b.tensors[name]) for name, tensor in a.tensors.items()]
    return all(
        (one.quant is None or one.quant.same_as(other.quant))
        and (one.data is None or np.array_equal(one.data, other.data))
        for one, other in pairs
    )


def inputs_of(graph: Graph, calibration, x: np.ndarray) -> np.ndarray:
    integer = quantize.apply(graph, calibration, PrecisionPlan(), SETTINGS)
    return integer.tensors[graph.inputs[0].tensor].quant.quantize(x, -128, 127).astype(np.int8)


class TestAdjustments:
    @pytest.mark.parametrize("maps", [8, 4])
    def test_those_of_a_graph_make_it_again(self, maps):
        graph, x = inverted_residual(), pictures(16)
        calibration = calibrated(graph, x)
        integer = quantize.apply(graph, calibration, plan(graph, 4, maps), SETTINGS)
        found = quantize.adjustments_of(integer)
        other = quantize.Settings(range_method="minmax", rounding="nearest")
        assert not same(quantize.apply(graph, calibration, plan(graph, 4, maps), other), integer)
        assert same(quantize.apply(graph, calibration, plan(graph, 4, maps), other, found), integer)

    def test_later_ones_count(self):
        one, two, three = object(), object(), object()
        joined = Adjustments({"a": one, "b": two}, {"m": one}) | Adjustments({"b": three}, {"m": two})
        assert joined.nodes == {"a": one, "b": three} and joined.maps == {"m": two}


class TestFeedback:
    def test_fit_is_that_of_least_squares(self):
        """Against numpy's solver on centred columns; 1 % of damping leaves less than 3 % of difference."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(1, 5000, 6))
        seen = 0.8 * x + 0.3 * rng.normal(size=x.shape) + 0.5
        rows = rng.normal(size=(1, 4, 6))
        fitted = _Pair(x, seen).refit(rows)[0]
        wanted = (x - x.mean(axis=1, keepdims=True))[0] @ rows[0].T
        exact = np.linalg.lstsq((seen - seen.mean(axis=1, keepdims=True))[0], wanted, rcond=None)[0].T
        np.testing.assert_allclose(fitted, exact, atol=0.03 * np.abs(exact).max())
        assert np.abs(fitted - rows[0]).max() > 0.1

    def test_fit_keeps_weights_where_inputs_are_exact(self):
        x = np.random.default_rng(1).normal(size=(3, 500, 5))
        rows = np.random.default_rng(2).normal(size=(3, 2, 5))
        np.testing.assert_allclose(_Pair(x, x).refit(rows), rows, atol=1e-12)

    @pytest.mark.parametrize("weights, maps", [(4, 8), (4, 4), (2, 8)])
    def test_unseen_pictures_come_nearer_to_the_float_network(self, weights, maps):
        graph, x = inverted_residual(), pictures(64)
        calibration, precision = calibrated(graph, x), plan(graph, weights, maps)
        plain = quantize.apply(graph, calibration, precision, SETTINGS)
        found = quantize.feed_back(graph, calibration, precision, SETTINGS, inputs_of(graph, calibration, x))
        fitted = quantize.apply(graph, calibration, precision, SETTINGS, found)
        fresh = pictures(64, seed=6)
        wanted = real(graph, fresh, "logits")
        before, after = (np.square(run(each, fresh, "logits") - wanted).mean() for each in (plain, fitted))
        assert found.nodes and after < 0.9 * before

    def test_it_is_repeatable(self):
        graph, x = inverted_residual(), pictures(16)
        calibration, precision = calibrated(graph, x), plan(graph, 4, 8)
        inputs = inputs_of(graph, calibration, x)
        first, second = (quantize.feed_back(graph, calibration, precision, SETTINGS, inputs) for _ in range(2))
        assert first.nodes.keys() == second.nodes.keys()
        assert all(np.array_equal(first.nodes[name].weights, second.nodes[name].weights) for name in first.nodes)


class TestEqualization:
    def test_behind_a_relu_the_float_network_stays_the_same(self):
        graph, x = inverted_residual(RELU), pictures(16)
        found = quantize.equalize(graph, calibrated(graph, x), plan(graph, 8, 4), "mse", x)
        assert set(found.factors) == {"expand", "depthwise"}  # the last is averaged, the others are linear
        fresh = pictures(8, seed=7)
        for name in ("project", "logits"):
            wanted = real(graph, fresh, name)
            np.testing.assert_allclose(real(found.graph, fresh, name), wanted, atol=1e-4 * np.abs(wanted).max())
        for name, factors in found.factors.items():
            scaled = real(graph, fresh, name) * factors
            np.testing.assert_allclose(real(found.graph, fresh, name), scaled, rtol=1e-4, atol=1e-4 * scaled.max())

    def test_behind_a_relu6_nothing_is_cut_within_a_channels_range(self):
        graph, x = inverted_residual(RELU6), pictures(16)
        found = quantize.equalize(graph, calibrated(graph, x), plan(graph, 8, 4), "minmax", x)
        for name, factors in found.factors.items():
            peaks = real(graph, x, name).max(axis=(0, 1, 2))
            assert factors.min() >= 1.0 and (peaks * factors).max() <= 6.0 * (1 + 1e-6)
            np.testing.assert_allclose(real(found.graph, x, name), real(graph, x, name) * factors, rtol=1e-3, atol=1e-3)

    def test_statistics_are_those_of_the_scaled_network(self):
        graph, x = inverted_residual(RELU), pictures(16)
        before = calibrated(graph, x)
        found = quantize.equalize(graph, before, plan(graph, 8, 4), "mse", x)
        wanted = calibrated(found.graph, x)
        for name in found.factors:
            peak = wanted.tensors[name].maximum
            assert found.calibration.tensors[name].maximum == pytest.approx(peak, rel=1e-3)
        for name in ("depthwise", "project"):  # they read what is scaled
            a, b = found.calibration.moments[_node(graph, name)], wanted.moments[_node(graph, name)]
            np.testing.assert_allclose(a.mean, b.mean, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-2, atol=1e-3 * b.covariance.max())

    def test_narrow_maps_lose_less(self):
        graph, x = inverted_residual(RELU6), pictures(64)
        calibration = calibrated(graph, x)
        precision = PrecisionPlan(8, {(WHOLE, name): 4 for name in ("expand", "depthwise")})
        found = quantize.equalize(graph, calibration, precision, "mse", x)
        plain = quantize.apply(graph, calibration, precision, SETTINGS)
        scaled = quantize.apply(found.graph, found.calibration, precision, SETTINGS)
        wanted = real(graph, x, "project")
        before, after = (np.square(run(each, x, "project") - wanted).mean() for each in (plain, scaled))
        assert after < 0.9 * before

    def test_eight_bits_are_left_alone(self):
        graph, x = inverted_residual(), pictures(4)
        calibration = calibrated(graph, x)
        found = quantize.equalize(graph, calibration, plan(graph, 4, 8), "mse", x)
        assert found.graph is graph and found.calibration is calibration and not found.factors


def _node(graph: Graph, output: str) -> str:
    return graph.producer(output).name
