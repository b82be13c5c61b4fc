"""Verification finds what is wrong and says where; a sound library passes with every compiler."""

import shutil

import numpy as np
import pytest

from quantmcu_kit.errors import EXIT_ENVIRONMENT, EXIT_FAILED, QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.schedule import HaloMode
from quantmcu_kit.ops import concatenation
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.verify import HostLibrary, verify_library
from quantmcu_kit.verify.host import Mode
from tests.support import patched_libraries
from tests.support.libraries import built, tool
from tests.support.small_graphs import GraphBuilder, classifier, goldens, two_ended

PM1 = Preprocess("pm1", (127.5,), (127.5,), "--preprocess pm1")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    tool("cc")
    return built(classifier(), tmp_path_factory.mktemp("sound"), preprocess=PM1)


@pytest.fixture
def library(sound, tmp_path):
    """A copy to damage."""
    return shutil.copytree(sound, tmp_path / "classifier")


def change(path, old, new):
    """Replace the first occurrence of ``old``, which must exist."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def failure(library, **options):
    result = verify_library(library, sanitize=False, **options)
    assert not result.passed
    return result.first_difference


def test_sound_library_passes(sound):
    extra = np.random.default_rng(5).integers(-128, 128, (20, 8, 8, 3)).astype(np.int8)
    pixels = np.random.default_rng(6).integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)
    result = verify_library(sound, extra_inputs=[extra], extra_pixels=pixels)
    # 2 golden vectors, 2 of noise, 20 extra; 1 noise picture, 10 extra.
    assert (result.vectors, result.mismatches, result.first_difference) == (35, 0, None)
    assert result.passed and result.compiler == "cc"


def test_library_with_several_ports_passes(tmp_path):
    assert verify_library(built(two_ended(), tmp_path, preprocess=None)).passed


def test_corrupted_weight_names_its_layer(library):
    # Layer 01 is the first whose weights begin so; its output 0 changes, and every layer after it.
    weights = library / "src" / "classifier" / "weights.c"
    head, layer, rest = weights.read_text().partition("const int8_t classifier_01_weights[144] = {\n")
    number = rest.split(",", 1)[0].strip()
    weights.write_text(head + layer + rest.replace(number, str(-int(number) or 100), 1))
    difference = failure(library)
    assert (difference.layer, difference.op, difference.name) == (1, "CONV_2D", "block/expand")
    assert difference.channel == 0 and difference.expected != difference.got
    assert f"layer 01 CONV_2D 'block/expand' at y {difference.y}, x {difference.x}, channel 0" in str(difference)


def test_corrupted_kernel_names_the_layer_that_uses_it(library):
    change(library / "src/classifier/quantmcu/kernels/softmax.c", "y + low, low", "y + low + 1, low")
    assert failure(library).layer == 6


def test_wrong_arena_offset_names_the_layer_it_hurts(library):
    # The convolution of the residual branch writes over the map that the sum still needs.
    source = library / "src/classifier/classifier.c"
    line = next(line for line in source.read_text().splitlines() if "qmcu_conv_2d(&k01" in line)
    target = line.split("TRACE(1, ")[1].split(",")[0]
    kept = line.split("(&k01, ")[1].split(",")[0]
    broken = line.replace(f"TRACE(1, {target}", f"TRACE(1, {kept}").replace(", arena, ", f", {kept}, ", 1)
    assert broken != line
    change(source, line, broken)
    assert failure(library).layer in (1, 2)


def test_corrupted_pixel_table_is_preprocessing(library):
    change(library / "src/classifier/preprocess.c", "quantized[pixels[i]]", "(int8_t)(quantized[pixels[i]] / 2)")
    difference = failure(library)
    assert (difference.layer, difference.op) == (-1, "PREPROCESS")


def test_wrong_golden_is_named(tmp_path):
    first, second = goldens(classifier())
    scores = second.outputs[0].copy()
    scores[0, 4] ^= 1
    vectors = [first, Golden(second.inputs, (scores,))]
    difference = failure(built(classifier(), tmp_path, vectors=vectors))
    assert (difference.vector, difference.op, difference.channel) == (1, "GOLDEN", 4)


@pytest.mark.parametrize("path", [manifests.NETWORK_PATH, manifests.GOLDENS_PATH])
def test_changed_archive_is_damage(library, path):
    data = bytearray((library / path).read_bytes())
    data[len(data) // 2] ^= 1
    (library / path).write_bytes(data)
    with pytest.raises(QmkitError) as caught:
        verify_library(library)
    assert caught.value.code == "damaged-library" and path in caught.value.message


def test_wrong_copy_of_the_output_is_named(library):
    end = "CLASSIFIER_OUTPUT_BYTES);\n"
    change(library / "src/classifier/classifier.c", end, end + "    scores[2] = 99;\n")
    difference = failure(library)
    assert (difference.layer, difference.op, difference.channel, difference.got) == (-1, "OUTPUT", 2, 99)


def test_write_outside_the_arena_is_found_by_the_sanitizer(library):
    with HostLibrary(library, Mode.SANITIZED) as probe:
        if "address" not in probe.sanitizers:
            pytest.skip(f"{probe.compiler} has no address sanitizer here")
    call = "    run_layers(maps);\n"
    change(library / "src/classifier/classifier.c", call, call + "    maps[arena_bytes] = 1;\n")
    with pytest.raises(QmkitError) as caught:
        verify_library(library)
    assert caught.value.code == "library-crashed" and caught.value.exit_code == EXIT_FAILED
    assert "AddressSanitizer" in caught.value.why


def test_undefined_behaviour_is_found_by_the_sanitizer(library):
    with HostLibrary(library, Mode.SANITIZED) as probe:
        if "undefined" not in probe.sanitizers:
            pytest.skip(f"{probe.compiler} has no undefined-behaviour sanitizer here")
    fault = "    run_layers(maps);\n    const int32_t sum = INT32_MAX + *input;\n    *scores = sum > 9 ? 1 : 2;\n"
    change(library / "src/classifier/classifier.c", "    run_layers(maps);\n", fault)
    with pytest.raises(QmkitError) as caught:
        verify_library(library, extra_inputs=[np.ones((1, 8, 8, 3), np.int8)])
    assert caught.value.code == "library-crashed" and "overflow" in caught.value.why


def test_source_that_does_not_compile(library):
    change(library / "src/classifier/classifier.c", "static void run_layers", "static vod run_layers")
    with pytest.raises(QmkitError) as caught:
        verify_library(library, sanitize=False)
    assert caught.value.code == "compile-failed" and "vod" in caught.value.why
    assert caught.value.exit_code == EXIT_FAILED


def test_endless_loop_ends(library, monkeypatch):
    monkeypatch.setattr("quantmcu_kit.verify.host._START_SECONDS", 1)
    endless = "    for (volatile int go = 1; go;) {\n    }\n"
    change(library / "src/classifier/classifier.c", "    run_layers(maps);\n", endless)
    with pytest.raises(QmkitError) as caught:
        verify_library(library, sanitize=False)
    assert caught.value.code == "library-hangs"


@pytest.mark.parametrize("missing", [manifests.PATH, manifests.NETWORK_PATH, manifests.GOLDENS_PATH])
def test_folder_without_its_contents_is_no_library(library, missing):
    (library / missing).unlink()
    with pytest.raises(QmkitError) as caught:
        verify_library(library)
    assert caught.value.code == "not-a-library" and str(library) in caught.value.message


def test_host_library_runs_batches_like_the_reference(sound):
    graph = classifier()
    inputs = np.random.default_rng(7).integers(-128, 128, (300, 8, 8, 3)).astype(np.int8)
    expected = Interpreter(graph, integer=True).run({"picture": inputs})["scores"]
    with HostLibrary(sound) as host:
        (got,) = host.run(inputs)
        assert np.array_equal(got, expected)
        pixels = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
        table = PM1.table(graph.tensors["picture"].quant, 3)[0]
        assert np.array_equal(host.run_pixels(pixels)[0], host.run(table[pixels])[0])
        assert host.run(inputs[:0])[0].shape == (0, 16)


@pytest.mark.parametrize("inputs", [np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 1), np.int8)])
def test_host_library_refuses_other_arrays(sound, inputs):
    with HostLibrary(sound) as host, pytest.raises(QmkitError) as caught:
        host.run(inputs)
    assert caught.value.code == "bad-shape"


def test_missing_compiler_is_an_environment_error(sound, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(QmkitError) as caught:
        verify_library(sound)
    assert caught.value.code == "compiler-missing" and caught.value.exit_code == EXIT_ENVIRONMENT
    assert "quantmcu-kit[zig]" in caught.value.hint


def test_cc_that_does_not_exist_is_named(sound, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -O9")
    with pytest.raises(QmkitError) as caught:
        verify_library(sound)
    assert caught.value.code == "compiler-missing" and "no-such-compiler" in caught.value.why


def test_cc_is_obeyed(sound, monkeypatch):
    monkeypatch.setenv("CC", f"{tool('clang')} -DUNUSED")
    assert verify_library(sound).compiler == "clang"


def test_layer_that_writes_into_a_concatenated_map_is_named(tmp_path):
    builder = GraphBuilder("small")
    x = builder.conv(builder.feature_map("picture", (1, 9, 9, 3)), "stem", 4)
    parts = builder.conv(x, "left", 4), builder.conv(x, "right", 5, kernel=1)
    x = builder.node("CONCATENATION", "joined", (1, 9, 9, 9), concatenation.Attrs(3), *parts)
    graph = builder.build(("picture",), (builder.conv(x, "head", 3),))
    library = built(graph, tmp_path, preprocess=None)
    assert verify_library(library, sanitize=False).passed
    weights = library / "src" / "small" / "weights.c"
    head, layer, rest = weights.read_text().partition("small_02_weights[20] = {\n")
    number = rest.split(",", 1)[0].strip()
    weights.write_text(head + layer + rest.replace(number, str(-int(number) or 100), 1))
    difference = failure(library)
    assert (difference.layer, difference.name, difference.channel) == (2, "right", 0)


# Libraries that run patch by patch.
SMALL = patched_libraries.small_network()
OVERLAPPING = patched_libraries.patched(SMALL, (2, 3), HaloMode.RECOMPUTE, end=5)
KEEPING = patched_libraries.patched(SMALL, (2, 3), HaloMode.REUSE, pulls_input=True)


@pytest.fixture
def overlapping(tmp_path):
    return patched_libraries.built(SMALL, OVERLAPPING, tmp_path / "overlapping")


@pytest.fixture
def keeping(tmp_path):
    return patched_libraries.built(SMALL, KEEPING, tmp_path / "keeping")


def trace(library, inputs):
    with HostLibrary(library, Mode.TRACE) as host:
        return {layer.index: layer for layer in host.trace(inputs).layers}


@pytest.mark.parametrize("schedule", [OVERLAPPING, KEEPING], ids=["overlapping", "keeping"])
def test_traced_work_is_the_plans(schedule, tmp_path):
    picture = np.random.default_rng(8).integers(-128, 128, (1, 13, 11, 3)).astype(np.int8)
    traced = trace(patched_libraries.built(SMALL, schedule, tmp_path), picture)
    maps = schedule.stages[0].patches.by_tensor
    assert list(traced) == [0, 1, 2, 3, 4, 6]  # 05 is a view
    assert {index: traced[index].pixels for index in range(5)} == {
        index: maps[node.output].pixels for index, node in enumerate(SMALL.nodes[:5])
    }
    assert traced[6].pixels == 1
    expected = Interpreter(SMALL, integer=True, keep_all=True).run({"picture": picture})
    for index, layer in traced.items():
        values = expected[SMALL.nodes[index].output]
        assert layer.shape == values.shape and np.array_equal(layer.over(values), values)


def test_what_is_kept_is_computed_once_and_halos_again(overlapping, keeping):
    def pixels(library):
        traced = trace(library, np.zeros((1, 13, 11, 3), np.int8))
        return [traced[index].pixels for index in range(5)]

    assert pixels(keeping) == [42, 42, 42, 42, 12]  # 7x6 pixels, 4x3 after pooling
    # SAME pooling 2x2 of 7x6 needs rows 0-3 and 4-6, columns 0-1, 2-3, 4-5: nothing twice. The 3x3 before it
    # does: rows 0-4 and 3-6, columns 0-2, 1-4, 3-5.
    assert pixels(overlapping) == [(5 + 4) * (3 + 4 + 3), 42, 42, 42, 12]


def test_corrupted_weight_of_a_patched_layer_is_named(keeping):
    weights = keeping / "src" / "small" / "weights.c"
    head, layer, rest = weights.read_text().partition("small_01_weights[576] = {\n")
    assert layer
    number = rest.split(",", 1)[0].strip()
    weights.write_text(head + layer + rest.replace(number, str(-int(number) or 100), 1))
    difference = failure(keeping)
    assert (difference.layer, difference.op, difference.name) == (1, "CONV_2D", "block/expand")
    assert difference.channel == 0


def tamper(library, layer, condition):
    """Make the first value of a layer's part 127 where ``condition`` on row and column of the patch holds."""
    hook = f"TRACE_PART({layer}, &part);"
    first = "*qmcu_target_pixel(&part.out, part.region.top, part.region.left)"
    change(library / "src/small/small.c", hook, f"if ({condition}) {{ {first} = 127; }} {hook}")


