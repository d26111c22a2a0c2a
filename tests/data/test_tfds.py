"""tfds:NAME:SPLIT, with the small part of TensorFlow Datasets that is used played by a stand-in."""

import sys
import types

import numpy as np
import pytest

from tfssl.data.crop import Crop
from tfssl.data.images import image_source
from tfssl.data.labeled import labeled_batches, labeled_images, train_and_test
from tfssl.data.source import check_source
from tfssl.errors import SourceError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), dtype=np.uint8)


class Records(list):
    """Records of a data source, and what is known of their features."""

    dataset_info = types.SimpleNamespace(
        features={"label": types.SimpleNamespace(names=["tabby", "lion"]), "text": types.SimpleNamespace()}
    )


@pytest.fixture
def opened(monkeypatch):
    """A module ``tensorflow_datasets`` with two data sets; the list collects the calls."""
    calls = []

    def data_source(name, *, split, decoders=None):
        calls.append((name, split))
        if name == "words":
            return Records([{"text": b"hello", "label": 1}])
        if name != "cats":
            raise KeyError(f"DatasetNotFoundError: {name}\nDid you mean: cats?")
        return Records({"image": b"bytes" if decoders else image, "label": i % 2} for i, image in enumerate(IMAGES))

    module = types.ModuleType("tensorflow_datasets")
    module.data_source = data_source
    module.decode = types.SimpleNamespace(SkipDecoding=object)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return calls


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("tfds:cats:train", ("cats", "train")),
        ("tfds:cats:train[:10%]", ("cats", "train[:10%]")),
        ("tfds:cats:train+test", ("cats", "train+test")),
        ("tfds:cats/small:train", ("cats/small", "train")),
        ("tfds:cats:3.0.2:train[5:10]", ("cats:3.0.2", "train[5:10]")),
    ],
)
def test_name_and_split(opened, text, call):
    if call[0] == "cats":
        source = image_source(text)
        assert len(source) == 5
        np.testing.assert_array_equal(np.asarray(source.example(3)["image"]), IMAGES[3])
        assert source.name(3) == f"{text}#3"
        check_source(source)
    else:
        with pytest.raises(SourceError, match="cannot be opened"):
            image_source(text)
    assert opened[0] == call


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tfds:cats", "must be tfds:NAME:SPLIT"),
        ("tfds:cats:", "must be tfds:NAME:SPLIT"),
        ("tfds::train", "must be tfds:NAME:SPLIT"),
        ("tfds:unicorns:train", "cannot be opened: .*unicorns"),
        ("tfds:words:train", "no feature `image`, only text, label"),
    ],
)
def test_refused(opened, text, message):
    with pytest.raises(SourceError, match=message) as raised:
        image_source(text)
    assert "\n" not in str(raised.value)


def test_labels_stand_beside_the_images(opened):
    train, test = train_and_test("tfds:cats")
    assert opened == [("cats", "train")] * 2 + [("cats", "test")] * 2
    assert train.classes == ("tabby", "lion") and train.labels == (0, 1, 0, 1, 0) and test.root == "tfds:cats:test"
    images, labels = next(iter(labeled_batches(train.take([3, 0]), Crop(8, flip=False))))
    assert labels.numpy().tolist() == [1, 0]
    np.testing.assert_array_equal(images[1], IMAGES[0][:, :8])


def test_classes_of_the_training_set_number_those_of_a_test_set(opened):
    assert labeled_images("tfds:cats:test", classes=("lion", "tiger", "tabby")).labels[:2] == (2, 0)
    with pytest.raises(SourceError, match="`test` has a class 'lion' that the training set lacks"):
        labeled_images("tfds:cats:test", classes=("tabby", "tiger"), argument="test")
    with pytest.raises(SourceError, match="another split"):
        train_and_test("tfds:cats:train", "tfds:cats:train")


def test_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(SourceError, match=r"pip install 'tfssl\[tfds\]'"):
        image_source("tfds:cifar10:train")
