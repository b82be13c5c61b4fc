"""Measured losses against whole runs of the interpreter, owners of pixels and distances by hand."""

import math

import numpy as np
import pytest

from quantmcu_kit import quantize
from quantmcu_kit.ir.plans import MIXED, OUTLIER, WHOLE, PrecisionPlan
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.precision.output import Yardstick
from quantmcu_kit.precision.owners import Owners, class_stats
from quantmcu_kit.precision.sensitivity import Sensitivity, level_table
from quantmcu_kit.quantize.ranges import choose_range
from quantmcu_kit.search.problem import Choice, Kind
from tests.unit.test_quantize import X as PICTURES
from tests.unit.test_quantize import calibrated, float_network
from tests.unit.test_quantize_classes import X, network

SETTINGS = quantize.Settings()


def map_choice(name, branch_class=WHOLE):
    return Choice(Kind.MAP, branch_class, (name,), 1, 1, (8, 4, 2))


def sensitivity_of(graph, x, weight_widths=()):
    calibration = calibrated(graph, x)
    base = quantize.apply(graph, calibration, PrecisionPlan(), SETTINGS)
    inputs = base.tensors["x"].quant.quantize(x, -128, 127).astype(np.int8)
    return calibration, base, inputs, Sensitivity(graph, calibration, SETTINGS, inputs, weight_widths=weight_widths)


def real_outputs(graph, inputs, name="y"):
    values = Interpreter(graph, integer=True).run({"x": inputs})[name]
    return graph.tensors[name].quant.dequantize(values).astype(float).reshape(len(inputs), -1)


def test_divergence_by_hand():
    """Two classes: KL((3/4, 1/4), (1/2, 1/2)) = 3/4 ln(3/2) + 1/4 ln(1/2)."""
    yardstick = Yardstick(("y",), True)
    graph = network()
    real = [yardstick.read(graph, {"y": np.array([values], np.float32)}) for values in ([math.log(3), 0], [5, 5])]
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert yardstick.distance(*real)[0] == pytest.approx(expected, rel=1e-6)
    assert yardstick.distance(real[0], real[0])[0] == 0.0
    squares = Yardstick(("y",), False)
    assert squares.distance(np.array([[1.0, 2.0]]), np.array([[2.0, 0.0]])) == pytest.approx(2.5)


def test_a_class_vector_is_compared_by_its_logits():
    graph = float_network()
    (softmax,) = (node for node in graph.nodes if node.op == "SOFTMAX")
    assert Yardstick.of(graph) == Yardstick((softmax.inputs[0],), True)
    assert Yardstick.of(network()) == Yardstick(("y",), False)


def test_narrow_weights_lose_what_the_network_with_them_loses():
    """One choice of weights needs no table: quantization of the plan gives the very network."""
    graph = network()
    calibration, base, inputs, sensitivity = sensitivity_of(graph, X, (8, 4, 2))
    reference = real_outputs(base, inputs)
    variance = reference.var(axis=0).mean()
    for node in (graph.nodes[0], graph.nodes[1], graph.nodes[-1]):
        for bits in (4, 2):
            plan = PrecisionPlan(weights={node.inputs[1]: bits})
            narrow = quantize.apply(graph, calibration, plan, SETTINGS)
            expected = np.square(real_outputs(narrow, inputs) - reference).mean(axis=1) / variance
            choice = Choice(Kind.WEIGHTS, WHOLE, (node.inputs[1],), 1, 1, (8, 4, 2))
            np.testing.assert_allclose(sensitivity.divergences({choice: bits}), expected, rtol=1e-6)
            assert sensitivity(choice, bits) == pytest.approx(expected.mean(), rel=1e-6)
            assert expected.mean() > 0


def test_a_table_rounds_to_the_nearest_level():
    """Levels 0, 0.5, 1.0, 1.5 for values of scale 0.1, zero-point -10: by hand."""
    tensor = network().tensors["a"]
    tensor = type(tensor)("a", (1, 2, 2, 1), DType.I8, Quant.per_tensor(0.1, -10))
    table = level_table(tensor, Quant.per_tensor(0.5, 0), DType.U2)

    def at(value):
        return int(table[np.int8(value).view(np.uint8)])

    assert (at(-128), at(-10), at(-8), at(-7)) == (-10, -10, -10, -5)  # -11.8, 0.0, 0.2, 0.3
    assert (at(-3), at(0), at(5), at(127)) == (-5, 0, 5, 5)  # 0.7, 1.0, 1.5, 13.7


