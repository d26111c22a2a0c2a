import pickle

import numpy as np
import pytest
from PIL import Image

from tfssl.data.voc import boxed_images, masked_images
from tfssl.errors import SourceError

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


def write_voc(root, annotations, split="train"):
    """A VOC directory with an image and an annotation for each entry ``name: objects``."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main", "ImageSets/Segmentation", "SegmentationClass"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, objects in annotations.items():
        Image.new("RGB", (20, 10)).save(root / "JPEGImages" / f"{name}.jpg")
        text = "".join(OBJECT.format(*values) for values in objects)
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{text}</annotation>")
    for kind in ("Main", "Segmentation"):
        (root / "ImageSets" / kind / f"{split}.txt").write_text("\n".join(annotations) + "\n")
    return root


def test_boxes_are_half_open_pixels_from_zero(tmp_path):
    write_voc(tmp_path, {"a": [("dog", 0, 1, 1, 20, 10), ("cat", 1, 3, 4, 3, 4)], "b": []})
    found = boxed_images(tmp_path, "train")
    assert found.classes == ("cat", "dog") and len(found) == 2
    first = found.example(0)
    assert first["image"].size == (20, 10)
    np.testing.assert_array_equal(first["boxes"], [[0, 0, 20, 10], [2, 3, 3, 4]])  # the whole image; one pixel
    assert first["label"].tolist() == [1, 0] and first["difficult"].tolist() == [False, True]
    assert found.example(1)["boxes"].shape == (0, 4)


def test_presence_is_255_where_a_class_occurs_only_as_difficult(tmp_path):
    write_voc(tmp_path, {"a": [("dog", 0, 1, 1, 9, 9), ("dog", 1, 1, 1, 5, 5), ("cat", 1, 1, 1, 5, 5)], "b": []})
    np.testing.assert_array_equal(boxed_images(tmp_path, "train").presence(), [[255, 1], [0, 0]])


def test_classes_txt_gives_the_order_without_background(tmp_path):
    write_voc(tmp_path, {"a": [("dog", 0, 1, 1, 9, 9)]})
    (tmp_path / "classes.txt").write_text("background\nhorse\ndog\n")
    found = boxed_images(tmp_path, "train")
    assert found.classes == ("horse", "dog") and found.example(0)["label"].tolist() == [1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "Annotations/a.xml").write_text("<annotation>"), "cannot be read"),
        (lambda root: (root / "JPEGImages/a.jpg").unlink(), "is missing"),
        (lambda root: (root / "Annotations/a.xml").unlink(), "cannot be read"),
        (lambda root: (root / "classes.txt").write_text("horse\n"), "names the class 'dog'"),
        (lambda root: (root / "ImageSets/Main/train.txt").write_text("\n"), "is empty"),
        (lambda root: (root / "ImageSets/Main/train.txt").rename(root / "ImageSets/Main/val.txt"), "it has val"),
    ],
)
def test_damaged_directories_are_named(tmp_path, damage, message):
    write_voc(tmp_path, {"a": [("dog", 0, 1, 1, 9, 9)]})
    damage(tmp_path)
    with pytest.raises(SourceError, match=message) as raised:
        boxed_images(tmp_path, "train")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("box", [(9, 1, 8, 5), ("x", 1, 8, 5), ("", 1, 8, 5)])
def test_boxes_without_area_or_numbers_are_refused(tmp_path, box):
    write_voc(tmp_path, {"a": [("dog", 0, *box)]})
    with pytest.raises(SourceError, match="box"):
        boxed_images(tmp_path, "train")


def write_mask(path, values, mode="P"):
    image = Image.fromarray(np.asarray(values, np.uint8))
    if mode == "P":
        image = image.copy()
        image.putpalette([40, 0, 0, 0, 50, 0, 0, 0, 60] + [7] * 759)
    image.save(path)


def test_masks_of_a_voc_directory_are_the_indices(tmp_path):
    write_voc(tmp_path, {"a": []})
    Image.new("RGB", (2, 2)).save(tmp_path / "JPEGImages/a.jpg")
    write_mask(tmp_path / "SegmentationClass/a.png", [[0, 1], [255, 2]])
    (tmp_path / "classes.txt").write_text("background\nhorse\nperson\n")
    found = masked_images(tmp_path, "train")
    assert found.classes == ("background", "horse", "person")
    np.testing.assert_array_equal(found.example(0)["mask"], [[0, 1], [255, 2]])


def test_masks_beside_their_images(tmp_path):
    for folder in ("val", "valannot"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "val/x.jpg")
    write_mask(tmp_path / "valannot/x.png", [[0, 1], [2, 1]], mode="L")
    (tmp_path / "classes.txt").write_text("Sky\nRoad\nUnlabeled\n")
    found = masked_images(tmp_path, "val")
    assert found.classes == ("Sky", "Road") and found.ignore == {2, 255}
    np.testing.assert_array_equal(found.example(0)["mask"], [[0, 1], [255, 1]])


def test_classes_are_counted_where_no_file_names_them(tmp_path):
    write_voc(tmp_path, {"a": []})
    write_mask(tmp_path / "SegmentationClass/a.png", [[0, 3], [255, 2]])
    assert masked_images(tmp_path, "train").classes == ("0", "1", "2", "3")


def test_wrong_masks_are_named(tmp_path):
    with pytest.raises(SourceError, match="SegmentationClass"):
        masked_images(tmp_path, "train")
    write_voc(tmp_path, {"a": []})
    with pytest.raises(SourceError, match="is missing"):
        masked_images(tmp_path, "train")
    write_mask(tmp_path / "SegmentationClass/a.png", [[0, 3]])
    (tmp_path / "classes.txt").write_text("background\nhorse\n")
    with pytest.raises(SourceError, match="has the value 3"):
        masked_images(tmp_path, "train").example(0)
    Image.new("RGB", (2, 2)).save(tmp_path / "SegmentationClass/a.png")
    with pytest.raises(SourceError, match="indexed or gray"):
        masked_images(tmp_path, "train").example(0)


def test_a_mask_of_another_size_is_named(tmp_path):
    write_voc(tmp_path, {"a": []})
    write_mask(tmp_path / "SegmentationClass/a.png", [[0, 1]])
    found = pickle.loads(pickle.dumps(masked_images(tmp_path, "train")))
    for read in (found.example, found.annotation):
        with pytest.raises(ValueError, match="image is 20x10, mask is 2x1"):
            read(0)
