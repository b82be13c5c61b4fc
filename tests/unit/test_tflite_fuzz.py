"""Damaged files give a graph or a QmkitError, quickly and within the stated memory; nothing else."""

from __future__ import annotations

import random
import time
import tracemalloc
from dataclasses import replace

import pytest
import tflite as schema

from quantmcu_kit import passes, tflite
from quantmcu_kit.errors import QmkitError
from tests.support.networks import Network
from tests.support.shared import model_bytes, needs_shared

SECONDS = 2.0  # for one file; a healthy one of this size takes milliseconds
FLIPS = 300


def small_network() -> bytes:
    """Several kinds of operators around an integer body."""
    network = Network()
    network.map("in", (1, 3, 8, 8), dtype="float32")
    network.node("QUANTIZE", ["in"], "q", (1, 3, 8, 8))
    network.transpose("q", "x", (0, 2, 3, 1))
    network.pad("x", "p", [(0, 0), (1, 1), (1, 1), (0, 0)])
    network.conv("p", "c", 4, padding=1)
    network.depthwise("c", "d")
    network.add("c", "d", "s")
    network.node("RELU", ["s"], "r", (1, 8, 8, 4))
    network.transpose("r", "t", (0, 3, 1, 2))
    network.mean("t", "m", [2, 3])
    network.node("DEQUANTIZE", ["m"], "out", (1, 4), dtype="float32")
    return network.build(["in"], ["out"])


def survives(data: bytes) -> bool:
    """Whether ``data`` imports; fails the test on any exception but QmkitError, or when it takes too long."""
    start = time.process_time()
    try:
        passes.run_all(tflite.load(data, name="m"))
        return True
    except QmkitError as error:
        assert error.code and error.message
        return False
    finally:
        assert time.process_time() - start < SECONDS


def truncations(data: bytes, count: int) -> list[bytes]:
    return [data[: len(data) * step // count] for step in range(count)]


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One to eight bits changed, or four bytes set to a number that lengths and offsets trip over."""
    damaged = bytearray(data)
    if rng.random() < 0.7:
        for _ in range(rng.choice((1, 2, 8))):
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    else:
        at = rng.randrange(0, len(data) - 4)
        damaged[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\1\0"))
    return bytes(damaged)


def damage(data: bytes, seed: int) -> int:
    """How many of the damaged files still import."""
    rng = random.Random(seed)
    files = truncations(data, 60) + [flipped(data, rng) for _ in range(FLIPS)]
    return sum(survives(file) for file in files)


def test_small_network_is_sound():
    graph = passes.run_all(tflite.load(small_network(), name="m"))
    assert [node.op for node in graph.nodes] == ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN"]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_small_network(seed):
    assert damage(small_network(), seed) > 0, "some flips only hit weights"


@needs_shared
@pytest.mark.parametrize("model", ["micro_speech_int8", "hello_world_float"])
def test_damaged_real_model(model):
    damage(model_bytes(model), seed=1)


def peak_memory(files: list[bytes]) -> int:
    tracemalloc.start()
    try:
        for file in files:
            survives(file)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bounded():
    """32 times the file and 16 MB, as load() states, for files whose tables, shapes and lengths lie."""
    rng = random.Random(5)
    data = small_network()
    assert peak_memory([flipped(data, rng) for _ in range(40)]) < 32 * len(data) + (16 << 20)


def test_shared_buffers_do_not_multiply_memory(monkeypatch):
    """A hundred tensors over one buffer would be a hundred copies of it."""
    network = Network()
    network.map("t0", (1, 8, 8, 500))
    network.conv("t0", "t1", 500, kernel=1)
    (weights,) = (index for index, name in enumerate(network.tensors) if name == "t1/w")
    for index in range(1, 100):
        tensor, operator = network.tensors["t1/w"], network.operators[0]
        network.tensors[f"w{index}"] = replace(tensor, name=f"w{index}", data=None)
        y = network.map(f"t{index + 1}", (1, 8, 8, 500))
        network.operators.append(replace(operator, inputs=[f"t{index}", f"w{index}", "t1/b"], outputs=[y]))
    data = network.build(["t0"], ["t100"])
    is_copy = {index for index, name in enumerate(network.tensors) if name.startswith("w")}
    honest = schema.Tensor.Buffer
    # the builder gives tensor i the buffer i + 1
    monkeypatch.setattr(schema.Tensor, "Buffer", lambda t: weights + 1 if honest(t) - 1 in is_copy else honest(t))
    with pytest.raises(QmkitError, match="overlap"):
        tflite.load(data, name="m")
    assert peak_memory([data]) < 32 * len(data) + (16 << 20)
