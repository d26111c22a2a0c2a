"""Strength, variants, hints and previews of `tfssl colorize`: what is written, how it is told from other results."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from tfssl.color.colorize import colorize_image, colorize_paths
from tfssl.color.hints import open_hints, read_hints
from tfssl.color.predict import compiled_scores
from tfssl.color.preview import ROWS, draw_previews
from tfssl.errors import ConfigError, ModelError
from tfssl.methods import Colorization
from tfssl.ops.ab_bins import NUM_BINS

SIZES = {"image_size": 32, "stride": 4, "temperature": 0.5}


def predict(lightness, temperature=None):
    return np.broadcast_to(np.float32([20, -10]), (len(lightness), 8, 8, 2))


def scores(lightness):
    random = np.random.default_rng(0).normal(0, 2, NUM_BINS).astype(np.float32)
    return np.broadcast_to(random, (len(lightness), 8, 8, NUM_BINS))


def gray(level=128):
    return Image.new("RGB", (64, 64), (level,) * 3)


def run(source, out, **options):
    return colorize_paths([source], out, predict, scores=scores, **SIZES, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name, level in (("a.png", 100), ("b.png", 150)):
        gray(level).save(tmp_path / "in" / name)
    return tmp_path / "in"


def mean_ab(image):
    return rgb2lab(np.asarray(image.convert("RGB")))[..., 1:].mean(axis=(0, 1))


@pytest.mark.parametrize("strength", [0, 0.5, 1, 1.5])
def test_strength_scales_chroma(strength):
    result = colorize_image(predict, gray(), strength=strength, **SIZES)
    np.testing.assert_allclose(mean_ab(result), (20 * strength, -10 * strength), atol=0.6)


def test_strength_leaves_hints_alone(folder, tmp_path):
    (tmp_path / "hints.json").write_text(json.dumps({"a.png": [{"x": 30, "y": 30, "color": "#a05030"}]}))
    (expected,) = read_hints([{"x": 30, "y": 30, "color": "#a05030"}])
    report = run(folder, tmp_path / "out", strength=0, hints=open_hints(tmp_path / "hints.json"))
    assert len(report.done) == 2
    with Image.open(tmp_path / "out" / "a.png") as hinted, Image.open(tmp_path / "out" / "b.png") as other:
        np.testing.assert_allclose(mean_ab(hinted.crop((30, 30, 31, 31))), expected.color, atol=2)
        assert np.abs(mean_ab(other)).max() < 0.5


def test_results_of_other_settings_are_told(folder, tmp_path):
    out = tmp_path / "out"
    colorize_paths([folder], out, predict, **SIZES)
    assert not run(folder, out, strength=1.0).outdated, "as usual is the same as not said"
    for options in ({"strength": 0.5}, {"hints": _hints(tmp_path, "a.png", x=3)}):
        report = run(folder, out, **options)
        assert set(report.outdated.values()) == {"made with other settings"} and not report.done
    assert len(report.outdated) == 1, "only the image that has hints"


def test_variants_lie_beside_the_usual_coloring(folder, tmp_path):
    out = tmp_path / "out"
    gray(90).save(folder / "a_1.png")  # the name that a variant would have
    for variant in (0, 1, 2):
        assert len(run(folder, out, variant=variant).done) == 3
    names = {"a.png", "a_1.png", "b.png", "a.png_1.png", "a_1_1.png", "b_1.png", "a_2.png", "a_1_2.png", "b_2.png"}
    assert {p.name for p in out.iterdir()} == names
    assert len(run(folder, out, variant=1).skipped) == 3
    with Image.open(out / "b.png") as usual, Image.open(out / "b_1.png") as other:
        assert np.linalg.norm(mean_ab(usual) - mean_ab(other)) > 5


def test_hints_outside_fail_alone(folder, tmp_path):
    report = run(folder, tmp_path / "out", hints=_hints(tmp_path, "a.png", x=64))
    assert list(report.done) == [str(folder / "b.png")]
    assert report.failed == {str(folder / "a.png"): "`hints`: x=64, y=3 lies outside of the image, 64x64 pixels"}


def test_hints_for_no_image_are_refused_before_anything_is_written(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"no image is called 'c.png'"):
        run(folder, tmp_path / "out", hints=_hints(tmp_path, "c.png", x=3))
    assert not list((tmp_path / "out").iterdir())


def _hints(folder, name, x):
    (folder / "hints.json").write_text(json.dumps({name: [{"x": x, "y": 3, "color": "teal"}]}))
    return open_hints(folder / "hints.json")


def test_a_regression_model_has_neither_variants_nor_hints():
    method = Colorization(backbone="small", objective="regression", resize=None, crop_size=32)
    with pytest.raises(ModelError, match="objective: regression"):
        compiled_scores(method, None)


def test_previews(tmp_path):
    gray().save(tmp_path / "a.png")
    rows = [(f"{n}", [tmp_path / "a.png", tmp_path / "a.png", None]) for n in range(ROWS + 1)]
    sheets = draw_previews(rows, tmp_path, ["before", "after", "variant 1"])
    assert sheets == [tmp_path / "preview" / "001.png", tmp_path / "preview" / "002.png"]
    with Image.open(sheets[0]) as full, Image.open(sheets[1]) as rest:
        assert full.width == rest.width and full.height > 5 * rest.height
        assert rest.getpixel((rest.width // 3, rest.height // 2)) != (255, 255, 255)


def test_a_preview_is_no_result(tmp_path):
    (tmp_path / "preview").mkdir()
    gray().save(tmp_path / "preview" / "001.png")
    photo = tmp_path / "preview" / "001.png"
    assert draw_previews([("a", [photo, photo])], tmp_path, ["before", "after"]) == [tmp_path / "preview-2" / "001.png"]
