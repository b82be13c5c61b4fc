"""Constants fitted where patches of a stage have classes: against numpy's least squares, the float network, plain loops
over patches, and networks without classes."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

from quantmcu_kit import accuracy, passes, quantize, tflite
from quantmcu_kit.ir.branches import StaticClasses, check_branches
from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.plans import MIXED, OUTLIER, WHOLE, PrecisionPlan
from quantmcu_kit.ir.schedule import HaloMode
from quantmcu_kit.mix import classes_of
from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.precision import Settings as SearchSettings
from quantmcu_kit.quantize import PatchClasses
from quantmcu_kit.quantize.patch_classes import Places
from tests.support.class_case import BRIGHT, CHECKERS, SETTINGS, ClassCase, staged
from tests.support.float_networks import calibrated
from tests.support.networks import Network
from tests.unit.test_precision_find import BUDGET, find, prepared


class TestFeedback:
    @pytest.mark.parametrize("mode", [HaloMode.RECOMPUTE, HaloMode.REUSE_ROWS], ids=lambda mode: mode.value)
    @pytest.mark.parametrize("rule", [CHECKERS, BRIGHT], ids=["static", "dynamic"])
    def test_unseen_pictures_come_nearer_to_the_float_network(self, rule, mode):
        case = ClassCase(rule, mode=mode, mixed=2, count=128)
        plain = case.classes.branches(case.plain)
        fitted = case.classes.branches(case.quantized(case.feed_back()))
        assert 0.2 < case.interpreter(plain).classes({"x": case.inputs}).mean() < 0.8
        check_branches(fitted, case.classes.schedule)
        for name in ("sum", "logits"):
            assert case.error(fitted, name) < 0.9 * case.error(plain, name), name

    def test_classes_share_weights_and_have_biases_of_their_own(self):
        """bias = rint(real bias / (input scale · weight scale)), each class with its own input scale."""
        case = ClassCase()
        found = case.feed_back()
        graphs = case.quantized(found)
        assert {"expand", "depthwise", "project"} & {_output(case.graph, name) for name in found.nodes}
        differing = 0
        for node in case.graph.nodes:
            if node.name not in found.nodes:
                continue
            new, biases = found.nodes[node.name], []
            for graph in graphs.values():
                weights, bias = graph.tensors[f"{node.name}/weights"], graph.tensors[f"{node.name}/bias"]
                np.testing.assert_array_equal(weights.data, new.weights)
                scale = np.float64(graph.tensors[node.inputs[0]].quant.s * new.scale)
                np.testing.assert_array_equal(bias.data, np.rint(new.bias / scale))
                biases.append(bias.data)
            is_inner = node.inputs[0] in case.classes.inner
            assert np.array_equal(*biases) == (not is_inner)
            differing += is_inner
        assert differing

    def test_patches_of_one_class_alone_are_a_network_without_classes(self):
        """All patches are of class mixed: the same constants as of a plan of its widths for whole maps."""
        everywhere = StaticClasses(((MIXED, MIXED), (MIXED, MIXED)))
        case = ClassCase(everywhere, outlier=4)
        found = case.feed_back()
        maps = {(WHOLE, name): bits for (_, name), bits in case.plan.feature_maps.items()}
        plan = dataclasses.replace(case.plan, feature_maps=maps)
        wanted = quantize.feed_back(case.graph, case.calibration, plan, SETTINGS, case.inputs)
        assert_same(found, wanted, wanted.nodes)

    def test_layers_before_the_stage_know_nothing_of_classes(self):
        """The stem runs before the patches; its constants are those of the network with 8 bits in the stage."""
        case = ClassCase(start=1, count=32)
        found = case.feed_back()
        maps = {key: bits for key, bits in case.plan.feature_maps.items() if key[0] == WHOLE}
        plan = dataclasses.replace(case.plan, feature_maps=maps)
        wanted = quantize.feed_back(case.graph, case.calibration, plan, SETTINGS, case.inputs)
        stem = case.graph.nodes[0].name
        assert stem in found.nodes
        assert_same(found, wanted, [stem])

    def test_it_is_repeatable(self):
        first, second = (ClassCase(BRIGHT, count=16).feed_back() for _ in range(2))
        assert first.nodes.keys() == second.nodes.keys()
        assert_same(first, second, first.nodes)


def assert_same(found, wanted, names) -> None:
    for name in names:
        np.testing.assert_array_equal(found.nodes[name].weights, wanted.nodes[name].weights)
        np.testing.assert_array_equal(found.nodes[name].scale, wanted.nodes[name].scale)
        np.testing.assert_allclose(found.nodes[name].bias, wanted.nodes[name].bias, atol=1e-9)


def _output(graph: Graph, name: str) -> str:
    return next(node.output for node in graph.nodes if node.name == name)


class Pointwise:
    """x -> a -> y | z, all 1x1: a pixel belongs to one patch. ``a`` has 2 bits in class mixed, 8 in the other."""

    SETTINGS = dataclasses.replace(SETTINGS, range_method="minmax")  # three of the four levels are for few values

    def __init__(self) -> None:
        net = Network("float32")
        net.map("x", (1, 8, 8, 4))
        net.conv("x", "a", 4, kernel=1, activation=1)
        net.conv("a", "y", 4, kernel=1)
        net.conv("y", "z", 2, kernel=1)
        graph = passes.run_all(tflite.load(net.build(["x"], ["z"]), name="net"))
        tensors = dict(graph.tensors)
        mixing = 0.8 * np.eye(4) + 0.2  # channels are alike, and tell of one another
        tensors[graph.nodes[0].inputs[1]] = _with_data(tensors[graph.nodes[0].inputs[1]], mixing)
        self.graph = graph.replace(tensors=tensors)
        self.x = np.random.default_rng(0).exponential(size=(32, 8, 8, 4)).astype(np.float32)
        self.calibration = calibrated(self.graph, self.x)
        self.classes = PatchClasses(staged(self.graph, 0, 2), 0, CHECKERS, {})
        self.plan = PrecisionPlan(8, {(OUTLIER, "a"): 8, (MIXED, "a"): 2, (WHOLE, "y"): 4})
        quant = self.quantized()[OUTLIER].tensors["x"].quant
        self.inputs = quant.quantize(self.x, -128, 127).astype(np.int8)
        self.real = Interpreter(self.graph, integer=False, keep_all=True).run({"x": quant.dequantize(self.inputs)})
        arguments = (self.graph, self.calibration, self.plan, self.SETTINGS, self.inputs)
        self.found = quantize.feed_back(*arguments, classes=self.classes)

    def quantized(self, adjustments=quantize.adjust.NONE) -> dict[str, Graph]:
        arguments = (self.graph, self.calibration, self.plan, self.SETTINGS, self.classes, adjustments)
        return quantize.quantized(*arguments)

    def answers(self, output: str, seen: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the new weights make of pixels, and what the best ones do: the solver's, with a pull of a hundredth of
        the mean variance towards the float network's. Means aside."""
        node = self.graph.producer(output)
        old = self.graph.tensors[node.inputs[1]].data.reshape(-1, 4).astype(float)
        seen, wanted = seen - seen.mean(axis=0), wanted - wanted.mean(axis=0)
        pull = np.sqrt(0.01 * len(seen) * seen.var(axis=0).mean()) * np.eye(4)
        best = np.linalg.lstsq(np.vstack([seen, pull]), np.vstack([wanted, pull @ old.T]), rcond=None)[0]
        new = self.found.nodes[node.name]
        return seen @ (new.weights.reshape(-1, 4) * new.scale[:, None].astype(float)).T, seen @ best


