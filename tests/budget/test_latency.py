"""The latency that `qmkit build` and `qmkit inspect` show, against emulated boards."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import emit, memory, passes, pipeline, tflite
from quantmcu_kit.boards import catalog
from quantmcu_kit.emit import native_work
from quantmcu_kit.emit.choose_kernels import choose_kernels
from quantmcu_kit.emit.latency import estimate_latency, table_of
from quantmcu_kit.emit.work import CHANNEL_BLOCK, copies, places, work_of
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import VARIANTS
from tests.bench.latency_native import REBOUND
from tests.ops import cases_elementwise, cases_weighted
from tests.support import arm
from tests.support.shared import model_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "platformio_lib" / "src"
CYCLES = tomllib.loads((ROOT / "platformio_lib" / "cycles.toml").read_text("utf-8"))
DIGITS = ROOT / "examples" / "digits" / "digits.tflite"
CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")
NATIVE = tomllib.loads((ROOT / "platformio_lib" / "native_cycles.toml").read_text("utf-8"))
DSP_CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")
KERNELS = {path.stem for path in (RUNTIME / "quantmcu" / "kernels").glob("*.c")}
CASES = [
    case
    for case in (*cases_weighted.CASES, *cases_elementwise.CASES)
    if case.is_integer and TABLE[case.op].int_ref is not None
]
SMALL_LAYER = 0.01  # of the network's cycles


def kernel_calls(graph: Graph) -> list[KernelCall]:
    """Every kernel call of an integer graph."""
    return [call for node in graph.nodes for call in TABLE[node.op].emit(prepare_node(graph, node))]


def geometry(**sizes: tuple[int, ...]) -> tuple:
    """Nested fields as an op's emit writes them for maps of 8 bits."""
    names = {"in": ("h", "w", "c", "bits"), "out": ("h", "w", "c", "bits"), "pad": ("top", "left")}
    full = {name: (*size, 8) if name in ("in", "out") else size for name, size in sizes.items()}
    return tuple((name, tuple(zip(names.get(name, "hw"), size, strict=True))) for name, size in full.items())


def test_work_of_a_convolution_by_hand():
    """4x5x3 -> 2x3x6 by 3x3 windows, two apart, that begin one column left of the image and end one row below it.

    Of the 2·3 = 6 rows of taps 5 lie in the image. Of the 3 columns of windows the middle one is whole; the others
    have 2 taps in the image and 1 outside.
    """
    sizes = {"in": (4, 5, 3), "out": (2, 3, 6), "kernel": (3, 3), "stride": (2, 2), "dilation": (1, 1), "pad": (0, 1)}
    call = KernelCall("conv_2d", (*geometry(**sizes), ("weight_zero", 0), ("weight_bits", 8)), scratch_bytes=27)
    assert work_of(call) == {
        "calls": 1,
        "vectors": 6,
        "blocks": 6,
        "quads": 6,  # channels 0 to 3
        "quad_taps": 6 * 27,
        "singles": 12,  # channels 4 and 5
        "single_taps": 12 * 27,
        "outputs": 36,
        "rows": 6 * 3,
        "split_rows": 5 * 2,
        "split_taps": 5 * 2 * 3,
        "copies": 5 + 5 * 2 * 2,
        "copied_bytes": 5 * 9 + 5 * 2 * 2 * 3,
        "fills": 3 + 5 * 2,
        "filled_bytes": 3 * 9 + 5 * 2 * 3,
    }


