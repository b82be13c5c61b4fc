"""Which runtime files a network needs, and where they are found."""

import json
import re
from pathlib import Path

import pytest

import quantmcu_kit
from quantmcu_kit.emit import runtime_files
from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError
from tests.support.libraries import run, tool

RUNTIME = Path(quantmcu_kit.__file__).parents[1] / "platformio_lib" / "src" / "quantmcu"
KERNELS = sorted(path.stem for path in (RUNTIME / "kernels").glob("*.c"))


@pytest.mark.parametrize("has_packed", [False, True], ids=["int8", "packed"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_files_of_one_kernel_link_by_themselves(kernel, has_packed, tmp_path):
    files = runtime_files.needed_files([kernel], has_packed=has_packed)
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    sources = [tmp_path / path for path in files if path.endswith(".c")]
    (tmp_path / "main.c").write_text(
        f'#include "quantmcu/kernels/{kernel}.h"\n'
        f"int main(void)\n{{\n    static qmcu_{kernel}_t layer;\n    (void)layer;\n"
        f"    return (void (*)(void))qmcu_{kernel} != NULL ? 0 : 1;\n}}\n"
    )
    switch = f"-DQMCU_PACKED={has_packed:d}"
    run(tool("cc"), "-std=c99", switch, tmp_path / "main.c", *sources, "-o", tmp_path / "program")
    run(tmp_path / "program")


def test_packing_comes_with_what_is_packed():
    def primitives(has_packed: bool) -> set[str]:
        files = runtime_files.needed_files(["fully_connected"], has_packed=has_packed)
        return {Path(path).stem for path in files if path.endswith(".c")} - {"fully_connected"}

    at_8_bits = {"matvec_s8_ref", "requant_s8_ref", "sum_s8_ref"}
    assert primitives(False) == at_8_bits
    assert primitives(True) == at_8_bits | {"matvec_packed_ref", "pack_ref"}


def test_no_file_is_needed_without_kernels():
    assert runtime_files.needed_files([]) == {}


def test_definitions_are_found_and_static_ones_left_out():
    text = (
        "/* void qmcu_in_comment(void) { */\nstatic void helper(int x)\n{\n}\n\n"
        "int32_t qmcu_one(const int8_t *x,\n                 int32_t k)\n{\n    if (x) {\n    }\n}\n"
        "void qmcu_declared(void);\nconst int8_t *qmcu_two(void)\n{\n}\n"
    )
    assert runtime_files.defined_symbols(text) == ("qmcu_one", "qmcu_two")


@pytest.mark.parametrize("path", sorted(RUNTIME.rglob("*.c")), ids=lambda path: path.stem)
def test_every_external_symbol_is_found(path, tmp_path):
    """The compiler's own list of symbols is the reference for what gets a prefix."""
    prefix, flags = ("arm-none-eabi-", ["-mcpu=cortex-m4", "-mthumb"]) if "cortexm_dsp" in path.parts else ("", [])
    run(tool(f"{prefix}gcc" if prefix else "cc"), "-std=c99", *flags, "-c", path, "-o", tmp_path / "unit.o")
    listed = run(tool(f"{prefix}nm"), "-g", "--defined-only", tmp_path / "unit.o")
    symbols = {re.sub("^_", "", line.split()[-1]) for line in listed.splitlines()}
    assert symbols == set(runtime_files.defined_symbols(path.read_text()))


def test_installed_wheel_is_preferred(tmp_path, monkeypatch):
    package = tmp_path / "site" / "quantmcu_kit"
    config = package / "_platformio_lib" / "src" / "quantmcu_config.h"
    config.parent.mkdir(parents=True)
    config.touch()
    monkeypatch.setattr(quantmcu_kit, "__file__", str(package / "__init__.py"))
    assert runtime_files.runtime_root() == package / "_platformio_lib"


def test_missing_runtime_is_an_environment_error(tmp_path, monkeypatch):
    monkeypatch.setattr(quantmcu_kit, "__file__", str(tmp_path / "quantmcu_kit" / "__init__.py"))
    with pytest.raises(QmkitError) as caught:
        runtime_files.runtime_root()
    assert caught.value.code == "runtime-missing" and caught.value.exit_code == EXIT_ENVIRONMENT


def test_public_header_offers_every_kernel():
    text = (RUNTIME.parent / "quantmcu.h").read_text()
    assert re.findall(r'#include "quantmcu/kernels/(\w+)\.h"', text) == KERNELS


def test_runtime_has_the_kits_version():
    folder = RUNTIME.parents[1]
    assert json.loads((folder / "library.json").read_text())["version"] == quantmcu_kit.__version__
    assert f"version={quantmcu_kit.__version__}\n" in (folder / "library.properties").read_text()
