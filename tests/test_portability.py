"""What is written with Keras alone computes the same on every Keras backend."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


def compute(names):
    """Arrays of everything portable, from seeded inputs and weights; large networks too with all methods."""
    import keras

    from tfssl.backbones import build
    from tfssl.backbones.lpips import build_lpips
    from tfssl.backbones.rebuilding import fold_batch_normalization
    from tfssl.config import load_config
    from tfssl.layers.color import Lightness
    from tfssl.layers.convolution import DilatedStack
    from tfssl.layers.resizing import ResizeToStride, Upsample
    from tfssl.methods.colorization.loss import ColorCrossEntropy, ColorRegression
    from tfssl.methods.colorization.network import build_network
    from tfssl.methods.split_brain.loss import CrossChannelLoss
    from tfssl.ops.ab_bins import annealed_mean, soft_encode
    from tfssl.ops.color import lab_to_rgb, rgb_to_lab

    rng = np.random.default_rng(0)
    rgb = rng.random((2, 48, 32, 3), dtype=np.float32)
    rgb[0, 0], rgb[1, 0] = 0.0, 1.0
    lab = keras.ops.convert_to_numpy(rgb_to_lab(rgb))
    ab = lab[:, ::4, ::4, 1:]
    scores = rng.normal(size=(2, 12, 8, 313)).astype(np.float32)
    stack = DilatedStack(4, depth=2)
    stack.build((None, None, None, 3))
    small = build_network("small")
    tower = build(
        "caffenet", input_shape=(None, None, 3), fc=False, widths=(8,) * 5, conv1_stride=2, normalization="lrn_batch"
    )
    inception = build("inception_s", input_shape=(48, 32, 3))
    lpips = build_lpips("alex")
    for model in (stack, small, tower, inception, lpips):
        fill(model, rng)
    results = {
        "lab": lab,
        "rgb": lab_to_rgb(lab),
        "encoding": soft_encode(ab, 5)[1],
        "decoding": annealed_mean(scores),
        "dilated_stack": stack(rgb),
        "lightness": Lightness()(rgb),
        "resize_to_stride": ResizeToStride(5)([rgb, lab]),
        "upsample": Upsample(3)(rgb),
        "small": small(lab[..., :1]),
        "caffenet": tower(rgb)["pool5"],
        "inception": inception(rgb)["fc6"],
        "lpips": lpips([rgb, rgb[::-1]])["distance"],
        "cross_entropy": ColorCrossEntropy(np.linspace(0.5, 2.0, 313))(ab, scores),
        "regression": ColorRegression()(ab, scores[..., :2]),
        "cross_channel": CrossChannelLoss("classification", "regression")(
            lab[:, ::4, ::4], np.concatenate([scores, scores[..., :1]], axis=-1)
        ),
    }
    if len(names) > 1:
        alexnet = build_network("alexnet", "ab")
        fill(alexnet, rng)
        results["alexnet"] = alexnet(lab[..., :1])
        results["folded_caffenet"] = fold_batch_normalization(tower)(rgb)["pool5"]
    for name in names:
        method = load_config(f"{name}/cpu", ["classes=3"] if name == "slow_steady" else []).method  # else from its data
        model = method.model()
        fill(model, rng)
        encoder = method.encoder(model)
        shape = [2, *(size or 16 for size in encoder.inputs[0].shape[1:])]
        inputs = rgb if encoder.modality == "image" else rng.random(shape, np.float32)
        taps = encoder.predict_on_batch(inputs)  # compiled whole: JAX takes long over single operators
        results |= {f"{name}/{tap}": taps[tap] for tap in ("conv1", "conv5", "mapping", "hidden") if tap in taps}
    return {name: keras.ops.convert_to_numpy(value) for name, value in results.items()}


def fill(model, rng):
    """Weights of a sensible size in place of each backend's own random ones."""
    for variable in model.variables:
        fan_in = max(1, int(np.prod(variable.shape[:-1])))
        values = rng.normal(size=variable.shape) / np.sqrt(fan_in)
        kind = variable.path.rsplit("/", 1)[-1]
        variable.assign(1.0 + 0.1 * np.abs(values) if "variance" in kind or "gamma" in kind else values)


def where_installed(backend):
    missing = importlib.util.find_spec(backend) is None
    reason = f"{backend} is not installed; `pip install {backend}` to run this"
    return pytest.param(backend, marks=pytest.mark.skipif(missing, reason=reason))


@pytest.mark.parametrize("backend", [where_installed("jax"), where_installed("torch")])
@pytest.mark.parametrize("number", [1, None], ids=["one method", "all methods"])
@pytest.mark.slow
def test_same_numbers_as_tensorflow(backend, number, tmp_path):
    from tfssl import methods

    names = methods.names()[:number]
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    # JAX takes twice as long to compile each network well as to compile it anyhow and compute it once.
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    command = [sys.executable, __file__, str(tmp_path / "results.npz"), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == backend
    expected = compute(names)
    with np.load(tmp_path / "results.npz") as found:
        assert set(found) == set(expected)
        for name, value in expected.items():
            scale = np.abs(value).max()
            np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4 * scale, err_msg=name)


if __name__ == "__main__":
    import keras

    np.savez(sys.argv[1], **compute(sys.argv[2:]))
    print(keras.backend.backend())
