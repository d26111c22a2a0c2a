"""An encoder whose weights were not loaded, or in part, is refused: every way that a file can be damaged."""

import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest

import tfssl
from tfssl.errors import ModelError
from tfssl.methods import ContextPrediction
from tfssl.resources import savedmodels

PARTS = ("metadata.json", "config.json", "model.weights.h5")


def repack(source, target, *, weights=None, config=None, without=(), share=1.0):
    """A copy of a .keras file: weights edited, configuration replaced, a part left out, the weights cut off."""
    folder = target.with_suffix(".parts")
    with zipfile.ZipFile(source) as archive:
        archive.extractall(folder)
    if weights:
        with h5py.File(folder / "model.weights.h5", "r+") as file:
            weights(file)
    if config:
        text = (folder / "config.json").read_text()
        assert config[0] in text
        (folder / "config.json").write_text(text.replace(*config))
    data = (folder / "model.weights.h5").read_bytes()
    (folder / "model.weights.h5").write_bytes(data[: int(share * len(data))])
    with zipfile.ZipFile(target, "w") as archive:
        for name in PARTS:
            if name not in without:
                archive.write(folder / name, name)
    return target


def datasets(file):
    """Names of the arrays that are weights, in the file's order."""
    found = []
    file.visititems(lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None)
    return [name for name in found if not name.startswith(("optimizer", "vars"))]


def drop(number, level):
    """Delete one array (level 0), the arrays of its layer (1), or the layer (2)."""

    def edit(file):
        del file["/".join(datasets(file)[number].split("/")[: -level or None])]

    return edit


def everything(file):
    del file["layers"]


