"""Samples as numpy files: the forms that are taken, and hostile ones that are refused."""

from __future__ import annotations

import io
import random
import struct
import zipfile

import numpy as np
import pytest

from quantmcu_kit.calibrate.dataset import open_dataset
from quantmcu_kit.errors import QmkitError

SHAPE = (4, 5, 3)
UINT8 = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), dtype=np.uint8)
INT8 = UINT8.view(np.int8)


def failure(path, shape=SHAPE):
    with pytest.raises(QmkitError) as caught:
        list(open_dataset(path, shape).batches(2))
    assert len(str(caught.value)) < 1000
    return caught.value


def saved(tmp_path, **arrays):
    path = tmp_path / "samples.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("x", [UINT8, INT8, (UINT8 / 7).astype(np.float32)], ids=["uint8", "int8", "float32"])
@pytest.mark.parametrize("form", ["npz", "compressed", "npy"])
def test_samples_go_in_as_they_are(tmp_path, x, form):
    path = tmp_path / ("samples.npy" if form == "npy" else "samples.npz")
    if form == "npy":
        np.save(path, x)
    else:
        (np.savez if form == "npz" else np.savez_compressed)(path, x=x)
    dataset = open_dataset(path, SHAPE)
    (batch,) = dataset.batches(10)
    assert batch.data.dtype == x.dtype
    np.testing.assert_array_equal(batch.data, x)
    assert dataset.labels is None and batch.labels is None and batch.names[2] == "x[2]"


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_other_floats_become_float32(tmp_path, dtype):
    (batch,) = open_dataset(saved(tmp_path, x=(UINT8 / 8).astype(dtype)), SHAPE).batches(10)
    assert batch.data.dtype == np.float32
    np.testing.assert_array_equal(batch.data, UINT8 / 8)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint64"])
def test_labels(tmp_path, dtype):
    y = np.array([3, 1, 4, 1, 5, 9], dtype)
    (tmp_path / "labels.txt").write_text("a\nb\n")
    dataset = open_dataset(saved(tmp_path, x=UINT8, y=y), SHAPE)
    assert dataset.labels.tolist() == [3, 1, 4, 1, 5, 9] and dataset.labels.dtype == np.int64
    assert [batch.labels.tolist() for batch in dataset.batches(4)] == [[3, 1, 4, 1], [5, 9]]
    assert dataset.class_names == ("a", "b")


