"""Images with several labels from a CSV file and from class folders, and how they are split."""

import numpy as np
import pytest
from PIL import Image

from tfssl.data.examples import Skipped
from tfssl.data.images import ArraySource
from tfssl.data.splits import PARTS, balanced, read_splits, split_images, write_splits
from tfssl.data.tagged import TaggedImages, tagged_images
from tfssl.errors import SourceError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(4):
        Image.new("RGB", (20, 20), (60 * number, 0, 0)).save(tmp_path / "images" / f"{number}.png")
    return tmp_path


def table(folder, text, name="labels.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


ROWS = "image,labels,group,content\nimages/0.png,hazy;noir,x,sea\nimages/1.png, noir ,x,town\nimages/2.png,hazy,,sea\n"


def test_a_row_names_an_image_and_its_labels(folder):
    source = tagged_images(table(folder, ROWS))
    assert source.classes == ("hazy", "noir") and np.stack(source.labels).tolist() == [[1, 1], [0, 1], [1, 0]]
    assert source.groups == (0, 0, 1) and source.contents == ("sea", "town") and source.content == (0, 1, 0)
    assert source.key(2) == "images/2.png" and source.example(1)["image"].getpixel((0, 0)) == (60, 0, 0)
    columns = tagged_images(table(folder, "hazy,image,noir\n1,images/0.png,1\n0,images/1.png,1\n", "columns.csv"))
    assert columns.classes == ("hazy", "noir") and np.stack(columns.labels).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must begin with a header such as image,labels"),
        ("picture,labels\n0.png,a\n", "must begin with a header"),
        ("image,labels\n", "holds no images, only a header"),
        ("image,labels\nimages/0.png,a\nimages/1.png\n", "row 3 does not have the 2 cells"),
        ("image,labels\nimages/0.png,a\nimages/1.png,\n", "image 'images/1.png' has no label"),
        ("image,labels\nimages/0.png,a\nimages/0.png,b\n", "names 'images/0.png' twice"),
        ("image,labels\nimages/0.png,a\nimages/1.png,a\n", "at least two labels, it holds 1"),
        ("image,a,b\nimages/0.png,1,0\nimages/1.png,yes,0\n", "column 'a' must be 1 or 0.*'yes'"),
        ("image,labels,content\nimages/0.png,a,sea\nimages/1.png,b,\n", "has no content"),
        ("image,labels\n0.png,a\n1.png,b\nimages/0.png,a\n", "mostly unreadable: 2 of 3"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(folder, text, said):
    with pytest.raises(SourceError, match=said) as caught:
        tagged_images(table(folder, text))
    assert "\n" not in str(caught.value)


def test_a_missing_image_is_named_when_it_is_read(folder):
    from tfssl.data.crop import Crop
    from tfssl.data.labeled import labeled_batches

    source = tagged_images(table(folder, ROWS + "images/9.png,noir,,town\n"))
    skipped = Skipped()
    batches = list(labeled_batches(source, Crop(8, resize=8, flip=False), skipped=skipped))
    assert sum(len(labels) for _, labels in batches) == 3
    ((name, reason),) = skipped.reasons.items()
    assert name.endswith("9.png") and "no such file" in reason.lower()


def test_class_folders_are_labels(folder):
    for part, count in (("train", 3), ("test", 2)):
        for name in ("b", "a"):
            (folder / "classes" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (9, 9)).save(folder / "classes" / part / name / f"{number}.png")
    both = tagged_images(folder / "classes")
    assert both.classes == ("a", "b") and sum(both.tested) == 4 and len(both) == 10
    assert both.key(0) == "train/a/0.png" and both.key(9) == "test/b/1.png"
    parts = split_images(both)
    assert [part == "test" for part in parts] == list(both.tested) and parts.count("validation") == 2
    only = tagged_images(folder / "classes" / "train")
    assert only.tested is None and len(only) == 6
    with pytest.raises(SourceError, match="`test` belongs to class folders"):
        tagged_images(table(folder, ROWS), test=folder)


def tagged(labels, groups=None, classes="abc"):
    labels = [np.array([name in row for name in classes], np.int32) for row in labels]
    images = ArraySource([np.zeros((4, 4, 3), np.uint8)] * len(labels))
    groups = tuple(range(len(labels))) if groups is None else groups
    return TaggedImages("", images, tuple(labels), tuple(classes), groups=groups)


def counts(source, parts, name):
    return sum(row for row, part in zip(source.labels, parts, strict=True) if part == name).tolist()


def test_the_test_part_is_balanced_and_has_all_images_with_several_labels():
    source = tagged(["a"] * 50 + ["b"] * 30 + ["c"] * 25 + ["ab"] * 4)
    parts = split_images(source)
    assert parts[-4:] == ["test"] * 4
    assert counts(source, parts, "test") == [7 + 4, 7 + 4, 7], "a fifth of 105 over three classes"
    assert counts(source, parts, "validation") == [7, 7, 7], "as large"
    assert counts(source, parts, "train") == [36, 16, 11]
    assert split_images(source) == parts != split_images(source, 43)
    rare = tagged(["a"] * 50 + ["b"] * 50 + ["c"] * 6)
    assert counts(rare, split_images(rare), "test") == [2, 2, 2], "as far as the rarest class allows: a third of it"


def test_groups_are_never_parted():
    source = tagged(["a", "b", "c"] * 20, groups=tuple(np.repeat(range(20), 3)))
    parts = np.array(split_images(source)).reshape(20, 3)
    assert (parts == parts[:, :1]).all() and [int((parts == name).sum()) for name in PARTS] == [36, 12, 12]


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(SourceError, match="class 'c' has too few images"):
        split_images(tagged(["a"] * 9 + ["b"] * 9 + ["c"] * 2))


def test_balanced_images():
    labels = np.array([[1, 0]] * 30 + [[0, 1]] * 7)
    rows = balanced(labels)
    assert labels[rows].sum(axis=0).tolist() == [7, 7] and (np.diff(rows) > 0).all()


def test_a_split_is_written_and_read(tmp_path):
    source = tagged(["a", "b", "c"] * 5)
    splits = {seed: split_images(source, seed) for seed in (42, 43)}
    write_splits(tmp_path / "splits.csv", source, splits)
    assert read_splits(tmp_path / "splits.csv", source) == splits
    with pytest.raises(SourceError, match="names no part for image 'image 15'"):
        read_splits(tmp_path / "splits.csv", tagged(["a", "b", "c"] * 6))
    with pytest.raises(SourceError, match="holds no table of seed,image,part"):
        read_splits(tmp_path / "nothing.csv", source)
