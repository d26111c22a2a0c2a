"""Pages of synthesized images, the Python call and the command."""

import json

import numpy as np
import pytest
from PIL import Image

import tfssl
from tfssl.cli import main
from tfssl.errors import ConfigError, SourceError
from tfssl.synthesis.gallery import gallery
from tfssl.synthesis.recipe import Recipe, read_recipe

from ..visualization.conftest import small_encoder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two stripes.png of period 8, noise.png, hole.png (white in the middle) and broken.png."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    stripes = np.uint8(128 + 100 * np.sin(2 * np.pi * np.arange(48) / 8))
    Image.fromarray(np.tile(stripes[None, :, None], (40, 1, 3))).save(folder / "stripes.png")
    Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(folder / "noise.png")
    hole = np.zeros((40, 48), np.uint8)
    hole[10:20, 10:20] = 255
    Image.fromarray(hole).save(folder / "hole.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def test_gallery_of_tasks_and_seeds(photos, tmp_path):
    steps = []
    numbers, failed = gallery(
        small_encoder(),
        [photos / "stripes.png", photos / "broken.png"],
        tmp_path,
        recipes=[Recipe(task, size=48, iterations=2) for task in ("texture", "symmetric", "style")],
        seeds=(7,),
        content=photos / "noise.png",
        progress=lambda *done: steps.append(done),
    )
    assert list(failed) == [str(photos / "broken.png")]
    assert steps[-1][:2] == (6, 6) and "stripes style: gram" in steps[-1][2]
    assert numbers["reference"]["stripes autocorrelation right, lag 8"] == pytest.approx(1, abs=0.02)
    column = numbers["symmetric, seed 7"]
    assert set(column) > {"stripes gram", "stripes flip", "stripes mirror error, left-right", "stripes seconds"}
    assert "stripes autocorrelation right, lag 8" in numbers["texture, seed 7"]
    assert not any("autocorrelation" in name for name in numbers["style, seed 7"])
    files = {path.name for path in tmp_path.iterdir()}
    assert {"stripes-texture-7.png", "stripes-reference.png", "stripes-content.png", "stripes-terms.png"} < files
    assert {"stripes-autocorrelation-right.png", "sheet.png", "index.html", "numbers.json"} < files
    protocol = json.loads((tmp_path / "numbers.json").read_text())["protocol"]
    assert protocol["iterations"] == "2" and protocol["taps of texture"] == "conv2"


def test_inputs_of_a_gallery(photos, tmp_path):
    options = {"recipes": [Recipe(size=40, iterations=1)]}
    with pytest.raises(ConfigError, match="`content` is of the tasks inpaint, style, season"):
        gallery(small_encoder(), [photos / "noise.png"], tmp_path, content=photos / "noise.png", **options)
    with pytest.raises(ConfigError, match="two references are called 'noise'"):
        gallery(small_encoder(), [photos / "noise.png"] * 2, tmp_path, **options)
    with pytest.raises(SourceError, match="no reference can be read"):
        gallery(small_encoder(), [photos / "broken.png"], tmp_path, **options)
    inpaint = [Recipe("inpaint", size=48, iterations=1)]
    with pytest.raises(ConfigError, match="`content` is missing: the task inpaint"):
        gallery(small_encoder(), [photos / "noise.png"], tmp_path, recipes=inpaint)
    with pytest.raises(SourceError, match="mask"):
        mask = photos / "broken.png"
        gallery(
            small_encoder(), [photos / "noise.png"], tmp_path, recipes=inpaint, content=photos / "noise.png", mask=mask
        )
    assert not list(tmp_path.iterdir())


def test_python_call(photos):
    options = {"model": "random:alexnet_s", "size": 40, "iterations": 1, "taps": "conv1"}
    result = tfssl.synthesize(photos / "noise.png", seed=3, **options)
    assert result.image.size == (40, 33) and result.seed == 3 and set(result.terms) == {"gram"}
    with pytest.raises(ConfigError, match=r"`mask` must be bool \(40, 48\)"):
        array = np.asarray(Image.open(photos / "noise.png"))
        tfssl.synthesize(array, content=array, mask=np.ones((3, 3), bool), task="inpaint", **options)


def test_command(photos, tmp_path, capsys):
    inpaint = ("--task", "inpaint", "--content", photos / "noise.png", "--mask", photos / "hole.png")
    options = ("--model", "random:alexnet_s", "--size", 48, "--iterations", 1, "optimizer=adam", "--taps", "conv1")
    code = call("synthesize", photos / "stripes.png", photos / "broken.png", *inpaint, *options, "--out", tmp_path)
    said = capsys.readouterr()
    assert code == 1 and "failed" in said.err and "broken.png" in said.err
    assert "inpaint, seed 0" in said.out and "index.html" in said.out
    before, after = (
        np.asarray(Image.open(path)) for path in (photos / "noise.png", tmp_path / "stripes-inpaint-0.png")
    )
    np.testing.assert_array_equal(before[:10], after[:10])
    assert (before[10:20, 10:20] != after[10:20, 10:20]).any()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"task": "textures"}, "did you mean `texture`"),
        ({"octave": 2}, "did you mean `octaves`"),
        ({"optimizer": "sgd"}, "known: lbfgs, adam"),
        ({"size": 16}, "`size` must be an integer of at least 32"),
        ({"iterations": 0}, "`iterations`"),
        ({"shifts": "2,x"}, "`shifts` must be whole numbers"),
        ({"shifts": 0}, "`shifts`"),
        ({"shift_weight": -1}, "`shift_weight` must be a number, 0 or more"),
        ({"size": "large"}, "`size` must be a number"),
    ],
)
def test_wrong_recipes(options, message):
    with pytest.raises(ConfigError, match=message):
        read_recipe(options)


def test_recipes_are_read_as_people_write_them():
    recipe = read_recipe({"shifts": "2,4", "taps": "conv1,conv2", "task": "long-range"})
    assert recipe == Recipe("long-range", shifts=(2, 4), taps=("conv1", "conv2"))
    assert read_recipe({"shifts": 4}).shifts == (4,)
