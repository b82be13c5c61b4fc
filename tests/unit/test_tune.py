"""Quantization-aware distillation, against the kit's float and integer references."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra accuracy is not installed")

from quantmcu_kit import accuracy, passes, quantize, tflite  # noqa: E402
from quantmcu_kit.accuracy import Samples, TuneSettings, tune_training  # noqa: E402
from quantmcu_kit.accuracy.augment import Views, mixed  # noqa: E402
from quantmcu_kit.accuracy.ends import ends_of  # noqa: E402
from quantmcu_kit.accuracy.teacher import Teacher  # noqa: E402
from quantmcu_kit.errors import QmkitError  # noqa: E402
from quantmcu_kit.ops.interpret import Interpreter  # noqa: E402
from tests.support.float_networks import inverted_residual, pictures  # noqa: E402
from tests.support.networks import Network  # noqa: E402
from tests.unit.test_accuracy_torch import Quantized  # noqa: E402

QUICK = TuneSettings(epochs=4, batch=16)


def samples_of(case: Quantized, count: int = 96) -> Samples:
    x = pictures(count, seed=11)
    quant = case.integer.tensors["x"].quant
    return Samples(
        x[count // 8 :], x[: count // 8], x.shape[1:], lambda real: quant.quantize(real, -128, 127).astype(np.int8)
    )


def tuned(case: Quantized, settings: TuneSettings = QUICK, **wants: object) -> accuracy.Tuning:
    return accuracy.tune(case.graph, case.integer, samples_of(case), settings, **wants)


def alike(one: accuracy.Tuning, other: accuracy.Tuning) -> bool:
    nodes = zip(one.adjustments.nodes.values(), other.adjustments.nodes.values(), strict=True)
    return (one.before, one.after) == (other.before, other.after) and all(
        np.array_equal(getattr(a, part), getattr(b, part)) for a, b in nodes for part in ("weights", "scale", "bias")
    )


def interrupting(at: int):
    def progress(stage: str, done: int, total: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("maps", [4, 2])
def test_the_exact_network_comes_nearer_to_the_float_one(maps):
    case = Quantized(maps, count=96)
    found = tuned(case, dataclasses.replace(QUICK, epochs=30, scale_rate=0.002))
    assert found.are_classes and found.after < found.before
    assert found.done == found.total == 158 and found.pictures == 84
    fresh = pictures(48, seed=8)
    trained = case.apply(found.adjustments)
    assert case.error(trained, fresh, of_classes=True) < case.error(case.integer, fresh, of_classes=True)


def test_what_got_worse_is_taken_back():
    case = Quantized(4, count=16)
    found = tuned(case, dataclasses.replace(QUICK, epochs=40, rate=9.0, scale_rate=3.0))
    assert found.after == found.before and found.done < found.total  # it gives up
    again = case.apply(found.adjustments)
    for name, tensor in case.integer.tensors.items():
        if tensor.data is not None and tensor.quant is not None:
            assert np.abs(again.tensors[name].data.astype(int) - tensor.data).max() <= 1, name  # biases are rounded


def test_the_mean_of_late_iterations_is_what_may_be_kept(monkeypatch):
    """Of 25 iterations two count, about: m + (x - m) / 3, from the second on."""
    step, trainers, states = tune_training._Trainer._step, [], []

    def noted(self, at):
        trainers.append(self)
        if not states:
            states.append([tensor.detach().numpy().copy() for tensor in self._state])
        step(self, at)
        states.append([tensor.detach().numpy().copy() for tensor in self._state])

    monkeypatch.setattr(tune_training._Trainer, "_step", noted)
    assert tuned(Quantized(4, count=16), dataclasses.replace(QUICK, epochs=4.75)).done == 25
    for index, found in enumerate(trainers[-1]._average):
        mean = (states[0][index] + states[1][index]) / 2
        for state in states[2:]:
            mean = mean + (state[index] - mean) / 3
        np.testing.assert_allclose(found.numpy(), mean, rtol=1e-4, atol=1e-6)


def test_a_gradient_that_is_no_number_changes_nothing(monkeypatch):
    gradients = tune_training._Trainer._gradients

    def sometimes_none(self, iteration):
        return [each * float("nan") if iteration == 5 else each for each in gradients(self, iteration)]

    monkeypatch.setattr(tune_training._Trainer, "_gradients", sometimes_none)
    case = Quantized(4, count=16)
    found = tuned(case)
    assert found.after <= found.before and found.done == found.total
    assert all(np.isfinite(node.bias).all() for node in found.adjustments.nodes.values())


def test_an_interrupted_training_comes_to_the_same_result(tmp_path):
    case = Quantized(4, count=16)
    settings = dataclasses.replace(QUICK, epochs=6, cache=tmp_path)
    whole = tuned(case, dataclasses.replace(settings, cache=tmp_path / "other"))
    part = tuned(case, settings, progress=interrupting(14))
    assert part.is_interrupted and part.done == 14 and part.after <= part.before
    seen: list[int] = []
    rest = tuned(case, settings, progress=lambda stage, done, total: seen.append(done))
    assert seen[0] == 11, "it goes on after the check at 10"
    assert not rest.is_interrupted and alike(rest, whole)


@pytest.mark.parametrize("broken", [lambda data: b"no archive", lambda data: data[: len(data) // 2], lambda data: b""])
def test_a_broken_checkpoint_counts_as_none(tmp_path, broken):
    case = Quantized(4, count=16)
    settings = dataclasses.replace(QUICK, cache=tmp_path)
    first = tuned(case, settings)
    for path in tmp_path.iterdir():
        path.write_bytes(broken(path.read_bytes()))
    assert alike(tuned(case, settings), first)


def test_time_says_how_many_iterations():
    found = tuned(Quantized(4, count=16), dataclasses.replace(QUICK, epochs=None, seconds=0.5))
    assert 1 <= found.done == found.total < 1000


def test_the_teacher_is_the_float_network():
    graph, x = inverted_residual(), pictures(5)
    wanted = Interpreter(graph, integer=False, keep_all=True).run({"x": x})
    found = Teacher(graph, {"sum", "logits"}).run(torch.from_numpy(x))
    assert set(found) == {"sum", "logits"}
    for name, values in found.items():
        np.testing.assert_allclose(values.numpy(), wanted[name], rtol=1e-4, atol=1e-5)


def test_what_is_compared():
    ends = ends_of(Quantized(8, count=8).integer)
    assert ends.outputs == ("logits",) and ends.are_classes
    assert "sum" in ends.features and "logits" not in ends.features


def test_a_layer_without_gradient_is_refused():
    net = Network("float32")
    net.map("x", (1, 4, 4, 3))
    net.conv("x", "a", 4)
    net.resize("a", "y", 8, 8)
    graph = passes.run_all(tflite.load(net.build(["x"], ["y"]), name="net"))
    with pytest.raises(QmkitError) as error:
        accuracy.tune(graph, graph, None, QUICK)
    assert error.value.code == "cannot-train" and "RESIZE" in error.value.message


def test_views_show_parts_of_the_same_picture():
    """Left to right the picture grows from 0 to 90: every view grows, or falls; a plain one stays plain."""
    ramp = np.broadcast_to(np.arange(0, 100, 10, dtype=np.uint8)[None, None, :, None], (6, 10, 10, 3))
    views = Views((8, 8, 3), are_pictures=True)
    found = views.of(ramp, np.random.default_rng(0)).astype(int)
    assert found.shape == (6, 8, 8, 3) and found.max() <= 90
    steps = np.sign(np.diff(found, axis=2)).reshape(6, -1)
    assert {tuple(set(each) - {0}) for each in steps} == {(1,), (-1,)}
    plain = views.of(np.full((6, 10, 10, 3), 7, np.uint8), np.random.default_rng(0))
    assert plain.dtype == np.uint8 and np.all(plain == 7)
    again = views.of(ramp, np.random.default_rng(0))
    assert np.array_equal(found, again), "the seed says what is shown"
    assert not np.array_equal(found, views.of(ramp, np.random.default_rng(1)))


def test_mixtures_are_of_a_picture_and_the_one_before():
    """Plain pictures: a part that is pasted has the other's value, a blend lies nearer to its own."""
    levels = np.arange(0, 250, 10)
    plain = np.broadcast_to(levels[:, None, None, None], (25, 8, 10, 3)).astype(np.uint8)
    found = [mixed(plain, np.random.default_rng(seed)) for seed in range(8)]
    pasted = blended = 0
    for each in found:
        assert each.shape == plain.shape and each.dtype == np.uint8
        for picture, own, other in zip(each, levels, np.roll(levels, 1), strict=True):
            values = set(np.unique(picture).tolist())
            if values != {own, other}:
                assert len(values) == 1 and abs(values.pop() - own) <= abs(other - own) / 2
                blended += not np.all(picture == own)
                continue
            places = np.argwhere(picture[..., 0] == other)
            sides = places.max(axis=0) - places.min(axis=0) + 1
            assert sides.prod() == len(places) <= 0.6 * 80, "a rectangle, about half of all at most"
            pasted += 1
    assert 0.25 * 200 < pasted < 0.45 * 200 and 0.05 * 200 < blended < 0.25 * 200
    assert np.array_equal(found[0], mixed(plain, np.random.default_rng(0))), "the seed says what is mixed"
    assert plain[3, 0, 0, 0] == 30, "what is given stays as it is"


def test_other_samples_stay_as_they_are():
    x = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    assert Views((10,), are_pictures=False).of(x, np.random.default_rng(0)) is x


def test_the_start_is_what_quantize_makes_of_it():
    """Training nothing is applying what there was."""
    case = Quantized(4, count=16)
    found = quantize.adjustments_of(case.integer)
    again = case.apply(found)
    for name, tensor in case.integer.tensors.items():
        assert np.array_equal(again.tensors[name].data, tensor.data), name
