"""Where in its image was this patch? Chromatic aberration as it is, and after color projection and dropping.

A lens magnifies colors differently, so that the shift between green and the others points to the center of the image:
whoever sees it knows where a patch lies, and need not look at its content to say how two of them lie to each other
(section 3.1 of the paper). Content tells something too, as skies are above: what counts is the difference that color
projection or dropping makes.

A small network learns the position of single patches from images at their own size; the paper reports the root mean
square error over the tenth of the images that it locates best: 0.255, always answering the center 0.371, after
projection 0.321. Photographs that were scaled down have little aberration left, so the same is measured again on
photographs whose green is magnified, which shows that the probe would find it.

    python benchmarks/aberration.py --data FOLDER
"""

import argparse
import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf
from machine import save
from PIL import Image

from tfssl.data.images import image_source
from tfssl.discovery.embedding import draw_weights
from tfssl.errors import SourceError
from tfssl.methods.context_prediction.data import draw_starts, prepare
from tfssl.methods.context_prediction.network import build_tower

COLORS = ("none", "projection", "dropping")
BEST_FRACTION = 0.1
"""Fraction of the images, those located best, that the paper's figure is of."""


@dataclasses.dataclass(frozen=True)
class Patches:
    """Patches and where they were.

    Args:
        pixels: uint8 (N, s, s, 3).
        positions: float32 (N, 2), centers (x, y) as fractions of the image's width and height.
        images: int (N,), number of the image that each comes from.
    """

    pixels: np.ndarray
    positions: np.ndarray
    images: np.ndarray

    def select(self, rows):
        return Patches(self.pixels[rows], self.positions[rows], self.images[rows])


def cut_patches(data, patch_size, *, images, per_image=16, magnification=0.0, seed=0):
    """Patches at random positions of images at their own size: scaling would blur what is looked for.

    ``images`` is the most that are taken, drawn at random; ``magnification`` see :func:`magnify_green`. SourceError if
    fewer than 20 images are readable and larger than a patch.
    """
    source, rng = image_source(data), np.random.default_rng(seed)
    pixels, positions, found = [], [], 0
    for index in rng.permutation(len(source)).tolist():
        if found == images:
            break
        try:
            image = source.example(index)["image"]
        except (ValueError, OSError):
            continue
        room = np.subtract(image.size, patch_size)
        if room.min() < patch_size:
            continue
        array = np.asarray(magnify_green(image, magnification))
        corner = rng.integers(0, room + 1, (per_image, 2))
        windows = np.lib.stride_tricks.sliding_window_view(array, (patch_size, patch_size), axis=(0, 1))
        pixels.append(windows[corner[:, 1], corner[:, 0]].transpose(0, 2, 3, 1))
        positions.append((corner + patch_size / 2) / image.size)
        found += 1
    if found < 20:
        raise SourceError(f"`data` has {found} images that serve among {len(source)}; give at least 20")
    numbers = np.repeat(np.arange(found), per_image)
    return Patches(np.concatenate(pixels), np.concatenate(positions).astype(np.float32), numbers)


def magnify_green(image, by):
    """Enlarge the green of an image about its center: lateral chromatic aberration, as lenses have it.

    ``by`` is the fraction that is added to its size; 0.01 moves the corners of 500x400 pixels by 3.2 pixels.
    """
    if by == 0:
        return image
    width, height = image.size
    inner = (width / (1 + by), height / (1 + by))
    left, top = (width - inner[0]) / 2, (height - inner[1]) / 2
    red, green, blue = image.split()
    green = green.resize(image.size, Image.Resampling.BICUBIC, box=(left, top, left + inner[0], top + inner[1]))
    return Image.merge("RGB", (red, green, blue))


