"""Contact sheets: where pictures land, what is kept, what is refused."""

import numpy as np
import pytest
from PIL import Image

from tfssl.visualization.sheet import picture_sheet


def test_places_and_aspect_ratio(tmp_path):
    red = np.full((10, 20, 3), (255, 0, 0), np.uint8)
    blue = Image.new("RGB", (30, 60), (0, 0, 255))
    picture_sheet([[red, blue], [None, red]], tmp_path / "deep" / "sheet.png", cell=40, margin=4)
    sheet = np.asarray(Image.open(tmp_path / "deep" / "sheet.png"))
    # Columns are 40 and 40 wide (red is 40 x 20, blue 20 x 40), rows 40 and 20 high.
    assert sheet.shape == (4 + 40 + 4 + 20 + 4, 4 + 40 + 4 + 40 + 4, 3)
    reds = np.argwhere((sheet == (255, 0, 0)).all(axis=-1))
    blues = np.argwhere((sheet == (0, 0, 255)).all(axis=-1))
    assert len(reds) == 2 * 40 * 20 and len(blues) == 20 * 40
    np.testing.assert_array_equal([blues.min(axis=0), blues.max(axis=0)], [(4, 4 + 40 + 4 + 10), (43, 77)])
    np.testing.assert_array_equal(reds.min(axis=0), (4 + 10, 4))
    np.testing.assert_array_equal(reds.max(axis=0), (4 + 40 + 4 + 19, 4 + 40 + 4 + 39))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    "picture", [np.full((8, 8), 128, np.uint8), np.full((8, 8, 1), 128 / 255), Image.new("L", (8, 8), 128)]
)
def test_kinds_of_pictures(tmp_path, picture):
    sheet = picture_sheet([[picture]], tmp_path / "a.png", cell=8, margin=0)
    np.testing.assert_array_equal(np.asarray(sheet), np.full((8, 8, 3), 128))


def test_titles_and_labels_take_room_of_their_own(tmp_path):
    white = np.full((20, 20, 3), 255, np.uint8)
    plain = picture_sheet([[white, white]] * 2, tmp_path / "a.png", cell=64)
    sheet = picture_sheet(
        [[white, white]] * 2,
        tmp_path / "a.png",
        ["gray", "truth"],
        ["first\nline", "a name much wider than a cell"],
        64,
    )
    assert np.asarray(plain).min() == 255
    ink = np.argwhere(np.asarray(sheet).min(axis=-1) < 128)
    left, top = sheet.width - plain.width, sheet.height - plain.height
    assert 0 < left <= 64 + 8 and top > 0
    inside = (ink[:, 0] >= top + 8) & (ink[:, 1] >= left + 8)
    assert len(ink) and not inside.any()  # nothing is written over the pictures
    assert (ink[:, 0] < top).any() and (ink[:, 1] < left).any()


@pytest.mark.parametrize("rows, options, name", [
    ([], {}, "rows"), ([[], []], {}, "rows"), ([[np.zeros((2, 2))]], {"titles": ["a", "b"]}, "titles"),
    ([[np.zeros((2, 2))]], {"labels": []}, "labels"), ([[np.zeros((2, 2))]], {"cell": 0}, "cell"),
])  # fmt: skip
def test_wrong_use_is_named(tmp_path, rows, options, name):
    with pytest.raises(ValueError, match=f"`{name}`.*Received"):
        picture_sheet(rows, tmp_path / "a.png", **options)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    picture_sheet([[np.zeros((4, 4))]], path)
    before = path.read_bytes()

    def fail(self, file, **options):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        picture_sheet([[np.ones((4, 4))]], path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.png"]
