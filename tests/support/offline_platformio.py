"""PlatformIO without its registry: the two packages that `pio test` needs, laid out from what pip installed.

``tool-scons`` starts the installed SCons under the version that this PlatformIO asks for. ``native`` is a builder of
our own in the role of PlatformIO's: the host's compiler as SCons finds it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_SCONS = "import SCons.Script\n\nSCons.Script.main()\n"
_NATIVE = "from SCons.Script import Default, DefaultEnvironment\n\nDefault(DefaultEnvironment().BuildProgram())\n"
_NO_NETWORK = "http://127.0.0.1:9"  # a proxy that is not there: an attempt to download fails at once
_SECONDS = 300


@dataclass(frozen=True)
class Result:
    """What a PlatformIO command did."""

    code: int
    output: str


def lay_out(core: Path) -> Path:
    """Write ``core``, a PLATFORMIO_CORE_DIR; skips where PlatformIO or SCons is absent."""
    dependencies = pytest.importorskip("platformio.dependencies").get_core_dependencies()
    pytest.importorskip("SCons")
    version = dependencies["tool-scons"].lstrip("~^=")
    _package(core / "packages" / "tool-scons", "tool", version, {"scons.py": _SCONS}, "package.json")
    _package(core / "platforms" / "native", "platform", "1.0.0", {"builder/main.py": _NATIVE}, "platform.json")
    return core


def _package(folder: Path, kind: str, version: str, files: dict[str, str], manifest: str) -> None:
    name = folder.name
    spec = {"owner": "platformio", "id": None, "name": name, "requirements": None, "uri": None}
    described = {"name": name, "title": name, "description": name, "version": version}
    installed = {"type": kind, "name": name, "version": version, "spec": spec}
    texts = {**files, manifest: json.dumps(described), ".piopm": json.dumps(installed)}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def pio(core: Path, project: Path, *arguments: object) -> Result:
    """Run a PlatformIO command. Nothing is downloaded, and nothing is written to the home folder."""
    settings = {
        "PLATFORMIO_CORE_DIR": str(core),
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "HTTP_PROXY": _NO_NETWORK,
        "HTTPS_PROXY": _NO_NETWORK,
    }
    result = subprocess.run(
        [sys.executable, "-m", "platformio", *map(str, arguments), "--project-dir", str(project)],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
    )
    return Result(result.returncode, result.stdout)
