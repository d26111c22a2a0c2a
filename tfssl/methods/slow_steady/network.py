"""The networks of slow and steady features: one tower for labeled images and for all frames of pairs and triples."""

import keras
from keras import initializers, layers, ops

from tfssl.backbones.adapter import DEVIATION, MEAN_COLOR, trunk
from tfssl.backbones.encoder import Encoder
from tfssl.methods.opened import is_open

_MEAN_LEVEL = sum(MEAN_COLOR) / 3
_HIDDEN = 25  # units of the NORB network


def build_network(
    backbone, *, size, features, classes, color=False, tuples=None, steady=True, distance="squared", channels=None
):
    """The tower on every image, a softmax layer on z of labeled ones, distances of z and of its changes for the rest.

    Args:
        backbone, features, color, distance: fields of :class:`~tfssl.methods.SlowSteady`.
        size: of the images in pixels.
        classes: of the softmax layer.
        tuples: ``{"pairs": n, "triples": m}`` that come with each labeled image; none for labels alone.
        steady: whether there are triples.
        channels: of the three convolutions of ``"quick"`` and ``"small"``; None: (32, 32, 64) and (16, 16, 32).

    Returns:
        ``keras.Model``: ``{"image": (B, s, s, 3), "pairs": (B, n, 2, s, s, 3), "triples": (B, m, 3, s, s, 3)}``, RGB in
        [0, 1], to ``{"label": logits (B, classes), "pairs": d (B, n), "triples": d (B, m)}``, float32.
    """
    tower = build_tower(backbone, size, features, color=color, channels=channels)
    image = layers.Input((size, size, 3), name="image")
    logits = layers.Dense(classes, kernel_initializer=_dense(backbone), dtype="float32", name="logits")
    inputs, outputs = {"image": image}, {"label": logits(tower(image)["z"])}
    for term, frames in (("pairs", 2), ("triples", 3)):
        count = (tuples or {}).get(term)
        if not count or (term == "triples" and not steady):
            continue
        inputs[term] = layers.Input((count, frames, size, size, 3), name=term)
        z = tower(ops.reshape(inputs[term], (-1, size, size, 3)))["z"]
        z = ops.cast(ops.reshape(z, (-1, count, frames, features)), "float32")
        outputs[term] = layers.Identity(dtype="float32", name=f"{term}_distance")(distances(z, distance))
    return keras.Model(inputs, outputs, name=f"slow_steady_{'open' if is_open(backbone) else backbone}")


def distances(z, distance="squared"):
    """d of pairs of features, or of the two changes of triples of them.

    Args:
        z: float (..., 2, k) or (..., 3, k), in the order of time.
        distance: ``"squared"`` Euclidean, or ``"l1"``.

    Returns:
        float (...).
    """
    change = z[..., :-1, :] - z[..., 1:, :]
    if change.shape[-2] == 2:
        change = change[..., :-1, :] - change[..., 1:, :]
    change = change[..., 0, :]
    return ops.sum(ops.square(change) if distance == "squared" else ops.abs(change), axis=-1)


def build_tower(backbone, size, features, *, color=False, channels=None):
    """RGB in [0, 1] (B, size, size, 3) -> ``{"conv1": ..., "conv3": ..., "z": (B, features)}``; z is linear.

    ``"quick"`` has 143,328 parameters with gray images of 32 pixels and 64 features, 144,928 in color.
    """
    pixels = layers.Input((size, size, 3), name="pixels")
    if is_open(backbone):
        scale = layers.Rescaling(255.0 / DEVIATION, offset=[-c / DEVIATION for c in MEAN_COLOR], name="standardize")
        maps = trunk(backbone, size=size, name="trunk", stem=scale)
        taps = maps(pixels)
        taps = {name: taps[name] for name in maps.output}
        x = layers.GlobalAveragePooling2D(name="pooled")(list(taps.values())[-1])
    else:
        x = pixels if color else ops.image.rgb_to_grayscale(pixels)
        # Caffe's network sees levels without their mean, and has initial values for them.
        scale = 1.0 if backbone == "quick" else DEVIATION
        x = layers.Rescaling(255.0 / scale, offset=-_MEAN_LEVEL / scale, name="standardize")(x)
        if backbone == "dense":
            x = layers.Dense(_HIDDEN, kernel_initializer="he_normal", name="fc1_dense")(
                layers.Flatten(name="flatten")(x)
            )
            x = layers.ReLU(name="fc1")(x)
            taps = {"fc1": x}
        else:
            taps = _quick(x, backbone, channels or ((32, 32, 64) if backbone == "quick" else (16, 16, 32)))
            x = layers.AveragePooling2D(3, 2, "same", name="pool3")(taps["conv3"])
            x = layers.Flatten(name="flatten")(x)
    taps["z"] = layers.Dense(features, kernel_initializer=_dense(backbone), name="z")(x)
    return keras.Model(pixels, taps, name="tower")


def _quick(x, backbone, channels):
    """Caffe's CIFAR-10 quick up to its last convolution: max pooling before the first ReLU, then averages."""
    taps, stddevs = {}, (1e-4, 0.01, 0.01)
    for number, (count, stddev) in enumerate(zip(channels, stddevs, strict=True), start=1):
        initializer = initializers.RandomNormal(stddev=stddev) if backbone == "quick" else "he_normal"
        x = layers.Conv2D(count, 5, padding="same", kernel_initializer=initializer, name=f"conv{number}_conv")(x)
        if number == 1:  # Caffe rounds sizes up: of even ones Keras' "same" gives those windows
            x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
        x = taps[f"conv{number}"] = layers.ReLU(name=f"conv{number}")(x)
        if number == 2:
            x = layers.AveragePooling2D(3, 2, "same", name="pool2")(x)
    return taps


def _dense(backbone):
    return initializers.RandomNormal(stddev=0.1) if backbone == "quick" else initializers.GlorotUniform()


def build_encoder(model):
    """The tower of a model of :func:`build_network` on images of any size; it shares its variables."""
    tower = model.get_layer("tower")
    rgb = layers.Input((None, None, 3), name="rgb")
    resized = layers.Resizing(*tower.input.shape[1:3], antialias=True, dtype="float32", name="to_its_size")(rgb)
    taps = tower(resized)
    return Encoder(rgb, {name: taps[name] for name in tower.output}, name="encoder")
