"""Random int8 networks on maps, drawn by hypothesis: residuals, branches, strides, odd sizes, dilation, padding."""

from __future__ import annotations

from hypothesis import strategies as st

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.graph import Graph
from tests.support.networks import SAME, VALID, Network

_OPS = ("conv", "depthwise", "max", "average", "add", "concat", "pad", "resize", "scale", "add map", "stack", "fork")
_ENDS = ("map", "map", "average", "mean", "fully connected")


@st.composite
def random_maps(draw, most_nodes: int = 7, *, reduces: bool = False) -> Graph:
    """A network whose every operator runs on maps; all that is computed reaches its one output.

    Args:
        reduces: the last map may be reduced to a vector.
    """
    network = Network()
    size = st.integers(5, 17)
    shape = (1, draw(size), draw(size), draw(st.integers(1, 3)))
    maps = [network.map("t0", shape)]
    for index in range(1, draw(st.integers(2, most_nodes)) + 1):
        maps.append(_node(draw, network, maps, f"t{index}"))
    output = _reduced(network, maps[-1], draw(st.sampled_from(_ENDS)) if reduces else "map")
    graph = tflite.load(network.build(["t0"], [output]), name="random")
    return passes.run_all(graph)


def _reduced(network: Network, x: str, end: str) -> str:
    """A vector of a map, or the map."""
    _, height, width, _ = network.tensors[x].shape
    if end == "average" and height == width:
        return network.pool("AVERAGE_POOL_2D", x, "end", window=height, stride=1, padding=VALID)
    if end == "mean":
        return network.mean(x, "end", (1, 2))
    return network.fully_connected(x, "end", 5) if end == "fully connected" else x


def _node(draw, network: Network, maps: list[str], y: str) -> str:
    x = maps[-1]
    _, height, width, channels = network.tensors[x].shape
    smallest = min(height, width)
    alike = [name for name in maps[:-1] if network.tensors[name].shape == network.tensors[x].shape]
    joinable = [name for name in maps[:-1] if network.tensors[name].shape[1:3] == (height, width)]
    op = draw(st.sampled_from(_OPS))
    if op == "add" and alike:
        return network.add(x, draw(st.sampled_from(alike)), y)
    if op == "concat" and joinable and channels < 8:
        return network.concatenation([draw(st.sampled_from(joinable)), x], y)
    if op == "fork":
        branches = [network.conv(x, f"{y}/{kernel}", 3, kernel=kernel) for kernel in (1, 3)]
        return network.concatenation(branches, y)
    if op == "add map":
        return network.add_map(x, y)
    if op == "stack" and alike and smallest < 12:
        return network.concatenation([draw(st.sampled_from(alike)), x], y, axis=draw(st.sampled_from([1, 2])))
    if op == "scale":
        return network.scale_channels(x, y)
    if op == "resize" and smallest < 9:
        return network.resize(x, y, draw(st.integers(smallest, 12)), draw(st.integers(smallest, 12)))
    if op == "pad":
        sides = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(2)]
        return network.pad(x, y, [(0, 0), *sides, (0, 0)])
    kernel = draw(st.sampled_from([k for k in (1, 2, 3, 5) if k <= smallest]))
    stride = draw(st.sampled_from([1, 1, 2])) if smallest > 4 else 1
    padding = draw(st.sampled_from([SAME, SAME, VALID]))
    if op in ("max", "average"):
        return network.pool(f"{op.upper()}_POOL_2D", x, y, window=kernel, stride=stride, padding=padding)
    if op == "depthwise":
        return network.depthwise(x, y, kernel=kernel, stride=stride, padding=padding)
    dilation = draw(st.sampled_from([1, 2])) if stride == 1 and 2 * kernel - 1 <= smallest else 1
    outer = draw(st.sampled_from([channels, channels, 4]))
    return network.conv(x, y, outer, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
