"""Late fusion: what neither of two encoders can tell alone, both tell together."""

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.fusion import late_fusion


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four classes: color is dark or bright in two of them each, depth in another two each."""
    root, rng = tmp_path_factory.mktemp("fusion"), np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 4)):
        for number, name in enumerate("abcd"):
            for kind, bright in (("color", number // 2), ("hha", number % 2)):
                path = root / part / name / kind
                path.mkdir(parents=True)
                for i in range(count):
                    pixels = rng.integers(0, 60, (16, 16, 3)) + 120 * bright
                    Image.fromarray(pixels.astype(np.uint8)).save(path / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def encoders():
    rgb = keras.Input((None, None, 3))
    return dict.fromkeys(("color", "hha"), keras.Model(rgb, {"same": keras.layers.AveragePooling2D(4)(rgb)}))


def test_mean_of_probabilities(encoders, folder):
    found = late_fusion(encoders, folder / "train", folder / "test", image_size=16, pool=1, seeds=2)
    accuracy = found["accuracy"]
    assert accuracy.value == 1.0 and accuracy.n == 2
    assert 0.25 < accuracy.baselines["color"] < 0.8 and 0.25 < accuracy.baselines["hha"] < 0.8
    assert accuracy.baselines["chance"] == 0.25
    assert found["images_train"].value == 32 and found.details["taps"] == {"color": ["same"] * 2, "hha": ["same"] * 2}


def test_refuses(encoders, folder, tmp_path):
    with pytest.raises(ConfigError, match="`encoders` must be a dict of at least two"):
        late_fusion({"color": encoders["color"]}, folder / "train", folder / "test")
    for name in "ab":
        (tmp_path / name / "color").mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(tmp_path / name / "color" / "0.png")
    with pytest.raises(SourceError, match=r"`data` lacks the folder '.*a/hha'"):
        late_fusion(encoders, tmp_path, folder / "test")
    for name in "ab":
        (tmp_path / name / "hha").mkdir()
    with pytest.raises(SourceError, match="`data`: a/hha/ lacks the partner of '0'"):
        late_fusion(encoders, tmp_path, folder / "test")
