"""Reading the images of an evaluation: bounded, in order, unreadable ones named."""

import numpy as np
from PIL import Image
from skimage.color import rgb2lab

from tfssl.color.photographs import read_photograph, read_photographs
from tfssl.data.images import image_source


def folder(path, count):
    for number in range(count):
        Image.new("RGB", (20 + number, 10), (number * 10, 50, 99)).save(path / f"{number:02d}.png")
    return image_source(str(path))


def test_in_order_with_lab(tmp_path):
    found = list(read_photographs(folder(tmp_path, 12), range(12)))
    assert [photograph.index for photograph in found] == list(range(12))
    for number, photograph in enumerate(found):
        assert photograph.rgb.shape == (10, 20 + number, 3) and photograph.reason is None
        np.testing.assert_array_equal(photograph.lab, rgb2lab(photograph.rgb))


def test_large_pictures_are_reduced():
    images = [np.zeros((300, 1024, 3), np.uint8), np.zeros((512, 100, 3), np.uint8)]
    shapes = [photograph.rgb.shape for photograph in read_photographs(image_source(images), range(2))]
    assert shapes == [(150, 512, 3), (512, 100, 3)]


def test_unreadable_is_named(tmp_path):
    source = folder(tmp_path, 2)
    (tmp_path / "01.png").write_bytes(b"no image")
    photograph = read_photograph(source, 1)
    assert photograph.rgb is None and photograph.name.endswith("01.png") and "damaged" in photograph.reason


def test_stopping_early_leaves_nothing_behind(tmp_path):
    images = read_photographs(folder(tmp_path, 12), range(12))
    assert next(images).index == 0
    images.close()
    assert next(images, None) is None
