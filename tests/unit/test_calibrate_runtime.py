"""The TFLite runtime behind its process boundary: right answers, and an error for everything that may go wrong."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from quantmcu_kit.calibrate import runtime
from quantmcu_kit.calibrate.accumulate import NotFiniteError
from quantmcu_kit.calibrate.runtime import FloatReference
from quantmcu_kit.errors import EXIT_BAD_INPUT, EXIT_ENVIRONMENT, QmkitError
from tests.support.fake_runtime import write_broken_package, write_fake_runtime
from tests.support.networks import Network, conv_chain
from tests.support.reference import Reference, run_reference

ONE = np.array([[3.0]], np.float32)  # an input of the stand-in
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")


@pytest.fixture(autouse=True)
def children(monkeypatch):
    """Every child process of the test; afterwards all of them must have ended, their pipes and log closed."""
    started = []
    start = runtime._start

    def recorded(errors):
        started.append((start(errors), errors))
        return started[-1][0]

    monkeypatch.setattr(runtime, "_start", recorded)
    yield started
    for process, errors in started:
        assert process.returncode is not None, "a child process was left behind"
        assert process.stdin.closed and process.stdout.closed and errors.closed


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Child processes import the misbehaving runtime."""
    write_fake_runtime(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def failure(action):
    begin = time.monotonic()
    with pytest.raises(QmkitError) as caught:
        action()
    assert time.monotonic() - begin < 10
    return caught.value


def float_network():
    """x, v -> conv -> RELU -> y; z = v + v."""
    network = Network("float32")
    network.map("x", (1, 6, 6, 3))
    network.map("v", (1, 5))
    network.conv("x", "c", 4)
    network.node("RELU", ["c"], "y", (1, 6, 6, 4))
    network.add("v", "v", "z")
    return network.build(["x", "v"], ["z", "y"]), [*network.tensors]


def float_inputs(count):
    rng = np.random.default_rng(count)
    return [rng.normal(size=(count, *shape)).astype(np.float32) for shape in ((6, 6, 3), (5,))]


def direct(model, inputs):
    """Outputs of the runtime called within this process."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    columns = []
    for index in range(len(inputs[0])):
        for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], values[index : index + 1])
        interpreter.invoke()
        columns.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    return [np.concatenate(column) for column in zip(*columns, strict=True)]


# Right answers


def test_outputs_are_those_of_the_runtime():
    model, _ = float_network()
    with FloatReference(model) as reference:
        for count in (1, 5):
            inputs = float_inputs(count)
            found = reference.outputs(inputs)
            assert [values.shape for values in found] == [(count, 5), (count, 6, 6, 4)]
            for actual, expected in zip(found, direct(model, inputs), strict=True):
                np.testing.assert_array_equal(actual, expected)


def test_reference_kernels_give_their_bytes():
    model = conv_chain(3, 8, 5).build(["t0"], ["t2"])
    x = np.random.default_rng(0).integers(-128, 128, (7, 8, 8, 3)).astype(np.int8)
    with FloatReference(model, reference_kernels=True) as reference:
        (found,) = reference.outputs([x])
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, run_reference(model, [x])[0])


def test_feature_maps():
    """Inner tensors too, which the runtime overwrites unless it is told to keep them; in the order asked for."""
    model, names = float_network()
    inputs = float_inputs(3)
    indices = [names.index(name) for name in ("y", "c", "x")]
    with FloatReference(model, reference_kernels=True) as reference:
        found = reference.feature_maps(inputs, indices)
        outputs = reference.outputs(inputs)
    keeper = Reference(model, keep_all=True)
    for picture in range(3):
        keeper.run(*(values[picture : picture + 1] for values in inputs))
        for values, index in zip(found, indices, strict=True):
            np.testing.assert_array_equal(values[picture : picture + 1], keeper.tensor(index))
    np.testing.assert_array_equal(found[0], outputs[1])


def test_observe():
    model, names = float_network()
    inputs = float_inputs(4)
    index = names.index("y")
    with FloatReference(model) as reference:
        (values,) = reference.feature_maps(inputs, [index])
        (seen,) = reference.observe(inputs, [index])
        inputs[1][2, 3] = np.inf
        with pytest.raises(NotFiniteError) as caught:
            reference.observe(inputs, [index, names.index("v")])
        assert caught.value.index == names.index("v")
    assert seen.stats().counts.sum() == values.size
    assert (seen.stats().minimum, seen.stats().maximum) == (values.min(), values.max())


# Refusals


@pytest.mark.parametrize("model", [b"", b"no flatbuffer", b"\x1c\0\0\0TFL3" + bytes(64)])
def test_garbage_is_refused(model):
    error = failure(lambda: FloatReference(model))
    assert (error.code, error.exit_code) == ("runtime-refused", EXIT_BAD_INPUT)
    assert error.why


def test_input_that_does_not_fit_is_refused_and_the_next_one_taken():
    model, _ = float_network()
    x, v = float_inputs(1)
    with FloatReference(model) as reference:
        for wrong in ([x], [x, v, v], [v, x], [x.astype(np.float64), v], [x[:, :5], v]):
            error = failure(lambda wrong=wrong: reference.outputs(wrong))
            assert error.code == "runtime-refused" and error.why
        assert failure(lambda: reference.feature_maps([x, v], [10**6])).code == "runtime-refused"
        np.testing.assert_array_equal(reference.outputs([x, v])[0], 2 * v)


@pytest.mark.parametrize("when", ["allocate", "invoke"])
def test_exception_of_the_runtime(fake, when):
    def run():
        with FloatReference(f"{when} complain".encode()) as reference:
            reference.outputs([ONE])

    error = failure(run)
    assert (error.code, error.why) == ("runtime-refused", "node 3 failed to prepare")


# Crashes and hangs


@posix
def test_crash_while_loading(fake):
    error = failure(lambda: FloatReference(b"load abort"))
    assert (error.code, error.exit_code) == ("runtime-crashed", EXIT_BAD_INPUT)
    assert "signal 6" in error.message and error.why == "F0000 check failed: the end"


@pytest.mark.parametrize(("what", "expected"), [("segfault", "signal 11"), ("leave", "exit code 7")])
@posix
def test_crash_while_running(fake, what, expected):
    with FloatReference(f"invoke {what}".encode()) as reference:
        error = failure(lambda: reference.outputs([ONE]))
        assert error.code == "runtime-crashed" and error.message.endswith(expected) and not error.why
        assert failure(lambda: reference.outputs([ONE])).code == "runtime-crashed", "nor does it hang later"


@pytest.mark.parametrize("when", ["load", "invoke"])
def test_hang(fake, when):
    def run():
        with FloatReference(f"{when} hang".encode(), load_seconds=0.8, picture_seconds=0.4) as reference:
            reference.outputs([np.repeat(ONE, 2, axis=0)])

    error = failure(run)
    assert (error.code, error.exit_code) == ("runtime-timeout", EXIT_BAD_INPUT)
    assert "within 0.8 s" in error.message  # of loading, or twice 0.4 s for two pictures


def test_interrupted_while_the_child_is_busy(fake, monkeypatch):
    """Ctrl-C in the middle of a long run: the child does not read on, and is ended all the same."""
    monkeypatch.setattr(runtime, "_STOP_SECONDS", 0.1)
    with FloatReference(b"invoke hang") as reference:
        runtime.protocol.write(reference._process.stdin, runtime.Message(runtime.protocol.RUN, (ONE,)))


def test_noise_on_stdout_does_not_get_between_the_messages(fake):
    with FloatReference(b"invoke chatter") as reference:
        for _ in range(3):
            assert reference.outputs([ONE])[0].tolist() == [[6.0]]


# What is installed


def broken_runtimes(folder, first, second):
    for package, error in (("ai_edge_litert", first), ("tflite_runtime", second)):
        write_broken_package(folder, package, error)


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_no_runtime(tmp_path, monkeypatch, size):
    """However large the model: the answer is read even where the child ends before it has taken the request."""
    broken_runtimes(tmp_path, "ImportError('none here')", "ModuleNotFoundError('nor there')")
    monkeypatch.syspath_prepend(tmp_path)
    error = failure(lambda: FloatReference(bytes(size)))
    assert (error.code, error.exit_code) == ("no-runtime", EXIT_ENVIRONMENT)
    assert error.hint == "pip install ai-edge-litert"
    assert error.why == "none here", "what keeps ai-edge-litert from loading, not the absence of its predecessor"


def test_predecessor_of_the_runtime(tmp_path, monkeypatch):
    write_broken_package(tmp_path, "ai_edge_litert", "ImportError('none here')")
    write_fake_runtime(tmp_path, "tflite_runtime")
    monkeypatch.syspath_prepend(tmp_path)
    with FloatReference(b"never nothing") as reference:
        assert reference.outputs([ONE])[0].tolist() == [[6.0]]


def test_modules_in_the_working_directory_are_not_imported(fake, tmp_path, monkeypatch):
    """A user's folder may hold a numpy.py or a random.py."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("numpy", "random", "json", "struct", "resource", "quantmcu_kit"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the working directory')\n")
    monkeypatch.chdir(folder)
    with FloatReference(b"never nothing") as reference:
        assert reference.outputs([ONE])[0].tolist() == [[6.0]]


def test_child_that_is_killed_and_closed_twice(fake):
    with FloatReference(b"never nothing") as reference:
        if sys.platform == "linux":
            limits = Path(f"/proc/{reference._process.pid}/limits").read_text().splitlines()
            (row,) = [line for line in limits if line.startswith("Max address space")]
            assert int(row.split()[3]) <= 16 << 30, "a lying model must not take all memory"
        reference._process.kill()
        assert failure(lambda: reference.outputs([ONE])).code == "runtime-crashed"
        reference.close()
