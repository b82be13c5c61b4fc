"""Bad input at the command line: code, message, exit code; nothing lost, no traceback."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import DIGITS
from tests.support.networks import Network
from tests.support.shared import needs_shared, shared_folder

MODEL = DIGITS / "digits.tflite"
PICTURE = min((DIGITS / "images").glob("*.png"))


def error_of(result) -> dict:
    """The JSON error of a command that was run with --json."""
    return json.loads(result.out)["error"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.tflite", b"", "empty-file"),
        ("picture.tflite", PICTURE.read_bytes(), "not-a-tflite"),
        ("short.tflite", MODEL.read_bytes()[:5000], "bad-model"),
        ("text.tflite", b"hello, network\n" * 20, "not-a-tflite"),
    ],
)
def test_files_that_are_no_models(qmkit, tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    result = qmkit("build", name, "--json")
    assert result.code == 2
    assert error_of(result)["code"] == code
    assert name in error_of(result)["where"] + error_of(result)["message"]


def test_missing_model(qmkit):
    result = qmkit("build", "nowhere.tflite")
    assert result.code == 2
    assert "error[no-such-model]" in result.err and "nowhere.tflite" in result.err


def test_unknown_board(qmkit):
    result = qmkit("build", MODEL, "--board", "nano33", "--json")
    assert result.code == 2
    assert error_of(result)["code"] == "unknown-board"
    assert "nano33ble" in error_of(result)["hint"]


def test_float_model_without_pictures(qmkit, tmp_path):
    shutil.copy(MODEL, tmp_path / "alone.tflite")
    result = qmkit("build", "alone.tflite")
    assert result.code == 2
    assert "error[no-pictures]" in result.err and "--images" in result.err


def two_inputs(dtype: str) -> bytes:
    """a + b for two vectors."""
    net = Network(dtype)
    net.map("a", (1, 6))
    net.map("b", (1, 6))
    net.add("a", "b", "sum")
    return net.build(["a", "b"], ["sum"])


def test_float_model_of_several_inputs(qmkit, tmp_path):
    (tmp_path / "sum.tflite").write_bytes(two_inputs("float32"))
    np.save(tmp_path / "a.npy", np.ones((3, 6), np.float32))
    result = qmkit("build", "sum.tflite", "--images", "a.npy", "--json")
    assert result.code == 2
    assert error_of(result)["code"] == "several-inputs"


def test_int8_model_of_several_inputs_builds_and_verifies(qmkit, tmp_path):
    (tmp_path / "sum.tflite").write_bytes(two_inputs("int8"))
    (tmp_path / "images").mkdir()  # pictures beside a network that takes none are not its own
    assert qmkit("build", "sum.tflite").code == 0
    assert qmkit("verify", "lib/sum").code == 0


def test_bad_pictures_are_counted_and_the_rest_is_used(qmkit, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rgb = Image.open(PICTURE)
    rgb.convert("L").save(folder / "grey.png")
    rgb.convert("RGBA").save(folder / "rgba.png")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    (folder / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    result = qmkit("build", MODEL, "--images", folder, "--preprocess", "pm1", "--json")
    assert result.code == 0, result.err
    summary = json.loads(result.out)
    assert summary["calibration_pictures"] == 4
    assert len(summary["warnings"]) == 1 and "1 picture skipped (corrupt.png" in summary["warnings"][0]


def test_no_usable_picture(qmkit, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "corrupt.png").write_bytes(b"nonsense")
    result = qmkit("build", MODEL, "--images", folder, "--json")
    assert result.code == 2
    assert error_of(result)["code"] == "no-pictures"


def test_folder_of_the_users_own_is_not_replaced(qmkit, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years of work")
    result = qmkit("build", MODEL, "--preprocess", "pm1", "--limit", 2, "--output", "mine", "--json")
    assert result.code == 2
    assert error_of(result)["code"] == "output-not-empty"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_unwritable_output(qmkit, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result = qmkit("build", MODEL, "--preprocess", "pm1", "--limit", 2, "--output", "file/net", "--json")
    assert result.code == 2
    assert error_of(result)["code"] == "output-unwritable"


def test_what_does_not_fit_is_refused_with_figures(qmkit, tmp_path):
    board = ("--board", "uno_r4_wifi", "--patches", "off")
    arguments = ("build", MODEL, "--preprocess", "pm1", "--limit", 2, *board, "--json")
    result = qmkit(*arguments)
    assert result.code == 1
    error = error_of(result)
    assert error["code"] == "does-not-fit" and "24,576 B are free" in error["message"]
    assert "takes most RAM" in error["where"] and "while it runs, there are" in error["why"]
    assert not (tmp_path / "lib").exists()
    forced = qmkit(*arguments, "--force")
    assert forced.code == 0 and json.loads(forced.out)["fits"] is False
    assert (tmp_path / "lib" / "digits").is_dir()


def test_missing_compiler(qmkit, library):
    result = qmkit("verify", library, "--json", CC="no-such-compiler")
    assert result.code == 3
    assert error_of(result)["code"] == "compiler-missing" and "quantmcu-kit[zig]" in error_of(result)["hint"]


def test_verify_of_a_folder_that_is_no_library(qmkit, tmp_path):
    result = qmkit("verify", tmp_path, "--json")
    assert result.code == 2
    assert error_of(result)["code"] == "not-a-library"


@pytest.mark.parametrize(
    "flags",
    [
        ("--bits", "5"),
        ("--range", "widest"),
        ("--limit", "0"),
        ("--preprocess", "tanh"),
        ("--std", "0"),
        ("--mean", "a,b"),
        ("--mean", "1,2", "--std", "1"),
        ("--preprocess", "pm1", "--mean", "1"),
        ("--name", "7 up"),
    ],
)
def test_impossible_options(qmkit, flags):
    result = qmkit("build", MODEL, "--limit", 2, *flags)
    assert result.code == 2
    assert "error[" in result.err and "hint" in result.err


def test_labels_are_needed_for_accuracy(qmkit):
    result = qmkit("eval", MODEL, "--images", DIGITS / "calibration", "--json")
    assert result.code == 2
    assert error_of(result)["code"] == "no-labels"


def test_unknown_command_and_flag(qmkit):
    assert qmkit("bake").code == 2
    assert qmkit("build", MODEL, "--colour", "red").code == 2


@needs_shared
def test_wrong_quantized_dimension_is_harmless_on_one_scale(qmkit):
    """The runtime refuses this file; with one scale per tensor the dimension has no meaning, so it is read."""
    model = shared_folder() / "models" / "person_detect_bad_qdim.tflite"
    result = qmkit("build", model, "--board", "nano33ble", "--json")
    assert result.code == 0, result.out
    assert json.loads(result.out)["fits"] is True
