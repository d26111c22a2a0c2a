"""ImageNet's classes, and the classifier whose weights a package brings."""

import tarfile

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.backbones.efficientnet import imagenet_file
from tfssl.backbones.imagenet import (
    IMAGE_SIZE,
    RESIZE,
    imagenet_class,
    imagenet_classes,
    imagenet_classifier,
    imagenet_vgg16,
)
from tfssl.backbones.lpips import lpips
from tfssl.data.crop import Crop
from tfssl.errors import ConfigError


def test_classes_are_the_1000_sorted_ids():
    ids = [wnid for wnid, _ in imagenet_classes()]
    assert len(set(ids)) == 1000 and ids == sorted(ids)
    assert imagenet_classes()[0] == ("n01440764", "tench") and imagenet_classes()[999][1] == "toilet tissue"


@pytest.mark.parametrize(
    "path, number",
    [
        ("a/n01440764_tench.jpg", 0),
        ("val/n01443537/ILSVRC2012_val_00000262.JPEG", 1),
        ("n01440764/n01443537_10.JPEG", 1),
        ("n00000000/n01440764.png", 0),
        ("n014407641.jpg", None),
        ("xn01440764.jpg", None),
        ("photos/dog.jpg", None),
    ],
)
def test_class_of_a_path(path, number):
    assert imagenet_class(path) == number


def test_classifier_knows_photographs(shared_data):
    try:
        imagenet_file()
    except ConfigError as error:
        pytest.skip(str(error))
    crop = Crop(IMAGE_SIZE, resize=RESIZE, flip=False)
    with tarfile.open(shared_data / "imagenet_sample_256.tar") as archive:
        members = [member for member in archive.getmembers() if member.isfile() and "_" in member.name][::110][:8]
        images = np.stack([crop.apply(Image.open(archive.extractfile(m)).convert("RGB")) for m in members])
    found = imagenet_classifier().predict_on_batch(images.astype(np.float32))
    labels = [imagenet_class(member.name) for member in members]
    assert found["features"].shape == (8, 1280)
    assert np.mean(np.argmax(found["logits"], axis=1) == labels) >= 0.6  # 82 % of a hundred


def test_trunk_of_vgg16_is_that_of_lpips():
    try:
        encoder = imagenet_vgg16()
    except ConfigError as error:
        pytest.skip(str(error))
    images = np.random.default_rng(0).random((1, 64, 32, 3), np.float32)  # this VGG's poolings round up
    found, expected = encoder(images), lpips("vgg").get_layer("vgg_trunk")(images)
    assert encoder.count_params() == 14_714_688
    for block, (tap, one) in enumerate(zip(("conv1", "conv2", "conv3", "conv4", "conv5"), expected, strict=True)):
        np.testing.assert_allclose(found[tap], one, rtol=1e-4, atol=1e-4, err_msg=f"block {block + 1}")
    smooth = imagenet_vgg16("average")(images)
    np.testing.assert_array_equal(smooth["conv1"], found["conv1"])
    np.testing.assert_allclose(smooth["pool1"], keras.layers.AveragePooling2D(2)(found["conv1"]), rtol=1e-6)