def test_place_in_a_patch_is_named(keeping):
    tamper(keeping, 3, "row == 1 && column == 2")
    span = KEEPING.stages[0].patches.by_tensor["block/add"]
    difference = failure(keeping)
    assert (difference.layer, difference.y, difference.x) == (3, span.rows[1].start, span.columns[2].start)


def test_pixel_that_only_a_later_patch_gets_wrong_is_found(overlapping):
    span = OVERLAPPING.stages[0].patches.by_tensor["stem"]
    y, x = span.rows[1].start, span.columns[1].start
    assert y < span.rows[0].end and x < span.columns[0].end  # patches before it computed the same pixel
    tamper(overlapping, 0, "row == 1 && column == 1")
    difference = failure(overlapping)
    assert (difference.layer, difference.y, difference.x, difference.channel) == (0, y, x, 0)


def test_wrongly_kept_rows_hurt_the_layer_that_reads_them(keeping):
    change(keeping / "src/small/quantmcu/core/patch.c", "(y % m->kept_rows)", "((y + 1) % m->kept_rows)")
    assert verify_library(keeping, sanitize=False).passed  # a ring that is turned is as good
    change(keeping / "src/small/quantmcu/core/patch.c", "into_tile ? kept : in_tile", "into_tile ? in_tile : in_tile")
    difference = failure(keeping)
    assert difference.layer == 0 and difference.y >= KEEPING.stages[0].patches.by_tensor["stem"].rows[1].start


def test_rows_that_a_stride_steps_over_are_not_compared(tmp_path):
    builder = GraphBuilder("small")
    x = builder.feature_map("picture", (1, 9, 9, 3))
    x = builder.conv(builder.conv(x, "stem", 4), "step", 2, kernel=1, stride=3)
    graph = builder.build(("picture",), (x,))
    schedule = patched_libraries.patched(graph, (3, 3), HaloMode.RECOMPUTE)
    library = patched_libraries.built(graph, schedule, tmp_path)
    assert trace(library, np.zeros((1, 9, 9, 3), np.int8))[0].pixels == 9
    assert verify_library(library, sanitize=False).passed
    tamper(library, 1, "row == 2 && column == 0")
    difference = failure(library)
    assert (difference.layer, difference.y, difference.x) == (1, 2, 0)


def test_piece_outside_its_layer_is_an_error(keeping):
    change(keeping / "src/small/small.c", "small_trace_row(layer, y, ", "small_trace_row(layer, y + 99, ")
    with pytest.raises(QmkitError) as caught:
        trace(keeping, np.zeros((1, 13, 11, 3), np.int8))
    assert caught.value.code == "library-error" and "of layer 00" in caught.value.message
