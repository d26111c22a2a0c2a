"""Pictures of both phases: what the autoencoder keeps, what the damage does, what the repair hides."""

import numpy as np
from PIL import Image

from tfssl.data.examples import spread_examples
from tfssl.layers.corruption import Damage
from tfssl.methods.spot_artifacts.network import CORRUPT, REAL
from tfssl.visualization.sheet import picture_sheet

_CELL = 144


def write_sheet(method, model, data, path, count=6):
    """Draw real | autoencoded | damaged | repaired | damage | predicted damage; one row for each image.

    Beside each row stands the probability of "real" that the discriminator gives the real and the repaired image.
    Damage is black; where it is predicted, the darker the more probable. The images are spread evenly over the source
    and always the same; unreadable ones give way to the next.

    Args:
        method: a :class:`~tfssl.methods.SpotArtifacts`.
        model: its :class:`~tfssl.methods.spot_artifacts.adversarial.SpottingModel`.
        data: see :func:`tfssl.data.images.image_source`.
        path: PNG to write.
        count: number of images.

    Raises:
        SourceError: if no image is readable.
    """
    inputs = _inputs(method, data, count)
    painted = model.paint(inputs)
    real, corrupt = (model.discriminator(painted[name], training=False) for name in ("real", "repaired"))
    columns = [
        _visible(inputs["images"]),
        _visible(painted["autoencoded"]),
        _visible(model.decode_damaged(inputs)),
        _visible(painted["repaired"]),
        _squares(inputs["omega"]),
        _squares(_sigmoid(corrupt["mask"])),
    ]
    labels = [f"real {p:.2f}\nrepaired {q:.2f}" for p, q in zip(_real(real), _real(corrupt), strict=True)]
    titles = ["image", "autoencoded", "damaged", "repaired", "damage", "predicted"]
    picture_sheet(list(zip(*columns, strict=True)), path, titles=titles, labels=labels, cell=_CELL)


def write_autoencoder_sheet(method, model, data, path, count=6):
    """Draw image | autoencoded | damaged; arguments as :func:`write_sheet`, with an autoencoder as the model."""
    inputs = _inputs(method, data, count)
    encoder, decoder = (model.get_layer(name) for name in ("encoder", "decoder"))
    features = encoder(inputs["images"], training=False)
    damaged = Damage(method.local_mean)([features, inputs["omega"]])
    columns = [
        _visible(inputs["images"]),
        _visible(decoder(features, training=False)),
        _visible(decoder(damaged, training=False)),
        _squares(inputs["omega"]),
    ]
    titles = ["image", "autoencoded", "damaged", "damage"]
    picture_sheet(list(zip(*columns, strict=True)), path, titles=titles, cell=_CELL)


def _inputs(method, data, count):
    """Networks' inputs of images spread over a source, each with damage of its own."""

    def cut(example, seed):
        return method.sample(example, np.random.default_rng(seed), False)

    found = spread_examples(method.open(data), count, cut)
    return method.prepare(*map(np.stack, zip(*found, strict=True)))[0]


def _visible(images):
    """Images in [-1, 1] as uint8."""
    return np.clip(np.round((np.asarray(images, np.float64) + 1) * 127.5), 0, 255).astype(np.uint8)


def _squares(masks):
    """Masks (B, h, w, 1) in [0, 1] as gray images with hard borders between cells."""
    levels = np.round(255 * np.asarray(masks)[..., 0]).astype(np.uint8)
    return [Image.fromarray(level).resize((_CELL, _CELL), Image.Resampling.NEAREST) for level in levels]


def _real(judged):
    logits = np.asarray(judged["logits"], np.float64)
    return _sigmoid(logits[:, REAL] - logits[:, CORRUPT])


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -np.asarray(x, np.float64)))  # never overflows
