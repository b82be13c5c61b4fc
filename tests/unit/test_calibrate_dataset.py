"""Folders and lists of pictures: what is found, how it is labelled, what is skipped, what is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from quantmcu_kit.calibrate.dataset import open_dataset, spread
from quantmcu_kit.errors import EXIT_BAD_INPUT, QmkitError

SHAPE = (4, 4, 1)


def picture(path, level=0):
    """A grey picture of one level, by which a test knows it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 6), level).save(path)


def broken(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no picture")


def levels(batch):
    return batch.data[:, 0, 0, 0].tolist()


def all_levels(dataset, **options):
    return [level for batch in dataset.batches(3, **options) for level in levels(batch)]


def failure(path, shape=SHAPE):
    with pytest.raises(QmkitError) as caught:
        open_dataset(path, shape)
    assert caught.value.exit_code == EXIT_BAD_INPUT
    return caught.value


def listing(folder, text, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# Folders


def test_folder_is_searched_recursively_and_sorted(tmp_path):
    names = ["b.png", "a/z.jpg", "a/b/deep.PNG", "c.Jpeg", "a.bmp", "a-b.png"]
    for level, name in enumerate(names):
        picture(tmp_path / name, level)
    (tmp_path / "notes.txt").write_text("not a picture, and not named like one")
    dataset = open_dataset(tmp_path, SHAPE)
    expected = ["a/b/deep.PNG", "a/z.jpg", "a-b.png", "a.bmp", "b.png", "c.Jpeg"]
    assert [name.replace(os.sep, "/") for name in dataset.names] == expected
    assert all_levels(dataset) == [names.index(name) for name in expected]
    assert dataset.labels is None and dataset.class_names == () and dataset.origin == tmp_path


def test_hidden_files_and_folders_are_left_out(tmp_path):
    for name in [".hidden.png", "._resource.png", ".thumbnails/small.png", "a/.cache/b/c.png", "a/seen.png"]:
        picture(tmp_path / name)
    assert open_dataset(tmp_path, SHAPE).names == (os.path.join("a", "seen.png"),)


def test_a_folder_that_is_hidden_itself_is_searched(tmp_path):
    picture(tmp_path / ".pictures" / "a.png")
    assert len(open_dataset(tmp_path / ".pictures", SHAPE)) == 1


def test_rgb_pictures_have_three_channels(tmp_path):
    picture(tmp_path / "a.png", 9)
    (batch,) = open_dataset(tmp_path, (2, 5, 3)).batches(8)
    assert batch.data.dtype == np.uint8 and batch.data.shape == (1, 2, 5, 3) and (batch.data == 9).all()


def test_empty_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    error = failure(tmp_path)
    assert error.code == "no-pictures" and ".png" in error.hint


@pytest.mark.parametrize("name", ["missing", "missing.csv", "x" * 5000, "nul\0byte"])
def test_missing_path(tmp_path, name):
    assert failure(tmp_path / name).code == "no-such-images"


def test_file_of_another_kind(tmp_path):
    picture(tmp_path / "single.png")
    error = failure(tmp_path / "single.png")
    assert error.code == "no-such-images" and "single.png" in error.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipes_are_refused_at_once(tmp_path):
    for name in ["list.csv", "x.npz", "x.npy"]:
        os.mkfifo(tmp_path / name)
        assert failure(tmp_path / name).code == "no-such-images"


@pytest.mark.parametrize("shape", [(10,), (4, 4), (4, 4, 2), (4, 4, 4), (1, 4, 4, 3), ()])
def test_pictures_for_a_network_that_takes_none(tmp_path, shape):
    picture(tmp_path / "a.png")
    error = failure(tmp_path, shape)
    assert error.code == "not-pictures" and ".npz" in error.hint
    assert failure(listing(tmp_path, "path\na.png\n"), shape).code == "not-pictures"


# Lists


def test_csv_beside_pictures_labels_them(tmp_path):
    for level, name in enumerate(["a.png", "deep/b.png", "unlisted.png"]):
        picture(tmp_path / name, level)
    listing(tmp_path, "path,label\ndeep/b.png,7\na.png,2\n")
    dataset = open_dataset(tmp_path, SHAPE)
    assert dataset.labels.tolist() == [7, 2] and dataset.labels.dtype == np.int64
    assert all_levels(dataset) == [1, 0] and dataset.origin == tmp_path


def test_csv_by_its_own_path(tmp_path):
    """Its pictures are relative to it, wherever the command runs; other columns are passed over."""
    picture(tmp_path / "a.png", 5)
    path = listing(tmp_path, "id,label,path,comment\n1,3,a.png,fine\n", "any name.CSV")
    dataset = open_dataset(path, SHAPE)
    assert (dataset.names, dataset.labels.tolist(), all_levels(dataset)) == (("a.png",), [3], [5])
    assert dataset.origin == path


def test_imagenet_list(tmp_path):
    """As lists of the validation set go: names in capitals, a byte-order mark, Windows line ends, an empty line."""
    for number in (347, 361):
        Image.new("RGB", (9, 9), (number % 256,) * 3).save(tmp_path / f"ILSVRC2012_val_{number:08}.JPEG")
    text = "\ufeffpath,label\r\nILSVRC2012_val_00000347.JPEG,472\r\n\r\nILSVRC2012_val_00000361.JPEG,300\r\n"
    listing(tmp_path, text)
    dataset = open_dataset(tmp_path, SHAPE)
    assert dataset.labels.tolist() == [472, 300]
    assert all_levels(dataset) == [347 % 256, 361 % 256]


@pytest.mark.parametrize("text", ["path\na.png\n", "path,label\na.png,\n", "path,label\na.png\n"])
def test_csv_without_labels(tmp_path, text):
    picture(tmp_path / "a.png")
    assert open_dataset(listing(tmp_path, text), SHAPE).labels is None


def test_labels_by_name(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\n dog \n\nwhite stork\n", encoding="utf-8")
    listing(tmp_path, "path,label\na.png,white stork\nb.png,cat\nc.png,1\n")
    dataset = open_dataset(tmp_path, SHAPE)
    assert dataset.class_names == ("cat", "dog", "white stork")
    assert dataset.labels.tolist() == [2, 0, 1]


def test_class_names_of_a_plain_folder(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    assert open_dataset(tmp_path, SHAPE).class_names == ("no", "yes")


def test_blanks_after_commas_and_quotes(tmp_path):
    listing(tmp_path, 'path, label\n"comma, inside.png", 4\n"b.png", 5 \n')
    dataset = open_dataset(tmp_path, SHAPE)
    assert dataset.names == ("comma, inside.png", "b.png") and dataset.labels.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("", "bad-labels", "path,label"),
        ("a.png,3\nb.png,4\n", "bad-labels", "path,label"),
        ("file,label\na.png,3\n", "bad-labels", "path,label"),
        ("path,label\n", "no-pictures", ""),
        ("path,label\n,3\n", "no-pictures", ""),
        ("path,label\na.png,cat\n", "bad-labels", "a.png: label 'cat'"),
        ("path,label\na.png,-1\n", "bad-labels", "'-1'"),
        ("path,label\na.png,1.5\n", "bad-labels", "'1.5'"),
        ("path,label\na.png,3\nb.png,\n", "bad-labels", "b.png: label ''"),
        ("path,label\na.png,²\n", "bad-labels", "'²'"),
        ("path,label\na.png,2147483648\n", "bad-labels", "'2147483648'"),
        ("path,label\na.png," + "9" * 5000 + "\n", "bad-labels", "neither"),
        ("path,label\n" + "x" * 200_000 + ",1\n", "bad-labels", "limit"),
    ],
)
def test_bad_csv(tmp_path, text, code, word):
    error = failure(listing(tmp_path, text))
    assert error.code == code and word in error.why and len(str(error)) < 1000


def test_text_that_is_not_utf8(tmp_path):
    picture(tmp_path / "a.png")
    assert failure(listing(tmp_path, "path,label\nä.png,1\n", encoding="latin-1")).code == "bad-labels"
    (tmp_path / "labels.csv").unlink()
    listing(tmp_path, "Möwe\n", "labels.txt", encoding="latin-1")
    assert failure(tmp_path).code == "bad-labels"


def test_huge_list_is_refused_unread(tmp_path):
    path = tmp_path / "labels.csv"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # sparse
    assert failure(path).code == "bad-labels"


# Batches


def test_batches(tmp_path):
    for number in range(7):
        picture(tmp_path / f"{number}.png", number)
    listing(tmp_path, "path,label\n" + "".join(f"{number}.png,{10 + number}\n" for number in range(7)))
    batches = list(open_dataset(tmp_path, SHAPE).batches(3))
    assert [levels(batch) for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [batch.labels.tolist() for batch in batches] == [[10, 11, 12], [13, 14, 15], [16]]
    assert batches[1].names == ("3.png", "4.png", "5.png")
    assert all(batch.skipped == () for batch in batches)


def test_pictures_are_decoded_on_demand(tmp_path):
    for number in range(9):
        picture(tmp_path / f"{number}.png", number)
    batches = open_dataset(tmp_path, SHAPE).batches(2)
    next(batches)
    (tmp_path / "8.png").unlink()
    assert sum(len(batch.data) for batch in batches) == 6


@pytest.mark.parametrize("bad", [(0,), (1, 2), (3,), (4,), (0, 2, 4), (2, 3, 4)])
def test_skipped_pictures_are_counted(tmp_path, bad):
    """Every bad picture is named once, and no batch is empty, be the bad ones first, in between or last."""
    for number in range(5):
        (broken if number in bad else picture)(tmp_path / f"{number}.png", *([] if number in bad else [number]))
    batches = list(open_dataset(tmp_path, SHAPE).batches(2))
    assert [level for batch in batches for level in levels(batch)] == [n for n in range(5) if n not in bad]
    assert all(len(batch.data) for batch in batches)
    skipped = [item for batch in batches for item in batch.skipped]
    assert [item.name for item in skipped] == [f"{number}.png" for number in bad]
    assert {item.reason for item in skipped} == {"not a picture"}


def test_listed_picture_that_is_missing_is_skipped(tmp_path):
    picture(tmp_path / "a.png", 1)
    listing(tmp_path, "path,label\nmissing.png,3\na.png,4\n")
    (batch,) = open_dataset(tmp_path, SHAPE).batches(4)
    assert (batch.labels.tolist(), levels(batch)) == ([4], [1])
    assert [(item.name, item.reason) for item in batch.skipped] == [("missing.png", "no such file")]


def test_no_usable_picture(tmp_path):
    for number in range(5):
        broken(tmp_path / f"{number}.png")
    with pytest.raises(QmkitError) as caught:
        list(open_dataset(tmp_path, SHAPE).batches(2))
    assert caught.value.code == "no-pictures"
    assert caught.value.why.startswith("5 skipped, such as 0.png: not a picture; 1.png")
    assert "3.png" not in caught.value.why


@pytest.mark.parametrize("limit", [1, 3, 6, 7, 100])
def test_limit(tmp_path, limit):
    for number in range(7):
        picture(tmp_path / f"{number}.png", number)
    dataset = open_dataset(tmp_path, SHAPE)
    chosen = all_levels(dataset, limit=limit)
    assert len(set(chosen)) == len(chosen) == min(limit, 7)
    assert chosen == all_levels(open_dataset(tmp_path, SHAPE), limit=limit), "the choice must be reproducible"
    assert limit < 7 or chosen == list(range(7)), "no choice, no other order"


def test_limit_counts_good_pictures(tmp_path):
    for number in range(8):
        (broken if number % 2 else picture)(tmp_path / f"{number}.png")
    for limit in (1, 2, 3, 4):
        batches = list(open_dataset(tmp_path, SHAPE).batches(3, limit=limit))
        assert sum(len(batch.data) for batch in batches) == limit


@pytest.mark.parametrize("count", [10, 100, 1000])
@pytest.mark.parametrize("share", [0.1, 0.37, 0.8])
def test_limit_is_spread_evenly(count, share):
    """Three-gap theorem: neighbours among the chosen are at most a small multiple of the mean gap apart."""
    order = spread(count)
    assert sorted(order) == list(range(count))
    chosen = sorted(order[: int(count * share)])
    gaps = np.diff([-1, *chosen, count])
    assert gaps.max() <= 3 / share


def test_limit_does_not_beat_with_classes_in_turn():
    """Ten classes listed in turn: every tenth picture would be of one class."""
    counts = np.bincount(np.array(spread(1000)[:100]) % 10, minlength=10)
    assert counts.min() >= 8 and counts.max() <= 12


def test_subset(tmp_path):
    for number in range(4):
        picture(tmp_path / f"{number}.png", number)
    listing(tmp_path, "path,label\n" + "".join(f"{number}.png,{10 + number}\n" for number in range(4)))
    part = open_dataset(tmp_path, SHAPE).subset(np.array([3, 1]))
    (batch,) = part.batches(4)
    assert (len(part), part.names) == (2, ("3.png", "1.png"))
    assert (levels(batch), batch.labels.tolist()) == ([3, 1], [13, 11])
