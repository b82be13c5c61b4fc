"""Graph <-> bytes: a zip of ``graph.json`` and one ``.npy`` per constant. Same graph, same bytes.

Attributes are written field by field from their dataclasses, so a new operator needs nothing here.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.check import InvariantError, check
from quantmcu_kit.ir.codec import decode, encode
from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import VARIANTS

_GRAPH = "graph.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold
_UNIX = 3
# What zip, JSON, numpy and the constructors raise over damaged bytes.
DAMAGE = (
    zipfile.BadZipFile,
    json.JSONDecodeError,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    UnicodeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    InvariantError,
    MemoryError,
)


def pack(members: Mapping[str, bytes | np.ndarray]) -> bytes:
    """A zip of bytes and arrays (as ``<name>.npy``), stored without compression: its bytes depend on nothing else."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, value in members.items():
            entry = zipfile.ZipInfo(name if isinstance(value, bytes) else f"{name}.npy", _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, value if isinstance(value, bytes) else _array_bytes(value))
    return out.getvalue()


def unpack(data: bytes) -> dict[str, bytes | np.ndarray]:
    """The members that :func:`pack` was given; raises ``damaged-library``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        return {
            name.removesuffix(".npy"): _array(member) if name.endswith(".npy") else member
            for name, member in members.items()
        }
    except DAMAGE as error:
        raise damaged(error) from error


def save_graph(graph: Graph) -> bytes:
    """The graph as bytes."""
    return pack(graph_members(graph))


def graph_members(graph: Graph) -> dict[str, bytes | np.ndarray]:
    """What :func:`save_graph` packs."""
    constants = {name: tensor.data for name, tensor in graph.tensors.items() if tensor.is_constant}
    members = {name: f"constants/{index:04d}" for index, name in enumerate(constants)}
    document = {
        "name": graph.name,
        "sha256": graph.sha256,
        "tensors": [tensor_json(tensor, members.get(name)) for name, tensor in graph.tensors.items()],
        "nodes": [_node_json(node) for node in graph.nodes],
        "inputs": [_port_json(port) for port in graph.inputs],
        "outputs": [_port_json(port) for port in graph.outputs],
    }
    text = json.dumps(document, indent=1, ensure_ascii=True).encode()
    return {_GRAPH: text, **{members[name]: data for name, data in constants.items()}}


def load_graph(data: bytes) -> Graph:
    """The graph that :func:`save_graph` wrote; raises ``damaged-library``."""
    return graph_of(unpack(data))


def graph_of(members: Mapping[str, bytes | np.ndarray]) -> Graph:
    """The graph in what :func:`unpack` found; raises ``damaged-library``."""
    try:
        document = json.loads(members[_GRAPH])
        tensors = [tensor_of(entry, members) for entry in document["tensors"]]
        graph = Graph(
            name=document["name"],
            tensors={tensor.name: tensor for tensor in tensors},
            nodes=tuple(_node(entry) for entry in document["nodes"]),
            inputs=tuple(_port(entry) for entry in document["inputs"]),
            outputs=tuple(_port(entry) for entry in document["outputs"]),
            sha256=document["sha256"],
        )
        return check(graph)
    except DAMAGE as error:
        raise damaged(error) from error


def damaged(error: BaseException) -> QmkitError:
    """``damaged-library``, for one of :data:`DAMAGE`."""
    return QmkitError(
        "damaged-library",
        "the network that the library carries cannot be read",
        why=f"{type(error).__name__}: {error}",
        hint="build the library again",
    )


def _array_bytes(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    little_endian = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    np.lib.format.write_array(out, little_endian.reshape(array.shape), version=(1, 0), allow_pickle=False)
    return out.getvalue()


def _array(data: bytes) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _quant_json(quant: Quant | None) -> Any:
    if quant is None:
        return None
    # A float32 is a double, and JSON writes doubles so that they read back as they were.
    return {"scale": quant.scale.tolist(), "zero_point": quant.zero_point.tolist(), "axis": quant.axis}


def _quant(entry: Any) -> Quant | None:
    if entry is None:
        return None
    return Quant(np.array(entry["scale"], np.float32), np.array(entry["zero_point"], np.int32), entry["axis"])


def tensor_json(tensor: Tensor, member: str | None) -> Any:
    """A tensor whose elements, if it has any, lie in the archive's ``member``."""
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype.value,
        "quant": _quant_json(tensor.quant),
        "data": member,
        "source": tensor.source,
    }


def tensor_of(entry: Any, members: Mapping[str, Any]) -> Tensor:
    """The tensor that :func:`tensor_json` described."""
    data = None if entry["data"] is None else members[entry["data"]]
    quant = _quant(entry["quant"])
    return Tensor(entry["name"], tuple(entry["shape"]), DType(entry["dtype"]), quant, data, entry["source"])


def _node_json(node: Node) -> Any:
    kernel = {"kernel": node.kernel} if node.kernel else {}
    return {
        "op": node.op,
        "name": node.name,
        "attrs": encode(node.attrs),
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        **kernel,
    }


def _node(entry: Any) -> Node:
    attrs = decode(TABLE[entry["op"]].attrs, entry["attrs"])
    kernel = entry.get("kernel", "")
    if kernel and entry["op"] not in VARIANTS[kernel].ops:
        raise ValueError(f"kernel {kernel!r} runs no {entry['op']}")
    return Node(entry["op"], entry["name"], attrs, tuple(entry["inputs"]), tuple(entry["outputs"]), kernel)


def _port_json(port: Port) -> Any:
    return {
        "tensor": port.tensor,
        "name": port.name,
        "dtype": port.dtype.value,
        "shape": list(port.shape),
        "quant": _quant_json(port.quant),
        "permutation": port.permutation and list(port.permutation),
        "source": port.source,
    }


def _port(entry: Any) -> Port:
    return Port(
        tensor=entry["tensor"],
        name=entry["name"],
        dtype=DType(entry["dtype"]),
        shape=tuple(entry["shape"]),
        quant=_quant(entry["quant"]),
        permutation=entry["permutation"] and tuple(entry["permutation"]),
        source=entry["source"],
    )
