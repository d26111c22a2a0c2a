"""Hints: read, found on painted copies, held where they are, spread to what belongs together and not beyond."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tfssl.color.hints import Hint, apply_hints, open_hints, painted_hints, read_hints
from tfssl.errors import ConfigError, SourceError
from tfssl.ops.ab_bins import NUM_BINS
from tfssl.ops.bytes_lab import ab

RED = {"x": 5, "y": 6, "color": "#ff0000"}


def two_things():
    """Scores and lightness of 16x24 cells: on the left one thing, on the right another, equally light."""
    scores = np.random.default_rng(0).normal(0, 0.3, (16, 24, NUM_BINS)).astype(np.float32)
    scores[:, :12, :150] += 4
    scores[:, 12:, 150:] += 4
    return scores, np.full((64, 96), 50, np.float32)


def test_a_hint_holds_where_it_is_and_spreads_to_its_thing_only():
    scores, lightness = two_things()
    cells = np.zeros((16, 24, 2), np.float32)
    changed = apply_hints(cells, scores, lightness, [Hint(201.0, 330.0, (40.0, -30.0))], (960, 640), 4)
    # The pixel lies at network pixel (19.65, 32.55), cell (4.91, 8.14).
    at = changed[8:10, 4:6]
    pixel = np.einsum("y,yxc,x->c", (0.8625, 0.1375), at, (0.0875, 0.9125))
    np.testing.assert_allclose(pixel, (40, -30), rtol=0.05)
    assert (changed[:, :10, 0] > 15).all() and np.abs(changed[:, 13:]).max() < 2


def test_hints_of_different_colors_hold_side_by_side():
    scores, lightness = two_things()
    cells = np.full((16, 24, 2), 10.0, np.float32)
    hints = [Hint(8, 32, (40.0, 0.0)), Hint(88, 32, (-40.0, 20.0)), Hint(8, 4, (40.0, 0.0))]
    changed = apply_hints(cells, scores, lightness, hints, (96, 64), 4)
    for hint in hints:
        np.testing.assert_allclose(changed[hint.y // 4, hint.x // 4], hint.color, atol=3)


@pytest.mark.parametrize("size", [(1, 1), (40, 1), (3, 50)])
def test_any_size(size):
    lightness = np.full((size[1], size[0]), 50, np.float32)
    cells = np.zeros((-(-size[1] // 4), -(-size[0] // 4), 2), np.float32)
    scores = np.zeros((*cells.shape[:2], NUM_BINS), np.float32)
    changed = apply_hints(cells, scores, lightness, [Hint(0, 0, (20.0, 20.0))], size, 4)
    np.testing.assert_allclose(changed[0, 0], (20, 20), atol=1)


def test_a_hint_outside_is_refused():
    scores, lightness = two_things()
    with pytest.raises(ConfigError, match=r"x=96, y=3 lies outside of the image, 96x64 pixels"):
        apply_hints(np.zeros((16, 24, 2)), scores, lightness, [Hint(96, 3, (0.0, 0.0))], (96, 64), 4)


def test_colors_are_read_as_css_writes_them():
    red = ab(np.uint8([[[255, 0, 0]]]))[0, 0]
    for color in ("#ff0000", "red", "rgb(255, 0, 0)", "#f00"):
        (hint,) = read_hints([{**RED, "color": color}])
        np.testing.assert_allclose(hint.color, red)
        assert (hint.x, hint.y) == (5, 6)


@pytest.mark.parametrize(
    "entries",
    [
        {"x": 1},
        ["red"],
        [{"x": 1, "y": 2}],
        [{**RED, "radius": 3}],
        [{**RED, "x": -1}],
        [{**RED, "x": "1"}],
        [{**RED, "y": float("nan")}],
        [{**RED, "color": "reddish"}],
        [{**RED, "color": 3}],
        [{**RED, "color": None}],
    ],
)
def test_what_is_no_hint_is_refused(entries):
    with pytest.raises(ConfigError, match=r"^`hints`[^\n]*Received[^\n]*$"):
        read_hints(entries)


def test_a_file_of_hints(tmp_path):
    file = tmp_path / "hints.json"
    file.write_text(json.dumps({"a.jpg": [RED], "deep/a.jpg": [RED, RED], "b.jpg": []}))
    hints = open_hints(file)
    assert len(hints.of(Path("in/a.jpg"), None)) == 1 and len(hints.of(Path("in/deep/a.jpg"), None)) == 2
    assert hints.of(Path("in/aa.jpg"), None) == [] and hints.settings(Path("in/aa.jpg")) == ""
    assert hints.settings(Path("in/a.jpg")) != hints.settings(Path("in/deep/a.jpg"))
    with pytest.raises(ConfigError, match=r"no image is called 'b.jpg'"):
        hints.check_used()
    hints.settings(Path("b.jpg"))
    hints.check_used()
    for text in ("no json", "[]", "{}", '{"a.jpg": {"x": 1}}'):
        file.write_text(text)
        with pytest.raises((ConfigError, SourceError), match="hints"):
            open_hints(file)


def painted(image, center, color, radius=6):
    copy = image.convert("RGB")
    ImageDraw.Draw(copy).ellipse([c + d for d in (-radius, radius) for c in center], fill=color)
    return copy


def gray_photograph():
    noise = np.random.default_rng(2).integers(60, 200, (120, 160), np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_painted_dots_are_found(format, tmp_path):
    painted(painted(gray_photograph(), (30, 40), "#c03020"), (120, 90), "#2040c0").save(tmp_path / "a", format)
    with Image.open(tmp_path / "a") as copy:
        hints = painted_hints(gray_photograph(), copy)
    for center, color in (((30, 40), "#c03020"), ((120, 90), "#2040c0")):
        (expected,) = read_hints([{"x": 0, "y": 0, "color": color}])
        own = [hint for hint in hints if np.hypot(hint.x - center[0], hint.y - center[1]) < 10]
        assert own and np.abs([np.subtract(hint.color, expected.color) for hint in own]).max() < 12
        hints = [hint for hint in hints if hint not in own]
    assert not hints


def test_painted_copies_are_found_by_name(tmp_path):
    painted(gray_photograph(), (30, 40), "#c03020").save(tmp_path / "a.png")
    hints = open_hints(tmp_path)
    assert hints.settings(Path("x/b.jpg")) == "" and hints.of(Path("x/b.jpg"), gray_photograph()) == []
    with pytest.raises(ConfigError, match=r"a\.png' has no image"):
        hints.check_used()
    assert hints.settings(Path("x/a.jpg")) and hints.of(Path("x/a.jpg"), gray_photograph())
    hints.check_used()


def test_copies_that_do_not_serve():
    image = gray_photograph()
    with pytest.raises(ValueError, match=r"differs from it in 0\.0%"):
        painted_hints(image, image)
    with pytest.raises(ValueError, match=r"differs from it in 100\.0%"):
        painted_hints(image, Image.new("RGB", image.size, "red"))
    with pytest.raises(ValueError, match="160x120; they must be equal"):
        painted_hints(image, image.resize((80, 60)))
