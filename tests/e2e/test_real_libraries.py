"""Real networks: the arena against its lower bound, and one library from the model file to the Cortex-M."""

import os
import re

import numpy as np
import pytest

from quantmcu_kit import emit, memory, passes, pipeline, tflite
from quantmcu_kit.boards import catalog
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.options import Options
from quantmcu_kit.verify import HostLibrary, verify_library
from tests.support import arm
from tests.support.libraries import PIXEL, STRICT, rendered, run, sources, tool
from tests.support.shared import model_bytes

QUANTIZED = (
    "ad01_int8",
    "cifar10_small_int8",
    "fomo_face_int8",
    "hello_world_int8",
    "kws_int8",
    "mcunet_320kb_int8",
    "mcunet_512kb_int8",
    "mcunet_person_det_int8",
    "mcunet_vww_80_int8",
    "mcunetv2_large_int8",
    "micro_speech_int8",
    "mobilenet_v1_025_128_uint8",
    "mobilenet_v2_05_160_uint8",
    "mobilenet_v2_10_224_int8io8",
    "mobilenet_v2_10_224_nchw_int8",
    "person_detect_int8",
    "resnet8_int8",
    "squeezenet_int8",
    "ssd_slim_face_int8",
    "vww_96_int8",
    "yolo_fastest_face_int8",
)


def network(name):
    return passes.run_all(tflite.load(model_bytes(name), name=name))


@pytest.mark.parametrize("name", QUANTIZED)
def test_arena_is_near_its_lower_bound(name):
    graph = network(name)
    plan = memory.plan(graph)
    assert plan.lower_bound_bytes <= plan.arena_bytes <= 1.05 * plan.lower_bound_bytes
    # The bound itself is no smaller than what one layer needs by hand.
    for node in graph.nodes:
        joined = {name for name in (*graph.activation_inputs(node), node.output) if name in plan.stages[0].joined}
        names = {*graph.activation_inputs(node), node.output} - joined  # these lie within another map
        alive = {plan.stages[0].offsets[name]: graph.tensors[name].bytes for name in names}
        assert sum(alive.values()) <= plan.lower_bound_bytes


@pytest.fixture(scope="module")
def vww(tmp_path_factory):
    files = rendered(network("vww_96_int8"), preprocess=PIXEL, class_names=["no person", "person"], name="vww")
    return emit.write(files, tmp_path_factory.mktemp("libraries") / "vww")


def test_vww_verifies(vww):
    result = verify_library(vww)
    assert result.passed and result.vectors == 5


def test_vww_runs_a_hundred_pictures_a_second(vww):
    """Counted in processor time: what else the machine does must not matter."""
    pictures = np.random.default_rng(0).integers(0, 256, (100, 96, 96, 3)).astype(np.uint8)

    def seconds() -> float:
        before = os.times()
        library.run_pixels(pictures)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    with HostLibrary(vww) as library:
        assert len(pictures) / min(seconds() for _ in range(3)) >= 100


def test_vww_code_fits_20_kb_on_a_cortex_m4(vww, tmp_path):
    tool("arm-none-eabi-gcc")
    code = 0
    for index, source in enumerate(sources(vww)):
        if source.name != "weights.c":
            unit = arm.compile_object(source, tmp_path / f"{index}.o", vww / "src")
            code += arm.sizes([unit])[f"{index}"][0]
    assert 1_000 < code <= 20_000


def test_vww_is_c99_without_a_warning(vww, tmp_path):
    for source in sources(vww):
        if source.name != "weights.c":
            run(tool("gcc"), "-std=c99", *STRICT, "-c", source, "-o", tmp_path / "unit.o")


@pytest.mark.parametrize("source", ["arena", "rows"])
@pytest.mark.parametrize("name", ["mcunet_person_det_int8", "mobilenet_v2_10_224_nchw_int8", "squeezenet_int8"])
def test_generated_sources_stay_readable(name, source):
    pm1 = Preprocess("pm1", (127.5,), (127.5,), "--preprocess pm1")
    graph = network(name)
    layout = pipeline.lay_out(graph, catalog.find("nano33ble"), Options(optimize="ram", input=source))
    files = emit.render(
        layout.graph, layout.memory, name=name, board="nano33ble", schedule=layout.schedule, preprocess=pm1
    )
    for path, content in files.items():
        if re.search(r"^src/.*\.[ch]$", path) and "/quantmcu" not in path:
            assert max(map(len, content.splitlines())) <= 120, path