def _with_data(tensor: Tensor, data: np.ndarray) -> Tensor:
    return dataclasses.replace(tensor, data=data.reshape(tensor.shape).astype(np.float32))


def fitted_on(maps: np.ndarray) -> np.ndarray:
    """[samples, channels] of three pictures of four: the others judge."""
    return maps[[index for index in range(len(maps)) if index % 4 != 3]].reshape(-1, maps.shape[-1]).astype(float)


def distance(answers: tuple[np.ndarray, np.ndarray]) -> float:
    """In variances of the second."""
    found, wanted = answers
    return float(np.square(found - wanted).mean() / wanted.var(axis=0).mean())


@pytest.fixture(scope="module")
def pointwise():
    return Pointwise()


class TestFit:
    """What weights become, against numpy's solver on pixels gathered patch by patch."""

    def test_a_layer_of_the_stage_is_fitted_to_the_mixture(self, pointwise):
        """Neither to what outliers read, nor to the 2 bits of the others. Weights of 8 bits leave 1 % of the variance
        at most; the classes are further from one another."""
        maps = {}
        for name, graph in pointwise.quantized(pointwise.found).items():
            values = Interpreter(graph, integer=True, keep_all=True).run({"x": pointwise.inputs})["a"]
            maps[name] = graph.tensors["a"].quant.dequantize(values)
        seen = np.array(maps[OUTLIER])
        for rows, columns in ((slice(0, 4), slice(4, 8)), (slice(4, 8), slice(0, 4))):
            seen[:, rows, columns] = maps[MIXED][:, rows, columns]
        wanted = fitted_on(pointwise.real["y"])
        assert distance(pointwise.answers("y", fitted_on(seen), wanted)) < 0.001
        for name in (OUTLIER, MIXED):
            assert distance(pointwise.answers("y", fitted_on(maps[name]), wanted)) > 0.01

    def test_a_layer_behind_is_fitted_to_what_both_classes_give(self, pointwise):
        branches = pointwise.classes.branches(pointwise.quantized(pointwise.found))
        run = BranchInterpreter(branches.common, pointwise.classes.schedule, branches, keep_all=True)
        seen = branches.common.tensors["y"].quant.dequantize(run.run({"x": pointwise.inputs})["y"])
        assert distance(pointwise.answers("z", fitted_on(seen), fitted_on(pointwise.real["z"]))) < 0.001

    def test_the_output_comes_nearer(self, pointwise):
        errors = []
        for each in (pointwise.quantized(), pointwise.quantized(pointwise.found)):
            branches = pointwise.classes.branches(each)
            interpreter = BranchInterpreter(branches.common, pointwise.classes.schedule, branches)
            output = branches.common.tensors["z"].quant.dequantize(interpreter.run({"x": pointwise.inputs})["z"])
            errors.append(np.square(output - pointwise.real["z"]).mean())
        assert errors[1] < 0.8 * errors[0]


