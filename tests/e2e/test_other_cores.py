"""The portable C on Xtensa, RISC-V and big-endian MIPS: every kernel, and whole networks, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.emit.runtime_files import needed_files
from quantmcu_kit.ops.variants import VARIANTS
from quantmcu_kit.verify.contents import read_contents
from tests.support.libraries import built
from tests.support.other_cores.contract import contract_inputs, contract_library
from tests.support.other_cores.cores import MIPS, RISCV, XTENSA, OtherCore, Program
from tests.support.other_cores.network import assert_same, reference_outputs
from tests.support.shared import model_bytes

RUNTIME = Path(__file__).resolve().parents[2] / "platformio_lib" / "src" / "quantmcu"


@pytest.fixture(scope="module", params=(XTENSA, RISCV, MIPS), ids=str)
def core(request) -> OtherCore:
    return request.param


@pytest.fixture(scope="module")
def contract(tmp_path_factory) -> Path:
    return contract_library(tmp_path_factory.mktemp("libraries"))


def test_every_portable_kernel_is_exercised(contract):
    """Variants are for boards with DSP instructions."""
    called = {kernel for layer in read_contents(contract).manifest.layers for kernel in layer.kernels}
    assert called == {path.stem for path in (RUNTIME / "kernels").glob("*.c")} - set(VARIANTS)


def test_every_primitive_is_compiled(contract):
    """Those of variants alone are tested beside these (tests/unit)."""
    primitives = {path.name for path in (RUNTIME / "primitives").glob("*.c")}
    of_variants = {Path(name).name for name in needed_files(VARIANTS, has_packed=True)}
    compiled = {path.name for path in contract.rglob("*.c")}
    assert primitives <= compiled | of_variants
    assert {"matvec_s8_ref.c", "matvec_packed_ref.c", "depthwise_s8_ref.c", "add_s8_ref.c"} <= compiled


def test_every_kernel_computes_the_same_bytes(core, contract, tmp_path):
    inputs = contract_inputs(4)
    expected = reference_outputs(read_contents(contract).graph, inputs)
    assert_same(expected, Program(core, contract, tmp_path).run(*inputs))


# Whole networks.


@pytest.fixture(scope="module")
def digits(core, library, tmp_path_factory) -> Program:
    return Program(core, library, tmp_path_factory.mktemp("digits"))


def test_digits_give_their_golden_outputs(digits, library):
    contents = read_contents(library)
    assert_same(contents.golden_outputs, digits.run(*contents.golden_inputs))
    rng = np.random.default_rng(7)
    noise = [rng.integers(-128, 128, (3, *port.shape[1:])).astype(np.int8) for port in contents.graph.inputs]
    assert_same(reference_outputs(contents.graph, noise), digits.run(*noise))


def test_digits_take_pixels(digits, library):
    contents = read_contents(library)
    (port,) = contents.graph.inputs
    table = contents.manifest.preprocess.table(contents.graph.tensors[port.tensor].quant, channels=1)[0]
    pixels = np.random.default_rng(8).integers(0, 256, (2, *port.shape[1:])).astype(np.uint8)
    assert_same(reference_outputs(contents.graph, [table[pixels]]), digits.run_pixels(pixels))


def test_unaligned_loads_fault(core, digits):
    """Else the other tests could not see one. The emulated RISC-V allows them, as its architecture lets it."""
    assert digits.load_unaligned() == (core is RISCV)


@pytest.fixture(scope="module")
def person(tmp_path_factory) -> Path:
    graph = passes.run_all(tflite.load(model_bytes("vww_96_int8"), name="person"))
    return built(graph, tmp_path_factory.mktemp("libraries"))


def test_a_real_network_gives_its_golden_outputs(core, person, tmp_path):
    """Person detection on 96x96 pixels; its golden inputs are noise."""
    contents = read_contents(person)
    assert_same(contents.golden_outputs, Program(core, person, tmp_path).run(*contents.golden_inputs))
