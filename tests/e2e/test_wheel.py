"""The installable wheel carries everything that a build needs."""

import json

from tests.support.wheel import build_wheel, copy_example, make_environment, run


def test_wheel_builds_and_verifies_a_library_from_an_empty_folder(tmp_path):
    wheel = build_wheel(tmp_path)
    binaries = make_environment(tmp_path / "venv with spaces", wheel)
    model = copy_example(tmp_path / "desk")
    build = run([binaries / "qmkit", "build", model.name, "--board", "nano33ble", "--json"], cwd=model.parent)
    summary = json.loads(build.stdout)
    assert summary["fits"] is True
    library = model.parent / summary["library"]
    assert (library / "src" / "digits.h").is_file()
    verify = run([binaries / "qmkit", "verify", library, "--json"], cwd=model.parent)
    host = json.loads(verify.stdout)["host"]
    assert host["mismatches"] == 0
    assert host["vectors"] > 0
