"""The README against the program: options, operators, JSON keys, targets."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from quantmcu_kit.options import Options
from quantmcu_kit.tflite import supported_ops

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def option_rows() -> list[str]:
    """One row of the README's table per option."""
    rows = []
    for option in fields(Options):
        default = {None: "", False: "off"}.get(option.default, f"`{option.default}`")
        rows.append(f"| `--{option.name.replace('_', '-')}` | {default} | {option.metadata['help']} |")
    return rows


@pytest.mark.parametrize("row", option_rows())
def test_every_option_is_documented(row):
    assert row in README


def test_every_option_is_a_flag_of_build():
    import inspect

    from quantmcu_kit.cli.build import build

    flags = set(inspect.signature(build).parameters) - {"model", "json"}
    assert flags == {option.name for option in fields(Options)}


def test_every_operator_is_listed():
    (paragraph,) = re.findall(r"Operators: (.*?)\.\n", README, re.DOTALL)
    listed = set(re.findall(r"[A-Z0-9_]{3,}", paragraph))
    assert listed == {op.name for op in supported_ops()}


def test_commands_of_the_readme_exist():
    from quantmcu_kit.cli.main import app

    commands = {command.name for command in app.registered_commands if not command.hidden}
    assert set(re.findall(r"^\| `qmkit (\w+)", README, re.MULTILINE)) == commands


def test_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z0-9-]+)", README)) <= targets


def test_no_file_is_long():
    """Files stay readable: about 400 lines at most."""
    for pattern in ("quantmcu_kit/**/*.py", "platformio_lib/**/*.[chj]*", "tests/**/*.py", "examples/**/*.py"):
        for path in ROOT.glob(pattern):
            assert len(path.read_text().splitlines()) <= 420, path
