"""The whole chain with tflite-runtime 2.14 under numpy < 2 in place of ai-edge-litert."""

import json
import sys

import pytest

from tests.support.wheel import build_wheel, copy_example, make_environment, run

REQUIREMENTS = ["tflite-runtime==2.14.0", "numpy<2", "jinja2", "pillow", "rich", "tflite", "tomli", "typer"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime 2.14 has no wheel for this Python")
def test_build_and_verify_without_ai_edge_litert(tmp_path):
    wheel = build_wheel(tmp_path)
    binaries = make_environment(tmp_path / "venv", *REQUIREMENTS)
    run([binaries / "python", "-m", "pip", "install", "--quiet", "--no-deps", wheel], cwd=tmp_path)
    listing = run([binaries / "python", "-m", "pip", "list", "--format", "json"], cwd=tmp_path)
    versions = {entry["name"]: entry["version"] for entry in json.loads(listing.stdout)}
    assert "ai-edge-litert" not in versions and versions["numpy"].startswith("1.")
    model = copy_example(tmp_path / "desk")
    build = run([binaries / "qmkit", "build", model.name, "--board", "nano33ble", "--json"], cwd=model.parent)
    verify = run([binaries / "qmkit", "verify", json.loads(build.stdout)["library"], "--json"], cwd=model.parent)
    assert json.loads(verify.stdout)["host"]["mismatches"] == 0
