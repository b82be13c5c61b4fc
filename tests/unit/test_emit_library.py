"""A library appears whole or not at all, and nobody's files are lost."""

import json
import os
from pathlib import Path

import pytest

from quantmcu_kit import emit
from quantmcu_kit.errors import EXIT_BAD_INPUT, QmkitError
from tests.support.libraries import rendered
from tests.support.small_graphs import conv_chain

OLD, NEW = conv_chain(seed=0), conv_chain(seed=1)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def as_bytes(files: dict[str, str | bytes]) -> dict[str, bytes]:
    return {path: content if isinstance(content, bytes) else content.encode() for path, content in files.items()}


def refused(code: str, *arguments: object, **options: object) -> QmkitError:
    with pytest.raises(QmkitError) as caught:
        emit.write(*arguments, **options)
    assert caught.value.code == code and caught.value.exit_code == EXIT_BAD_INPUT
    return caught.value


def test_written_as_rendered(tmp_path):
    files = rendered(OLD)
    written = emit.write(files, tmp_path / "lib" / "a folder" / "small")
    assert written == tmp_path / "lib" / "a folder" / "small"
    assert snapshot(written) == as_bytes(files)


def test_older_library_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    emit.write(rendered(OLD), tmp_path / "small")
    emit.write(rendered(NEW), tmp_path / "small")
    assert snapshot(tmp_path / "small") == as_bytes(rendered(NEW))
    assert os.listdir(tmp_path) == ["small"]


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "small").mkdir()
    emit.write(rendered(OLD), tmp_path / "small")
    assert snapshot(tmp_path / "small") == as_bytes(rendered(OLD))


def test_what_its_own_test_leaves_is_not_foreign(tmp_path):
    target = emit.write(rendered(OLD), tmp_path / "small")
    for left in (".pio/build/native/program", "test/__pycache__/test_custom_runner.cpython-311.pyc"):
        (target / left).parent.mkdir(parents=True)
        (target / left).write_text("")
    emit.write(rendered(NEW), target)
    assert not (target / ".pio").exists()


def test_foreign_folder_is_refused_unless_forced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    error = refused("output-not-empty", rendered(OLD), tmp_path)
    assert "thesis.txt" in error.where and "--force" in error.hint
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    emit.write(rendered(OLD), tmp_path, force=True)
    assert snapshot(tmp_path) == as_bytes(rendered(OLD))


def test_users_file_inside_a_library_is_not_lost(tmp_path):
    emit.write(rendered(OLD), tmp_path / "small")
    (tmp_path / "small" / "notes.md").write_text("mine")
    assert "notes.md" in refused("output-not-empty", rendered(NEW), tmp_path / "small").where
    assert (tmp_path / "small" / "notes.md").read_text() == "mine"


def test_library_of_another_version_is_replaced(tmp_path):
    old = as_bytes(rendered(OLD))
    manifest = json.loads(old["extras/qmkit.json"])
    old["extras/qmkit.json"] = json.dumps({key: manifest[key] for key in ("generator", "files")}).encode()
    emit.write(old, tmp_path / "small")
    emit.write(rendered(NEW), tmp_path / "small")
    assert snapshot(tmp_path / "small") == as_bytes(rendered(NEW))


@pytest.mark.parametrize(
    "manifest", ["", "[]", "{}", '{"generator": "qmkit"}', '{"generator": "qmkit", "files": 7}', "\xff"]
)
def test_damaged_manifest_protects_nothing_less(tmp_path, manifest):
    emit.write(rendered(OLD), tmp_path / "small")
    (tmp_path / "small" / "extras" / "qmkit.json").write_text(manifest)
    refused("output-not-empty", rendered(NEW), tmp_path / "small")


def test_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "small").write_text("a file")
    refused("output-not-empty", rendered(OLD), tmp_path / "small")


def test_working_folder_is_never_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused("output-not-empty", rendered(OLD), Path("."), force=True)
    refused("output-not-empty", rendered(OLD), tmp_path.parent, force=True)


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    error = refused("output-unwritable", rendered(OLD), tmp_path / "file" / "small")
    assert "--output" in error.hint


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_interrupted_write_keeps_the_old_library(tmp_path, monkeypatch, call, interruption):
    emit.write(rendered(OLD), tmp_path / "small")
    original, calls = getattr(os, call), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:  # in the middle of the files; between the two renames
            raise interruption
        return original(*arguments)

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises((KeyboardInterrupt, QmkitError)):
        emit.write(rendered(NEW), tmp_path / "small")
    assert snapshot(tmp_path / "small") == as_bytes(rendered(OLD))
    assert os.listdir(tmp_path) == ["small"]


def test_write_killed_between_the_renames_is_recovered(tmp_path):
    emit.write(rendered(OLD), tmp_path / "small")
    os.rename(tmp_path / "small", tmp_path / ".small.qmkit-old")
    (tmp_path / "small").mkdir()
    (tmp_path / "small").rmdir()
    emit.write(rendered(NEW), tmp_path / "small")
    assert snapshot(tmp_path / "small") == as_bytes(rendered(NEW))
    assert os.listdir(tmp_path) == ["small"]