@pytest.mark.parametrize("shape", [(3,), (1,), (2, 3, 4, 5), ()])
def test_samples_of_any_rank(tmp_path, shape):
    x = np.ones((4, *shape), np.float32)
    assert next(open_dataset(saved(tmp_path, x=x), shape).batches(9)).data.shape == (4, *shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_that_are_not_finite_are_skipped(tmp_path, dtype):
    x = np.ones((5, 3), dtype)
    x[1, 2], x[3, 0] = np.nan, -np.inf
    if dtype is np.float64:
        x[4, 0] = 1e39  # finite, but not in float32
    (batch,) = open_dataset(saved(tmp_path, x=x), (3,)).batches(9)
    assert [item.name for item in batch.skipped] == ["x[1]", "x[3]", "x[4]"][: 5 - len(batch.data)]
    assert np.isfinite(batch.data).all() and len(batch.data) == (3 if dtype is np.float32 else 2)


def test_no_sample_is_finite(tmp_path):
    assert failure(saved(tmp_path, x=np.full((5, 3), np.nan)), (3,)).code == "no-pictures"


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_no_samples(tmp_path, suffix):
    path = tmp_path / f"samples{suffix}"
    (np.savez if suffix == ".npz" else np.save)(path, **{"x" if suffix == ".npz" else "arr": UINT8[:0]})
    assert failure(path).code == "no-pictures"


@pytest.mark.parametrize("shape", [(5, 4, 3), (4, 5, 1), (60,), ()])
def test_samples_of_another_shape(tmp_path, shape):
    error = failure(saved(tmp_path, x=UINT8), shape)
    assert error.code == "bad-array" and "(4, 5, 3)" in error.message and str(shape) in error.message


@pytest.mark.parametrize("x", [np.int32([[1]]), np.array(["a"]), np.array([True]), np.complex64([1]), np.float32(1)])
def test_samples_of_another_type(tmp_path, x):
    error = failure(saved(tmp_path, x=x), (1,))
    assert error.code == "bad-array" and str(x.dtype) in error.message


@pytest.mark.parametrize(
    "y",
    [
        np.arange(5),
        np.arange(7),
        np.zeros((6, 1), np.int64),
        np.int64(3),
        np.arange(6.0),
        np.array(list("abcdef")),
        np.array([0, 1, 2, 3, 4, -1]),
        np.array([0, 1, 2, 3, 4, 2**63], np.uint64),
    ],
    ids=["short", "long", "column", "scalar", "float", "text", "negative", "huge"],
)
def test_bad_labels(tmp_path, y):
    assert failure(saved(tmp_path, x=UINT8, y=y)).code == "bad-labels"


def test_archive_without_x(tmp_path):
    error = failure(saved(tmp_path, images=UINT8, y=np.arange(6)))
    assert error.code == "bad-array" and "'x'" in error.why and "images, y" in error.why and "np.savez" in error.hint


class Trap:
    """Unpickling this would end the test."""

    def __reduce__(self):
        return exit, (3,)


@pytest.mark.parametrize("form", ["npy", "x", "y"])
def test_pickled_objects_are_refused_unopened(tmp_path, form):
    trap = np.array([Trap()], object)
    path = tmp_path / ("samples.npy" if form == "npy" else "samples.npz")
    if form == "npy":
        np.save(path, trap)
    else:
        np.savez(path, **{"x": UINT8, form: trap})
    error = failure(path)
    assert error.code == "bad-array" and error.why == "pickled objects are refused"


def raw_pickle(tmp_path):
    path = tmp_path / "samples.npy"
    np.array([Trap()], object).dump(path)
    return path


def archive_named_npy(tmp_path):
    return saved(tmp_path, x=UINT8).rename(tmp_path / "samples.npy")


def array_named_npz(tmp_path):
    np.save(tmp_path / "samples.npy", UINT8)
    return (tmp_path / "samples.npy").rename(tmp_path / "samples.npz")


def empty(tmp_path):
    (tmp_path / "samples.npy").touch()
    return tmp_path / "samples.npy"


def broken_compression(tmp_path):
    """The compressed bytes are damaged: zlib.error, not OSError."""
    path = tmp_path / "samples.npz"
    np.savez_compressed(path, x=np.zeros((6, *SHAPE), np.uint8))
    data = bytearray(path.read_bytes())
    start = data.index(b"x.npy") + 30
    data[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    return path


def encrypted(tmp_path):
    path = saved(tmp_path, x=UINT8)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    return path


def unfinished_header(tmp_path):
    """Numpy hands a header that is no Python literal to a tokenizer, whose error is of another kind."""
    path = tmp_path / "samples.npy"
    header = b"{'descr': '|u1', 'shape': (((("
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return path


@pytest.mark.parametrize(
    "make",
    [raw_pickle, archive_named_npy, array_named_npz, empty, broken_compression, encrypted, unfinished_header],
)
def test_broken_files(tmp_path, make):
    error = failure(make(tmp_path))
    assert error.code == "bad-array" and error.why


def test_truncated_files(tmp_path):
    stream = io.BytesIO()
    np.save(stream, UINT8)
    npy = stream.getvalue()
    for suffix, data in ((".npy", npy), (".npz", saved(tmp_path, x=UINT8).read_bytes())):
        path = tmp_path / f"cut{suffix}"
        for size in range(0, len(data) - 1, 61):
            path.write_bytes(data[:size])
            assert failure(path).code == "bad-array", size


@pytest.mark.parametrize("shape", ["(1000000000000, 4, 5, 3)", "(-1, 4, 5, 3)", "(6, 4, 5, 99999999999999999999)"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_header_that_lies_about_its_size(tmp_path, suffix, shape):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(100)
    path = tmp_path / f"samples{suffix}"
    if suffix == ".npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    assert failure(path).code == "bad-array"


@pytest.mark.parametrize("name", ["x", "y"])
def test_archive_whose_member_is_no_array(tmp_path, name):
    path = saved(tmp_path, **({"y": UINT8} if name == "x" else {"x": UINT8}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", b"some text")
    assert failure(path).code == "bad-array"


def test_archive_that_unpacks_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("quantmcu_kit.calibrate.arrays._MAX_BYTES", 100_000)
    path = tmp_path / "samples.npz"
    np.savez_compressed(path, x=np.zeros((100_000, 3), np.uint8))
    assert path.stat().st_size < 1000
    error = failure(path, (3,))
    assert error.code == "bad-array" and "over the limit" in error.why


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_damaged_files_never_end_in_a_traceback(tmp_path, suffix):
    path = tmp_path / f"samples{suffix}"
    (np.savez_compressed if suffix == ".npz" else np.save)(path, **{"x" if suffix == ".npz" else "arr": UINT8})
    sound = path.read_bytes()
    rng = random.Random(0)
    for _ in range(150):
        damaged = bytearray(sound)
        for _ in range(rng.choice((1, 2, 8))):
            damaged[rng.randrange(min(200, len(damaged)))] = rng.randrange(256)
        path.unlink()  # a mapped file must not be overwritten
        path.write_bytes(damaged)
        try:
            list(open_dataset(path, SHAPE).batches(4))
        except QmkitError as error:
            assert error.code in ("bad-array", "no-pictures"), error
