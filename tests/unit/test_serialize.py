"""Graph -> bytes -> graph: nothing is lost, the bytes are always the same, damage is an error and not a traceback."""

import dataclasses
import io
import zipfile
from enum import Enum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import codec
from quantmcu_kit.ir.text import dump
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.serialize import load_graph, pack, save_graph, unpack
from tests.support.small_graphs import classifier, two_ended


@pytest.mark.parametrize("graph", [classifier(), two_ended()], ids=lambda graph: graph.name)
def test_graph_survives(graph):
    loaded = load_graph(save_graph(graph))
    assert dump(loaded) == dump(graph)
    assert loaded.sha256 == graph.sha256 and loaded.nodes == graph.nodes
    for name, tensor in graph.tensors.items():
        other = loaded.tensors[name]
        assert (other.shape, other.dtype, other.source) == (tensor.shape, tensor.dtype, tensor.source)
        assert tensor.quant.same_as(other.quant) and other.quant.axis == tensor.quant.axis
        assert np.array_equal(tensor.data, other.data) if tensor.is_constant else other.data is None
    inputs = {port.tensor: np.full(graph.tensors[port.tensor].shape, 9, np.int8) for port in graph.inputs}
    expected, got = (Interpreter(g, integer=True).run(inputs) for g in (graph, loaded))
    assert all(np.array_equal(expected[name], got[name]) for name in expected)


def test_same_graph_same_bytes():
    assert save_graph(classifier()) == save_graph(classifier())
    assert save_graph(load_graph(save_graph(classifier()))) == save_graph(classifier())


def test_archive_has_no_clock_and_no_compression():
    with zipfile.ZipFile(io.BytesIO(save_graph(classifier()))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


@given(st.integers(0, 10**9), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_an_error(position, value):
    data = bytearray(save_graph(classifier()))
    position %= len(data)
    data[position] = value
    for damaged in (bytes(data), bytes(data[:position])):
        try:
            load_graph(damaged)
        except QmkitError as error:
            assert error.code == "damaged-library"


def test_pickles_are_not_loaded():
    hostile = io.BytesIO()
    np.save(hostile, np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(QmkitError):
        unpack(pack({"graph.npy": hostile.getvalue()}))


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int
    weight: float


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    colour: Colour
    flags: tuple[bool, ...]
    pair: tuple[int, str]
    maybe: tuple[int, ...] | None
    label: str


VALUE = Outer(Inner(3, 0.1), Colour.RED, (True, False), (1, "x"), None, "ü")


@pytest.mark.parametrize("value", [VALUE, dataclasses.replace(VALUE, maybe=(1, 2), inner=Inner(1, 2.0))])
def test_dataclasses_survive_json(value):
    assert codec.decode(Outer, codec.encode(value)) == value


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("inner", {}), ("colour", "blue"), ("flags", [1]), ("pair", [1]), ("maybe", 3), ("label", 5), ("extra", 1)],
)
def test_other_types_are_refused(field, wrong):
    with pytest.raises(ValueError):
        codec.decode(Outer, codec.encode(VALUE) | {field: wrong})
