"""Trains the example network and writes everything that is committed beside this file.

    python examples/digits/train.py [--out DIR]

Writes digits.tflite, labels.txt, images/ (held-out scenes with labels.csv) and calibration/ (training scenes).
Seeds are fixed and TensorFlow's deterministic kernels are used: the same machine and package versions give the same
network, others an equivalent one.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is imported

import keras
import network
import numpy as np
import scenes
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

SPLIT_SEED = 1
TRAIN_SEED, MEASURE_SEED, IMAGES_SEED, CALIBRATION_SEED = 10, 20, 30, 40
TRAIN_SCENES = 12_000
MEASURE_SCENES = 2_000
IMAGES = 100
CALIBRATION_IMAGES = 64
EPOCHS = 8
BATCH = 64
PEAK_RATE = 4e-3
THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the example digit network.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    _make_deterministic()

    train, held_out = scenes.split_digits(SPLIT_SEED)
    print(f"source digits: {len(train.labels)} for training, {len(held_out.labels)} held out")
    pictures, labels = scenes.render_many(train, TRAIN_SCENES, TRAIN_SEED)
    model = _fit(pictures, labels)
    flatbuffer = _to_tflite(model)
    (out / "digits.tflite").write_bytes(flatbuffer)
    (out / "labels.txt").write_text("".join(f"{name}\n" for name in scenes.CLASS_NAMES), encoding="ascii")

    images, image_labels = scenes.render_many(held_out, IMAGES, IMAGES_SEED)
    _write_labelled(out / "images", images, image_labels)
    _write_unlabelled(out / "calibration", scenes.render_many(train, CALIBRATION_IMAGES, CALIBRATION_SEED)[0])

    measured = scenes.render_many(held_out, MEASURE_SCENES, MEASURE_SEED)
    print(f"top-1 on {MEASURE_SCENES} held-out scenes: {_accuracy(flatbuffer, *measured):.2%}")
    print(f"top-1 on the {IMAGES} pictures of images/: {_accuracy(flatbuffer, images, image_labels):.2%}")
    print(f"{len(flatbuffer)} bytes, {model.count_params()} parameters, {time.monotonic() - start:.0f} s")


def _make_deterministic() -> None:
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _preprocess(pictures: np.ndarray) -> np.ndarray:
    """uint8 pixels to the network's float32 input in -1..1 (`--preprocess pm1`)."""
    return pictures.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _fit(pictures: np.ndarray, labels: np.ndarray) -> keras.Model:
    classes = len(scenes.CLASS_NAMES)
    batches = (
        tf.data.Dataset.from_tensor_slices((pictures, labels))
        .shuffle(len(labels), seed=TRAIN_SEED)
        .batch(BATCH, drop_remainder=True)
        .map(lambda x, y: (tf.cast(x, tf.float32) / 127.5 - 1.0, tf.one_hot(y, classes)))
        .prefetch(2)
    )
    steps = EPOCHS * (len(labels) // BATCH)
    warm_up = steps // 10
    rate = keras.optimizers.schedules.CosineDecay(
        PEAK_RATE / 20, steps - warm_up, alpha=0.0, warmup_target=PEAK_RATE, warmup_steps=warm_up
    )
    model = network.build(classes)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.02),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.05),
        metrics=["accuracy"],
    )
    model.fit(batches, epochs=EPOCHS, verbose=2)
    return model


def _to_tflite(model: keras.Model) -> bytes:
    """float32 flatbuffer for a batch of one; the converter folds batch normalisation and fuses ReLU6."""
    signature = keras.InputSpec(shape=(1, *network.INPUT_SHAPE), dtype="float32", name="image")
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False, input_signature=[signature])
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def _accuracy(flatbuffer: bytes, pictures: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 of the exported file itself, by the TFLite runtime."""
    interpreter = Interpreter(model_content=flatbuffer)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    correct = 0
    for picture, label in zip(_preprocess(pictures), labels, strict=True):
        interpreter.set_tensor(source, picture[None])
        interpreter.invoke()
        correct += int(interpreter.get_tensor(result).argmax() == label)
    return correct / len(labels)


def _write_labelled(folder: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    """Pictures named after their class, and labels.csv with the class index of each."""
    names = [f"{scenes.CLASS_NAMES[label]}_{i // len(scenes.CLASS_NAMES):02d}.png" for i, label in enumerate(labels)]
    _write_pictures(folder, names, pictures)
    with open(folder / "labels.csv", "w", newline="", encoding="ascii") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("path", "label"))
        rows.writerows(sorted(zip(names, labels.tolist(), strict=True), key=lambda row: (row[1], row[0])))


def _write_unlabelled(folder: Path, pictures: np.ndarray) -> None:
    _write_pictures(folder, [f"scene_{i:02d}.png" for i in range(len(pictures))], pictures)


def _write_pictures(folder: Path, names: list[str], pictures: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    for name, picture in zip(names, pictures, strict=True):
        Image.fromarray(picture).save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