class TestPlaces:
    @pytest.mark.parametrize("mode", [HaloMode.RECOMPUTE, HaloMode.REUSE_ROWS], ids=lambda mode: mode.value)
    def test_pixels_one_by_one(self, mode):
        case = ClassCase(mode=mode)
        patches = case.classes.patches
        rng = np.random.default_rng(0)
        is_of_class = rng.random((3, patches.row_steps, patches.column_steps)) < 0.5
        places = Places(patches, {OUTLIER: is_of_class})
        for entry in patches.maps:
            shape = case.graph.tensors[entry.tensor].shape
            found = places.of(OUTLIER, entry.tensor, shape)
            for picture, y, x in np.ndindex(3, *shape[1:3]):
                wanted = any(
                    is_of_class[picture, row, column]
                    and rows.start <= y < rows.end
                    and columns.start <= x < columns.end
                    for row, rows in enumerate(entry.rows)
                    for column, columns in enumerate(entry.columns)
                )
                assert found[picture, y, x] == wanted

    def test_the_map_that_is_cut_is_shared_out(self):
        case = ClassCase(BRIGHT, mode=HaloMode.REUSE_ROWS)
        places = case.classes.places(case.plain, case.inputs)
        shape = case.graph.tensors["sum"].shape
        one, other = (places.of(name, "sum", shape) for name in (OUTLIER, MIXED))
        assert (one ^ other).all() and one.any() and other.any()


