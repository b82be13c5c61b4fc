"""Statistics of every feature map are numpy's over the maps that the TFLite runtime itself shows."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from quantmcu_kit import passes, tflite
from quantmcu_kit.calibrate import observe, open_dataset, resolve_preprocess, runtime_inputs
from quantmcu_kit.calibrate.picture import UnreadablePicture
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from tests.support.fake_runtime import write_fake_runtime
from tests.support.networks import Network

module = importlib.import_module("quantmcu_kit.calibrate.observe")  # the package's name for it is the function
PM1 = Preprocess("pm1", (127.5,), (127.5,), "")
SHAPE = (6, 6, 3)


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Starting child processes is what takes time here; tests that need several say so."""
    monkeypatch.setattr(module, "_WORKERS", 1)


def convolutions():
    """conv -> RELU -> depthwise, its sum with what goes in, and a mean; the RELU will be fused."""
    network = Network("float32")
    network.map("x", (1, *SHAPE))
    network.conv("x", "c", 4)
    network.node("RELU", ["c"], "r", (1, 6, 6, 4))
    network.depthwise("r", "d")
    network.add("r", "d", "s")
    network.mean("s", "y", (1, 2))
    return network.build(["x"], ["y"])


def doubling(width):
    """y = x + x."""
    network = Network("float32")
    network.map("x", (1, width))
    network.add("x", "x", "y")
    return network.build(["x"], ["y"])


def loaded(model):
    return passes.run_all(tflite.load(model, name="m"))


def samples_at(tmp_path, x):
    path = tmp_path / "samples.npz"
    np.savez(path, x=x)
    return open_dataset(path, x.shape[1:])


def pictures(count):
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def feature_maps(model, indices, inputs):
    """Tensors [n, ...] of the model file in a run of the runtime within this process, every tensor kept."""
    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    rows = []
    for index in range(len(inputs)):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs[index : index + 1])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(index) for index in indices])
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def observed(model, dataset, preprocess=None, limit=1000, progress=lambda *_: None):
    return observe(model, loaded(model), dataset, preprocess, limit=limit, progress=progress)


def assert_as_numpy(calibration, model, inputs):
    graph = loaded(model)
    tensors = graph.feature_maps()
    assert set(calibration.tensors) == {tensor.name for tensor in tensors}
    found = feature_maps(model, [tensor.source for tensor in tensors], inputs)
    for tensor, values in zip(tensors, found, strict=True):
        stats = calibration.tensors[tensor.name]
        assert (stats.minimum, stats.maximum) == (values.min(), values.max()), tensor.name
        edges = np.linspace(stats.low, stats.high, len(stats.counts) + 1)
        np.testing.assert_array_equal(stats.counts, np.histogram(values.astype(np.float64), edges)[0], tensor.name)


def failure(action):
    with pytest.raises(QmkitError) as caught:
        action()
    return caught.value


def test_statistics_are_those_of_the_runtimes_feature_maps(tmp_path):
    model, x = convolutions(), pictures(11)
    calibration, warnings = observed(model, samples_at(tmp_path, x), PM1)
    assert (calibration.pictures, warnings) == (11, ())
    assert set(calibration.tensors) == {"x", "r", "d", "s", "y"}, "the convolution and its RELU have become one"
    assert calibration.tensors["r"].minimum == 0.0
    assert_as_numpy(calibration, model, (x.astype(np.float32) - np.float32(127.5)) / np.float32(127.5))


def test_limit_takes_a_spread_of_the_samples(tmp_path):
    model, x = convolutions(), pictures(20)
    dataset = samples_at(tmp_path, x)
    graph = loaded(model)
    preprocess = resolve_preprocess(graph)
    calibration, _ = observed(model, dataset, preprocess, limit=6)
    assert calibration.pictures == 6
    chosen = np.concatenate([batch.data for batch in dataset.batches(100, limit=6)])
    assert len(chosen) == 6 and not np.array_equal(chosen, x[:6])
    assert_as_numpy(calibration, model, runtime_inputs(graph, chosen, preprocess))


