"""Textures of labeled sounds: purity by hand, folds that do not see each other, sounds between their padding."""

import csv

import numpy as np
import pytest

from tfssl.data.rendered_sounds import sounding_scenes
from tfssl.data.sounds import sound_source
from tfssl.errors import SourceError
from tfssl.evaluation.sounds import chance_purity, fold_accuracies, measure_sounds, purity, read_textures, unpadded
from tfssl.methods import AmbientSound

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """24 rendered sounds of four kinds in three folds, padded with zeros; one that is silent, one that is torn."""
    folder, scenes, rows = tmp_path_factory.mktemp("sounds"), sounding_scenes(count=24, seconds=0.6), []
    for number in range(24):
        padded = np.pad(scenes.sound(number).read(), (2000, 9000))
        soundfile.write(folder / f"{number:02d}.flac", padded, 20000)
        rows.append((f"{number:02d}.flac", number // 4 % 3, scenes.classes[number % 4]))
    soundfile.write(folder / "silent.wav", np.zeros(8000), 20000)
    (folder / "torn.wav").write_bytes(b"nothing")
    rows += [("silent.wav", 0, "rain"), ("torn.wav", 1, "rain")]
    with open(folder / "meta.csv", "w", newline="") as file:
        csv.writer(file).writerows([("filename", "fold", "category"), *rows])
    return folder


def test_purity_by_hand():
    labels = np.array([0, 0, 1, 1, 1, 2])
    assert purity(np.array([5, 5, 5, 7, 7, 7]), labels) == pytest.approx(4 / 6)
    assert purity(np.arange(6), labels) == 1 and purity(np.zeros(6, int), labels) == 0.5
    assert 0.5 <= chance_purity(labels, 2) < 0.8


def test_folds_do_not_see_each_other():
    rng = np.random.default_rng(0)
    labels, folds = np.tile([0, 1], 20), np.repeat(list("abcd"), 10)
    assert np.mean(fold_accuracies(rng.normal(size=(40, 60)), labels, folds)) < 0.8, "of noise nothing is known"
    told = fold_accuracies(labels[:, None] + 0.1 * rng.normal(size=(40, 3)), labels, folds)
    assert told == [1.0] * 4
    with pytest.raises(SourceError, match="three folds at least"):
        fold_accuracies(np.zeros((4, 2)), np.array([0, 1, 0, 1]), ["a", "a", "b", "b"])


def test_padding_is_cut_off():
    sound = np.concatenate([np.zeros(5000), np.full(3000, 0.1), np.zeros(7000)])
    assert 2999 <= len(unpadded(sound)) <= 3100
    click = np.zeros(9000)
    click[4000] = 1.0
    assert len(unpadded(click)) == 2000, "no texture is shorter"
    with pytest.raises(ValueError, match="silent"):
        unpadded(np.zeros(9000))


def test_measured(recordings, tmp_path):
    metrics, skipped = measure_sounds(sound_source(recordings, 20000, labels=recordings / "meta.csv"), seeds=2)
    assert metrics["sounds"].value == 24 and metrics["classes"].value == 4
    assert sorted(name.rpartition("/")[2] for name in skipped) == ["silent.wav", "torn.wav"]
    assert metrics["purity"].value > 0.8 > metrics["purity"].baselines["chance"]
    assert metrics["accuracy"].value > 0.8 and metrics["accuracy"].n == 3 and metrics["purity"].n == 2
    method = AmbientSound(backbone="small", fc=(), crop_size=32, resize=32)
    record = method.evaluate(None, recordings, labels=recordings / "meta.csv", out=tmp_path)
    assert record["accuracy"].value == metrics["accuracy"].value and (tmp_path / "metrics.json").is_file()
    with pytest.raises(SourceError, match="`labels`: the sounds have none"):
        read_textures(sound_source(recordings, 20000))
