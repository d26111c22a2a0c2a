"""Pictures of both phases: what the autoencoder keeps, what the damage does, what the repair hides."""

import numpy as np
from PIL import Image

from tfssl.data.images import image_source
from tfssl.data.spread import spread_examples
from tfssl.layers.damage import Damage
from tfssl.methods.spot_artifacts.data import to_example
from tfssl.methods.spot_artifacts.network import CORRUPT, REAL
from tfssl.visualization.sheet import picture_sheet

_CELL = 144


def write_sheet(method, model, source, path, count=6):
    """Draw real | autoencoded | damaged | repaired | damage | predicted damage; one row for each picture.

    Beside each row stands the probability of "real" that the discriminator gives the real and the repaired picture.
    Damage is black; where it is predicted, the darker the more probable. The pictures are spread evenly over the source
    and always the same; unreadable ones give way to the next.

    Args:
        method: a :class:`~tfssl.methods.SpotArtifacts`.
        model: its :class:`~tfssl.methods.spot_artifacts.game.SpottingGame`.
        source: see :func:`tfssl.data.images.image_source`.
        path: PNG to write.
        count: number of pictures.

    Raises:
        SourceError: if no picture is readable.
    """
    inputs = _inputs(method, image_source(source), count)
    pictures = model.paint(inputs)
    real, corrupt = (model.discriminator(pictures[name], training=False) for name in ("real", "repaired"))
    columns = [
        _visible(inputs["images"]),
        _visible(pictures["autoencoded"]),
        _visible(model.decode_damaged(inputs)),
        _visible(pictures["repaired"]),
        _squares(inputs["omega"]),
        _squares(_sigmoid(corrupt["mask"])),
    ]
    labels = [f"real {p:.2f}\nrepaired {q:.2f}" for p, q in zip(_real(real), _real(corrupt), strict=True)]
    titles = ["picture", "autoencoded", "damaged", "repaired", "damage", "predicted"]
    picture_sheet(list(zip(*columns, strict=True)), path, titles=titles, labels=labels, cell=_CELL)


def write_autoencoder_sheet(method, model, source, path, count=6):
    """Draw picture | autoencoded | damaged; arguments as :func:`write_sheet`, with an autoencoder as the model."""
    inputs = _inputs(method, image_source(source), count)
    encoder, decoder = (model.get_layer(name) for name in ("encoder", "decoder"))
    features = encoder(inputs["images"], training=False)
    damaged = Damage(method.local_mean)([features, inputs["omega"]])
    columns = [
        _visible(inputs["images"]),
        _visible(decoder(features, training=False)),
        _visible(decoder(damaged, training=False)),
        _squares(inputs["omega"]),
    ]
    titles = ["picture", "autoencoded", "damaged", "damage"]
    picture_sheet(list(zip(*columns, strict=True)), path, titles=titles, cell=_CELL)


def _inputs(method, source, count):
    """Networks' inputs of pictures spread over a source, each with damage of its own."""
    sampler = method.sampler(training=False)
    cuts = spread_examples(
        source, count, lambda image, seed: sampler.apply(image, np.random.default_rng(seed)), min_side=sampler.min_side
    )
    return to_example(*map(np.stack, zip(*cuts, strict=True)))[0]


def _visible(pictures):
    """Pictures in [-1, 1] as uint8."""
    return np.clip(np.round((np.asarray(pictures, np.float64) + 1) * 127.5), 0, 255).astype(np.uint8)


def _squares(masks):
    """Masks (B, h, w, 1) in [0, 1] as gray pictures with hard borders between places."""
    levels = np.round(255 * np.asarray(masks)[..., 0]).astype(np.uint8)
    return [Image.fromarray(level).resize((_CELL, _CELL), Image.Resampling.NEAREST) for level in levels]


def _real(judged):
    logits = np.asarray(judged["logits"], np.float64)
    return _sigmoid(logits[:, REAL] - logits[:, CORRUPT])


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -np.asarray(x, np.float64)))  # never overflows
