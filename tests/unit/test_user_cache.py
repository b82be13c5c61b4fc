"""The user's folder for what can be made again."""

import os
import time
from pathlib import Path

import pytest

from quantmcu_kit.user_cache import prune, user_cache

needs_posix = pytest.mark.skipif(os.name == "nt", reason="another variable names the folder on Windows")


@needs_posix
def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache("blocks") == tmp_path / "qmkit" / "blocks"


@needs_posix
def test_a_user_without_a_home_has_one_too(monkeypatch, tmp_path):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert user_cache("blocks") == tmp_path / ".cache" / "qmkit" / "blocks"


def test_only_old_files_go(tmp_path):
    for name, days in (("old.npz", 31), ("new.npz", 29)):
        (tmp_path / name).write_text("")
        moment = time.time() - days * 86400
        os.utime(tmp_path / name, (moment, moment))
    (tmp_path / "folder").mkdir()
    prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "new.npz"]
    prune(tmp_path / "none")
