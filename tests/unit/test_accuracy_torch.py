"""Operators, quantization and training in torch, against the kit's float and integer references."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.special

torch = pytest.importorskip("torch", reason="the extra accuracy is not installed")

from quantmcu_kit import accuracy, passes, quantize, tflite  # noqa: E402
from quantmcu_kit.accuracy.fake import fixed_levels, levels, rounded  # noqa: E402
from quantmcu_kit.accuracy.forward import FORWARD, run_float  # noqa: E402
from quantmcu_kit.accuracy.trainable import Layer, QuantizedNodes  # noqa: E402
from quantmcu_kit.accuracy.training import divergence  # noqa: E402
from quantmcu_kit.ir.graph import Graph  # noqa: E402
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan  # noqa: E402
from quantmcu_kit.ops.interpret import Interpreter  # noqa: E402
from quantmcu_kit.ops.table import TABLE  # noqa: E402
from quantmcu_kit.quantize.ties import tie_groups  # noqa: E402
from tests.support.float_networks import calibrated, inverted_residual, pictures  # noqa: E402
from tests.support.networks import VALID, Network  # noqa: E402
from tests.support.tflite_builder import options  # noqa: E402

SETTINGS = quantize.Settings()
QUICK = accuracy.Settings(seconds=60, most_iterations=60, batch=16, held_out=4)


def loaded(net: Network, *outputs: str) -> Graph:
    return passes.run_all(tflite.load(net.build(["x"], outputs), name="net"))


def many_operators() -> Graph:
    """One of each operator that has a rule, with paddings and strides that are not alike on both sides."""
    net = Network("float32")
    net.map("x", (1, 9, 7, 3))
    net.conv("x", "a", 4, stride=2, activation=1)
    net.conv("a", "wide", 4, dilation=2, activation=3)
    net.depthwise("wide", "b", kernel=3, stride=1)
    net.node("RELU6", ["b"], "b6", (1, 5, 4, 4))
    net.conv("b6", "c", 4, kernel=2, activation=2)
    net.add("b6", "c", "sum")
    net.pool("AVERAGE_POOL_2D", "sum", "average", window=3, stride=2)
    net.pool("MAX_POOL_2D", "sum", "maximum", window=3, stride=2)
    net.concatenation(["average", "maximum"], "joined")
    net.pad("joined", "padded", [(0, 0), (1, 2), (0, 1), (0, 0)])
    net.conv("padded", "d", 6, kernel=2, padding=VALID)
    net.node("LOGISTIC", ["d"], "gate", net.tensors["d"].shape)
    net.node("MUL", ["d", "gate"], "gated", net.tensors["d"].shape, options("MulOptions", fused_activation_function=0))
    net.node("SUB", ["gated", "d"], "less", net.tensors["d"].shape, options("SubOptions", fused_activation_function=0))
    net.mean("less", "averages", (1, 2))
    net.node("SOFTMAX", ["averages"], "scores", (1, 6), options("SoftmaxOptions", beta=0.5))
    return loaded(net, "scores")


def test_operators_are_those_of_the_float_reference():
    graph = many_operators()
    x = np.random.default_rng(0).normal(size=(3, 9, 7, 3)).astype(np.float32)
    wanted = Interpreter(graph, integer=False, keep_all=True).run({"x": x})
    known = {name: torch.from_numpy(values) for name, values in wanted.items()}
    constants = {t.name: torch.from_numpy(t.data.copy()) for t in graph.tensors.values() if t.is_constant}
    for node in graph.nodes:
        assert node.op in FORWARD, node.op
        inputs = [None if name is None else {**known, **constants}[name] for name in node.inputs]
        y = run_float(node, *inputs)
        np.testing.assert_allclose(y.numpy(), wanted[node.output], rtol=1e-4, atol=1e-4, err_msg=node.op)
    assert {node.op for node in graph.nodes} >= {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "CONCATENATION", "PAD"}


def test_operators_without_a_rule_use_the_reference():
    net = Network("float32")
    net.map("x", (1, 4, 4, 3))
    net.resize("x", "y", 8, 8)
    (node,) = loaded(net, "y").nodes
    assert node.op not in FORWARD
    x = torch.arange(48.0).reshape(1, 4, 4, 3)
    assert torch.equal(run_float(node, x), x.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_gradients_of_levels_by_hand():
    """Step 0.5, levels 0..3, zero-point 1: real -0.5 .. 1.0. Of x: 0.6 -> 0.5, 9 -> 1.0 (cut), -7 -> -0.5 (cut)."""
    x = torch.tensor([0.6, 9.0, -7.0], requires_grad=True)
    step, zero = torch.tensor(0.5, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    y = levels(x, step, zero, 0, 3)
    assert y.tolist() == [0.5, 1.0, -0.5]
    y.backward(torch.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [1.0, 0.0, 0.0]
    # Of the step: inside, integer minus x / step = 1 - 1.2; outside, the integer: 2 and -1.
    assert float(step.grad) == pytest.approx(-0.2 + 10 * 2 - 100 * 1)
    assert float(zero.grad) == pytest.approx(-0.5 * (10 + 100))  # what is cut moves with the ends


def test_gradients_of_fixed_levels_by_hand():
    """Step 0.5, levels -1..2: real -0.5 .. 1.0. Of x: 0.6 -> 0.5, 9 -> 1.0 (cut), -7 -> -0.5 (cut)."""
    x = torch.tensor([0.6, 9.0, -7.0], requires_grad=True)
    y = fixed_levels(x, 0.5, -1, 2)
    assert y.tolist() == [0.5, 1.0, -0.5]
    y.backward(torch.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_rounding_passes_gradients_on():
    x = torch.tensor([0.4, -1.6], requires_grad=True)
    y = rounded(x)
    y.sum().backward()
    assert y.tolist() == [0.0, -2.0] and x.grad.tolist() == [1.0, 1.0]


def test_divergence_by_hand():
    """Classes (1/2, 1/2) wanted, (1/4, 3/4) given: ln 2 / 2 + ln(2/3) / 2."""
    found = divergence(torch.log(torch.tensor([[1.0, 3.0]])), torch.zeros(1, 2))
    assert float(found) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3), abs=1e-6)


class Quantized:
    """The residual network in few bits, and its pictures.

    Args:
        is_plain: weights are rounded to nearest, which leaves more to be gained.
    """

    def __init__(self, maps: int, count: int = 48, *, is_plain: bool = False) -> None:
        self.settings = dataclasses.replace(SETTINGS, rounding="nearest") if is_plain else SETTINGS
        self.graph, self.x = inverted_residual(), pictures(count)
        self.calibration = calibrated(self.graph, self.x)
        weights = [node.inputs[1] for node in self.graph.nodes if TABLE[node.op].weight_axis is not None]
        names = ("stem", "expand", "depthwise", "project", "sum", "last")
        self.plan = PrecisionPlan(8, {(WHOLE, name): maps for name in names}, dict.fromkeys(weights, 4))
        self.integer = self.apply()
        quant = self.integer.tensors["x"].quant
        self.inputs = quant.quantize(self.x, -128, 127).astype(np.int8)

    def apply(self, adjustments: quantize.Adjustments = quantize.adjust.NONE) -> Graph:
        return quantize.apply(self.graph, self.calibration, self.plan, self.settings, adjustments)

    def error(self, integer: Graph, x: np.ndarray, *, of_classes: bool = False) -> float:
        """Of the logits in the exact integer reference: mean square, or KL divergence of the classes in nats."""
        q = integer.tensors["x"].quant.quantize(x, -128, 127).astype(np.int8)
        found = Interpreter(integer, integer=True, keep_all=True).run({"x": q})["logits"]
        wanted = Interpreter(self.graph, integer=False, keep_all=True).run({"x": x})["logits"]
        found = integer.tensors["logits"].quant.dequantize(found)
        if not of_classes:
            return float(np.square(found - wanted).mean())
        wanted, found = (scipy.special.log_softmax(each.reshape(len(x), -1), axis=1) for each in (wanted, found))
        return float((np.exp(wanted) * (wanted - found)).sum(axis=1).mean())


@pytest.mark.parametrize("maps", [8, 4, 2])
def test_the_trained_side_starts_as_the_integer_network(maps):
    """A level more or less where TFLite rounds twice: 39.35 becomes 78.7, 79, 39.5 and 40 with a multiplier near 1/2.
    Real networks have multipliers far below."""
    case = Quantized(maps, count=8)
    ties = tie_groups(case.integer, {t.name: t.dtype.bits for t in case.integer.feature_maps()})
    exact = Interpreter(case.integer, integer=True, keep_all=True).run({"x": case.inputs})
    for node in case.integer.nodes[:-2]:
        nodes = QuantizedNodes(case.graph, case.integer, [node], ties)
        sources = case.integer.activation_inputs(node)
        maps_ = {name: torch.from_numpy(case.integer.tensors[name].quant.dequantize(exact[name])) for name in sources}
        with torch.no_grad():
            y = nodes.run(maps_, node.output, is_exact=True).numpy()
        quant = case.integer.tensors[node.output].quant
        steps = np.rint(y / float(quant.s)) + quant.z - exact[node.output]
        assert np.abs(steps).max() <= 1 and np.mean(steps != 0) < 0.25, node.name  # half of all values become halves


@pytest.mark.parametrize("is_settled, starts", [(True, [0.24, -0.32, 0.0, 0.0]), (False, [0.3, -0.4, 0.45, -0.45])])
def test_where_latent_weights_start(is_settled, starts):
    """Away from their integers by 0.3, -0.4, 0.9 and -2 steps: at 0.8 of the first two and in the middle of the others;
    or as far as it goes within the integers' steps."""
    case = Quantized(4, count=8)
    node = next(node for node in case.integer.nodes if TABLE[node.op].weight_axis is not None)
    tensor, axis = case.integer.tensors[node.inputs[1]], TABLE[node.op].weight_axis
    scale = tensor.quant.scale.reshape([-1 if i == axis else 1 for i in range(tensor.data.ndim)])
    away = np.resize([0.3, -0.4, 0.9, -2.0], tensor.data.shape)
    layer = Layer(case.integer, node, (scale * (tensor.data + away)).astype(np.float32), is_settled=is_settled)
    wanted = np.resize(starts, tensor.data.shape)
    np.testing.assert_allclose(layer.latent.detach().numpy() - tensor.data, wanted, atol=1e-4)


