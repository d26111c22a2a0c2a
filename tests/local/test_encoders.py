"""Local features as encoders: what they give, what they need, and how tasks learn their vocabularies."""

import json

import keras
import numpy as np
import pytest

import tfssl
from tfssl.data.rendered_shapes import labeled_shapes
from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation.runner import compared, run_all
from tfssl.evaluation.tasks import few_shot, knn, linear_probe
from tfssl.local import NAMES
from tfssl.local.encoders import local_encoder

pytest.importorskip("cv2", reason="SIFT is computed by OpenCV")

SMALL = {
    "sift-bow": {"words": 5},
    "sift-vlad": {"words": 3},
    "sift-fisher": {"components": 2, "dimensions": 4},
    "hog": {},
    "lbp": {},
    "patches-kmeans": {"words": 6, "components": 8, "stride": 4},
}
VECTORS = {
    "sift-bow": {"bag": 5, "pyramid": 21 * 5},
    "sift-vlad": {"vlad": 3 * 128},
    "sift-fisher": {"fisher": 2 * 2 * 4},
    "hog": {"hog": 1764},
    "lbp": {"lbp": 16 * 59},
    "patches-kmeans": {"quadrants": 24},
}


@pytest.fixture(scope="module")
def images():
    shapes = labeled_shapes(count=8, size=64)
    return np.stack([np.asarray(shapes.example(i)["image"]) for i in range(8)])


@pytest.mark.parametrize("name", NAMES)
def test_taps_vocabulary_file_and_clone(name, images, tmp_path):
    encoder = local_encoder(name, **SMALL[name])
    assert encoder.adapted == (name in ("hog", "lbp"))
    if not encoder.adapted:
        with pytest.raises(ModelError, match=r"learn its vocabulary first: encoder.adapt\(images\)$"):
            encoder(images)
    encoder.adapt(images)
    assert encoder.adapted and not encoder.trainable_variables
    found = encoder(images)
    assert {tap: len(x.shape) for tap, x in found.items()} == encoder.taps
    assert {tap: x.shape[-1] for tap, x in found.items() if len(x.shape) == 2} == VECTORS[name]
    assert not any(np.isnan(x).any() for x in encoder(np.zeros_like(images[:2])).values())

    encoder.save(tmp_path / "vocabulary.keras")
    again = tfssl.load_encoder(tmp_path / "vocabulary.keras")
    assert again.adapted
    for tap, values in again(images).items():
        np.testing.assert_array_equal(values, found[tap])
    assert keras.models.clone_model(encoder).adapted == (name in ("hog", "lbp"))


def test_sizes_of_maps_are_known_where_those_of_images_are():
    maps = local_encoder("sift-bow")(keras.KerasTensor((2, 96, 64, 3)))
    assert maps["words"].shape == (2, 12, 8, 128) and maps["pyramid"].shape == (2, 21 * 128)
    assert local_encoder("hog")(keras.KerasTensor((2, 64, 64, 3)))["hog"].shape == (2, 1764)
    assert local_encoder("sift-vlad").smallest == 8


def test_images_are_an_array_batches_or_a_dataset_and_can_be_read_again(images):
    encoder = local_encoder("patches-kmeans", **SMALL["patches-kmeans"])
    encoder.adapt(images)
    weights = encoder.get_weights()
    encoder.adapt([images[:4] / np.float32(255), images[4:] / np.float32(255)])
    for one, other in zip(weights, encoder.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    with pytest.raises(ConfigError, match="`images` are read more than once"):
        encoder.adapt(iter([images]))
    with pytest.raises(ConfigError, match="`images` must hold at least one batch"):
        encoder.adapt([])


def test_inside_other_networks_the_error_is_one_line():
    encoder = local_encoder("sift-bow")
    model = keras.Model(encoder.input, encoder.output["bag"])
    with pytest.raises(ModelError, match=r"^VisualWords 'words': learn its vocabulary first: encoder.adapt\(images\)$"):
        model(np.zeros((1, 32, 32, 3), np.float32))


def test_names_and_options_are_checked():
    with pytest.raises(ConfigError, match=r"no local features are called 'sift-bwo'; did you mean `sift-bow`\?"):
        tfssl.load_encoder("local:sift-bwo")
    with pytest.raises(ConfigError, match=r"local:hog has no option `cells`: did you mean `cell`\?"):
        local_encoder("hog", cells=8)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"local:sift-bow needs OpenCV: pip install 'tfssl\[detection\]'"):
        tfssl.encoders.find_encoder("local:sift-bow")
    tfssl.encoders.find_encoder("local:hog")


def test_a_task_learns_a_vocabulary_for_each_seed_and_leaves_the_encoder_as_it_was(tmp_path):
    encoder, beside = (local_encoder(name, **SMALL[name]) for name in ("sift-bow", "sift-vlad"))
    record = linear_probe.evaluate(
        encoder,
        labeled_shapes(count=16, size=32),
        test=labeled_shapes(count=8, size=32, seed=1),
        image_size=32,
        seeds=2,
        taps=["bag"],
        compare={"vlad": beside},
        out=tmp_path,
    )
    assert not encoder.adapted and not beside.adapted
    assert set(record.metrics["accuracy"].baselines) == {"pixels", "vlad", "chance"}  # nothing to leave untrained
    lines = (tmp_path / "runs.csv").read_text().splitlines()
    assert sum(line.startswith("encoder,0,") or line.startswith("encoder,1,") for line in lines) == 2
    assert json.loads((tmp_path / "metrics.json").read_text())["task"] == "linear_probe"


def test_the_vocabulary_is_learned_from_training_images_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "tfssl.local.vocabulary.k_means",
        lambda samples, words, seed: seen.append((len(samples), seed)) or samples[:words],
    )
    train, test = labeled_shapes(count=8, size=32), labeled_shapes(count=20, size=32, seed=1)
    encoder = local_encoder("sift-bow", words=2)
    knn.evaluate(encoder, train, test=test, image_size=32, seeds=2, taps=["bag"])
    few_shot.evaluate(encoder, train, test=test, image_size=32, draws=1, taps=["bag"])
    assert seen == [(8 * 16, 0), (8 * 16, 1), (8 * 16, 0)]


def test_a_vocabulary_that_is_there_is_kept(images):
    encoder = local_encoder("sift-bow", words=5)
    encoder.adapt(images)
    (entry, *_) = compared(encoder)
    ((network, seeds),) = entry.networks(3, images=None)
    assert network is encoder and seeds == [0, 1, 2]


def test_a_task_without_training_images_says_so():
    with pytest.raises(ConfigError, match=r"does not learn the vocabulary of 'encoder': .* encoder.adapt\(images\)"):
        run_all(compared(local_encoder("sift-bow")), 1, lambda *_: [])


def test_members_of_an_ensemble_learn_too_and_untrained_ones_beside_them(images):
    from tfssl.backbones import ensemble
    from tfssl.backbones.registry import random_encoder

    both = ensemble({"sift": local_encoder("sift-bow", words=5), "net": random_encoder("alexnet_s")}, ["words+conv2"])
    assert not both.adapted
    weights = both.get_weights()
    for entry in compared(both, pixels=False):
        for network, _ in entry.networks(1, lambda: [images]):
            assert network(images)["words+conv2"].shape[-1] > 5
    assert [entry.name for entry in compared(both, pixels=False)] == ["encoder", "untrained"]
    for one, other in zip(weights, both.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