def locate(patches, *, color, steps=300, batch=256, seed=0):
    """Train a network to say where patches were, and measure it on images that it has not seen.

    The convolutions of the backbone ``"small"`` with 128 units and two outputs on top learn the position with a squared
    error (Adam, the learning rate falling to zero along a half cosine) from 80 % of the images. ``color`` is the field
    of the method.

    Returns:
        ``{name: float}``: ``rmse_best``, root mean square distance of the positions (fractions of the image's sides)
        over the tenth of the test images that are located best; ``rmse``, over all; ``center_best`` and ``center``, the
        same of an answer that is always the mean position of the training patches; ``images``, tested ones.
    """
    rng = np.random.default_rng(seed)
    count = int(patches.images.max()) + 1
    tested = np.isin(patches.images, rng.permutation(count)[: max(count // 5, 1)])
    train, test = patches.select(~tested), patches.select(tested)
    mean = train.positions.mean(axis=0)
    model = _train(train, mean, color, steps, batch, rng)
    predicted = np.concatenate(
        [
            model(_prepared(test.pixels[first : first + batch], color, rng), training=False)
            for first in range(0, len(test.pixels), batch)
        ]
    )
    best, everywhere = rmse(predicted + mean, test)
    center_best, center = rmse(np.broadcast_to(mean, test.positions.shape), test)
    return {
        "rmse_best": best,
        "rmse": everywhere,
        "center_best": center_best,
        "center": center,
        "images": float(len(np.unique(test.images))),
    }


def rmse(positions, patches):
    """Root mean square distance of predicted positions (N, 2), over the images located best and over all of them."""
    square = np.sum(np.square(positions - patches.positions), axis=1)
    of_image = np.array([square[patches.images == number].mean() for number in np.unique(patches.images)])
    best = np.sort(of_image)[: max(1, int(BEST_FRACTION * len(of_image)))]
    return float(np.sqrt(best.mean())), float(np.sqrt(of_image.mean()))


def _train(patches, mean, color, steps, batch, rng):
    side = patches.pixels.shape[1]
    model = _network(side)
    draw_weights(model, rng)  # not Keras' own, so that the probe repeats itself
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)), "mse", jit_compile=False)

    def batches():
        for _ in range(steps):
            rows = rng.integers(0, len(patches.pixels), batch)
            yield _prepared(patches.pixels[rows], color, rng), patches.positions[rows] - mean

    signature = (tf.TensorSpec((batch, side, side, 3), tf.float32), tf.TensorSpec((batch, 2), tf.float32))
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    data = data.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)
    model.fit(data, epochs=1, shuffle=False, verbose=0)
    return model


def _network(patch_size):
    pixels = keras.Input((patch_size, patch_size, 3))
    tower = build_tower("small", patch_size=patch_size, embedding=128)
    for layer in tower.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # the default's moving averages need more steps than this training has
    return keras.Model(pixels, keras.layers.Dense(2, name="position")(keras.layers.Flatten()(tower(pixels)["fc6"])))


def _prepared(pixels, color, rng):
    kept = rng.integers(0, 3, len(pixels))
    planes = pixels.transpose(0, 3, 1, 2)
    planes = planes[np.arange(len(pixels)), kept] if color == "dropping" else planes
    starts = draw_starts(rng, len(pixels), pixels.shape[1])
    return prepare(planes, kept, starts, color=color, noise="code", rms=50.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="builtin", help="photographs, at least 20")
    parser.add_argument("--images", type=int, default=2000, help="most photographs to use; a fifth of them tests")
    parser.add_argument("--patch", type=int, default=24, help="side in pixels")
    parser.add_argument("--magnification", type=float, default=0.02, help="of green, in the second measurement")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    seconds, rows = {}, []
    for magnification in (0.0, arguments.magnification):
        patches = cut_patches(arguments.data, arguments.patch, images=arguments.images, magnification=magnification)
        for color in COLORS:
            for seed in range(arguments.seeds):
                start = time.perf_counter()
                found = locate(patches, color=color, steps=arguments.steps, seed=seed)
                seconds.setdefault(f"{color}/{magnification:g}", []).append(round(time.perf_counter() - start, 3))
                rows.append({"color": color, "magnification": magnification, "seed": seed, **found})
                print({key: round(value, 4) if isinstance(value, float) else value for key, value in rows[-1].items()})
    save(
        "aberration",
        config=vars(arguments) | {"data": "builtin" if arguments.data == "builtin" else "photographs", "out": None},
        packages=("tensorflow", "keras", "numpy", "pillow"),
        seconds=seconds,
        comparisons=[],
        out=arguments.out,
        paper={"rmse_best": {"none": 0.255, "projection": 0.321}, "center": 0.371},
        results=rows,
    )


if __name__ == "__main__":
    main()