class TestRefine:
    def test_factors_leave_scans_and_classes_alone(self):
        for rule, start, left in ((BRIGHT, 1, {"stem"}), (CHECKERS, 0, set())):
            case = ClassCase(rule, start=start, count=16)
            fitted = case.refined()
            assert not fitted.equalized.factors.keys() & (case.classes.inner | left)
            assert case.classes.fixed == case.classes.inner | left

    def test_behind_the_stage_channels_are_scaled(self):
        """``last`` is averaged by layers that carry no weights; with a layer behind it, it can be scaled."""
        net = Network("float32")
        net.map("x", (1, 8, 8, 3))
        net.conv("x", "a", 4, activation=1)
        net.conv("a", "y", 4, activation=1)
        net.conv("y", "wide", 8, kernel=1, activation=1)
        net.depthwise("wide", "z")
        graph = passes.run_all(tflite.load(net.build(["x"], ["z"]), name="net"))
        x = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype(np.float32)
        calibration = calibrated(graph, x)
        classes = PatchClasses(staged(graph, 0, 2), 0, CHECKERS, {})
        plan = PrecisionPlan(8, {(OUTLIER, "a"): 8, (MIXED, "a"): 4, (WHOLE, "y"): 4, (WHOLE, "wide"): 4})
        inputs = (
            quantize.quantized(graph, calibration, plan, SETTINGS, classes)[OUTLIER]
            .tensors["x"]
            .quant.quantize(x, -128, 127)
        )
        fitted = accuracy.refine(graph, calibration, plan, SETTINGS, inputs.astype(np.int8), None, classes=classes)
        assert fitted.equalized.factors.keys() == {"y", "wide"}
        check_branches(fitted.branches(), classes.schedule)

    def test_a_mix_tells_what_its_classes_are(self):
        """Quantized anew with what a mix says of its classes, it is the same."""
        for vdpc in ("static", "dynamic"):
            _, mix = find(SearchSettings(vdpc=vdpc), bitops=BUDGET)
            graph, calibration, _, _ = prepared()
            classes = classes_of(mix)
            assert mix.branches is not None and classes.stats
            again = quantize.quantized(graph, calibration, mix.result.precision, SETTINGS, classes)
            assert again.keys() == mix.branches.graphs.keys()
            for name, each in mix.branches.graphs.items():
                for tensor in each.tensors.values():
                    other = again[name].tensors[tensor.name]
                    assert tensor.quant is None or tensor.quant.same_as(other.quant)
                    assert tensor.data is None or np.array_equal(tensor.data, other.data)

    def test_without_classes_there_is_nothing_to_tell(self):
        _, mix = find(SearchSettings(vdpc="off"), bitops=BUDGET)
        assert classes_of(mix) is None


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the extra accuracy is not installed")
class TestEffort:
    """With torch: layers behind the stage are trained on what patches of both classes give."""

    EFFORT = accuracy.Settings(seconds=60, most_iterations=60, batch=16, held_out=4)

    @pytest.mark.parametrize("rule", [CHECKERS, BRIGHT], ids=["static", "dynamic"])
    def test_layers_behind_are_trained_and_no_others(self, rule):
        case = ClassCase(rule, behind=4, count=160)
        before, after = case.refined(), case.refined(self.EFFORT)
        graphs = [each.branches().graphs[MIXED] for each in (before, after)]
        constants = [name for name, tensor in graphs[0].tensors.items() if tensor.data is not None]
        trained = [name for name in constants if not _are_equal(*(graph.tensors[name] for graph in graphs))]
        behind = [case.graph.producer(name).name for name in ("last", "logits")]
        assert {name.rpartition("/")[0] for name in trained} == set(behind)
        check_branches(after.branches(), case.classes.schedule)
        assert case.error(after.branches(), "logits") < case.error(before.branches(), "logits")

    def test_a_stage_with_no_layers_behind_is_left(self):
        net = Network("float32")
        net.map("x", (1, 8, 8, 3))
        net.conv("x", "a", 4, activation=1)
        net.conv("a", "y", 4)
        graph = passes.run_all(tflite.load(net.build(["x"], ["y"]), name="net"))
        x = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype(np.float32)
        calibration = calibrated(graph, x)
        classes = PatchClasses(staged(graph, 0, 2), 0, CHECKERS, {})
        plan = PrecisionPlan(8, {(OUTLIER, "a"): 8, (MIXED, "a"): 4})
        quant = quantize.quantized(graph, calibration, plan, SETTINGS, classes)[OUTLIER].tensors["x"].quant
        inputs = quant.quantize(x, -128, 127).astype(np.int8)
        effort = dataclasses.replace(self.EFFORT, seconds=1)
        fitted = accuracy.refine(graph, calibration, plan, SETTINGS, inputs, effort, classes=classes)
        plain = accuracy.refine(graph, calibration, plan, SETTINGS, inputs, None, classes=classes)
        assert_same(fitted.adjustments, plain.adjustments, plain.adjustments.nodes)


def _are_equal(one: Tensor, other: Tensor) -> bool:
    return np.array_equal(one.data, other.data) and (one.quant is None or one.quant.same_as(other.quant))
