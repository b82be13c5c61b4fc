"""The rendered library: complete, deterministic, free of what it must not hold."""

import dataclasses
import getpass
import json
import re

import numpy as np
import pytest

from quantmcu_kit import memory
from quantmcu_kit.emit.interface import build_interface
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.contract import Golden, Preprocess
from tests.support.libraries import PIXEL, rendered
from tests.support.small_graphs import classifier, conv_chain, goldens, two_ended

IMAGENET = Preprocess("imagenet", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "--preprocess imagenet")
PM1 = Preprocess("pm1", (127.5,), (127.5,), "--preprocess pm1")


def text(files, path):
    content = files[path]
    assert isinstance(content, str)
    return content


def test_same_graph_same_bytes():
    assert rendered(classifier()) == rendered(classifier())


def test_layout():
    paths = list(rendered(classifier()))
    assert [path for path in paths if path.count("/") == 1 and path.startswith("src/")] == ["src/classifier.h"]
    for path in (
        "library.json",
        "library.properties",
        "README.md",
        "LICENSE",
        "src/classifier/classifier.c",
        "src/classifier/weights.c",
        "src/classifier/static_arena.c",
        "src/classifier/preprocess.c",
        "examples/classifier_image/classifier_image.ino",
        "platformio.ini",
        "test/test_custom_runner.py",
        "test/emulated_platform/platform.json",
        "test/emulated_platform/builder/main.py",
        "test/test_golden/test_golden.c",
        "extras/qmkit.json",
        "extras/network.zip",
    ):
        assert path in paths
    assert all(len(path) < 100 for path in paths)


def test_only_needed_kernels_are_copied():
    copied = [path.removeprefix("src/small/quantmcu/") for path in rendered(conv_chain()) if "/quantmcu/" in path]
    assert "kernels/conv_2d.c" in copied and "core/types.h" in copied
    assert not [path for path in copied if re.search("softmax|add|lookup|transpose", path)]


def test_nothing_of_the_machine_is_written():
    files = rendered(classifier())
    everything = b"\n".join(c if isinstance(c, bytes) else c.encode() for c in files.values())
    for forbidden in (getpass.getuser().encode() + b"@", b"/home/", b"/tmp/", b"/work", b"/usr/"):
        assert forbidden not in everything
    assert not re.search(rb"20\d\d-\d\d-\d\d", everything)


def test_integer_path_has_no_floating_point_heap_or_stdio():
    for path, content in rendered(classifier()).items():
        if path.startswith("src/classifier/") and path.endswith((".c", ".h", ".inc")):
            code = re.sub(r"/\*.*?\*/", "", content, flags=re.DOTALL)
            assert not re.search(r"\b(float|double|malloc|free|printf|stdio)\b|\d\.\d", code), path


def test_public_header_states_sizes_scales_and_errors():
    header = text(rendered(classifier()), "src/classifier.h")
    macros = dict(re.findall(r"#define (\w+) (\S+)", header))
    assert macros["CLASSIFIER_INPUT_HEIGHT"] == macros["CLASSIFIER_INPUT_WIDTH"] == "8"
    assert macros["CLASSIFIER_INPUT_CHANNELS"] == "3"
    assert macros["CLASSIFIER_INPUT_BYTES"] == "192"
    assert macros["CLASSIFIER_OUTPUT_BYTES"] == macros["CLASSIFIER_CLASSES"] == "16"
    assert macros["CLASSIFIER_OUTPUT_SCALE"] == "0.00390625f"
    assert macros["CLASSIFIER_OUTPUT_ZERO_POINT"] == "(-128)"
    assert int(macros["CLASSIFIER_ARENA_BYTES"]) == memory.plan(classifier()).arena_bytes
    for prototype in (
        "int classifier_run(const uint8_t *pixels, int8_t *scores);",
        "int classifier_run_quantized(const int8_t *input, int8_t *scores);",
        "int8_t *classifier_input(void);",
        "int classifier_top1(const int8_t scores[CLASSIFIER_CLASSES]);",
    ):
        assert prototype in header
    assert re.findall(r"CLASSIFIER_ERROR_\w+ = (-\d)", header) == ["-1", "-2", "-3", "-4"]


def test_several_ports_are_parameters_in_order():
    header = text(rendered(two_ended(), preprocess=None), "src/pair.h")
    signature = "(const int8_t *left, const int8_t *right, int8_t *boxes, int8_t *classes);"
    assert f"int pair_run_quantized{signature}" in header
    assert "PAIR_INPUT_RIGHT_BYTES 48" in header and "PAIR_OUTPUT_CLASSES_CHANNELS 2" in header
    assert "pair_run(" not in header and "top1" not in header


def test_network_reads_as_a_table_of_contents():
    source = text(rendered(classifier()), "src/classifier/classifier.c")
    body = re.search(r"static void run_layers\(int8_t \*arena\)\n{\n(.*?)\n}", source, re.DOTALL).group(1)
    called = re.findall(r"qmcu_(\w+)\(&k(\d\d)", body)
    assert called == [
        ("conv_2d", "00"), ("conv_2d", "01"), ("add", "02"), ("conv_2d", "03"), ("lookup", "05"), ("softmax", "06"),
    ]  # fmt: skip
    titles = re.findall(r"^/\* (\d\d \w+ \S+)", source, re.MULTILINE)
    assert titles[2] == "02 ADD block/add" and titles[4] == "04 RESHAPE flat" and len(titles) == 7
    assert all(len(line) <= 120 for line in source.splitlines())


