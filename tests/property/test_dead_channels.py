"""Random networks compute the same without their dead channels."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantmcu_kit.ir.graph import Graph
from tests.support.dead_channels import assert_cut_is_exact
from tests.support.packed_networks import narrowed
from tests.support.random_networks import random_maps

AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # of the weights' output channels


def planted(draw, graph: Graph) -> Graph:
    """Some channels have no weights and any bias, some are not read by one of their readers."""
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if node.op not in AXES:
            continue
        weights, bias = graph.input_tensors(node)[1:]
        data, biases = weights.data.copy(), bias.data.copy()
        for channel in range(len(biases)):
            if draw(st.booleans()):
                np.moveaxis(data, AXES[node.op], 0)[channel] = 0
                biases[channel] = draw(st.sampled_from([0, 0, 300, -300, 2000, -10_000, 100_000]))
        if node.op == "CONV_2D":
            data[..., draw(st.lists(st.integers(0, data.shape[3] - 1), max_size=2))] = 0
        tensors[weights.name] = dataclasses.replace(weights, data=data)
        tensors[bias.name] = dataclasses.replace(bias, data=biases)
    return graph.replace(tensors=tensors)


@st.composite
def networks(draw, *, is_narrow: bool) -> Graph:
    """Random networks with dead channels, of 8 bits or of a random width of each map and each weight tensor."""
    graph = draw(random_maps(6, reduces=True))
    if is_narrow:
        graph = narrowed(graph, np.random.default_rng(draw(st.integers(0, 1000))))
    return planted(draw, graph)


RANDOM = settings(derandomize=True, max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@RANDOM
@given(networks(is_narrow=False))
def test_random_networks(graph):
    assert_cut_is_exact(graph)


@RANDOM
@given(networks(is_narrow=True))
def test_random_networks_of_fewer_bits(graph):
    assert_cut_is_exact(graph)
