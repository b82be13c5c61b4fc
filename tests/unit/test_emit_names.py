"""Text from the model file may hold anything; what reaches the C must be harmless."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantmcu_kit.emit.names import (
    c_string,
    check_name,
    comment,
    float_literal,
    library_name,
    parameter_names,
    prototype,
)
from quantmcu_kit.errors import QmkitError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("person_detect", "person_detect"),
        ("MobileNet-V2 0.5 (160)", "mobilenet_v2_0_5_160"),
        ("2stage", "net_2stage"),
        ("int", "int_net"),
        ("string", "string_net"),
        ("日本", "net"),
        ("", "net"),
        ("a" * 70, "a" * 40),
    ],
)
def test_library_name_of_a_file_name(text, name):
    assert library_name(text) == name


@given(st.text(max_size=60))
def test_library_name_is_always_usable(text):
    name = library_name(text)
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["Vww", "1net", "my-net", "", "while", "class", "math", "quantmcu", "x" * 41, "a b", "net\n"]
)
def test_unusable_names_are_refused(name):
    with pytest.raises(QmkitError) as caught:
        check_name(name)
    assert caught.value.code == "bad-name"
    assert check_name(caught.value.hint.removeprefix("--name "))


@given(st.text())
def test_comment_stays_one_comment(text):
    shown = comment(text)
    assert re.fullmatch(r"[ -~]*", shown) and "*/" not in shown and "/*" not in shown
    assert "\\" not in shown and "?" not in shown and len(shown) <= 60


def test_long_names_keep_their_tail():
    assert comment("a/" * 40 + "depthwise_7") == "..." + ("a/" * 40 + "depthwise_7")[-57:]


@pytest.mark.skipif(not shutil.which("cc"), reason="no cc")
def test_c_strings_are_what_they_were(tmp_path):
    names = ['say "hi"', "back\\slash", "??/ trigraph", "grün 1", "tab\tnew\nline", "%d %s", "*/ end", "\x01" + "7"]
    body = "".join(f"    puts({c_string(name)});\n    putchar(0);\n" for name in names)
    (tmp_path / "main.c").write_text(f"#include <stdio.h>\nint main(void)\n{{\n{body}    return 0;\n}}\n")
    subprocess.run(["cc", "-std=c99", "-Wall", "-Werror", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout
    assert printed.decode().split("\n\0")[:-1] == names


@given(st.floats(width=32, min_value=2.0**-100, max_value=2.0**100))
def test_float_literals_read_back_exactly(value):
    literal = float_literal(value)
    assert literal.endswith("f") and ("." in literal or "e" in literal)
    assert np.float32(literal[:-1]) == np.float32(value)


def test_single_ports_have_plain_names():
    assert parameter_names(["serving_default_input:0"], ["StatefulPartitionedCall:0"], "scores") == (
        ("input",),
        ("scores",),
    )


def test_several_ports_keep_the_models_names():
    assert parameter_names(["a"], ["net/Regressors:0", "net/Classes"], "output") == (
        ("input",),
        ("regressors", "classes"),
    )


@pytest.mark.parametrize(
    "names", [["Call:0", "Call:1"], ["int", "x"], ["", "y"], ["arena", "z"], ["1", "2"], ["ä", "b"]]
)
def test_unusable_port_names_are_numbered(names):
    assert parameter_names(["a"], names, "output")[1] == ("output_0", "output_1")


def test_inputs_and_outputs_never_share_a_name():
    inputs, outputs = parameter_names(["x", "y"], ["x", "z"], "output")
    assert inputs == ("input_0", "input_1") and outputs == ("output_0", "output_1")


def test_long_prototypes_are_wrapped():
    text = prototype("net_run", [f"const int8_t *parameter_{i}" for i in range(8)])
    assert all(len(line) <= 120 and line == line.rstrip() for line in text.splitlines())
    assert text.count("\n") >= 1 and text.endswith("*parameter_7)")
