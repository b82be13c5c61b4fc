"""A tuned network as a file: its widths and every constant, so that any build makes the same integer graph again."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantmcu_kit.accuracy.tune import Tuning
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.types import Quant
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize import Adjustments, NodeAdjustment, adjustments_of
from quantmcu_kit.search import SearchResult

SUFFIX = ".qmtune"
_FORMAT = 1
_FACTS = "facts"
_ORIGIN = "as it was tuned"
_BROKEN = (OSError, KeyError, TypeError, ValueError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error)
_PARTS = ("weights", "scale", "bias")
_PLAIN = {
    "before": float,
    "after": float,
    "are_classes": bool,
    "done": int,
    "total": int,
    "pictures": int,
    "is_interrupted": bool,
}


@dataclass(frozen=True, eq=False)
class Tuned:
    """What ``qmkit tune`` found.

    Attributes:
        model_sha256: of the model file that was tuned.
        result: widths, and what they cost when they were searched for.
        adjustments: of every weighted node and every feature map.
        preprocess: how pixels entered the network; None for what takes no pictures.
        before, after, are_classes, done, total, pictures, is_interrupted: see :class:`tune.Tuning`.
    """

    model_sha256: str
    result: SearchResult
    adjustments: Adjustments
    preprocess: Preprocess | None
    before: float
    after: float
    are_classes: bool
    done: int
    total: int
    pictures: int
    is_interrupted: bool


def sha256_of(model: bytes) -> str:
    """As files name their model."""
    return hashlib.sha256(model).hexdigest()


def tuned_of(
    model_sha256: str, result: SearchResult, integer: Graph, preprocess: Preprocess | None, tuning: Tuning
) -> Tuned:
    """What came of a training.

    Args:
        integer: the trained network.
    """
    facts = {name: getattr(tuning, name) for name in _PLAIN}
    return Tuned(model_sha256, result, adjustments_of(integer), preprocess, **facts)


def check_writable(path: Path, *, force: bool) -> None:
    """Refuse, before the user waits for it, a file that cannot be written.

    Raises:
        QmkitError: ``output-not-empty``: there is a file of another kind; ``output-unwritable``.
    """
    if path.is_file() and not force and not _is_ours(path):
        raise QmkitError(
            "output-not-empty",
            f"{path} is not a file that qmkit tune wrote",
            hint="another --output, or --force to replace it",
        )
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        why = "it is a folder" if path.is_dir() else f"{path.absolute().parent} is no folder that can be written to"
        raise _unwritable(path, why)


def write(tuned: Tuned, path: Path) -> None:
    """Write the file: whole, or not at all.

    Raises:
        QmkitError: ``output-unwritable``.
    """
    nodes, maps = tuned.adjustments.nodes, tuned.adjustments.maps
    facts = {
        "format": _FORMAT,
        "model_sha256": tuned.model_sha256,
        "result": {**tuned.result.to_json(), "scores": []},
        "preprocess": vars(tuned.preprocess) if tuned.preprocess else None,
        **{name: getattr(tuned, name) for name in _PLAIN},
        "nodes": list(nodes),
        "maps": list(maps),
    }
    arrays = {f"{part}{index}": getattr(node, part) for index, node in enumerate(nodes.values()) for part in _PARTS}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "wb") as file:
            np.savez_compressed(
                file,
                **{_FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8)},
                map_scales=np.array([quant.s for quant in maps.values()], np.float32),
                map_zeros=np.array([quant.z for quant in maps.values()], np.int32),
                **arrays,
            )
        os.replace(unfinished, path)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from None
    finally:
        with suppress(OSError):
            unfinished.unlink()


def read(path: Path, model: bytes, graph: Graph) -> Tuned:
    """The file of a model.

    Args:
        graph: of the model, float.

    Raises:
        QmkitError: ``bad-tuned-file``; ``other-model``: it was tuned from another one.
    """
    if not path.is_file():
        raise QmkitError("bad-tuned-file", f"{path} is no file", hint="qmkit tune MODEL writes one")
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(file[_FACTS].tobytes())
            if facts["format"] != _FORMAT:
                raise _bad(path, f"it has format {facts['format']}, and this qmkit reads {_FORMAT}")
            if facts["model_sha256"] != sha256_of(model):
                raise _other_model(path)
            tuned = _tuned(facts, file)
    except _BROKEN as error:
        raise _bad(path, f"it cannot be read: {error}") from None
    _check(tuned, graph, path)
    return tuned


def _tuned(facts: Mapping[str, Any], file: Mapping[str, np.ndarray]) -> Tuned:
    nodes = {
        name: NodeAdjustment(*(file[f"{part}{index}"] for part in _PARTS)) for index, name in enumerate(facts["nodes"])
    }
    scales, zeros = file["map_scales"], file["map_zeros"]
    maps = {name: Quant.per_tensor(scale, zero) for name, scale, zero in zip(facts["maps"], scales, zeros, strict=True)}
    found, preprocess = facts["result"], facts["preprocess"]
    result = SearchResult(
        strategy=found["strategy"],
        feature_maps=found["bits"],
        weights=found["weight_bits"],
        scores=(),
        ram_bytes=found["ram_bytes"],
        flash_bytes=found["flash_bytes"],
        bitops=found["bitops"],
        bitops_int8=found["bitops_int8_patch"],
        cycles=found["cycles"],
        trade_off=found["lambda"],
        gap=found["gap"],
        seconds=found["search_seconds"],
    )
    return Tuned(
        facts["model_sha256"],
        result,
        Adjustments(nodes, maps),
        preprocess and Preprocess(preprocess["name"], tuple(preprocess["mean"]), tuple(preprocess["std"]), _ORIGIN),
        **{name: kind(facts[name]) for name, kind in _PLAIN.items()},
    )


def _check(tuned: Tuned, graph: Graph, path: Path) -> None:
    """Everything is there, in the shapes of the network."""
    weighted = {node.name: node for node in graph.nodes if TABLE[node.op].weight_axis is not None}
    maps = {tensor.name for tensor in graph.feature_maps()}
    found = tuned.adjustments
    if set(found.nodes) != set(weighted) or set(found.maps) != maps:
        raise _bad(path, "its layers are not those that this qmkit finds in the model")
    for name, node in weighted.items():
        shape, made = graph.tensors[node.inputs[1]].shape, found.nodes[name]
        channels = (shape[TABLE[node.op].weight_axis],)
        is_fit = (made.weights.shape, made.scale.shape, made.bias.shape) == (shape, channels, channels)
        types = (made.weights.dtype, made.scale.dtype, made.bias.dtype) == (np.int8, np.float32, np.float64)
        if not (is_fit and types and np.isfinite(made.bias).all() and (made.scale > 0).all()):
            raise _bad(path, f'constants of "{name}" do not fit the model\'s')


def _is_ours(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as file:
            return _FACTS in file
    except _BROKEN:
        return False


def _bad(path: Path, why: str) -> QmkitError:
    return QmkitError(
        "bad-tuned-file", f"{path} is not a tuned network that can be built", why=why, hint="qmkit tune MODEL again"
    )


def _other_model(path: Path) -> QmkitError:
    return QmkitError(
        "other-model",
        f"{path} was tuned from another model file",
        why="its weights belong to that model's layers; the files' sha256 differ",
        hint="qmkit build with the model that was tuned, or tune this one",
    )


def _unwritable(path: Path, why: str) -> QmkitError:
    return QmkitError("output-unwritable", f"cannot write {path}", why=why, hint="another --output")