@pytest.mark.parametrize("name", ["a", "c", "d", "e"])
def test_a_narrow_map_loses_what_a_run_with_it_loses(name):
    """The rest of the network, run on the map after every value was moved to its level one by one."""
    graph = network()
    calibration, base, inputs, sensitivity = sensitivity_of(graph, X)
    maps = Interpreter(base, integer=True, keep_all=True).run({"x": inputs})
    tensor, bits = base.tensors[name], 4
    low, high = choose_range(calibration.tensors[name], SETTINGS.range_method, bits)
    step = (high - low) / 15
    zero = round(-low / step)
    scale, offset = float(tensor.quant.s), tensor.quant.z
    real = (maps[name].astype(float) - offset) * scale
    levels = (np.clip(np.rint(real / step) + zero, 0, 15) - zero) * step
    moved = dict(maps) | {name: np.clip(np.rint(levels / scale) + offset, -128, 127).astype(np.int8)}
    written = False
    for node in base.nodes:  # everything behind the map, node by node
        if written:
            ports = [base.inputs[0].__class__(n, n, base.tensors[n].dtype, base.tensors[n].shape) for n in moved]
            inner = base.replace(
                nodes=[node],
                inputs=[port for port in ports if port.tensor in base.activation_inputs(node)],
                outputs=[port for port in ports if port.tensor == node.output],
            )
            moved |= Interpreter(inner, integer=True).run({n: moved[n] for n in base.activation_inputs(node)})
        written = written or node.output == name
    quant = base.tensors["y"].quant
    outputs = [quant.dequantize(values["y"]).astype(float).reshape(len(X), -1) for values in (maps, moved)]
    expected = np.square(outputs[1] - outputs[0]).mean(axis=1) / outputs[0].var(axis=0).mean()
    np.testing.assert_allclose(sensitivity.divergences({map_choice(name): bits}), expected, rtol=1e-6)
    assert expected.mean() > 0


def test_losses_of_classes_are_about_their_pixels():
    graph = network()
    _, base, _, sensitivity = sensitivity_of(graph, X)
    whole = sensitivity.divergences({map_choice("b"): 4})
    classes = np.full((len(X), 2, 2), MIXED)
    sensitivity.set_classes(Owners(classes), {})
    np.testing.assert_array_equal(sensitivity.divergences({map_choice("b", MIXED): 4}), whole)
    assert not sensitivity.divergences({map_choice("b", OUTLIER): 4}).any()
    classes = classes.copy()
    classes[1:] = OUTLIER
    sensitivity.set_classes(Owners(classes), {})
    np.testing.assert_array_equal(sensitivity.divergences({map_choice("b", MIXED): 4}), [whole[0], *[0.0] * 5])
    assert sensitivity(map_choice("b", MIXED), 4) == pytest.approx(whole[0] / 6)


def test_owners_by_hand():
    """5 rows in 2 steps: row r belongs to step r·2 // 5: 0 0 0 1 1."""
    owners = Owners(np.array([[[OUTLIER, MIXED], [MIXED, MIXED]]]))
    owned = owners.pixels(OUTLIER, (1, 5, 4, 3), slice(0, 1))
    expected = np.zeros((1, 5, 4, 1), bool)
    expected[0, :3, :2] = True
    np.testing.assert_array_equal(owned, expected)
    tensor = network().tensors["a"]
    tensor = type(tensor)("a", (1, 5, 4, 1), DType.I8, Quant.per_tensor(0.5, -128))
    values = np.full((1, 5, 4, 1), -128, np.int8)
    values[0, 0, 0], values[0, 4, 3] = -126, -108
    stats = class_stats(owners, [tensor], [(slice(0, 1), {"a": values})])
    of_outlier, of_mixed = stats[OUTLIER, "a"], stats[MIXED, "a"]
    assert (of_outlier.minimum, of_outlier.maximum, of_outlier.counts.sum()) == (0.0, 1.0, 6)
    assert (of_mixed.minimum, of_mixed.maximum, of_mixed.counts.sum()) == (0.0, 10.0, 14)
    assert of_mixed.centres[np.flatnonzero(of_mixed.counts)] == pytest.approx([0.0, 10.0])


def test_more_pictures_than_a_batch():
    graph = float_network()
    calibration = calibrated(graph, PICTURES)
    base = quantize.apply(graph, calibration, PrecisionPlan(), SETTINGS)
    inputs = base.tensors["x"].quant.quantize(PICTURES, -128, 127).astype(np.int8)
    sensitivity = Sensitivity(graph, calibration, SETTINGS, inputs, base=base)
    assert sensitivity.pictures == 32 and sensitivity.base_map("x").shape == inputs.shape
    narrow = {map_choice(graph.nodes[0].output): 2}
    found = sensitivity.divergences(narrow)
    assert found.shape == (32,) and (found >= 0).all() and found.mean() > 0
    np.testing.assert_array_equal(sensitivity.divergences(narrow, 9), found[:16])
