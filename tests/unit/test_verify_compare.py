"""Verification finds what is wrong and says where; a sound library passes with every compiler."""

import shutil

import numpy as np
import pytest

from quantmcu_kit.errors import EXIT_ENVIRONMENT, EXIT_FAILED, QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.verify import HostLibrary, verify_library
from quantmcu_kit.verify.host import Mode
from tests.support.libraries import built, tool
from tests.support.small_graphs import classifier, goldens, two_ended

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
    change(library / "src/classifier/quantmcu/kernels/softmax.c", "y - 128", "y - 127")
    assert failure(library).layer == 6


def test_wrong_arena_offset_names_the_layer_it_hurts(library):
    # The convolution of the residual branch writes over the map that the sum still needs.
    source = library / "src/classifier/classifier.c"
    line = next(line for line in source.read_text().splitlines() if "qmcu_conv_2d(&k01" in line)
    target = line.split("TRACE(1, ")[1].split(",")[0]
    kept = line.split("(&k01, ")[1].split(",")[0].removeprefix("arena + ")
    broken = line.replace(f"TRACE(1, {target}", f"TRACE(1, {kept}").replace(", arena, ", f", arena + {kept}, ", 1)
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
