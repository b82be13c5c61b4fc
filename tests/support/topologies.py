"""Published networks by their shapes alone, with random weights: what planners are compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.graph import Graph
from tests.support.networks import VALID, Network


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


def mobilenet_v2_035() -> Graph:
    """MobileNetV2-0.35 at 144x144 as msf-CNN has it (arXiv 2505.11483): a plain chain and a global pool."""
    widths = (5, 8, 11, 22, 33, 56, 112)  # int(0.35 * channels)
    plan = ((1, 1, 1), (6, 2, 2), (6, 3, 2), (6, 4, 2), (6, 3, 1), (6, 3, 2), (6, 1, 1))
    blocks = [
        Block(width, expansion, stride if repeat == 0 else 1)
        for width, (expansion, repeats, stride) in zip(widths, plan, strict=True)
        for repeat in range(repeats)
    ]
    network = Network()
    x = network.conv(network.map("image", (1, 144, 144, 3)), "stem", 11, stride=2)
    x = _add_blocks(network, x, blocks, residual=False)
    return _pooled(network, network.conv(x, "last", 448, kernel=1))


def mcunet_320kb() -> Graph:
    """MCUNet-320KB at 176x176 as msf-CNN has it: a plain chain and a global pool."""
    blocks = (
        (16, 3, 2, 7), (16, 5, 1, 3), (16, 5, 1, 7), (16, 4, 1, 5), (24, 5, 2, 5), (24, 5, 1, 5), (24, 5, 1, 5),
        (40, 5, 2, 3), (40, 6, 1, 7), (40, 4, 1, 5), (48, 5, 1, 5), (48, 5, 1, 7), (48, 5, 1, 3), (96, 6, 2, 3),
        (96, 5, 1, 7), (96, 4, 1, 3), (160, 5, 1, 7),
    )  # fmt: skip
    return _mcunet(176, blocks)


def mcunet_vww() -> Graph:
    """MCUNetV2-VWW at 80x80 as msf-CNN has it: a plain chain and a global pool."""
    blocks = (
        (16, 6, 2, 3), (16, 3, 1, 3), (16, 3, 1, 3), (24, 3, 2, 7), (24, 6, 1, 3), (24, 5, 1, 5), (40, 6, 2, 7),
        (40, 6, 1, 7), (48, 6, 1, 3), (48, 4, 1, 3), (96, 5, 2, 5), (96, 5, 1, 3), (96, 4, 1, 3), (160, 3, 1, 7),
    )  # fmt: skip
    return _mcunet(80, blocks)


def _mcunet(size: int, blocks: Sequence[tuple[int, int, int, int]]) -> Graph:
    network = Network()
    x = network.conv(network.map("image", (1, size, size, 3)), "stem", 16, stride=2)
    x = network.conv(network.depthwise(x, "first/depthwise"), "first/project", 8, kernel=1)
    return _pooled(network, _add_blocks(network, x, [Block(*block) for block in blocks], residual=False))


def _pooled(network: Network, x: str) -> Graph:
    """With a global average pool, which has no multiply-accumulates."""
    size = network.tensors[x].shape[1]
    return _loaded(network, "image", network.pool("AVERAGE_POOL_2D", x, "pool", window=size, stride=1, padding=VALID))


def _add_blocks(network: Network, x: str, blocks: Sequence[Block], *, residual: bool) -> str:
    """With residual adds and without the idle expansions of MobileNetV2; or, as in msf-CNN, the other way round."""
    for index, block in enumerate(blocks):
        name, source = f"block{index}", x
        inner = network.tensors[x].shape[3]
        if block.expansion > 1 or not residual:
            x = network.conv(x, f"{name}/expand", inner * block.expansion, kernel=1)
        x = network.depthwise(x, f"{name}/depthwise", kernel=block.kernel, stride=block.stride)
        x = network.conv(x, f"{name}/project", block.channels, kernel=1)
        if residual and block.stride == 1 and block.channels == inner:
            x = network.add(source, x, f"{name}/add")
    return x


def _loaded(network: Network, source: str, output: str) -> Graph:
    return passes.run_all(tflite.load(network.build([source], [output]), name="topology"))
