"""The commands on the example network: what they print, write and return."""

import hashlib
import json
import shutil

import numpy as np

from tests.e2e.conftest import DIGITS

MODEL = DIGITS / "digits.tflite"
BUILD = ("build", MODEL, "--images", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 8)
BUILD_KEYS = {
    "board", "model_sha256", "fits", "ram_bytes", "ram_free_bytes", "arena_bytes", "arena_lower_bound_bytes",
    "external_bytes", "input", "stages",
    "flash_bytes", "flash_free_bytes", "weights_bytes", "hot_bytes", "macs", "latency_ms", "calibration_pictures",
    "preprocess", "layers", "warnings", "library",
    "bitops", "bitops_int8_patch", "bits", "weight_bits", "patches", "search", "search_seconds",
}  # fmt: skip


def test_weights_in_ram_take_what_the_arena_leaves(qmkit):
    """However much is allowed, the plan stays as it is, and the library fits."""
    plain, hot = (
        json.loads(qmkit(*BUILD, "--board", "nano33ble", "--hot-weights", size, "--output", f"hot{size}", "--json").out)
        for size in (0, 10_000_000)
    )
    assert hot["arena_bytes"] == plain["arena_bytes"] and hot["stages"] == plain["stages"]
    assert hot["latency_ms"] == plain["latency_ms"]
    assert 0 < hot["hot_bytes"] <= hot["weights_bytes"]
    assert hot["ram_bytes"] == plain["ram_bytes"] + hot["hot_bytes"] <= hot["ram_free_bytes"]


def test_build_writes_a_library_and_says_so_in_json(qmkit, tmp_path):
    result = qmkit(*BUILD, "--board", "nano33ble", "--json")
    assert result.code == 0, result.err
    summary = json.loads(result.out)
    assert set(summary) == BUILD_KEYS
    assert summary["model_sha256"] == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert summary["calibration_pictures"] == 8
    assert summary["library"] == "lib/digits"
    assert summary["macs"] == 7_583_744  # counted by hand from the architecture in examples/digits/network.py
    assert sum(layer["macs"] for layer in summary["layers"]) == summary["macs"]
    assert summary["arena_lower_bound_bytes"] <= summary["arena_bytes"] < summary["ram_bytes"]
    header = (tmp_path / "lib" / "digits" / "src" / "digits.h").read_text()
    assert f"#define DIGITS_ARENA_BYTES {summary['arena_bytes']}" in header


def test_build_shows_memory_and_where_the_library_is(qmkit):
    result = qmkit(*BUILD, "--output", "out dir/net")
    assert result.code == 0, result.err
    for part in ("float32", "pm1 (--preprocess pm1)", "of 196.0 KiB", "of 870.0 KiB", "out dir/net"):
        assert part in result.out


def test_a_guessed_preprocessing_is_never_silent(qmkit):
    result = qmkit("build", MODEL, "--images", DIGITS / "calibration", "--limit", 4)
    assert result.code == 0, result.err
    assert "a guess" in result.out and "--preprocess" in result.out


def test_pictures_beside_the_model_are_found(qmkit):
    result = qmkit("build", MODEL, "--preprocess", "pm1", "--limit", 4, "--json")
    assert json.loads(result.out)["calibration_pictures"] == 4


def test_same_input_gives_same_bytes(qmkit, tmp_path):
    for folder in ("one", "two"):
        assert qmkit(*BUILD, "--output", f"{folder}/digits").code == 0
    files = [
        {p.relative_to(tmp_path / f): p.read_bytes() for p in (tmp_path / f).rglob("*") if p.is_file()}
        for f in ("one", "two")
    ]
    assert files[0] == files[1]
    assert not any(str(tmp_path).encode() in content for content in files[0].values())


def test_verify_counts_goldens_and_pictures(qmkit, library):
    result = qmkit("verify", library, "--images", DIGITS / "images", "--json")
    assert result.code == 0, result.err
    host = json.loads(result.out)["host"]
    assert host["mismatches"] == 0
    assert host["vectors"] >= 104  # 4 golden vectors and 100 pictures


def test_verify_fails_with_exit_code_1_and_names_the_layer(qmkit, library, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(library, broken)
    kernel = broken / "src" / "digits" / "quantmcu" / "primitives" / "add_s8_ref.c"
    text = kernel.read_text()
    assert text.count("y + zero_point") == 1
    kernel.write_text(text.replace("y + zero_point", "y + zero_point + 1"))
    result = qmkit("verify", broken, "--json")
    assert result.code == 1
    host = json.loads(result.out)["host"]
    assert host["mismatches"] > 0
    assert host["first_difference"]["op"] == "ADD"


def test_eval_measures_model_and_library(qmkit):
    result = qmkit("eval", MODEL, "--calibration", DIGITS / "calibration", "--preprocess", "pm1", "--json")
    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert figures["n"] == 100
    assert figures["top1_float"] >= 95  # measured when it was trained: 100
    assert figures["top1_int8"] >= 95
    assert figures["agreement_int8"] >= 95
    low, high = figures["interval95_int8"]
    assert low < figures["top1_int8"] <= high <= 100


def test_eval_warns_where_it_calibrates_on_what_it_measures(qmkit):
    arguments = ("eval", MODEL, "--preprocess", "pm1", "--limit", 4, "--json")
    assert "calibrated on the pictures that are measured" in qmkit(*arguments).err
    assert "measured" not in qmkit(*arguments, "--calibration", DIGITS / "calibration").err


def test_inspect_lists_layers(qmkit):
    facts = json.loads(qmkit("inspect", MODEL, "--json").out)
    assert facts["kind"] == "float32"
    assert facts["layers"][0]["op"] == "CONV_2D" and facts["layers"][0]["shape"] == [1, 48, 48, 16]
    assert facts["inputs"] == [{"name": facts["inputs"][0]["name"], "shape": [1, 96, 96, 3], "dtype": "float32"}]


def test_inspect_support_cites_the_rules(qmkit):
    result = qmkit("inspect", "--support")
    assert result.code == 0
    assert "DEPTHWISE_CONV_2D" in result.out and "Grouped convolutions are not supported" in result.out


def test_boards_as_json(qmkit):
    boards = {board["id"]: board for board in json.loads(qmkit("boards", "--json").out)["boards"]}
    assert boards["nano33ble"]["ram_bytes"] == 262_144


def test_verify_takes_arrays(qmkit, library, tmp_path):
    np.save(tmp_path / "noise.npy", np.random.default_rng(3).integers(-128, 128, (5, 96, 96, 3)).astype(np.int8))
    result = qmkit("verify", library, "--images", tmp_path / "noise.npy", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["host"]["vectors"] >= 9