def test_what_is_not_trained_comes_back():
    case = Quantized(4, count=8)
    found = accuracy.reconstruct(case.graph, case.integer, case.inputs, dataclasses.replace(QUICK, seconds=0))
    again = case.apply(found.adjustments)
    for name, tensor in case.integer.tensors.items():
        if tensor.data is not None and tensor.quant is not None:
            assert np.abs(again.tensors[name].data.astype(int) - tensor.data).max() <= 1, name  # biases are rounded
    assert all(block.after == block.before for block in found.blocks)


@pytest.mark.parametrize("train, of_classes", [(accuracy.reconstruct, False), (accuracy.distil, True)])
@pytest.mark.parametrize("maps", [8, 4])
def test_training_brings_the_exact_network_nearer_to_the_float_one(train, of_classes, maps):
    case = Quantized(maps, count=128, is_plain=True)
    found = train(case.graph, case.integer, case.inputs, QUICK)
    assert all(block.after <= block.before for block in found.blocks)
    assert found.blocks[1 if len(found.blocks) > 1 else 0].iterations > 0
    fresh = pictures(48, seed=8)
    trained = case.apply(found.adjustments)
    before, after = (case.error(graph, fresh, of_classes=of_classes) for graph in (case.integer, trained))
    assert after < before
    widths = {name: tensor.dtype for name, tensor in case.integer.tensors.items()}
    assert {name: tensor.dtype for name, tensor in trained.tensors.items()} == widths