DAMAGE = {
    "first array": {"weights": drop(0, 0)},
    "last array": {"weights": drop(-1, 0)},
    "arrays of a layer": {"weights": drop(0, 1)},
    "a layer": {"weights": drop(-1, 2)},
    "all layers": {"weights": everything},
    "no weights": {"without": ("model.weights.h5",)},
    "no configuration": {"without": ("config.json",)},
    "cut off": {"share": 0.6},
}


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(4, 3, name="one")(rgb)
    two = keras.layers.Conv2D(4, 3, name="two")(keras.layers.BatchNormalization(name="norm")(one))
    path = tmp_path_factory.mktemp("encoder") / "encoder.keras"
    keras.Model(rgb, {"conv1": one, "conv2": two}).save(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run as far as loading goes: configuration and network."""
    from tfssl.config import parse_config

    folder = tmp_path_factory.mktemp("runs") / "context"
    folder.mkdir()
    config = parse_config({"method": "context_prediction", "backbone": "small", "embedding": 16, "head": [8, 10]})
    config.save(folder / "config.yaml")
    config.method.model().save(folder / "model.keras")
    return folder


def test_whole_files_are_taken(encoder_file, run, tmp_path):
    assert len(tfssl.load_encoder(encoder_file).weights) == 8
    assert tfssl.load_encoder(repack(encoder_file, tmp_path / "same.keras")).name
    assert "conv1" in tfssl.load_encoder(run).output


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_encoder_file_is_refused(encoder_file, tmp_path, damage):
    broken = repack(encoder_file, tmp_path / "broken.keras", **DAMAGE[damage])
    with pytest.raises(ModelError, match=r"broken\.keras' (cannot be read|holds|fits)"):
        tfssl.load_encoder(broken)


def test_a_cut_off_archive_is_refused(encoder_file, tmp_path):
    (tmp_path / "broken.keras").write_bytes(encoder_file.read_bytes()[:2000])
    with pytest.raises(ModelError, match="cannot be read"):
        tfssl.load_encoder(tmp_path / "broken.keras")


def test_other_sizes_than_the_weights_have_are_refused(encoder_file, tmp_path):
    broken = repack(encoder_file, tmp_path / "broken.keras", config=('"kernel_size": [3, 3]', '"kernel_size": [5, 5]'))
    with pytest.raises(ModelError, match="cannot be read"):
        tfssl.load_encoder(broken)


def test_a_renamed_layer_keeps_its_own_weights(encoder_file, tmp_path):
    """Keras finds weights by a layer's class and place, not by its name: renaming loses none, nor mixes any up."""
    renamed = tfssl.load_encoder(repack(encoder_file, tmp_path / "renamed.keras", config=('"one"', '"uno"')))
    pixels = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    wanted = tfssl.load_encoder(encoder_file)(pixels)
    assert renamed.get_layer("uno") is not None
    for tap, values in renamed(pixels).items():
        np.testing.assert_array_equal(values, wanted[tap])


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_refused(run, tmp_path, damage):
    shutil.copy(run / "config.yaml", tmp_path)
    repack(run / "model.keras", tmp_path / "model.keras", **DAMAGE[damage])
    with pytest.raises(ModelError, match=r"model\.keras' (cannot be read|holds|fits)"):
        tfssl.load_encoder(tmp_path)


@pytest.mark.parametrize("change", [("embedding: 16", "embedding: 24"), ("- 10", "- 12"), ("small", "figure")])
def test_a_configuration_changed_after_training_is_refused(run, tmp_path, change):
    shutil.copy(run / "model.keras", tmp_path)
    text = (run / "config.yaml").read_text()
    assert change[0] in text
    (tmp_path / "config.yaml").write_text(text.replace(*change))
    with pytest.raises(ModelError, match=r"fits \d+ of \d+ weights; missing or of another shape: "):
        tfssl.load_encoder(tmp_path)


def test_the_counts_are_those_of_the_weights(run, tmp_path):
    shutil.copy(run / "model.keras", tmp_path)
    text = (run / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("- 10", "- 12"))
    old, new = (ContextPrediction(backbone="small", embedding=16, head=[8, n]).model().weights for n in (10, 12))
    fitting = sum(a.shape == b.shape for a, b in zip(old, new, strict=True))
    assert 0 < fitting < len(new)
    with pytest.raises(ModelError, match=f"fits {fitting} of {len(new)} weights"):
        tfssl.load_encoder(tmp_path)


def variables(folder):
    return next(folder.glob("*/variables"))


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def blank(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(bytes(data))


EXPORT_DAMAGE = {
    "no data": lambda folder: next(variables(folder).glob("variables.data*")).unlink(),
    "no index": lambda folder: (variables(folder) / "variables.index").unlink(),
    "no variables": lambda folder: shutil.rmtree(variables(folder)),
    "half the data": lambda folder: halve(next(variables(folder).glob("variables.data*"))),
    "overwritten data": lambda folder: blank(next(variables(folder).glob("variables.data*"))),
    "half the index": lambda folder: halve(variables(folder) / "variables.index"),
}


@pytest.mark.parametrize("damage", EXPORT_DAMAGE)
def test_a_damaged_export_is_refused(tmp_path, damage):
    folder = shutil.copytree(savedmodels() / "colorizer", tmp_path / "export")
    EXPORT_DAMAGE[damage](folder)
    with pytest.raises(ModelError, match=r"the variables of .* cannot be read"):
        tfssl.load_encoder(folder)


@pytest.mark.slow
def test_an_export_of_another_network_is_refused(tmp_path):
    folder = shutil.copytree(savedmodels() / "colorizer", tmp_path / "export")
    report = json.loads((folder / "export.json").read_text())
    report["config"]["backbone"] = "alexnet"
    (folder / "export.json").write_text(json.dumps(report))
    with pytest.raises(ModelError, match=r"fits 0 of \d+ weights"):
        tfssl.load_encoder(folder)


@pytest.mark.parametrize(
    ("damage", "left"), [("first array", 7), ("last array", 7), ("a layer", 6), ("all layers", 0), ("no weights", 0)]
)
def test_present_and_missing_weights_are_counted(encoder_file, tmp_path, damage, left):
    broken = repack(encoder_file, tmp_path / "broken.keras", **DAMAGE[damage])
    with pytest.raises(ModelError, match=f"holds {left} of 8 weights, {8 - left} are missing"):
        tfssl.load_encoder(broken)