def test_number_of_processes_changes_nothing(tmp_path, monkeypatch):
    """Not even the last bit of a sum of numbers of very different sizes, in which order matters."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(41, 8)) * 10.0 ** rng.integers(-20, 20, (41, 8))).astype(np.float32)
    dataset = samples_at(tmp_path, x)
    sums = x.astype(np.float64)
    assert not np.array_equal(sums.sum(axis=0), sums[::-1].sum(axis=0))
    results = []
    for workers in (1, 3):
        monkeypatch.setattr(module, "_WORKERS", workers)
        results.append(observed(doubling(8), dataset)[0].tensors)
    one, several = results
    for name, stats in one.items():
        for field in dataclasses.fields(stats):
            expected = getattr(stats, field.name)
            np.testing.assert_array_equal(getattr(several[name], field.name), expected, f"{name} {field.name}")


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ([3], "1 picture skipped (x[3]: a value is NaN, infinite or beyond float32)"),
        ([0, 9], "2 pictures skipped (x[0]: a value"),
        ([1, 2, 5, 8, 9], "5 pictures skipped (x[1]: a value"),
    ],
)
def test_skipped_pictures_become_one_warning(tmp_path, bad, expected):
    x = np.arange(30, dtype=np.float32).reshape(10, 3)
    x[bad, 1] = np.nan
    calibration, (warning,) = observed(doubling(3), samples_at(tmp_path, x))
    assert warning.startswith(expected) and ("; and 2 more)" in warning) == (len(bad) == 5)
    assert calibration.pictures == 10 - len(bad)
    good = np.delete(x, bad, axis=0)
    seen = calibration.tensors["y"]
    assert (seen.minimum, seen.maximum) == (2 * good.min(), 2 * good.max())


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_network_that_overflows_names_the_tensor(tmp_path, value):
    """The runtime itself shows no infinity: it clamps the sum to the largest float32."""
    x = np.ones((9, 3), np.float32)
    x[7, 1] = value
    error = failure(lambda: observed(doubling(3), samples_at(tmp_path, x)))
    assert error.code == "not-finite" and "'y'" in error.message and "--preprocess" in error.hint


def test_network_that_becomes_infinite_names_the_tensor(tmp_path):
    """The sum behind a mean is not clamped."""
    network = Network("float32")
    network.map("x", (1, 2, 2, 1))
    network.node("RELU", ["x"], "r", (1, 2, 2, 1))
    network.mean("r", "m", (1, 2))
    x = np.full((2, 2, 2, 1), 3e38, np.float32)
    error = failure(lambda: observed(network.build(["x"], ["m"]), samples_at(tmp_path, x)))
    assert error.code == "not-finite" and "'m'" in error.message


@pytest.mark.filterwarnings("ignore:overflow")
def test_normalisation_beyond_float32_names_the_input(tmp_path):
    preprocess = Preprocess("custom", (0.0,), (1e-38,), "--mean and --std")
    error = failure(lambda: observed(convolutions(), samples_at(tmp_path, pictures(3)), preprocess))
    assert error.code == "not-finite" and "'x'" in error.message


def test_progress_reaches_the_end(tmp_path):
    calls = []
    observed(doubling(3), samples_at(tmp_path, np.ones((10, 3))), progress=lambda *call: calls.append(call))
    done = [count for stage, count, total in calls if stage == "calibrate"]
    assert done == sorted(done) and done[-1] == 10
    assert all(count <= total for _, count, total in calls)


def test_samples_are_decoded_as_they_are_needed(tmp_path):
    """A thousand pictures are not in memory at once, and the first progress does not wait for the last of them."""
    dataset = samples_at(tmp_path, np.ones((1000, 3), np.float32))
    decoded = []
    seen = []

    def load(index):
        decoded.append(index)
        return dataset.load(index)

    counting = dataclasses.replace(dataset, load=load)
    observed(doubling(3), counting, progress=lambda *_: seen.append(len(decoded)))
    assert seen[0] <= 5 * module._BATCH


def test_no_usable_sample(tmp_path):
    dataset = samples_at(tmp_path, np.ones((9, 3), np.float32))

    def load(index):
        raise UnreadablePicture("torn")

    error = failure(lambda: observed(doubling(3), dataclasses.replace(dataset, load=load)))
    assert error.code == "no-pictures" and "9 skipped, such as x[0]: torn" in error.why


@pytest.mark.parametrize(
    ("behaviour", "code"), [(b"invoke leave", "runtime-crashed"), (b"load complain", "runtime-refused")]
)
def test_runtime_that_fails(tmp_path, monkeypatch, behaviour, code):
    """Its error arrives, and no process stays behind, however many batches were waiting."""
    write_fake_runtime(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "_WORKERS", 2)
    references = []

    class Recorded(module.FloatReference):
        def __init__(self, model):
            references.append(self)
            super().__init__(model)

    monkeypatch.setattr(module, "FloatReference", Recorded)
    dataset = samples_at(tmp_path, np.ones((100, 3), np.float32))
    graph = loaded(doubling(3))
    error = failure(lambda: observe(behaviour, graph, dataset, None, limit=100, progress=lambda *_: None))
    assert error.code == code
    assert references and all(reference._process.returncode is not None for reference in references)
