"""LPIPS against the official numbers, and against a forward pass written out in NumPy where its weights are absent."""

import pickle

import keras
import numpy as np
import pytest

from tfssl.backbones.lpips import TRUNKS, LearnedDistance, build_lpips, lpips, lpips_file, read_arrays
from tfssl.errors import ConfigError, ModelError

PARAMETERS = {"alex": 2_470_848, "vgg": 14_716_160}


@pytest.fixture(scope="module", params=["alex", "vgg"])
def net(request):
    try:
        lpips_file(request.param)
    except ConfigError as error:
        pytest.skip(str(error))
    return request.param, lpips(request.param)


def constant(value, size=64):
    """An image of one value in [-1, 1], as RGB in [0, 1]."""
    return np.full((1, size, size, 3), (1 + value) / 2, np.float32)


def test_golden_values(net):
    name, model = net
    found = model.predict_on_batch([constant(0), constant(1)])
    assert found["distance"][0] == pytest.approx({"alex": 0.577986, "vgg": 0.494536}[name], abs=2e-6)
    if name == "alex":
        expected = [0.144601, 0.076746, 0.119772, 0.114751, 0.122117]
        np.testing.assert_allclose(np.concatenate(found["layers"]), expected, atol=2e-6)
        whole = model.predict_on_batch([constant(-1), constant(1)])["distance"]
        assert whole[0] == pytest.approx(0.813954, abs=2e-6)


def test_a_distance_symmetric_and_growing_with_noise(net):
    rng = np.random.default_rng(0)
    image = rng.random((1, 48, 40, 3), dtype=np.float32)
    noisy = [np.clip(image + sigma * rng.standard_normal(image.shape, np.float32), 0, 1) for sigma in (0, 0.05, 0.3)]
    there = net[1].predict_on_batch([np.repeat(image, 3, axis=0), np.concatenate(noisy)])["distance"]
    back = net[1].predict_on_batch([np.concatenate(noisy), np.repeat(image, 3, axis=0)])["distance"]
    assert there[0] == 0 < there[1] < there[2]
    np.testing.assert_allclose(there, back, rtol=1e-5)
    one = net[1]([image, np.concatenate(noisy)])["distance"]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(one), there, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", TRUNKS)
def test_parameters_are_those_of_the_package(name):
    model = build_lpips(name)
    assert model.count_params() == PARAMETERS[name]
    assert [d.shape for d in model.output["layers"]] == [(None,)] * 5


def test_maps_are_as_large_as_pytorch_makes_them():
    trunk = build_lpips("alex").get_layer("alex_trunk")
    assert [x.shape[1:3] for x in trunk(keras.Input((68, 64, 3)))] == [(16, 15), (7, 7), (3, 3), (3, 3), (3, 3)]


def test_the_distance_of_maps_by_hand():
    layer = LearnedDistance()
    first, second = np.float32([[[[3, 4]]]]), np.float32([[[[0, 5]]]])
    layer([first, second])
    layer.set_weights([np.float32([2, 3])])
    found = keras.ops.convert_to_numpy(layer([first, second]))
    np.testing.assert_allclose(found, [2 * 0.6**2 + 3 * 0.2**2], rtol=1e-6)


def test_only_arrays_are_unpickled(tmp_path):
    path, ran = tmp_path / "w.ckpt", tmp_path / "ran"
    arrays = {"a": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}
    text = pickle.dumps(arrays, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(text)
    np.testing.assert_array_equal(read_arrays(path)["a"]["kernel"], arrays["a"]["kernel"])
    with pytest.raises(ModelError, match=r"w\.ckpt.*does not hold LPIPS"):
        lpips("alex", path)

    class Evil:
        def __reduce__(self):
            return open, (str(ran), "w")

    for content, reason in ((pickle.dumps(Evil()), "it names"), (text[:-9], "holds no arrays"), (b"no", "no arrays")):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=reason):
            read_arrays(path)
    assert not ran.exists()


def test_what_is_wrong_is_said(monkeypatch):
    with pytest.raises(ConfigError, match="squeeze"):
        lpips("squeeze")
    monkeypatch.setattr("tfssl.backbones.lpips.PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match="pip install"):
        lpips("alex")
