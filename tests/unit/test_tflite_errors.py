"""What is wrong with a model file is said by a code, a place, a reason and a remedy; nothing else ever comes out."""

from __future__ import annotations

import numpy as np
import pytest
import tflite as schema

from quantmcu_kit import tflite
from quantmcu_kit.errors import QmkitError
from tests.support.networks import (
    SAME,
    Network,
    conv_chain,
    conv_operator,
    conv_options,
    conv_tensor,
    int8_map,
    one_conv,
)
from tests.support.tflite_builder import OperatorDef, TensorDef, build, constant, options


def refusal(data: bytes) -> QmkitError:
    with pytest.raises(QmkitError) as caught:
        tflite.load(data, name="m", where="m.tflite")
    error = caught.value
    assert error.where.startswith("m.tflite")
    assert error.why or error.hint
    return error


def test_the_unchanged_network_loads():
    assert [node.op for node in tflite.load(one_conv(), name="m").nodes] == ["CONV_2D"]


def test_empty_file():
    assert refusal(b"").code == "empty-file"


@pytest.mark.parametrize(
    ("head", "looks_like"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x08\x07\x12\x07pytorch", "ONNX"),
        (b"\x7fELF\x02\x01", "ELF"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\n<!DOCTYPE html>", "web page"),
        ("ein Gruß an alle".encode(), "text"),
        (b"\x1c\x00\x00\x00TFL2", "another schema version"),
        (b"\x00\x01\x02\x03\xfe\xff", "unknown"),
        (b"\x00", "unknown"),
    ],
)
def test_other_files_are_recognised(head, looks_like):
    error = refusal(head + bytes(40) if head[0] in b"\x89\xff\x7f\x93\x08P" else head)
    assert error.code == "not-a-tflite"
    assert looks_like in error.message


@pytest.mark.parametrize("length", [8, 20, 60, 200])
def test_truncated_files(length):
    assert refusal(one_conv()[:length]).code == "bad-model"


def test_unsupported_operator_names_index_output_version_and_what_is_supported():
    operator = OperatorDef("HARD_SWISH", ["x"], ["y"], version=2)
    error = refusal(one_conv(int8_map("y", (1, 8, 8, 3)), operator=operator))
    assert error.code == "unsupported-op"
    assert 'op 0 HARD_SWISH "y" (version 2)' in error.message
    assert "CONV_2D" in error.why
    assert "--support" in error.hint


def test_operator_codes_beyond_127_are_read():
    error = refusal(one_conv(operator=OperatorDef("BROADCAST_TO", ["x"], ["y"])))
    assert "BROADCAST_TO" in error.message


def test_unsupported_operator_on_unsupported_types_is_still_named():
    operator = OperatorDef("UNIQUE", ["x"], ["odd"])
    error = refusal(one_conv(TensorDef("odd", (1, 2), "int16"), operator=operator, outputs=["odd"]))
    assert error.code == "unsupported-op"


def test_custom_operator_is_named():
    operator = OperatorDef("CUSTOM", ["x"], ["y"], custom_code="TFLite_Detection_PostProcess")
    error = refusal(one_conv(operator=operator))
    assert error.code == "unsupported-op"
    assert "custom operator TFLite_Detection_PostProcess" in error.message


def test_every_unsupported_operator_is_counted():
    tensors = [int8_map(name, (1, 8, 8, 3)) for name in "abcd"]
    operators = [OperatorDef(op, [x], [y]) for op, x, y in [("ABS", "a", "b"), ("EXP", "b", "c"), ("ABS", "c", "d")]]
    assert "ABS x2, EXP" in refusal(build(tensors, operators, ["a"], ["d"])).why


def test_operator_without_options():
    error = refusal(one_conv(operator=conv_operator(options=None)))
    assert error.code == "bad-model"
    assert 'op 0 CONV_2D "y"' in error.message


def test_options_of_another_operator_count_as_absent():
    assert refusal(one_conv(operator=conv_operator(options=options("PadOptions")))).code == "bad-model"


@pytest.mark.parametrize(
    "field", [{"stride_h": 0}, {"stride_w": -1}, {"dilation_h_factor": 0}, {"dilation_w_factor": -2}]
)
def test_windows_that_do_not_move_forward(field):
    fields = {**dict(conv_options().fields), **field}
    error = refusal(one_conv(operator=conv_operator(options=options("Conv2DOptions", **fields))))
    assert error.code in ("bad-shape", "bad-model")


def test_window_of_absurd_size():
    """SAME padding would pad the map to the size of the window."""
    pool = options("Pool2DOptions", padding=SAME, stride_h=1, stride_w=1, filter_height=2**30, filter_width=3)
    operator = OperatorDef("MAX_POOL_2D", ["x"], ["y"], pool, version=2)
    assert refusal(one_conv(conv_tensor("y", shape=(1, 8, 8, 3)), operator=operator)).code == "bad-shape"


def test_bias_that_does_not_fit():
    error = refusal(one_conv(conv_tensor("y/b", shape=(3,), data=np.zeros(3), scale=None)))
    assert error.code == "unsupported-op"
    assert "bias" in error.why


def test_constraint_is_the_reason():
    error = refusal(one_conv(conv_tensor("x", shape=(1, 8, 8, 5))))
    assert error.code == "unsupported-op"
    assert "Grouped" in error.why


@pytest.mark.parametrize("dtype", ["int16", "bool"])
def test_unsupported_element_type(dtype):
    error = refusal(one_conv(conv_tensor("x", dtype=dtype)))
    assert error.code == "unsupported-dtype"
    assert dtype in error.message.lower()


def test_float_map_with_integer_output():
    error = refusal(one_conv(TensorDef("x", (1, 8, 8, 3))))
    assert error.code == "unsupported-dtype"


def test_integer_feature_map():
    assert refusal(one_conv(TensorDef("x", (1, 8, 8, 3), "int32"))).code == "unsupported-dtype"


def test_unsupported_rank():
    assert refusal(one_conv(conv_tensor("x", shape=(1, 1, 8, 8, 3)))).code == "unsupported-rank"
    assert refusal(one_conv(conv_tensor("x", shape=(1,) * 9))).code == "unsupported-rank"


def test_unsupported_batch():
    error = refusal(one_conv(conv_tensor("x", shape=(2, 8, 8, 3)), conv_tensor("y", shape=(2, 8, 8, 4))))
    assert error.code == "unsupported-batch"


def test_dynamic_batch_is_accepted():
    graph = tflite.load(one_conv(conv_tensor("x", shape_signature=(-1, 8, 8, 3))), name="m")
    assert graph.tensors["x"].shape == (1, 8, 8, 3)


@pytest.mark.parametrize("changes", [{"shape_signature": (1, -1, -1, 3)}, {"shape": (1, -1, 8, 3)}])
def test_dynamic_shape(changes):
    error = refusal(one_conv(conv_tensor("x", **changes)))
    assert error.code == "dynamic-shape"
    assert "'x'" in error.message


def test_declared_shape_must_follow_from_the_operator():
    error = refusal(one_conv(conv_tensor("y", shape=(1, 8, 7, 4))))
    assert error.code == "bad-model"
    assert "[1, 8, 8, 4]" in error.message and "[1, 8, 7, 4]" in error.message


def test_dynamic_inner_shape_that_does_not_follow():
    changed = conv_tensor("y", shape=(1, 1, 1, 4), shape_signature=(-1, -1, -1, 4))
    assert refusal(one_conv(changed)).code == "dynamic-shape"


def test_empty_map():
    assert refusal(one_conv(conv_tensor("x", shape=(1, 0, 8, 3)))).code == "bad-model"


def test_shape_of_absurd_size():
    assert refusal(one_conv(conv_tensor("x", shape=(1, 60000, 60000, 3)))).code == "too-large"


def test_constant_of_wrong_length():
    data = one_conv()
    # a shape in the file: its length 4, then the four sizes
    old, new = (np.array([4, *shape], np.int32).tobytes() for shape in ((4, 3, 3, 3), (4, 3, 3, 2)))
    assert data.count(old) == 1
    error = refusal(data.replace(old, new))
    assert error.code == "bad-model"
    assert "108 bytes" in error.message and "72" in error.why


@pytest.mark.parametrize(
    ("tensor", "changes", "problem"),
    [
        ("x", {"scale": None}, "no scale"),
        ("x", {"scale": 0.0}, "below 1e-12"),
        ("x", {"scale": -1.0}, "below 1e-12"),
        ("x", {"scale": float("nan")}, "not a number"),
        ("x", {"scale": float("inf")}, "not a number"),
        ("y/w", {"scale": float("nan")}, "not a number"),
        ("x", {"zero_point": 128}, "-128..127"),
        ("x", {"scale": [0.1, 0.2, 0.3], "axis": 3}, "3 scales"),
        ("y/w", {"scale": [0.1, 0.2, 0.3]}, "3 scales along axis 0"),
        ("y/w", {"scale": [0.1, 0.2, 0.3, 0.4], "axis": 7}, "axis 7"),
        ("y/w", {"scale": [0.1, 0.2, 0.3], "axis": 3}, "per-channel"),
        ("y/w", {"zero_point": [0, 1, 0, 0]}, "per-channel"),
        ("y/w", {"zero_point": 3}, "zero-point other than 0"),
    ],
)
def test_bad_quantization(tensor, changes, problem):
    error = refusal(one_conv(conv_tensor(tensor, **changes)))
    assert error.code == "bad-quantization"
    assert problem in error.message
    assert tensor in error.message


def test_quantized_dimension_of_a_single_scale_is_ignored():
    data = one_conv(conv_tensor("x", axis=3), conv_tensor("y/w", scale=0.01, axis=3))
    assert tflite.load(data, name="m").tensors["x"].quant.axis is None


def test_constant_that_is_not_finite():
    tensors = [TensorDef("x", (1, 4, 4, 1)), TensorDef("y", (1, 4, 4, 1)), constant("w", [[[[np.nan]]]], "float32")]
    operator = OperatorDef("CONV_2D", ["x", "w", None], ["y"], conv_options())
    assert "not finite" in refusal(build(tensors, [operator], ["x"], ["y"])).message


def test_network_input_that_is_a_constant():
    error = refusal(one_conv(inputs=["y/w"]))
    assert error.code == "bad-model"
    assert "constant" in error.message


def test_network_output_that_is_never_written():
    error = refusal(one_conv(int8_map("z", (1, 8, 8, 4)), outputs=["z"]))
    assert error.code == "bad-model"
    assert "never written" in error.message


def test_no_outputs():
    assert refusal(one_conv(outputs=[])).code == "bad-model"


def test_operators_out_of_order():
    network = conv_chain(3, 3, 3)
    assert len(tflite.load(network.build(["t0"], ["t2"]), name="m").nodes) == 2
    network.operators.reverse()
    error = refusal(network.build(["t0"], ["t2"]))
    assert error.code == "bad-model"
    assert "before it is written" in error.message


def test_cycle():
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.map("y", (1, 8, 8, 3))
    network.conv("y", "y", 3)
    assert "before it is written" in refusal(network.build(["x"], ["y"])).message


def test_tensor_written_twice():
    network = conv_chain(3, 3)
    network.operators *= 2
    assert "written twice" in refusal(network.build(["t0"], ["t1"])).message


@pytest.mark.parametrize("ports", [{"inputs": ["x", "x"]}, {"outputs": ["y", "y"]}])
def test_port_listed_twice(ports):
    error = refusal(one_conv(**ports))
    assert error.code == "bad-model"
    assert "listed twice" in error.message


def test_more_operators_than_any_microcontroller_runs(monkeypatch):
    monkeypatch.setattr("quantmcu_kit.tflite.importer.MAX_OPERATORS", 2)
    network = conv_chain(3, 3, 3, 3)
    error = refusal(network.build(["t0"], ["t3"]))
    assert error.code == "too-large"
    assert "3 operators" in error.message


def test_more_operands_than_any_operator_has():
    inputs = ["x"] * 1025
    concatenation = options("ConcatenationOptions", axis=3)
    error = refusal(one_conv(operator=OperatorDef("CONCATENATION", inputs, ["y"], concatenation, version=2)))
    assert error.code == "too-large"
    assert "1,025 inputs" in error.message


@pytest.mark.parametrize(
    ("accessor", "value", "problem"),
    [
        ("Tensor.Sparsity", object(), "sparsely"),
        ("Tensor.IsVariable", True, "variable"),
        ("Buffer.Offset", 4096, "outside the flatbuffer"),
        ("Model.SubgraphsLength", 2, "2 subgraphs"),
    ],
)
def test_what_no_microcontroller_runs(monkeypatch, accessor, value, problem):
    cls, method = accessor.split(".")
    monkeypatch.setattr(getattr(schema, cls), method, lambda self: value)
    monkeypatch.setattr(schema.Model, "Subgraphs", lambda self, _, first=schema.Model.Subgraphs: first(self, 0))
    error = refusal(one_conv())
    assert error.code == "unsupported-model"
    assert problem in error.message


def test_unknown_schema_version(monkeypatch):
    monkeypatch.setattr(schema.Model, "Version", lambda self: 2)
    assert "schema version 2" in refusal(one_conv()).message


def test_tables_that_overlap(monkeypatch):
    """Thousands of tensors could share one name as long as the file: gigabytes of text from a small file."""
    network = conv_chain(*[3] * 9)
    tensors = list(network.tensors.values())
    data = build(tensors, network.operators, ["t0"], ["t8"], description="x" * 100_000)
    name = schema.Model.GetRootAs(data, 0).Description()
    monkeypatch.setattr(schema.Tensor, "Name", lambda self: name)
    error = refusal(data)
    assert error.code == "bad-model"
    assert "overlap" in error.message


def test_custom_quantization(monkeypatch):
    monkeypatch.setattr(schema.QuantizationParameters, "DetailsType", lambda self: 1)
    assert refusal(one_conv()).code == "bad-quantization"
