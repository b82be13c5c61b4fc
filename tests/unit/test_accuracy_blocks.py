"""Blocks of a network, by hand."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from quantmcu_kit import accuracy, passes, tflite
from quantmcu_kit.accuracy.blocks import split, whole
from quantmcu_kit.errors import QmkitError
from tests.support.float_networks import inverted_residual
from tests.support.networks import Network


def test_an_inverted_residual_is_one_block():
    """stem | expand, depthwise, project, sum | last, averages, logits | row, scores: cut behind linear maps."""
    blocks = split(inverted_residual())
    assert [block.output for block in blocks] == ["stem", "sum", "logits", "scores"]
    assert [len(block.nodes) for block in blocks] == [1, 4, 3, 2]
    assert [block.source for block in blocks] == ["x", *(block.output for block in blocks[:-1])]


def test_multiply_accumulates_by_hand():
    """5x5 pixels: 3x3x3 -> 6; then 1x1 6 -> 16, 3x3 of 16, 1x1 16 -> 6; then 1x1 6 -> 12, and 12 -> 5 once."""
    macs = [block.macs for block in split(inverted_residual())[:3]]
    assert macs == [25 * 27 * 6, 25 * (6 * 16 + 9 * 16 + 16 * 6), 25 * 6 * 12 + 12 * 5]


def test_the_whole_network_ends_at_its_logits():
    block = whole(inverted_residual())
    assert block.source == "x" and block.output == "row"
    assert "SOFTMAX" not in {node.op for node in block.nodes}


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    graph = inverted_residual()
    with pytest.raises(QmkitError) as caught:
        accuracy.reconstruct(graph, graph, np.zeros((1, 10, 10, 3), np.int8), accuracy.Settings())
    assert caught.value.code == "no-torch" and caught.value.exit_code == 3
    assert 'pip install "quantmcu-kit[accuracy]"' in caught.value.hint


def test_blocks_with_several_ends_are_known():
    """x -> a -> (b, c), both outputs: the block of b and c cannot be judged by one of them."""
    net = Network("float32")
    net.map("x", (1, 6, 6, 3))
    net.conv("x", "a", 4)
    net.conv("a", "b", 2)
    net.conv("a", "c", 2)
    graph = passes.run_all(tflite.load(net.build(["x"], ["b", "c"]), name="net"))
    assert [(block.output, block.has_other_ends) for block in split(graph)] == [("a", False), ("c", True)]
