"""Moments of layer inputs against numpy over every window, computed another way."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.calibrate import moments
from quantmcu_kit.calibrate.moments import gather_moments
from tests.support.networks import Network

X = np.random.default_rng(0).normal(0.5, 1.0, (6, 5, 4, 3)).astype(np.float32)


def graph_of(kernel: int):
    net = Network("float32")
    net.map("x", (1, 5, 4, 3))
    net.conv("x", "y", 7, kernel=kernel)
    return passes.run_all(tflite.load(net.build(["x"], ["y"]), name="net"))


def windows_by_hand(x: np.ndarray, kernel: int) -> np.ndarray:
    """Every SAME window of a stride-1 convolution, one row each, zeros outside."""
    margin = kernel // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    rows = [
        padded[n, i : i + kernel, j : j + kernel].ravel()
        for n in range(len(x))
        for i in range(x.shape[1])
        for j in range(x.shape[2])
    ]
    return np.array(rows, np.float64)


@pytest.mark.parametrize("kernel", [1, 3])
def test_mean_and_covariance_are_numpys(kernel):
    graph = graph_of(kernel)
    found = gather_moments(graph, iter([X[:4], X[4:]]))[graph.nodes[0].name]
    rows = windows_by_hand(X, kernel)
    assert found.samples == len(rows)
    np.testing.assert_allclose(found.mean[0], rows.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.covariance[0], np.cov(rows.T, bias=True), rtol=1e-4, atol=1e-4)


def test_large_maps_are_sampled(monkeypatch):
    monkeypatch.setattr(moments, "_PIXELS", 8)
    graph = graph_of(3)
    found = gather_moments(graph, iter([X]))[graph.nodes[0].name]
    assert found.samples == 8 * len(X)
    assert gather_moments(graph, iter([X]))[graph.nodes[0].name].mean.tolist() == found.mean.tolist()  # same sample


def test_wide_layers_keep_only_their_mean(monkeypatch):
    monkeypatch.setattr(moments, "MAX_COLUMNS", 20)
    graph = graph_of(3)
    found = gather_moments(graph, iter([X]))[graph.nodes[0].name]
    assert found.covariance is None and found.mean.shape == (1, 27)
