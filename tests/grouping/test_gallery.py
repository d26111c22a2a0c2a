"""Pages of groups and scenes, the Python call and the command."""

import json

import numpy as np
import pytest
from PIL import Image

import tfssl
from tfssl.api.grouping import frame_affinities, pixel_affinities
from tfssl.cli import main
from tfssl.config import parse_config
from tfssl.data.clips import clip_source
from tfssl.data.rendered import FrameClip
from tfssl.errors import ConfigError, ModelError, SourceError, TfsslError
from tfssl.grouping.gallery import clip_gallery, photograph_gallery, scene_numbers
from tfssl.grouping.group import LEARNED, Grouper
from tfssl.grouping.scenes import SceneGrouper, read_scene_grouper
from tfssl.methods import CoOccurrence
from tfssl.training.fit import fit

FAST = {"kernels": 300, "vectors": 6, "size": 32, "groups": 2, "proposals": 3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 40, (48, 40, 3), np.uint8)
    pixels[10:30, 8:28] += 180
    Image.fromarray(pixels).save(folder / "square.png")
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    return stop.value.code


def test_page_of_photographs(photos, tmp_path):
    steps = []
    numbers, failed = photograph_gallery(
        [photos / "square.png", photos / "broken.png"], tmp_path, Grouper(**FAST), lambda *step: steps.append(step)
    )
    assert list(failed) == [str(photos / "broken.png")]
    assert steps[-1][:2] == (3, 6)
    for name in ("boundaries", "groups"):
        with Image.open(tmp_path / f"square-{name}.png") as image:
            assert image.size == (40, 48)
    assert (tmp_path / "square-proposals.png").is_file() and (tmp_path / "index.html").is_file()
    written = json.loads((tmp_path / "numbers.json").read_text())
    assert written["numbers"]["square"] == numbers["square"] and written["protocol"]["size"] == 32
    assert numbers["square"]["groups"] == 2 and numbers["square"]["proposal 1 score"] > 0
    with pytest.raises(SourceError, match="no image can be grouped"):
        photograph_gallery([photos / "broken.png"], tmp_path / "other", Grouper(**FAST))
    with pytest.raises(ConfigError, match="two inputs are called 'square'"):
        photograph_gallery([photos / "square.png"] * 2, tmp_path, Grouper(**FAST))


def test_command_and_call(photos, tmp_path, capsys):
    options = [f"{name}={value}" for name, value in FAST.items() if name != "groups"]
    code = call("group", photos / "square.png", photos / "broken.png", "--groups", 2, *options, "--out", tmp_path / "o")
    out, err = capsys.readouterr()
    assert code == 1 and "failed" in err and "broken.png" in err and "square-groups.png" in out
    result = tfssl.group(photos / "square.png", **FAST)
    assert result.groups.shape == result.boundaries.shape == (48, 40)
    with pytest.raises(ConfigError, match="did you mean `groups`"):
        tfssl.group(photos / "square.png", grops=2)
    with pytest.raises(TfsslError, match="`image`"):
        tfssl.group(np.zeros(3), **FAST)


def test_models_of_other_methods_are_refused(photos):
    for load in (frame_affinities, pixel_affinities):
        with pytest.raises(ModelError, match="is a colorization model; give one of co_occurrence"):
            load("colorizer")
    with pytest.raises(ModelError, match="is a colorization model"):
        tfssl.group(photos / "square.png", model="colorizer")
    with pytest.raises(ConfigError, match="did you mean `frames`"):
        read_scene_grouper({"frame": 3})


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    """A run of patches that hardly learned."""
    out = tmp_path_factory.mktemp("run") / "patches"
    fields = {"pairs_per_image": 2, "crop_size": 8, "resize": 24, "channels": [4], "features": 4, "head": [4, 4]}
    settings = {"data": str(photos), "batch_size": 4, "steps_per_epoch": 1, "epochs": 1}
    fit(parse_config({"method": "co_occurrence", **fields, **settings}), out)
    return out


