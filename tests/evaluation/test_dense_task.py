"""Crops of images with targets: both stay together, whatever is cut and mirrored."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tfssl.data.examples import Skipped
from tfssl.data.images import FileSource
from tfssl.data.pipeline import batches as batches_of
from tfssl.data.voc import SplitImages
from tfssl.errors import SourceError
from tfssl.evaluation.dense.task import DenseCrop, readable


@dataclasses.dataclass(frozen=True, eq=False)
class Sums(SplitImages):
    """The target of each pixel is its red plus its green."""

    def annotation(self, index):
        rgb = np.asarray(Image.open(self.images.paths[index])).astype(np.int32)
        return {"mask": rgb[..., 0] + rgb[..., 1]}


@pytest.fixture
def source(tmp_path):
    """Images whose red and green are the column and the row."""
    paths = []
    for number, (height, width) in enumerate([(40, 60), (24, 90), (70, 20)]):
        rgb = np.zeros((height, width, 3), np.uint8)
        rgb[..., 0], rgb[..., 1], rgb[..., 2] = np.arange(width), np.arange(height)[:, None], number
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(rgb).save(paths[-1])
    return Sums("root", "train", FileSource(tuple(paths)))


def batches(source, size, seed=0, steps=3, skipped=None):
    found = batches_of(source, DenseCrop(size, "mask"), 8, training=True, seed=seed, count=steps, skipped=skipped)
    return [(rgb.numpy(), target.numpy()) for rgb, target in found]


def test_a_target_belongs_to_its_pixel_in_every_crop(source):
    mirrored = set()
    for rgb, target in batches(source, 16):
        assert rgb.shape == (8, 16, 16, 3) and rgb.dtype == np.uint8 and target.dtype == np.int32
        column, row = rgb[..., 0].astype(int), rgb[..., 1].astype(int)
        np.testing.assert_array_equal(target, column + row)
        steps = np.diff(column, axis=2)
        mirrored |= set(np.unique(steps).tolist())
    assert mirrored == {-1, 1}, "some crops are mirrored, some not, none is scaled"


def test_beyond_a_small_image_nothing_is_known(source):
    seen = set()
    for rgb, target in batches(source, 48):
        for image, truth in zip(rgb.astype(int), target, strict=True):
            known = truth != 255
            height, width = [(40, 48), (24, 48), (48, 20)][image[0, 0, 2]]
            assert known.sum() == height * width
            np.testing.assert_array_equal(truth[known], (image[..., 0] + image[..., 1])[known])
            assert (image[40:, :, 1] == image[39, :, 1]).all() or height > 40, "the border goes on"
            seen.add(image[0, 0, 2])
    assert seen == {0, 1, 2}


def test_the_same_seed_gives_the_same_crops(source):
    first, again, other = (batches(source, 16, seed) for seed in (0, 0, 1))
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_files_that_cannot_be_read_are_named_and_replaced(source):
    with open(source.images.paths[1], "wb") as file:
        file.write(b"no image")
    skipped = Skipped()
    for rgb, _ in batches(source, 16, skipped=skipped):
        assert set(np.unique(rgb[..., 2])) <= {0, 2}
    assert list(skipped.reasons) == [source.name(1)]
    assert [index for index, _ in readable(source, Skipped())] == [0, 2]
    for path in source.images.paths:
        open(path, "wb").close()
    with pytest.raises(SourceError, match="no image can be read"):
        list(readable(source, Skipped()))
