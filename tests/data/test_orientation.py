"""Photographs stored turned: what was annotated beside them is turned with them, or refused."""

import io

import numpy as np
import pytest
from PIL import Image

from tfssl.data.decode import decode_image
from tfssl.data.normals import normals_images, write_normals
from tfssl.data.orientation import read_layout, turn, turn_boxes
from tfssl.data.posed import posed_source
from tfssl.data.rgbd import rgbd_source
from tfssl.data.stereo import stereo_source
from tfssl.data.voc import boxed_images, masked_images

SIZE = 24, 16
TURNED = range(1, 9)
SIDEWAYS = range(5, 9)


def save(path, orientation, size=SIZE, kind="PNG"):
    """An image with a red square at 2..5, 1..7 of the stored pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((*size[::-1], 3), np.uint8)
    pixels[1:7, 2:5, 0] = 255
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = orientation
    image.save(path, kind, exif=exif)
    return pixels[..., 0] // 255


def red(image):
    return np.asarray(image)[..., 0] // 255


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_layout_of_a_file_and_its_turn_are_those_of_decoding(tmp_path, orientation, kind):
    stored = save(tmp_path / "a.png", orientation, kind=kind)
    assert read_layout(tmp_path / "a.png") == (SIZE, orientation)
    if kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(turn(stored, orientation), red(decode_image(tmp_path / "a.png")))


@pytest.mark.parametrize("orientation", TURNED)
def test_boxes_turn_as_pixels_do(orientation):
    mask = np.zeros((16, 24), bool)
    mask[1:7, 2:5] = True
    rows, columns = np.nonzero(turn(mask, orientation))
    wanted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_array_equal(turn_boxes(np.array([[2, 1, 5, 7]], np.float32), orientation, SIZE), [wanted])


@pytest.mark.parametrize("orientation", TURNED)
def test_directions_turn_as_pixels_do(orientation):
    y, x = np.indices((16, 24)).astype(np.float32)
    ramp = 3 * x - 2 * y
    gradient = np.stack([np.full_like(x, 3), np.full_like(x, -2), np.ones_like(x)], axis=-1)
    rows, columns = np.gradient(turn(ramp, orientation))
    found = turn(gradient, orientation, vectors=True)
    np.testing.assert_array_equal(found, np.stack([columns, rows, np.ones_like(rows)], axis=-1))


def write_boxes(root, orientation, size, declared):
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    save(root / "JPEGImages/a.png", orientation, size)
    (root / "ImageSets/Main/train.txt").write_text("a\n")
    shown = "" if declared is None else "<size><width>{}</width><height>{}</height></size>".format(*declared)
    box = "<xmin>3</xmin><ymin>2</ymin><xmax>5</xmax><ymax>7</ymax>"
    (root / "Annotations/a.xml").write_text(
        f"<annotation>{shown}<object><name>red</name><bndbox>{box}</bndbox></object></annotation>"
    )
    return boxed_images(root, "train")


def covered(example):
    """Mean red within the box, and outside."""
    (left, top, right, bottom), pixels = example["boxes"][0].astype(int), red(example["image"])
    inside = pixels[top:bottom, left:right]
    return inside.mean(), pixels.sum() - inside.sum()


@pytest.mark.parametrize("orientation", [1, *SIDEWAYS])
def test_boxes_of_the_stored_size_are_turned(tmp_path, orientation):
    example = write_boxes(tmp_path, orientation, SIZE, SIZE).example(0)
    assert covered(example) == (1, 0)


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_boxes_of_the_upright_size_are_used_as_they_are(tmp_path, orientation):
    example = write_boxes(tmp_path, orientation, SIZE, SIZE[::-1]).example(0)
    np.testing.assert_array_equal(example["boxes"], [[2, 1, 5, 7]])


@pytest.mark.parametrize(
    ("orientation", "size", "declared", "message"),
    [
        (1, SIZE, (30, 20), "sizes differ: image is 24x16, <size> of its annotation is 30x20"),
        (6, SIZE, (30, 20), "sizes differ: image is 16x24"),
        (6, SIZE, None, "EXIF orientation 6.*has no size"),
        (6, SIZE, (0, 0), "EXIF orientation 6.*has no size"),
        (6, (16, 16), (16, 16), "is 16x16 either way"),
        (3, SIZE, SIZE, "is 24x16 either way"),
        (2, SIZE, None, "has no size"),
    ],
)
def test_boxes_that_do_not_tell_are_refused(tmp_path, orientation, size, declared, message):
    found = write_boxes(tmp_path, orientation, size, declared)
    with pytest.raises(ValueError, match=message):
        found.example(0)
    assert found.presence().tolist() == [[1]]  # for which it does not matter where they are


@pytest.mark.parametrize("declared", [(16, 16), None])
def test_boxes_of_a_square_that_is_not_turned_are_fine(tmp_path, declared):
    assert covered(write_boxes(tmp_path, 1, (16, 16), declared).example(0)) == (1, 0)


def test_an_image_without_objects_needs_no_size(tmp_path):
    write_boxes(tmp_path, 6, SIZE, None)
    (tmp_path / "Annotations/a.xml").write_text("<annotation/>")
    assert boxed_images(tmp_path, "train", classes=["red"]).example(0)["boxes"].shape == (0, 4)


def write_mask(root, orientation, upright, own=1):
    mask = save(root / "train/a.png", orientation)
    (root / "trainannot").mkdir()
    (root / "classes.txt").write_text("other\nred\n")
    image, exif = Image.fromarray(turn(mask, orientation) if upright else mask), Image.Exif()
    exif[0x0112] = own
    image.save(root / "trainannot/a.png", exif=exif)
    return masked_images(root, "train")


@pytest.mark.parametrize("orientation", [1, *SIDEWAYS])
@pytest.mark.parametrize("upright", [True, False])
def test_masks_fit_the_upright_image(tmp_path, orientation, upright):
    source = write_mask(tmp_path, orientation, upright)
    example = source.example(0)
    np.testing.assert_array_equal(example["mask"], red(example["image"]))
    np.testing.assert_array_equal(source.annotation(0)["mask"], example["mask"])


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_masks_with_the_same_tag_fit(tmp_path, orientation):
    example = write_mask(tmp_path, orientation, upright=False, own=orientation).example(0)
    np.testing.assert_array_equal(example["mask"], red(example["image"]))


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_masks_that_do_not_tell_are_refused(tmp_path, orientation):
    with pytest.raises(ValueError, match=f"EXIF orientation {orientation}.*mask is 24x16 either way"):
        write_mask(tmp_path, orientation, upright=True).example(0)


@pytest.mark.parametrize("orientation", TURNED)
def test_normals_turn_with_the_image(tmp_path, orientation):
    save(tmp_path / "train/a.png", orientation)
    (tmp_path / "trainnormals").mkdir()
    normals = np.random.default_rng(0).normal(size=(16, 24, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    np.save(tmp_path / "trainnormals/a.npy", normals)
    source = normals_images(tmp_path, "train")
    if orientation in (2, 3, 4):
        with pytest.raises(ValueError, match="normals is 24x16 either way"):
            source.example(0)
    else:
        np.testing.assert_allclose(
            source.example(0)["normals"], turn(normals, orientation, vectors=True), rtol=0, atol=1e-6
        )


def test_a_map_of_normals_that_is_stored_turned_is_refused(tmp_path):
    save(tmp_path / "train/a.png", 1)
    write_normals(tmp_path / "plain.png", np.tile(np.float32([0, 0, -1]), (16, 24, 1)))
    (tmp_path / "trainnormals").mkdir()
    save(tmp_path / "trainnormals/a.png", 6)
    with pytest.raises(ValueError, match="stored turned"):
        normals_images(tmp_path, "train").example(0)


@pytest.mark.parametrize("orientation", TURNED)
def test_depth_turns_with_the_image(tmp_path, orientation):
    pixels = save(tmp_path / "color/a.png", orientation)
    (tmp_path / "depth").mkdir()
    np.save(tmp_path / "depth/a.npy", 1.0 + pixels.astype(np.float32))
    source = rgbd_source(tmp_path)
    if orientation in (2, 3, 4):
        with pytest.raises(ValueError, match="depth is 24x16 either way"):
            source.example(0)
    else:
        example = source.example(0)
        np.testing.assert_array_equal(example["depth"], 1.0 + red(example["image"]))


@pytest.mark.parametrize("orientation", [3, 6])
def test_pairs_and_cameras_of_turned_images_are_refused(tmp_path, orientation):
    for role in ("image_l", "image_r"):
        save(tmp_path / f"{role}/a.png", orientation)
    row = "1 0 0 0 0 1 0 0 0 0 1 0\n"
    (tmp_path / "calib.txt").write_text(2 * row)
    (tmp_path / "poses.txt").write_text(row)
    for source in (stereo_source(tmp_path), posed_source(tmp_path)):
        with pytest.raises(ValueError, match=f"'a.png' is stored turned .EXIF orientation {orientation}"):
            source.example(0)


def test_damaged_exif_says_nothing(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", SIZE).save(file, "JPEG", exif=b"Exif\0\0garbage")
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    assert read_layout(tmp_path / "a.jpg") == (SIZE, 1)
