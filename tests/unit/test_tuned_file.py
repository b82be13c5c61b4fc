"""Files of tuned networks: written and read, and refused where they do not fit."""

from __future__ import annotations

import dataclasses
import zipfile

import numpy as np
import pytest

from quantmcu_kit import accuracy, quantize
from quantmcu_kit.accuracy import Tuned
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.options import Options
from quantmcu_kit.search import SearchResult
from quantmcu_kit.tuned import read_tuned
from tests.support.float_networks import calibrated, inverted_residual, pictures

MODEL = b"a model file"
GRAPH = inverted_residual()
CALIBRATION = calibrated(GRAPH, pictures(8))
WEIGHTS = {node.inputs[1]: 4 for node in GRAPH.nodes if TABLE[node.op].weight_axis is not None}
MAPS = {"stem": {WHOLE: 4}, "sum": {WHOLE: 2}}
PLAN = PrecisionPlan(8, {(WHOLE, "stem"): 4, (WHOLE, "sum"): 2}, WEIGHTS)
INTEGER = quantize.apply(GRAPH, CALIBRATION, PLAN, quantize.Settings())
PREPROCESS = Preprocess("custom", (1.5, 2.0, 3.0), (4.0, 0.1, 6.0), "--mean and --std")


def example() -> Tuned:
    result = SearchResult("milp", MAPS, WEIGHTS, (), 11, 12, 13, 14, None, trade_off=0.5)
    facts = (0.25, 0.125, True, 30, 40, 50, False)
    return Tuned(accuracy.sha256_of(MODEL), result, quantize.adjustments_of(INTEGER), PREPROCESS, *facts)


def refused(path, model: bytes = MODEL, graph=GRAPH) -> QmkitError:
    with pytest.raises(QmkitError) as error:
        accuracy.read(path, model, graph)
    return error.value


def test_what_was_written_comes_back(tmp_path):
    accuracy.write(example(), tmp_path / "a.qmtune")
    assert [path.name for path in tmp_path.iterdir()] == ["a.qmtune"]
    found = accuracy.read(tmp_path / "a.qmtune", MODEL, GRAPH)
    assert found.result == example().result and found.result.precision == PLAN
    assert (found.before, found.after, found.done, found.total, found.pictures) == (0.25, 0.125, 30, 40, 50)
    other = calibrated(GRAPH, pictures(8, seed=3))  # decides nothing
    again = quantize.apply(GRAPH, other, found.result.precision, quantize.Settings(), found.adjustments)
    for name, tensor in INTEGER.tensors.items():
        assert tensor.quant is None or again.tensors[name].quant.same_as(tensor.quant), name
        assert np.array_equal(again.tensors[name].data, tensor.data), name


def test_the_same_network_gives_the_same_file(tmp_path):
    for name in ("a", "b"):
        accuracy.write(example(), tmp_path / name)
    with np.load(tmp_path / "a") as a, np.load(tmp_path / "b") as b:
        assert a.files == b.files and all(np.array_equal(a[key], b[key]) for key in a.files)


def test_another_model_is_refused(tmp_path):
    accuracy.write(example(), tmp_path / "a")
    assert refused(tmp_path / "a", b"another model").code == "other-model"


@pytest.mark.parametrize("broken", [lambda data: b"PK nothing", lambda data: data[: len(data) // 2], lambda data: b""])
def test_a_broken_file_is_refused(tmp_path, broken):
    path = tmp_path / "a"
    accuracy.write(example(), path)
    path.write_bytes(broken(path.read_bytes()))
    assert refused(path).code == "bad-tuned-file"
    assert refused(tmp_path / "none").code == "bad-tuned-file"


def test_another_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("facts.npy", "no array")
    assert refused(tmp_path / "a.zip").code == "bad-tuned-file"
    np.savez(tmp_path / "b.npz", facts=np.frombuffer(b'{"format": 99}', np.uint8))
    assert "format 99" in refused(tmp_path / "b.npz").why


def test_constants_of_another_shape_are_refused(tmp_path):
    good = example()
    name, node = next(iter(good.adjustments.nodes.items()))
    for wrong in (
        dataclasses.replace(node, weights=node.weights[..., :1]),
        dataclasses.replace(node, scale=-node.scale),
        dataclasses.replace(node, bias=node.bias * np.nan),
    ):
        adjustments = dataclasses.replace(good.adjustments, nodes={**good.adjustments.nodes, name: wrong})
        accuracy.write(dataclasses.replace(good, adjustments=adjustments), tmp_path / "a")
        assert name in refused(tmp_path / "a").why


def test_missing_layers_are_refused(tmp_path):
    good = example()
    few = dataclasses.replace(good.adjustments, nodes=dict(list(good.adjustments.nodes.items())[1:]))
    accuracy.write(dataclasses.replace(good, adjustments=few), tmp_path / "a")
    assert refused(tmp_path / "a").code == "bad-tuned-file"


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    ours, theirs = tmp_path / "a", tmp_path / "letter.txt"
    accuracy.write(example(), ours)
    theirs.write_text("dear")
    accuracy.check_writable(ours, force=False)
    accuracy.check_writable(theirs, force=True)
    for path in (theirs, tmp_path, tmp_path / "none" / "a"):
        with pytest.raises(QmkitError):
            accuracy.check_writable(path, force=False)


def test_pixels_enter_as_they_did_in_training(tmp_path):
    path = tmp_path / "a"
    accuracy.write(example(), path)
    _, options = read_tuned(GRAPH, MODEL, Options(tuned=path))
    assert options.normalisation == (PREPROCESS.mean, PREPROCESS.std)
    _, said = read_tuned(GRAPH, MODEL, Options(tuned=path, preprocess="01"))
    assert said.preprocess == "01" and said.mean is None
    assert read_tuned(GRAPH, MODEL, Options()) == (None, Options())
