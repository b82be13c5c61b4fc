"""A library tells which backend runs it, and a fallback can be made an error."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from quantmcu_kit import emit, memory
from quantmcu_kit.emit.runtime_files import NATIVE, runtime_root
from quantmcu_kit.ir.graph import Graph
from tests.bench.kernel_cases import Case
from tests.bench.latency_grid import Layers
from tests.support.libraries import built, run, sources, tool
from tests.support.small_graphs import classifier

ARM = "arm-none-eabi-gcc"
M4 = ("-mcpu=cortex-m4", "-mthumb")
M0 = ("-mcpu=cortex-m0plus", "-mthumb")


def native() -> Graph:
    """A layer that runs by a variant."""
    layers = Layers("native")
    Case("", "CONV_2D", (5, 5, 16), 8).layer(layers, (8, 8), is_signed=False)
    graph = layers.graph()
    return graph.replace(nodes=[dataclasses.replace(node, kernel="conv_pairs") for node in graph.nodes])


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return built(native(), tmp_path_factory.mktemp("native"), preprocess=None)


def native_files(graph: Graph, board: str) -> list[str]:
    files = emit.render(graph, memory.plan(graph), name="net", board=board)
    return [path for path in files if f"/{NATIVE}" in path and path.endswith(".c")]


def backend(compiler: str, *flags: str) -> str:
    """What the runtime calls its backend for a target."""
    source = '#include "quantmcu/native/native.h"\nQMCU_BACKEND\n'
    command = [tool(compiler), *flags, "-I", str(runtime_root() / "src"), "-E", "-P", "-x", "c", "-"]
    result = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    return result.stdout.split()[-1].strip('"')


def test_host_is_portable(library, tmp_path):
    (tmp_path / "main.c").write_text(
        "#include <native.h>\n#include <stdio.h>\nint main(void)\n{\n    return puts(native_backend()) < 0;\n}\n"
    )
    run(tool("cc"), "-std=c99", f"-I{library / 'src'}", tmp_path / "main.c", *sources(library), "-o", tmp_path / "main")
    assert run(tmp_path / "main") == "portable\n"


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33"])
@pytest.mark.parametrize("compiler", [(ARM,), ("clang", "--target=arm-none-eabi")], ids=["gcc", "clang"])
def test_cores_with_the_instructions(core, compiler):
    flags = (*compiler[1:], "-mthumb")
    assert backend(compiler[0], f"-mcpu={core}", *flags) == "cortexm_dsp"
    assert backend(compiler[0], f"-mcpu={core}", *flags, "-DQMCU_PORTABLE=1") == "portable"


def test_cores_that_trap_unaligned_accesses():
    assert backend(ARM, *M4, "-mno-unaligned-access") == "portable"


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3"])
def test_cores_without(core):
    assert backend(ARM, f"-mcpu={core}", "-mthumb") == "portable"


def compiles(library: Path, folder: Path, *flags: str) -> bool:
    """Whether every file does; else for the reason that the flag is there for."""
    for source in sources(library):
        command = [tool(ARM), "-std=c99", *flags, "-DQMCU_REQUIRE_NATIVE=1", "-c", str(source)]
        result = subprocess.run([*command, "-o", str(folder / "unit.o")], capture_output=True, text=True)
        if result.returncode:
            assert "QMCU_REQUIRE_NATIVE: the target has no backend" in result.stderr
            return False
    return True


def test_a_fallback_can_be_an_error(library, tmp_path):
    assert compiles(library, tmp_path, *M4)
    assert not compiles(library, tmp_path, *M0)
    assert not compiles(library, tmp_path, *M4, "-DQMCU_PORTABLE=1")


def test_a_library_without_variants_needs_no_backend(tmp_path):
    graph = classifier(name="plain")
    nodes = [node for node in graph.nodes if node.op != "ADD"]
    assert nodes
    library = built(graph, tmp_path, preprocess=None)
    text = (library / "src" / "plain" / "quantmcu" / "namespace.h").read_text()
    assert compiles(library, tmp_path, *M0) == ("#define QMCU_NATIVE 0" in text)


def test_native_files_come_with_cores_that_have_their_instructions():
    assert native_files(native(), "nano33ble")
    assert native_files(native(), "pico") == native_files(native(), "esp32-s3-devkitc-1") == []