@pytest.mark.parametrize(
    ("preprocess", "tables"),
    [(PIXEL, "pixels[i] ^ 0x80"), (PM1, "quantized[256]"), (IMAGENET, "quantized[CLASSIFIER_")],
)
def test_pixels_take_the_smallest_form(preprocess, tables):
    assert tables in text(rendered(classifier(), preprocess=preprocess), "src/classifier/preprocess.c")


@pytest.mark.parametrize(
    ("preprocess", "formula"),
    [(PIXEL, "pixel / 255"), (PM1, "(pixel - 127.5) / 127.5"), (Preprocess("raw", (0.0,), (1.0,), ""), "pixel")],
)
def test_header_states_the_normalisation(preprocess, formula):
    header = text(rendered(classifier(), preprocess=preprocess), "src/classifier.h")
    assert f", {formula}, is built in." in re.sub(r"\s+(\* )?", " ", header)


def test_example_shows_the_golden_picture():
    # A picture's pixels, quantized by the table and then found back: the sketch must get the same quantized input.
    graph = classifier()
    pixels = np.random.default_rng(3).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    tables = IMAGENET.table(graph.tensors["picture"].quant, 3)
    quantized = np.stack([tables[c][pixels[..., c]] for c in range(3)], axis=-1)
    vector = Golden((quantized,), goldens(graph)[0].outputs)
    files = rendered(graph, preprocess=IMAGENET, vectors=[vector])
    shown = re.search(r"= {(.*)}", text(files, "examples/classifier_image/example_input.h"), re.DOTALL).group(1)
    found = np.array([int(number) for number in re.findall(r"\d+", shown)], np.uint8).reshape(8, 8, 3)
    requantized = np.stack([tables[c][found[..., c]] for c in range(3)], axis=-1)
    assert np.array_equal(requantized, quantized[0])
    assert "classifier_run(picture, scores)" in text(files, "examples/classifier_image/classifier_image.ino")


def test_class_names_reach_the_header_and_the_sketch():
    names = [f"class {i}" for i in range(15)] + ['the "last"\n']
    files = rendered(classifier(), class_names=names)
    assert "classifier_class_names[CLASSIFIER_CLASSES];" in text(files, "src/classifier.h")
    assert '"the \\042last\\042\\012",' in text(files, "src/classifier/classifier.c")
    assert "classifier_class_names[best]" in text(files, "examples/classifier_image/classifier_image.ino")


@pytest.mark.parametrize("graph", [classifier(), conv_chain()])
def test_class_names_must_fit_the_output(graph):
    with pytest.raises(QmkitError) as caught:
        rendered(graph, class_names=["cat", "dog"])
    assert caught.value.code == "bad-class-names"


def test_reconstruction_is_not_a_class_vector():
    # An autoencoder's output has as many values as its input.
    graph = classifier()
    tensors = dict(graph.tensors) | {"picture": dataclasses.replace(graph.tensors["picture"], shape=(1, 16))}
    same_size = dataclasses.replace(graph, tensors=tensors)
    assert build_interface("net", same_size, memory.plan(graph), None, ()).classes == 0
    assert build_interface("net", graph, memory.plan(graph), None, ()).classes == 16


def test_manifest_tells_what_was_built():
    graph = classifier()
    files = rendered(graph, preprocess=IMAGENET, class_names=[str(i) for i in range(16)])
    manifest = manifests.from_json(text(files, "extras/qmkit.json"))
    assert manifest.name == "classifier" and manifest.board == "nano33ble" and manifest.model_sha256 == graph.sha256
    assert manifest.preprocess == IMAGENET and manifest.takes_pixels and manifest.class_names[15] == "15"
    assert manifest.inputs[0].shape == (1, 8, 8, 3) and manifest.outputs[0].zero_point == -128
    assert [layer.kernels for layer in manifest.layers[4:]] == [(), ("lookup",), ("softmax",)]
    # 8x8x3 -> 4x4x4, 4x4x4 -> 4x4x4 and -> 4x4x1, all with 3x3 kernels.
    assert manifest.macs == 9 * (3 * 64 + 4 * 64 + 4 * 16)
    assert sorted(manifest.files) == sorted(files)
    assert manifest.weights_bytes == sum(layer.weights_bytes for layer in manifest.layers) + 3 * 256


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"generator": "other"}', "[" * 100_000])
def test_other_json_is_no_manifest(damage):
    with pytest.raises(QmkitError) as caught:
        manifests.from_json(damage)
    assert caught.value.code == "not-a-library"


def test_library_json_and_properties_are_well_formed():
    files = rendered(classifier())
    document = json.loads(text(files, "library.json"))
    assert document["name"] == "classifier" and document["headers"] == "classifier.h"
    properties = dict(line.split("=", 1) for line in text(files, "library.properties").splitlines())
    assert {"name", "version", "author", "maintainer", "sentence", "category", "architectures"} <= set(properties)
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"]) and properties["architectures"] == "*"


def test_library_without_golden_vectors_has_no_test():
    files = rendered(classifier(), vectors=[])
    assert not [path for path in files if path.startswith("test/")]
    assert "static uint8_t picture[CLASSIFIER_INPUT_BYTES];" in text(
        files, "examples/classifier_image/classifier_image.ino"
    )
