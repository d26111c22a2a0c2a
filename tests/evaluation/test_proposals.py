"""Windows cover images, selective search finds regions, and what is stored is found again."""

import builtins

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tfssl.errors import ConfigError
from tfssl.evaluation.detection import proposals
from tfssl.evaluation.detection.proposals import choose_source, propose, recall, selective_search, sliding_windows
from tfssl.ops.boxes import area


def test_windows_are_different_boxes_inside_the_image():
    boxes = sliding_windows(256, 171)
    assert boxes.dtype == np.float32 and 500 < len(boxes) < 2000
    assert len(np.unique(boxes.round(3), axis=0)) == len(boxes)
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [256.001, 171.001]).all() and (area(boxes) > 0).all()
    assert (boxes == [0, 0, 256, 171]).all(axis=1).any(), "the whole image is one of them"


@pytest.mark.parametrize("size", [(256, 171), (171, 256), (500, 375), (64, 64), (300, 40)])
def test_windows_find_objects_of_every_position_size_and_shape(size):
    random = np.random.default_rng(0)
    sides = np.exp(random.uniform(np.log(0.2), 0, (300, 2))) * size
    sides = sides[(sides.max(axis=1) / sides.min(axis=1)) < 3]
    low = random.uniform(0, 1, sides.shape) * (size - sides)
    objects = np.concatenate([low, low + sides], axis=1)
    assert recall([sliding_windows(*size)], [objects]) > 0.97


def test_recall_by_hand():
    found = recall([np.array([[0, 0, 10, 10]]), np.zeros((0, 4))], [np.array([[0, 0, 10, 5], [0, 0, 10, 4]])] * 2)
    assert found == 0.25
    assert np.isnan(recall([np.zeros((0, 4))], [np.zeros((0, 4))]))


def test_without_opencv_windows_are_taken_and_the_extra_is_named(monkeypatch):
    original = builtins.__import__

    def refuse(name, *rest):
        if name == "cv2":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert choose_source() == "sliding_windows"
    with pytest.raises(ConfigError, match=r"pip install 'tfssl\[detection\]'"):
        choose_source("selective_search")
    with pytest.raises(ConfigError, match="`proposals` must be one of"):
        choose_source("edge_boxes")


@pytest.fixture
def shapes():
    pytest.importorskip("cv2.ximgproc", reason="needs the extra `detection`")
    image = Image.fromarray(np.random.default_rng(0).integers(90, 110, (120, 160, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 30, 59, 79), fill=(220, 30, 30))
    draw.ellipse((90, 20, 139, 69), fill=(30, 30, 220))
    return image, np.array([[20, 30, 60, 80], [90, 20, 140, 70]])


def test_selective_search_finds_shapes(shapes):
    image, objects = shapes
    boxes = selective_search(image)
    assert choose_source() == "selective_search"
    assert recall([boxes], [objects], 0.8) == 1.0
    assert (boxes[:, 2:] <= image.size).all() and (boxes[:, 2:] - boxes[:, :2] >= 0.04 * 160).all()
    np.testing.assert_array_equal(boxes, selective_search(image))


def test_stored_boxes_are_found_again(shapes, tmp_path, monkeypatch):
    image, _ = shapes
    first = propose(image, "selective_search", tmp_path / "boxes")
    monkeypatch.setattr(proposals, "selective_search", lambda _: pytest.fail("it was searched again"))
    np.testing.assert_array_equal(propose(image, "selective_search", tmp_path / "boxes"), first)
    assert len(list((tmp_path / "boxes").iterdir())) == 1
