"""Photographs rendered in styles: what follows from the seed, what each style does, what belongs together."""

import numpy as np
import pytest
from PIL import Image

from tfssl.data.style_renderings import LUMA, STYLES, render
from tfssl.data.styles import rendered_styles
from tfssl.errors import ConfigError


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(0)
    smooth = [Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)) for _ in range(3)]
    return [np.asarray(image.resize((60, 48), Image.Resampling.BICUBIC)) for image in smooth]


@pytest.fixture(scope="module")
def source(photographs):
    return rendered_styles(photographs, size=32, windows=2, seed=3)


def test_each_window_comes_in_every_style_and_stays_with_its_photograph(source):
    assert len(source) == 3 * 2 * 10 and source.classes == tuple(STYLES)
    assert source.groups == tuple(np.repeat([0, 1, 2], 20))
    assert [source.classes[int(source.example(i)["label"].argmax())] for i in range(10)] == list(STYLES)
    assert source.name(13) == "image 0 window 1 pastel" and source.content is None
    assert np.array_equal(source.images.window(1), source.images.window(1))
    assert not np.array_equal(source.images.window(0), source.images.window(1))


def test_everything_follows_from_the_seed(source, photographs):
    same, other = (rendered_styles(photographs, size=32, windows=2, seed=seed) for seed in (3, 4))
    for index in (59, 3, 17):  # in any order
        assert np.array_equal(source.example(index)["image"], same.example(index)["image"])
        assert source.example(index)["image"].size == (32, 32)
    assert not np.array_equal(source.example(3)["image"], other.example(3)["image"])


def rendered(style, strength, image, seed=0):
    return np.asarray(render(image, style, strength, np.random.default_rng(seed)), np.float64) / 255


def test_styles_do_what_they_are_called(photographs):
    image = Image.fromarray(photographs[0])
    before = np.asarray(image, np.float64) / 255
    found = {style: rendered(style, 1.0, image) for style in STYLES}
    contrast = {style: (values @ LUMA).std() for style, values in found.items()}
    detail = {style: np.abs(np.diff(values @ LUMA, axis=1)).mean() for style, values in found.items()}
    plain = np.abs(np.diff(before @ LUMA, axis=1)).mean()
    assert np.ptp(found["noir"], axis=-1).max() == 0, "gray"
    assert contrast["hazy"] < 0.6 * (before @ LUMA).std() and found["pastel"].mean() > before.mean() + 0.15
    assert detail["hdr"] > 1.3 * plain > 1.3 * detail["long_exposure"]
    assert np.all(found["vintage"].mean(axis=(0, 1))[:-1] > found["vintage"].mean(axis=(0, 1))[1:]), "R > G > B"
    ground = np.median(found["minimal"].reshape(-1, 3), axis=0)
    assert np.mean(np.abs(found["minimal"] - ground).max(axis=-1) < 0.01) > 0.8, "mostly one color"
    middle, edge = np.abs(found["bokeh"] - before)[16:32, 22:38], np.abs(found["bokeh"] - before)[:, :6]
    assert middle.mean() < 0.3 * edge.mean(), "sharp about its middle"
    assert np.ptp(found["edge_sketch"], axis=-1).max() < 0.06 and found["edge_sketch"].mean() > 0.6, "on paper"
    assert detail["pointillism"] > 2 * plain
    assert all(np.array_equal(values, rendered(style, 1.0, image)) for style, values in found.items())


@pytest.mark.parametrize("style", ["hazy", "pastel", "bokeh", "long_exposure"])
def test_nothing_is_left_of_it_at_strength_zero(style, photographs):
    image = Image.fromarray(photographs[1])
    assert np.abs(rendered(style, 0.0, image) - np.asarray(image) / 255).max() < 0.02


def test_the_content_is_the_folder_of_the_photograph(tmp_path, photographs):
    for name, pixels in zip(("sea", "town", "sea"), photographs, strict=True):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name / f"{pixels.sum()}.png")
    source = rendered_styles(str(tmp_path), styles=("noir", "hazy"), size=16)
    assert source.contents == ("sea", "town") and source.content == (0, 0, 0, 0, 1, 1)
    assert source.key(0).startswith("sea/") and source.key(5).startswith("town/") and source.key(5).endswith("hazy")
    some = source.take([4, 1])
    assert some.content == (1, 0) and some.groups == (2, 0) and some.name(0) == source.name(4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"styles": ["noir", "hzy"]}, "unknown style 'hzy'; did you mean `hazy`"),
        ({"styles": ["noir"]}, "`styles` must be at least two"),
        ({"size": 8}, "`size` must be an integer of at least 16"),
        ({"windows": 0}, "`windows` must be"),
        ({"strengths": (0.5, 1.2)}, "`strengths` must be"),
    ],
)
def test_wrong_options_are_named(options, said, photographs):
    with pytest.raises(ConfigError, match=said):
        rendered_styles(photographs, **options)
