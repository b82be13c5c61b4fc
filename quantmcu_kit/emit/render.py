"""Integer graph and plans -> {path: content} of the library. Pure: no clock, no path, nothing is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import jinja2
import numpy as np

from quantmcu_kit.boards.catalog import boards
from quantmcu_kit.emit.constants import ConstantPool, format_values
from quantmcu_kit.emit.describe import describe
from quantmcu_kit.emit.hot_constants import hot_constants
from quantmcu_kit.emit.interface import build_interface
from quantmcu_kit.emit.layers import build_layers
from quantmcu_kit.emit.names import block_comment, c_string, check_name, comment, paragraph
from quantmcu_kit.emit.runtime_files import NAMESPACE, template_folder
from quantmcu_kit.emit.stages import build_moves, build_stages
from quantmcu_kit.emit.view import Library
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MemoryPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.serialize import pack
from quantmcu_kit.ops.serialize_branches import save_network

Files = dict[str, "str | bytes"]


def render(
    graph: Graph,
    memory: MemoryPlan,
    *,
    name: str,
    board: str,
    schedule: Schedule | None = None,
    branches: Branches | None = None,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] = (),
    goldens: Sequence[Golden] = (),
    extras: Mapping[str, bytes] | None = None,
    hot_bytes: int = 0,
) -> Files:
    """The library as {path: content}.

    Args:
        graph: integer graph; its ports are int8.
        memory: arena plan of ``graph``.
        name: prefix of every symbol and file; see ``names.check_name``.
        board: board id, for the banner and the manifest.
        schedule: what ``memory`` was planned for; by default layer by layer.
        branches: classes of the patches of one of its stages; ``graph`` is then ``branches.common``.
        preprocess: makes ``<name>_run`` take uint8 pixels when the input is [1, h, w, 1 or 3].
        class_names: one per element of the output vector, or empty.
        goldens: inputs with their exact outputs, for the library's own test and its example.
        extras: more files for the folder ``extras``, by name.
        hot_bytes: most bytes of constants that are copied to RAM when a program starts.
    """
    check_name(name)
    pool = ConstantPool(name)
    schedule = schedule or Schedule.whole(graph)
    layers = build_layers(graph, schedule, memory, pool, branches)
    library = Library(
        name=name,
        graph=graph,
        memory=memory,
        board=board,
        interface=build_interface(name, graph, memory, preprocess, class_names),
        schedule=schedule,
        layers=layers,
        stages=build_stages(graph, schedule, memory, layers, branches),
        moves=build_moves(graph, schedule, memory),
        constants=tuple(pool.constants),
        goldens=tuple(goldens),
        hot=hot_constants(graph, layers, hot_bytes),
    )
    files = _source_files(library) | _test_files(library)
    files |= {f"{manifests.FOLDER}/{file}": data for file, data in (extras or {}).items()}
    files[manifests.NETWORK_PATH] = save_network(graph, schedule, branches)
    files[manifests.GOLDENS_PATH] = _pack_goldens(library)
    paths = tuple(sorted([*files, manifests.PATH]))
    digests = [hashlib.sha256(files[path]).hexdigest() for path in (manifests.NETWORK_PATH, manifests.GOLDENS_PATH)]
    files[manifests.PATH] = manifests.to_json(describe(library, preprocess, *digests, paths))
    return {path: files[path] for path in paths}


@lru_cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals |= {"boards": boards()}
    environment.filters |= {
        "block_comment": block_comment,
        "c_string": c_string,
        "comment": comment,
        "json": json.dumps,
        "paragraph": paragraph,
        "thousands": lambda number: f"{number:,}",
        "values": format_values,
    }
    return environment


def _source_files(library: Library) -> Files:
    """Manifests, README, the public header, the network and the runtime."""
    name = library.name
    inner = f"src/{name}"
    templates = {
        "library.json": "library.json.j2",
        "library.properties": "library.properties.j2",
        "README.md": "README.md.j2",
        "LICENSE": "LICENSE.j2",
        f"src/{name}.h": "header.h.j2",
        f"{inner}/{name}.c": "network.c.j2",
        f"{inner}/static_arena.c": "static_arena.c.j2",
        f"{inner}/weights.h": "weights.h.j2",
        f"{inner}/weights.c": "weights.c.j2",
        f"{inner}/{NAMESPACE}": "namespace.h.j2",
    }
    if library.takes_pixels:
        templates |= {f"{inner}/preprocess.h": "preprocess.h.j2", f"{inner}/preprocess.c": "preprocess.c.j2"}
    environment = _environment()
    copied = {f"{inner}/{path}": text for path, text in library.runtime.items()}
    return copied | {
        path: environment.get_template(template).render(lib=library) for path, template in templates.items()
    }


def _test_files(library: Library) -> Files:
    """The example sketch, and the test as a PlatformIO project where there are golden vectors."""
    folder = f"examples/{library.example}"
    templates = {f"{folder}/{library.example}.ino": "example.ino.j2"}
    if library.goldens:
        templates[f"{folder}/example_input.h"] = "example_input.h.j2"
        templates |= {
            f"test/test_golden/{file}": f"{file}.j2"
            for file in ("golden_vectors.h", "test_golden.h", "test_golden.c", "test_golden_arduino.cpp")
        }
        templates["platformio.ini"] = "platformio.ini.j2"
        templates |= {
            f"test/{file}": file
            for file in (
                "test_custom_runner.py",
                "emulated_platform/platform.json",
                "emulated_platform/builder/main.py",
            )
        }
    environment = _environment()
    return {path: environment.get_template(template).render(lib=library) for path, template in templates.items()}


def _pack_goldens(library: Library) -> bytes:
    """Every golden input and output, stacked per port."""
    stacks = {}
    for kind in ("inputs", "outputs"):
        for port, view in enumerate(getattr(library.interface, kind)):
            arrays = [getattr(golden, kind)[port] for golden in library.goldens]
            empty = np.empty((0, *view.tensor.shape[1:]), np.int8)
            stacks[f"{kind}/{port}"] = np.concatenate(arrays) if arrays else empty
    return pack(stacks)
