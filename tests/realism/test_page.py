"""What the folder of the human test holds: images that tell nothing but colors, and a page that asks no network."""

import base64
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

import tfssl
from tfssl.cli import main
from tfssl.realism.page import write_test


def key_of(page):
    """What the page's script knows."""
    text = page.read_text()
    study = re.search(r'"study": "(\w+)"', text)[1]
    data = base64.b64decode(re.search(r'const key = "(.*?)"', text)[1])
    return study, json.loads(bytes(a ^ b for a, b in zip(data, itertools.cycle(study.encode()), strict=False)))


def gray(photograph):
    return np.zeros((256, 256, 2))


@pytest.fixture(scope="module")
def made(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "page"
    path, _, skipped = write_test(photographs, {"mine": gray, "random": None}, out, practice=1, pairs=3, limit=6)
    assert not skipped
    return path


def test_a_pair_differs_in_color_alone(made):
    from skimage.color import rgb2lab

    _, key = key_of(made)
    images = {path.stem: path for path in (made.parent / "images").iterdir()}
    assert len(images) == 1 * 2 + 5 * 3 and {path.name for path in made.parent.iterdir()} == {"images", "index.html"}
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in images)
    for photo in key["photographs"]:
        opened = {model: Image.open(images[name]) for model, name in {"real": photo["real"], **photo["fakes"]}.items()}
        chunks = {tuple(re.findall(b"IHDR|tEXt|zTXt|iTXt|tIME|eXIf|iCCP|pHYs", images[name].read_bytes())) for name in
                  [photo["real"], *photo["fakes"].values()]}  # fmt: skip
        assert chunks == {(b"IHDR",)}
        for image in opened.values():
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (256, 256))
        if "mine" in opened:
            lightness = [rgb2lab(np.asarray(opened[model]))[..., 0] for model in ("real", "mine")]
            assert np.abs(lightness[0] - lightness[1]).max() < 0.5  # gray is in gamut: L is copied, to 8 bits


def test_practice_checks_and_pool(made):
    _, key = key_of(made)
    kinds = [photo["kind"] for photo in key["photographs"]]
    assert (kinds.count("practice"), kinds.count("check"), kinds.count("test")) == (1, 1, 4)
    assert key["models"] == ["mine", "random"]
    assert [list(p["fakes"]) for p in key["photographs"] if p["kind"] == "check"] == [["random"]]
    assert {len({p["real"], *p["fakes"].values()}) for p in key["photographs"] if p["kind"] == "test"} == {3}
    assert sorted(photo["name"] for photo in key["photographs"])[0].startswith("photo")  # no folders of mine


def test_the_page_is_whole_and_says_no_answers(made):
    text = made.read_text()
    assert not re.findall(r"https?://|<link|<script src|@import|url\(", text)
    _, key = key_of(made)
    assert not any(photo["real"] in text or photo["name"] in text for photo in key["photographs"])


def test_the_same_seed_makes_the_same_page_and_other_colors_another_study(photographs, made, tmp_path):
    def make(name, function):
        recolor = {"mine": function, "random": None}
        return write_test(photographs, recolor, tmp_path / name, practice=1, pairs=3, limit=6)[0]

    assert make("same", gray).read_bytes() == made.read_bytes()
    assert key_of(make("other", lambda photograph: gray(photograph) + 10))[0] != key_of(made)[0]


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["realism-test", "make", *map(str, arguments)])
    return stop.value.code


def test_what_does_not_serve_is_named_and_nothing_is_left_when_too_few_do(tmp_path, capsys):
    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (256, 256, 3), np.uint8)).save(photos / f"{name}.png")
    Image.fromarray(rng.integers(0, 256, (256, 255, 3), np.uint8)).save(photos / "small.png")
    Image.fromarray(rng.integers(0, 256, (256, 256), np.uint8)).save(photos / "gray.png")
    (photos / "broken.jpg").write_bytes(b"no image")
    few = [photos, "--model", "random", "--out", tmp_path / "page", "--practice", 1, "--pairs"]
    assert call(*few, 2) == 2
    error = capsys.readouterr().err
    assert "a session takes 4 photographs" in error and "3 of 6 serve (3 left out, such as " in error
    assert error.count("\n") == 1 and sorted(p.name for p in tmp_path.iterdir()) == ["photos"]
    assert call(*few, 1) == 0
    out, error = capsys.readouterr()
    assert "3 photographs, models random" in out
    assert "gray.png: gray, without colors" in error and "small.png: smaller than 256 pixels: 255 x 256" in error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pairs", 0], "`pairs` must be at least 1. Received: pairs=0"),
        (["--practice", -1], "Received: practice=-1"),
        (["--seconds", 0], "Received: seconds=0"),
        (["--pass-checks", 2], "Received: pass_checks=2"),
        (["--limit", 53], "`limit` must be at least 54"),
        (["--model", "no-such"], "no model 'no-such'"),
        (["--model", "random"], "'random' is given twice"),
    ],
)
def test_wrong_options_are_one_line_before_a_model_is_loaded(options, said, photographs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tfssl.cli.realism._recolor", lambda source: 1 / 0)
    assert call(photographs, "--out", tmp_path / "page", "--model", "random", *options) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused(photographs, made, capsys):
    assert call(photographs, "--model", "random", "--out", made.parent) == 2
    assert "`out` must be new or empty" in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_colorizer_recolors(tmp_path):
    out = tmp_path / "page"
    assert call("builtin", "--practice", 0, "--pairs", 1, "--limit", 2, "--out", out) == 0
    _, key = key_of(out / "index.html")
    photo = next(photo for photo in key["photographs"] if photo["kind"] == "test")
    real, fake = (out / "images" / f"{name}.png" for name in (photo["real"], photo["fakes"]["colorizer"]))
    alone = np.asarray(tfssl.colorize(real), int)
    assert np.abs(alone - np.asarray(Image.open(fake))).mean() < 1  # the same, but for rounding
    assert np.abs(alone - np.asarray(Image.open(real))).mean() > 3