def test_finished_blocks_are_not_trained_again(tmp_path, monkeypatch):
    case = Quantized(4, count=16)
    settings = dataclasses.replace(QUICK, most_iterations=12, cache=tmp_path)
    first = accuracy.reconstruct(case.graph, case.integer, case.inputs, settings)
    from quantmcu_kit.accuracy import training

    monkeypatch.setattr(training._Trainer, "_set_gradients", lambda *_: pytest.fail("it is in the cache"))
    second = accuracy.reconstruct(case.graph, case.integer, case.inputs, settings)
    assert second.blocks == first.blocks
    for name, node in first.adjustments.nodes.items():
        assert np.array_equal(node.weights, second.adjustments.nodes[name].weights)
        assert np.array_equal(node.bias, second.adjustments.nodes[name].bias)


@pytest.mark.parametrize("broken", [lambda data: b"no archive", lambda data: data[:500], lambda data: b""])
def test_a_broken_file_of_the_cache_counts_as_none(tmp_path, broken):
    case = Quantized(4, count=16)
    settings = dataclasses.replace(QUICK, most_iterations=12, cache=tmp_path)
    first = accuracy.reconstruct(case.graph, case.integer, case.inputs, settings)
    for path in tmp_path.iterdir():
        path.write_bytes(broken(path.read_bytes()))
    assert accuracy.reconstruct(case.graph, case.integer, case.inputs, settings).blocks == first.blocks


def test_same_seed_same_result():
    case = Quantized(4, count=16)
    settings = dataclasses.replace(QUICK, most_iterations=12)
    first, second = (accuracy.reconstruct(case.graph, case.integer, case.inputs, settings) for _ in range(2))
    assert first.blocks == second.blocks
