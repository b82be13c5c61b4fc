"""The committed example network and its pictures: what its README promises and `make demo` relies on."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tflite
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"
MODEL = EXAMPLE / "digits.tflite"
CLASSES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
OPS = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"}


@pytest.fixture(scope="module")
def labelled():
    with open(EXAMPLE / "images" / "labels.csv", newline="", encoding="ascii") as file:
        return [(row["path"], int(row["label"])) for row in csv.DictReader(file)]


def _pixels(path):
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (96, 96)), path
        return np.asarray(picture)


def test_model_is_small_and_made_of_standard_ops():
    data = MODEL.read_bytes()
    assert len(data) < 1_000_000
    model = tflite.Model.GetRootAs(data, 0)
    names = {value: name for name, value in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    assert {names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes} == OPS


def test_model_maps_one_rgb_picture_to_ten_classes():
    interpreter = Interpreter(model_path=str(MODEL))
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (source["shape"].tolist(), source["dtype"]) == ([1, 96, 96, 3], np.float32)
    assert (result["shape"].tolist(), result["dtype"]) == ([1, 10], np.float32)


def test_labels_are_the_class_names_in_output_order():
    assert (EXAMPLE / "labels.txt").read_text(encoding="ascii").splitlines() == CLASSES


def test_labelled_pictures_are_a_hundred_and_balanced(labelled):
    paths = [path for path, _ in labelled]
    assert sorted(paths) == sorted(file.name for file in (EXAMPLE / "images").glob("*.png"))
    assert Counter(label for _, label in labelled) == dict.fromkeys(range(10), 10)
    assert all(path.startswith(CLASSES[label] + "_") for path, label in labelled)


def test_calibration_pictures_are_other_pictures(labelled):
    held_out = {_pixels(EXAMPLE / "images" / path).tobytes() for path, _ in labelled}
    calibration = {_pixels(path).tobytes() for path in (EXAMPLE / "calibration").glob("*.png")}
    assert len(held_out) == 100 and len(calibration) == 64
    assert not held_out & calibration


def test_pictures_stay_small_enough_to_commit():
    assert sum(path.stat().st_size for path in EXAMPLE.rglob("*.png")) < 2_500_000


def test_float_top1_on_the_labelled_pictures(labelled):
    interpreter = Interpreter(model_path=str(MODEL))
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    correct = 0
    for path, label in labelled:
        pixels = _pixels(EXAMPLE / "images" / path).astype(np.float32)
        interpreter.set_tensor(source, (pixels / np.float32(127.5) - np.float32(1))[None])
        interpreter.invoke()
        correct += int(interpreter.get_tensor(result).argmax()) == label
    assert correct >= 95
