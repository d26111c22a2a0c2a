"""Labeled folders: what they hold, what they refuse, what becomes of bad files."""

import pickle

import numpy as np
import pytest
from PIL import Image

from tfssl.data import labeled
from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.labeled import folder_labels, labeled_batches, labeled_images, train_and_test
from tfssl.errors import SourceError

CROP = Crop(8, resize=8, flip=False)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    """train/ and test/ of the classes ant, bee, cat: gray level 40, 120, 200; one image has one channel."""
    for part, count in (("train", 5), ("test", 2)):
        for name, level in (("ant", 40), ("bee", 120), ("cat", 200)):
            for i in range(count):
                save(tmp_path / part / name / f"{i}.png", np.full((10, 12, 3), level))
    save(tmp_path / "train" / "ant" / "deep" / "gray.png", np.full((20, 9), 41))
    (tmp_path / "train" / ".hidden").mkdir()
    (tmp_path / "train" / "notes.txt").write_text("not a class")
    return tmp_path


def test_classes_are_the_folders_sorted(root):
    found = labeled_images(root / "train")
    assert found.classes == ("ant", "bee", "cat") and len(found) == 16
    assert found.labels == (0,) * 6 + (1,) * 5 + (2,) * 5
    paths = found.images.paths
    assert all(f"/{found.classes[label]}/" in path for path, label in zip(paths, found.labels, strict=True))


def test_batches_hold_images_and_labels(root):
    batches = list(labeled_batches(labeled_images(root / "train"), CROP, batch_size=6))
    assert [len(images) for images, _ in batches] == [6, 6, 4]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert images.dtype == np.uint8 and images.shape == (16, 8, 8, 3) and labels.dtype == np.int32
    levels = np.array([40, 120, 200])[labels]
    levels[labels == 0] = images[labels == 0, 0, 0, 0]
    np.testing.assert_array_equal(images, np.broadcast_to(levels[:, None, None, None], images.shape))
    assert sorted(levels[labels == 0]) == [40] * 5 + [41]


def test_an_image_is_scaled_and_its_center_taken(tmp_path):
    """Left third 0, middle 100, right 200: the center square of a 3:1 image is the middle."""
    pixels = np.repeat([0, 100, 200], 16)[None, :, None] * np.ones((16, 1, 3))
    for name in ("a", "b"):
        save(tmp_path / name / "x.png", pixels)
    images, _ = next(iter(labeled_batches(labeled_images(tmp_path), CROP)))
    np.testing.assert_allclose(images[0, :, 1:-1], 100, atol=1)  # the edges reach in by a rounding


@pytest.mark.parametrize("limit", [2**30, 0], ids=["cached", "streamed"])
def test_unreadable_files_are_named_and_left_out_each_time(root, monkeypatch, limit):
    monkeypatch.setattr(labeled, "CACHE_BYTES", limit)
    (root / "train" / "bee" / "0.png").write_bytes(b"no image")
    skipped = Skipped()
    dataset = labeled_batches(labeled_images(root / "train"), CROP, skipped=skipped)
    for _ in range(2):
        (labels,) = (labels.numpy() for _, labels in dataset)
        assert np.bincount(labels).tolist() == [6, 4, 5]
    assert [name.rsplit("/", 2)[1:] for name in skipped.reasons] == [["bee", "0.png"]]


def test_a_small_set_is_decoded_once(root):
    dataset = labeled_batches(labeled_images(root / "test"), CROP)
    before = [images.numpy() for images, _ in dataset]
    for path in (root / "test").rglob("*.png"):
        path.unlink()
    np.testing.assert_array_equal([images.numpy() for images, _ in dataset], before)


def test_train_and_test(root):
    for arguments in ((root,), (root / "train", root / "test"), (str(root / "train"), str(root / "test"))):
        train, test = train_and_test(*arguments)
        assert (len(train), len(test)) == (16, 6) and train.classes == test.classes
    for path in (root / "test" / "bee").iterdir():
        path.unlink()
    (root / "test" / "bee").rmdir()
    _, test = train_and_test(root)
    assert test.labels == (0, 0, 2, 2), "a class without test images keeps its number"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: (root / "train", None), "`test` is missing"),
        (lambda root: (root / "train", root / "train"), "must not be the training set"),
        (lambda root: (root / "nowhere", None), "`data` must be a folder"),
        (lambda root: (root / "train", root), "`test` holds train/ and test/"),
        (lambda root: (root / "train" / "bee", root / "test"), "at least two class folders, it holds 0"),
        (lambda root: (save(root / "test" / "dog" / "x.png", np.zeros((9, 9, 3))), (root, None))[1], "class 'dog'"),
        (lambda root: ((root / "train" / "owl").mkdir(), (root, None))[1], "owl' holds no images"),
    ],
)
def test_wrong_folders_are_one_line(root, damage, words):
    with pytest.raises(SourceError) as caught:
        train_and_test(*damage(root))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_mostly_unreadable_is_refused(root):
    for path in (root / "train").rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(SourceError, match="mostly unreadable"):
        train_and_test(root)


def test_an_example_has_the_image_and_its_label(root):
    """As every source: by index, also after the way to a worker process, decoded no larger than asked."""
    found = pickle.loads(pickle.dumps(labeled_images(root / "train").sized(4)))
    example = found.example(7)
    assert example["label"] == 1 and example["image"].size == (12, 10) and found.images.min_size == 4
    some = found.take([15, 0]).take([1])
    assert (len(some), some.name(0), some.labels) == (1, found.name(0), (0,))
    assert folder_labels(found.images)[-1] == "cat" and folder_labels(some) is None


def test_a_test_set_out_of_the_training_set_is_told_of(root, caplog):
    content = (root / "train/ant/deep/gray.png").read_bytes()
    (root / "test/bee/copy.png").write_bytes(content)
    train_and_test(root)
    assert any("of 7 test images are training images too" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["Annotations", "ImageSets", "JPEGImages"], "voc_classification or detection"),
        (["Annotations", "ImageSets", "JPEGImages", "SegmentationClass"], "detection or segmentation"),
        (["JPEGImages", "ImageSets", "SegmentationClass"], "segmentation"),
        (["train", "trainannot", "val", "valannot"], "segmentation"),
        (["train", "trainnormals"], "surface_normals"),
        (["VOC2007/Annotations", "VOC2007/ImageSets"], "holds the VOC directory VOC2007/"),
    ],
)
def test_the_directory_of_another_task_is_named(tmp_path, folders, words):
    for folder in folders:
        save(tmp_path / folder / "a.png", np.zeros((9, 9, 3)))
    with pytest.raises(SourceError, match=words) as raised:
        train_and_test(tmp_path)
    assert "fill or remove" not in str(raised.value) and "\n" not in str(raised.value)
