"""Single layers that kernels are compared by: those with published or prototype figures, and odd ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import convolution, fully_connected
from quantmcu_kit.ops.variants import VARIANTS
from tests.bench.latency_grid import Layers

WIDTHS = ((8, 8), (4, 8), (4, 4), (2, 4), (2, 2))  # of weights and maps


@dataclass(frozen=True)
class Case:
    """A layer.

    Attributes:
        name: what it is and its sizes.
        op: TFLite's name.
        image: height, width and channels of the input; (1, 1, inputs) of a fully-connected layer.
        out: output channels.
        window: height and width, one number for both.
        is_padded: with TFLite's SAME padding, else with none.
        cmsis_nn: cycles per multiply-accumulate of CMSIS-NN's s8 function at 8 bits: v6.0.0, arm-none-eabi-gcc 12.2 at
            -O3, in the same cycle model, everything included. For the first four layers the lower figures of an
            earlier measurement.
        most: cycles per multiply-accumulate that are promised, by widths of weights and maps.
    """

    name: str
    op: str
    image: tuple[int, int, int]
    out: int
    window: int | tuple[int, int] = 1
    stride: int = 1
    is_padded: bool = True
    dilation: int = 1
    cmsis_nn: float = 0.0
    most: dict[tuple[int, int], float] = field(default_factory=dict)

    @property
    def window_size(self) -> tuple[int, int]:
        """Height and width of a window."""
        return (self.window, self.window) if isinstance(self.window, int) else self.window

    @property
    def taps(self) -> int:
        """Values that one output is a sum of."""
        height, width = self.window_size
        return height * width * (1 if self.op == "DEPTHWISE_CONV_2D" else self.image[2])

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        lost = (0, 0) if self.is_padded else tuple(self._reach(size) - 1 for size in self.window_size)
        return tuple(-(-(size - less) // self.stride) for size, less in zip(self.image, lost, strict=False))

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those with padding included."""
        height, width = self.out_size
        return height * width * self.out * self.taps

    def layer(
        self,
        layers: Layers,
        widths: tuple[int, int],
        *,
        is_signed: bool,
        out_bits: int | None = None,
        activation: Activation | None = None,
        x: Tensor | None = None,
    ) -> Tensor:
        """The layer in a network of layers.

        Args:
            is_signed: the output's zero-point lies amid its values; else it is clamped there, as after a ReLU.
            out_bits: of the output; by default those of the input.
            activation: if not the one that goes with ``is_signed``.
            x: the input; by default one of its own.
        """
        weight_bits, bits = widths
        if x is None:
            x = layers.map(*(self.image[2:] if self.op == "FULLY_CONNECTED" else self.image))
            x = layers.narrowed(x, bits, Quant.per_tensor(12.0 / 2**bits, 0 if bits < 8 else -128))
        shape, axis = self._weights_shape()
        weights = layers.trained_weights(shape, axis, weight_bits)
        out_bits = out_bits or bits
        quant = self._output_quant(x, weights, out_bits, is_signed)
        attrs = self._attrs(activation or (Activation.NONE if is_signed else Activation.RELU))
        dtype = DType.feature_map(out_bits)
        return layers.layer(self.op, attrs, x, weights, layers.bias(self.out), quant=quant, dtype=dtype)

    def _weights_shape(self) -> tuple[tuple[int, ...], int]:
        if self.op == "FULLY_CONNECTED":
            return (self.out, self.image[2]), 0
        if self.op == "DEPTHWISE_CONV_2D":
            return (1, *self.window_size, self.out), 3
        return (self.out, *self.window_size, self.image[2]), 0

    def _output_quant(self, x: Tensor, weights: Tensor, bits: int, is_signed: bool) -> Quant:
        """A range that sums of random products fill, and sometimes leave."""
        of_weights = max(float(weights.data.std()), 0.5) * float(weights.quant.scale.mean())  # few may be all alike
        spread = float(x.quant.s) * 2**x.dtype.bits / 3.5 * of_weights
        spread *= self.taps**0.5
        low = -(1 << bits - 1) if bits == 8 else 0
        return Quant.per_tensor((4 if is_signed else 2) * spread / 2**bits, low + (2 ** (bits - 1) if is_signed else 0))

    def _attrs(self, activation: Activation) -> object:
        if self.op == "FULLY_CONNECTED":
            return fully_connected.Attrs(False, activation)
        sides = [self._sides(size, window) for size, window in zip(self.image, self.window_size, strict=False)]
        stride = Size(self.stride, self.stride)
        return convolution.Attrs(stride, Size(self.dilation, self.dilation), Padding(*sides[0], *sides[1]), activation)

    def _sides(self, size: int, window: int) -> tuple[int, int]:
        """Padding before and behind."""
        reach = self._reach(window)
        total = max((-(-size // self.stride) - 1) * self.stride + reach - size, 0) if self.is_padded else 0
        return total // 2, total - total // 2

    def _reach(self, window: int) -> int:
        """Rows of the input from a window's first to its last."""
        return (window - 1) * self.dilation + 1


def _conv(name: str, image: tuple[int, int, int], out: int, **more: object) -> Case:
    return Case(name, "CONV_2D", image, out, **more)


def _depthwise(name: str, image: tuple[int, int, int], **more: object) -> Case:
    return Case(name, "DEPTHWISE_CONV_2D", image, image[2], **more)


def _most(*figures: float) -> dict[tuple[int, int], float]:
    return dict(zip(WIDTHS, figures, strict=False))


CASES = (
    _conv("pointwise 96->24 @20x20", (20, 20, 96), 24, cmsis_nn=2.19, most=_most(1.20, 1.20, 0.82, 0.60, 0.53)),
    _conv("pointwise 24->144 @20x20", (20, 20, 24), 144, cmsis_nn=3.97, most=_most(1.42, 1.45, 0.97, 0.72, 0.70)),
    _conv(
        "conv 3x3 16->32 @24x24", (24, 24, 16), 32, window=3, cmsis_nn=2.53, most=_most(1.14, 1.16, 0.72, 0.60, 0.47)
    ),
    _depthwise("depthwise 3x3 48 @24x24", (24, 24, 48), window=3, cmsis_nn=10.65, most=_most(2.6, 2.6, 1.7, 1.7, 1.5)),
    Case("fully-connected 640->128", "FULLY_CONNECTED", (1, 1, 640), 128, cmsis_nn=2.48, most=_most(1.25, 1.25, 1.1)),
    _conv("pointwise 8->13 @16x16", (16, 16, 8), 13, cmsis_nn=9.01),
    _conv("conv 3x3 1->10 @16x16", (16, 16, 1), 10, window=3, cmsis_nn=17.67),
    _conv("pointwise 16->18 @15x15", (15, 15, 16), 18, cmsis_nn=4.81),
    _conv("conv 3x3/2 3->16 @32x32", (32, 32, 3), 16, window=3, stride=2, cmsis_nn=6.6),
    _conv("pointwise 40->7 @11x11", (11, 11, 40), 7, cmsis_nn=4.17),
    _conv("pointwise 672->112 @5x5", (5, 5, 672), 112, cmsis_nn=1.95),
    _conv("conv 3x3/2 8->22 @17x17", (17, 17, 8), 22, window=3, stride=2, cmsis_nn=3.56),
    _conv("pointwise/2 32->64 @16x16", (16, 16, 32), 64, stride=2, cmsis_nn=4.03),
    _depthwise("depthwise 3x3/2 48 @24x24", (24, 24, 48), window=3, stride=2, cmsis_nn=10.68),
    _depthwise("depthwise 5x5 40 @16x16", (16, 16, 40), window=5, cmsis_nn=12.45),
    _depthwise("depthwise 5x5/2 37 @15x15", (15, 15, 37), window=5, stride=2, cmsis_nn=13.53),
    _depthwise("depthwise 7x7 24 @14x14", (14, 14, 24), window=7, cmsis_nn=12.12),
    _depthwise("depthwise 7x7/2 24 @14x14", (14, 14, 24), window=7, stride=2, cmsis_nn=12.13),
    _depthwise("depthwise 3x3 7 @9x9", (9, 9, 7), window=3, cmsis_nn=15.93),
    Case("fully-connected 67->10", "FULLY_CONNECTED", (1, 1, 67), 10, cmsis_nn=4.08),
    Case("fully-connected 256->2", "FULLY_CONNECTED", (1, 1, 256), 2, cmsis_nn=3.06),
)


def variants_of(case: Case) -> tuple[str, ...]:
    """Names of the kernels that may run a case, the portable one first."""
    return ("", *(variant.name for variant in VARIANTS.values() if case.op in variant.ops))


@dataclass(frozen=True)
class Placed:
    """A case within a network of cases: which of its nodes is the layer."""

    case: Case
    widths: tuple[int, int]
    is_signed: bool
    node: int


def network(
    cases: tuple[Case, ...] = CASES, every_width: Sequence[tuple[int, int]] = WIDTHS
) -> tuple[Graph, tuple[Placed, ...]]:
    """Every case at the widths, with outputs clamped at their zero-point and signed, side by side; int8 at its ends."""
    layers = Layers("kernels")
    placed, nodes = [], 0
    for case in cases:
        for widths in dict.fromkeys(every_width):
            for is_signed in (False, True):
                y = case.layer(layers, widths, is_signed=is_signed)
                nodes += 1 + (widths[1] < 8)
                placed.append(Placed(case, widths, is_signed, nodes - 1))
                if widths[1] < 8:
                    layers.narrowed(y, 8, Quant.per_tensor(float(y.quant.s) * 2.0 ** widths[1] / 256, -5))
                    nodes += 1
    return layers.graph(), tuple(placed)
