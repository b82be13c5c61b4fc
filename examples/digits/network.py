"""The example network: MobileNetV2 (Sandler et al., 2018, section 3) cut down to 96x96 pictures and a small board."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

INPUT_SHAPE = (96, 96, 3)
STEM_CHANNELS = 16
HEAD_CHANNELS = 128


@dataclass(frozen=True)
class Block:
    """One inverted bottleneck; it has a residual connection where stride is 1 and the channels stay the same."""

    expansion: int
    channels: int
    stride: int


# Output maps: 48x48x8, then twice each 24x24x16, 12x12x32 and 6x6x48.
BLOCKS = (
    Block(1, 8, 1),
    Block(4, 16, 2),
    Block(3, 16, 1),
    Block(4, 32, 2),
    Block(3, 32, 1),
    Block(4, 48, 2),
    Block(4, 48, 1),
)


def build(classes: int) -> keras.Model:
    """Pixels as x/127.5 - 1, float32 [n, 96, 96, 3], to class probabilities [n, classes]."""
    inputs = x = keras.Input(INPUT_SHAPE, name="image")
    x = _convolution(x, STEM_CHANNELS, 3, 2, "stem")
    for index, block in enumerate(BLOCKS):
        x = _inverted_bottleneck(x, block, f"block_{index}")
    x = _convolution(x, HEAD_CHANNELS, 1, 1, "head")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.1, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="classes")(x)
    return keras.Model(inputs, x, name="digits")


def _inverted_bottleneck(x, block: Block, name: str):
    shortcut, channels = x, x.shape[-1]
    if block.expansion > 1:
        x = _convolution(x, channels * block.expansion, 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(3, block.stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _normalise(x, f"{name}_depthwise", clip=True)
    x = layers.Conv2D(block.channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = _normalise(x, f"{name}_project", clip=False)
    if block.stride == 1 and channels == block.channels:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _convolution(x, channels: int, kernel: int, stride: int, name: str):
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return _normalise(x, name, clip=True)


def _normalise(x, name: str, *, clip: bool):
    x = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x) if clip else x
