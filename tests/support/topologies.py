"""Published networks by their shapes alone, with random weights: what planners are compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.graph import Graph
from tests.support.networks import Network


@dataclass(frozen=True)
class Block:
    """An inverted bottleneck: pointwise to ``expansion`` times the channels, depthwise, pointwise to ``channels``."""

    channels: int
    expansion: int
    stride: int = 1
    kernel: int = 3


def mobilenet_v2() -> Graph:
    """MobileNetV2-1.0 at 224x224 (Sandler et al. 2018, table 2) up to its last map, residual adds included."""
    plan = ((16, 1, 1, 1), (24, 6, 2, 2), (32, 6, 3, 2), (64, 6, 4, 2), (96, 6, 3, 1), (160, 6, 3, 2), (320, 6, 1, 1))
    blocks = [
        Block(channels, expansion, stride if repeat == 0 else 1)
        for channels, expansion, repeats, stride in plan
        for repeat in range(repeats)
    ]
    network = Network()
    x = network.conv(network.map("image", (1, 224, 224, 3)), "stem", 32, stride=2)
    x = _add_blocks(network, x, blocks, residual=True)
    return _loaded(network, "image", network.conv(x, "last", 1280, kernel=1))


def _add_blocks(network: Network, x: str, blocks: Sequence[Block], *, residual: bool) -> str:
    for index, block in enumerate(blocks):
        name, source = f"block{index}", x
        inner = network.tensors[x].shape[3]
        if block.expansion > 1:
            x = network.conv(x, f"{name}/expand", inner * block.expansion, kernel=1)
        x = network.depthwise(x, f"{name}/depthwise", kernel=block.kernel, stride=block.stride)
        x = network.conv(x, f"{name}/project", block.channels, kernel=1)
        if residual and block.stride == 1 and block.channels == inner:
            x = network.add(source, x, f"{name}/add")
    return x


def _loaded(network: Network, source: str, output: str) -> Graph:
    return passes.run_all(tflite.load(network.build([source], [output]), name="topology"))