def test_work_of_a_depthwise_convolution_by_hand():
    """3x3x40 -> 3x3x40 by 3x3 windows with a border of padding: along an axis 2 + 3 + 2 taps lie in the image."""
    sizes = {"in": (3, 3, 40), "out": (3, 3, 40), "kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "pad": (1, 1)}
    call = KernelCall(
        "depthwise_conv_2d", (*geometry(**sizes), ("weight_zero", 0), ("weight_bits", 8), ("multiplier", 1))
    )
    blocks = 9 * 2  # 32 and 8 channels
    assert work_of(call) == {
        "calls": 1,
        "pixels": 9,
        "blocks": blocks,
        "rows": blocks * 3,
        "taps": 7 * 7 * 2,
        "taps_of_padding": blocks * 9 - 7 * 7 * 2,
        "pieces": blocks * 3,
        "triples": blocks * 3,
        "triple_products": 9 * 40 * 3,
        "singles": 0,
        "single_products": 0,
        "outputs": 9 * 40,
    }


def test_work_of_a_copy_by_hand():
    """21 bytes twice: from word to word 16 + 4 + 1; to two bytes before a word 2 + 16 + 3, from across words."""
    assert copies(21, places(np.array([0, 3]), np.array([0, 2]))) == {
        "copies": 2,
        "long_copies": 2,
        "copied_blocks": 1,
        "copied_words": 1,
        "copied_bytes": 1 + 2 + 3,
        "shifted_blocks": 1,
    }


def test_constants_are_those_of_the_runtime():
    (block,) = re.findall(r"#define QMCU_CHANNEL_BLOCK (\d+)", (RUNTIME / "quantmcu_config.h").read_text())
    assert int(block) == CHANNEL_BLOCK
    for bits, expected in native_work.STEPS.items():
        text = (RUNTIME / "quantmcu" / "native" / "cortexm_dsp" / f"tiles_s{bits}.c").read_text()
        (steps,) = re.findall(r"\.rept (\d+)", text)
        assert int(steps) == expected
    text = (RUNTIME / "quantmcu" / "native" / "cortexm_dsp" / "tiles_line.c").read_text()
    short, long = map(int, re.findall(r"\.rept (\d+)", text))
    assert (short + 1, long) == (native_work.SHORT_WORDS, native_work.LINE_STEPS)


@pytest.mark.parametrize("core", CORES)
def test_every_kernel_is_in_the_table(core):
    assert set(CYCLES["cores"][core]) - {"error", "network", "scan", "segment"} == KERNELS - set(VARIANTS)


@pytest.mark.parametrize("core", DSP_CORES)
def test_every_variant_is_in_the_table(core):
    assert set(NATIVE["cores"][core]) - {"error"} == set(VARIANTS) | set(REBOUND)


def test_cores_without_the_instructions_have_no_variants():
    assert (
        set(NATIVE["cores"])
        == set(DSP_CORES)
        == {board.cpu for board in catalog.boards() if board.has_dsp} | {"cortex-m33"}
    )


def test_every_count_is_in_the_table():
    """Whatever an operator's kernel calls do has its cycles, on every core."""
    seen = set()
    for case in CASES:
        for call in kernel_calls(tflite.load(case.model(), name="case")):
            seen |= {(call.kernel, name) for name in work_of(call)}
    for core in CORES:
        table = CYCLES["cores"][core]
        assert not {(kernel, name) for kernel, name in seen if name not in table[kernel]}


def test_every_emulated_board_has_an_estimate_and_no_other():
    graph = pipeline.sized_graph(pipeline.load_model(DIGITS))
    for board in catalog.boards():
        assert (estimate_latency(graph, board) is None) == (board.flash_start is None), board.id


def check(graph: Graph, core: str, folder: Path, schedule: Schedule | None = None) -> int:
    """Hold the estimate of a network against a run of noise on the emulated board; its cycles there."""
    pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
    pytest.importorskip("elftools", reason="the extra [emulator] is not installed")
    from quantmcu_kit.emulate.library import OPTIMIZE, BoardLibrary

    board = replace(catalog.find("nano33ble"), cpu=core, ram_bytes=1 << 20, flash_bytes=4 << 20)
    schedule = schedule or Schedule.whole(graph)
    graph = choose_kernels(graph, core, schedule)
    plan = memory.plan(graph, schedule)
    library = emit.write(emit.render(graph, plan, name="net", board=board.id, schedule=schedule), folder / "net")
    manifest = manifests.from_json((library / manifests.PATH).read_text())
    (port,) = manifest.inputs
    inputs = np.random.default_rng(5).integers(-128, 128, port.shape).astype(np.int8)
    with BoardLibrary(library, manifest, board) as emulated:
        if (emulated.toolchain.name, OPTIMIZE) != (CYCLES["compiler"], CYCLES["level"]):
            pytest.skip(f"the table is for {CYCLES['compiler']} at {CYCLES['level']}")
        run = emulated.run(inputs)
    latency = estimate_latency(graph, board, schedule, plan)
    (cycles,) = run.cycles
    assert abs(latency.cycles - cycles) <= latency.error * cycles
    for layer, estimated in zip(run.layers, latency.layers, strict=True):
        if layer.cycles >= SMALL_LAYER * cycles:
            assert abs(estimated - layer.cycles) <= latency.layer_error * layer.cycles, layer.name
    return cycles


@arm.needs_arm
@pytest.mark.parametrize("core", CORES)
def test_example_network_on_every_core(core, tmp_path):
    check(pipeline.sized_graph(pipeline.load_model(DIGITS)), core, tmp_path)


@arm.needs_arm
@pytest.mark.parametrize("name", ["vww_96_int8", "resnet8_int8", "kws_int8", "mcunet_320kb_int8"])
def test_real_networks(name, tmp_path):
    check(passes.run_all(tflite.load(model_bytes(name), name=name)), "cortex-m4f", tmp_path)


@pytest.mark.parametrize("core", CORES)
def test_stated_errors(core):
    """What is promised: networks within 5 %, layers within 15 %, or 25 % where there are variants."""
    error = table_of(core)["error"]
    assert error["network"] <= 0.05
    assert error["layer"] <= (0.25 if core in DSP_CORES else 0.15)


def test_total_is_the_layers_and_little_else():
    graph = pipeline.sized_graph(pipeline.load_model(DIGITS))
    latency = estimate_latency(graph, catalog.find("nano33ble"))
    assert len(latency.layers) == len(graph.nodes)
    assert 0 < latency.cycles - sum(latency.layers) < 0.01 * latency.cycles
    assert latency.milliseconds == latency.cycles / 64_000
