"""Crops of pictures with targets: both stay together, whatever is cut and mirrored."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.examples import Skipped
from tfssl.errors import SourceError
from tfssl.evaluation.dense.pictures import DenseCrop, DensePictures, training_batches


@pytest.fixture
def pictures(tmp_path):
    """Pictures whose red and green are the column and the row; the target is their sum."""
    paths = []
    for number, (height, width) in enumerate([(40, 60), (24, 90), (70, 20)]):
        rgb = np.zeros((height, width, 3), np.uint8)
        rgb[..., 0], rgb[..., 1], rgb[..., 2] = np.arange(width), np.arange(height)[:, None], number
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(rgb).save(paths[-1])

    def read(index):
        rgb = np.asarray(Image.open(paths[index])).astype(np.int32)
        return rgb[..., 0] + rgb[..., 1]

    return DensePictures(tuple(paths), read, 255, lambda target: target[:, ::-1])


def batches(pictures, size, seed=0, steps=3, skipped=None):
    crop = DenseCrop(size, pictures, tf.TensorSpec((), tf.int32))
    found = training_batches(crop, batch=8, steps=steps, seed=seed, skipped=skipped or Skipped())
    return [(rgb.numpy(), target.numpy()) for rgb, target in found.take(steps)]


def test_a_target_belongs_to_its_pixel_in_every_crop(pictures):
    mirrored = set()
    for rgb, target in batches(pictures, 16):
        assert rgb.shape == (8, 16, 16, 3) and rgb.dtype == np.float32 and rgb.max() <= 1.0
        column, row = (np.round(rgb[..., i] * 255).astype(int) for i in (0, 1))
        np.testing.assert_array_equal(target, column + row)
        steps = np.diff(column, axis=2)
        mirrored |= set(np.unique(steps).tolist())
    assert mirrored == {-1, 1}, "some crops are mirrored, some not, none is scaled"


def test_beyond_a_small_picture_nothing_is_known(pictures):
    seen = set()
    for rgb, target in batches(pictures, 48):
        for picture, truth in zip(np.round(rgb * 255).astype(int), target, strict=True):
            known = truth != 255
            height, width = [(40, 48), (24, 48), (48, 20)][picture[0, 0, 2]]
            assert known.sum() == height * width
            np.testing.assert_array_equal(truth[known], (picture[..., 0] + picture[..., 1])[known])
            assert (picture[40:, :, 1] == picture[39, :, 1]).all() or height > 40, "the border goes on"
            seen.add(picture[0, 0, 2])
    assert seen == {0, 1, 2}


def test_the_same_seed_gives_the_same_crops(pictures):
    first, again, other = (batches(pictures, 16, seed) for seed in (0, 0, 1))
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_files_that_cannot_be_read_are_named_and_replaced(pictures):
    with open(pictures.paths[1], "wb") as file:
        file.write(b"no picture")
    skipped = Skipped()
    for rgb, _ in batches(pictures, 16, skipped=skipped):
        assert set(np.unique(np.round(rgb[..., 2] * 255))) <= {0, 2}
    assert list(skipped.reasons) == [pictures.paths[1]]
    assert [index for index, _, _ in pictures.pairs(Skipped())] == [0, 2]


def test_a_target_of_another_size_is_no_target(pictures):
    wrong = DensePictures(pictures.paths, lambda index: np.zeros((5, 5), np.int32), 255, np.flip)
    with pytest.raises(ValueError, match=r"\(40, 60\) pixels, what belongs to it \(5, 5\)"):
        wrong.open(0)
    with pytest.raises(SourceError, match="no picture can be read"):
        list(wrong.pairs(Skipped()))
