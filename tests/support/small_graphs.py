"""Integer graphs made by hand, small enough to read."""

from __future__ import annotations

import dataclasses

import numpy as np

from quantmcu_kit.ir.contract import Golden
from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import add, conv_2d, reshape, softmax
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.spec import NoAttrs


class GraphBuilder:
    """Adds layers one by one; every name is the caller's."""

    def __init__(self, name: str = "small", seed: int = 0) -> None:
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []

    def feature_map(self, name: str, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = -3) -> str:
        """Declare a feature map."""
        self.tensors[name] = Tensor(name, shape, DType.I8, Quant.per_tensor(scale, zero_point))
        return name

    def conv(self, source: str, out: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
        """A convolution with SAME-like padding and random per-channel weights."""
        x = self.tensors[source]
        pad = kernel // 2
        attrs = conv_2d.Attrs(Size(stride, stride), Size(1, 1), Padding(pad, pad, pad, pad), Activation.RELU)
        weights = self.rng.integers(-127, 128, (channels, kernel, kernel, x.shape[-1])).astype(np.int8)
        bias = self.rng.integers(-500, 500, channels).astype(np.int32)
        scales = np.full(channels, 0.02 / np.sqrt(weights[0].size), np.float32)
        zeros = np.zeros(channels, np.int32)
        weight_quant = Quant(scales, zeros, axis=0)
        bias_quant = Quant(scales * x.quant.s, zeros, axis=0)
        self.tensors[f"{out}/w"] = Tensor(f"{out}/w", weights.shape, DType.I8, weight_quant, weights)
        self.tensors[f"{out}/b"] = Tensor(f"{out}/b", bias.shape, DType.I32, bias_quant, bias)
        shape = conv_2d.infer(attrs, x, self.tensors[f"{out}/w"])
        self.feature_map(out, shape)
        self.nodes.append(Node("CONV_2D", out, attrs, (source, f"{out}/w", f"{out}/b"), (out,)))
        return out

    def node(
        self, op: str, out: str, shape: tuple[int, ...], attrs: object, *inputs: str, like: str | None = None
    ) -> str:
        """Any other operator; ``like`` names the map whose quantization the output has."""
        quant = self.tensors[like].quant if like else Quant.per_tensor(0.05, -3)
        self.tensors[out] = Tensor(out, shape, DType.I8, quant)
        self.nodes.append(Node(op, out, attrs, inputs, (out,)))
        return out

    def port(self, name: str) -> Port:
        """A port that exposes an int8 tensor as it is."""
        tensor = self.tensors[name]
        return Port(name, name, tensor.dtype, tensor.shape, tensor.quant)

    def build(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Graph:
        """The graph."""
        ports = tuple(map(self.port, inputs)), tuple(map(self.port, outputs))
        return Graph(self.name, dict(self.tensors), tuple(self.nodes), *ports, sha256="00ff" * 16)


def conv_chain(seed: int = 0, name: str = "small") -> Graph:
    """Three convolutions, 8x8x3 -> 8x8x4 -> 4x4x6 -> 4x4x2."""
    builder = GraphBuilder(name, seed)
    x = builder.feature_map("picture", (1, 8, 8, 3), scale=1 / 255, zero_point=-128)
    x = builder.conv(x, "stem", 4)
    x = builder.conv(x, "block/reduce", 6, stride=2)
    x = builder.conv(x, "head", 2, kernel=1)
    return builder.build(("picture",), (x,))


def classifier(seed: int = 0, name: str = "classifier") -> Graph:
    """Every shape of layer that emit knows: scratch, a residual sum in place, a view, a table, a class vector."""
    builder = GraphBuilder(name, seed)
    x = builder.feature_map("picture", (1, 8, 8, 3), scale=1 / 255, zero_point=-128)
    x = builder.conv(x, "stem", 4, stride=2)
    y = builder.conv(x, "block/expand", 4)
    x = builder.node("ADD", "block/add", (1, 4, 4, 4), add.Attrs(Activation.NONE), x, y)
    x = builder.conv(x, "head", 1)
    x = builder.node("RESHAPE", "flat", (1, 16), reshape.Attrs((1, 16)), x, like=x)
    x = builder.node("RELU", "relu", (1, 16), NoAttrs(), x)
    x = builder.node("SOFTMAX", "scores", (1, 16), softmax.Attrs(1.0), x)
    builder.tensors["scores"] = dataclasses.replace(builder.tensors["scores"], quant=Quant.per_tensor(1 / 256, -128))
    return builder.build(("picture",), ("scores",))


def two_ended(seed: int = 0, name: str = "pair") -> Graph:
    """Two inputs and two outputs."""
    builder = GraphBuilder(name, seed)
    a = builder.feature_map("left", (1, 4, 4, 3))
    b = builder.feature_map("right", (1, 4, 4, 3))
    total = builder.node("ADD", "sum", (1, 4, 4, 3), add.Attrs(Activation.NONE), a, b)
    return builder.build(("left", "right"), (builder.conv(total, "boxes", 4), builder.conv(total, "classes", 2)))


def goldens(graph: Graph, count: int = 2, seed: int = 1) -> tuple[Golden, ...]:
    """Random inputs with the outputs of the integer reference."""
    rng = np.random.default_rng(seed)
    interpreter = Interpreter(graph, integer=True)
    found = []
    for _ in range(count):
        inputs = {
            port.tensor: rng.integers(-128, 128, graph.tensors[port.tensor].shape).astype(np.int8)
            for port in graph.inputs
        }
        outputs = interpreter.run(inputs)
        found.append(
            Golden(
                tuple(inputs[port.tensor] for port in graph.inputs),
                tuple(outputs[port.tensor] for port in graph.outputs),
            )
        )
    return tuple(found)