def test_photographs_by_a_network(run, photos, tiny_data, tmp_path, capsys):
    result = tfssl.group(photos / "square.png", model=run, size=24, groups=2)
    assert result.groups.shape == (48, 40) and result.settings.radius == LEARNED["radius"]
    code = call("group", photos / "square.png", "size=24", "--model", run, "--out", tmp_path / "o")
    assert code == 0 and "square-groups.png" in capsys.readouterr().out
    assert json.loads((tmp_path / "o" / "numbers.json").read_text())["protocol"]["model"] == str(run)
    clip = clip_source(tiny_data("clips")).paths[0]
    with pytest.raises(ModelError, match="learned from patches; clips need one that learned from frames"):
        tfssl.group(clip, model=run, groups=2)
    with pytest.raises(ConfigError, match=r"`model` is missing: .* is a clip"):
        tfssl.group(clip)
    for inputs, words in (
        ([photos / "square.png", "kernels=200", "--model", run], "`kernels` is of a photograph's own statistics"),
        ([clip], "`--model` is missing"),
        ([clip, photos / "square.png"], "is no clip as others are"),
    ):
        assert call("group", *inputs, "--out", tmp_path / "p") == 2 and words in capsys.readouterr().err


def test_affinity_of_pixels_is_that_of_the_patches_around_them():
    method = CoOccurrence(crop_size=8, gap=2, jitter=1, channels=(4,), features=8, head=(16, 8))
    model, pixels = method.model(), np.random.default_rng(0).integers(0, 256, (14, 12, 3), np.uint8)
    found = method.pixel_affinity(model, pixels)(np.array([3 * 12 + 4]), np.array([8 * 12 + 3]))
    patches = np.stack([pixels[0:8, 1:9], pixels[5:13, 0:8]]).astype(np.float32)[None] / 255
    given = np.mean([1 / (1 + np.exp(-np.asarray(model(both)))) for both in (patches, patches[:, ::-1])])
    assert found.item() == pytest.approx(given / (1 - given), rel=1e-4)


def by_level(frames):
    """Frames are alike as far as their levels are."""
    levels = np.array([np.asarray(frame).mean() for frame in frames])
    return np.exp(-abs(levels[:, None] - levels) / 10)


LEVELS = np.repeat([20, 200, 22], 8)
CLIP = FrameClip(np.broadcast_to(LEVELS[:, None, None, None].astype(np.uint8), (24, 10, 12, 3)), np.arange(24) / 2)


def test_scenes_that_come_again():
    scenes = SceneGrouper(groups=2, frames=24)(CLIP, by_level)
    assert scenes.labels.tolist() == [0] * 8 + [1] * 8 + [0] * 8
    assert scenes.shots == [(0.0, 3.5, 0), (4.0, 7.5, 1), (8.0, 11.5, 0)]
    numbers = scene_numbers(scenes)
    assert numbers["affinity within scenes"] > 0.8 > 0.01 > numbers["affinity between scenes"]
    assert numbers["shot 2 scene"] == 2 and numbers["shot 3 from"] == 8.0
    with pytest.raises(ConfigError, match="`groups` must be at most the number of frames, 24"):
        SceneGrouper(groups=25)(CLIP, by_level)


def test_page_of_clips(tiny_data, tmp_path):
    paths = clip_source(tiny_data("clips")).paths[:2]
    numbers, failed = clip_gallery(paths, tmp_path, SceneGrouper(groups=2, frames=6), by_level, "runs/mine")
    assert not failed and len(numbers) == 2
    assert len(list(tmp_path.glob("*-scenes.png"))) == len(list(tmp_path.glob("*-affinities.png"))) == 2
    with Image.open(next(tmp_path.glob("*-affinities.png"))) as picture:
        assert picture.size == (480, 480), "squares of 80 pixels for each of 6 frames"


def test_the_report_finds_the_page(photos, tmp_path):
    from tfssl.report import find_galleries

    photograph_gallery([photos / "square.png"], tmp_path / "groups", Grouper(**FAST))
    assert find_galleries([], [tmp_path]) == [(tmp_path / "groups").resolve()]
