"""Local features as encoders: what every task, ensemble and comparison takes."""

import inspect

import keras

from tfssl.backbones.encoder import Encoder
from tfssl.errors import ConfigError, suggest
from tfssl.local import PREFIX, find_local
from tfssl.local.dense import DenseDescriptors
from tfssl.local.fisher import FisherVector
from tfssl.local.pooling import FlatMap, PowerNorm, Quadrants, SpatialPyramid
from tfssl.local.triangle import TriangleCode, WhitenedPatches
from tfssl.local.vlad import Vlad
from tfssl.local.words import VisualWords


def local_encoder(name, **options):
    """An encoder of local features. SIFT and patches learn a vocabulary first: ``encoder.adapt(images)``.

    ==================  =================================================  ============================================
    name                taps                                               options and defaults
    ==================  =================================================  ============================================
    ``sift-bow``        descriptors, words (maps), bag, pyramid            words=128, levels=3, step=8, size=24
    ``sift-vlad``       descriptors (map), vlad                            words=64, step=8, size=24
    ``sift-fisher``     descriptors (map), fisher                          components=64, dimensions=64, step=8, size=24
    ``hog``             hog, descriptors (map of blocks)                   cell=8
    ``lbp``             lbp, descriptors (map of histograms)               cell=16
    ``patches-kmeans``  patches, triangle (maps), quadrants                words=128, size=6, components=64, stride=2
    ==================  =================================================  ============================================

    Args:
        name: one of :data:`tfssl.local.NAMES`, with or without ``local:``.
        **options: words, components: of the vocabulary; dimensions: of a descriptor after PCA; levels: of the pyramid;
            step, size: pixels between SIFT patches and their width; cell: of HOG and LBP, pixels; stride, size,
            components: of whitened patches.

    Returns:
        :class:`~tfssl.backbones.encoder.Encoder`: RGB in [0, 1] or uint8, (B, H, W, 3) -> taps. Its weights are no
        variables of training.

    Raises:
        ConfigError: for an unknown name or option.
        ModelError: if OpenCV is not installed, for SIFT.
    """
    name = find_local(name)
    build = _BUILDERS[name]
    known = list(inspect.signature(build).parameters)[1:]
    for option in options:
        if option not in known:
            raise ConfigError(f"{PREFIX}{name} has no option `{option}`: {suggest(option, known)}")
    rgb = keras.Input((None, None, 3), name="rgb")
    return Encoder(rgb, build(rgb, **options), name=f"local_{name.replace('-', '_')}")


def _sift(rgb, step, size):
    return DenseDescriptors("sift", step, size, name="descriptors")(rgb)


def _bow(rgb, words=128, levels=3, step=8, size=24):
    descriptors = _sift(rgb, step, size)
    found = VisualWords(words, name="words")(descriptors)
    vectors = {"bag": SpatialPyramid(1, name="bag")(found), "pyramid": SpatialPyramid(levels, name="pyramid")(found)}
    return {"descriptors": descriptors, "words": found} | vectors


def _vlad(rgb, words=64, step=8, size=24):
    descriptors = _sift(rgb, step, size)
    sums = Vlad(words, name="aggregate")(descriptors)
    return {"descriptors": descriptors, "vlad": PowerNorm(name="vlad")(sums)}


def _fisher(rgb, components=64, dimensions=64, step=8, size=24):
    descriptors = _sift(rgb, step, size)
    gradients = FisherVector(components, dimensions, name="gradients")(descriptors)
    return {"descriptors": descriptors, "fisher": PowerNorm(name="fisher")(gradients)}


def _hog(rgb, cell=8):
    blocks = DenseDescriptors("hog", cell, name="descriptors")(rgb)
    # The map last: a head that is trained at any image size cannot stand on a vector that grows with it.
    return {"hog": FlatMap(name="hog")(blocks), "descriptors": blocks}


def _lbp(rgb, cell=16):
    histograms = DenseDescriptors("lbp", cell, name="descriptors")(rgb)
    return {"lbp": FlatMap(name="lbp")(histograms), "descriptors": histograms}


def _patches(rgb, words=128, size=6, components=64, stride=2):
    patches = WhitenedPatches(size, components, stride, name="patches")(rgb)
    code = TriangleCode(words, name="triangle")(patches)
    return {"patches": patches, "triangle": code, "quadrants": Quadrants(name="quadrants")(code)}


_BUILDERS = {
    "sift-bow": _bow,
    "sift-vlad": _vlad,
    "sift-fisher": _fisher,
    "hog": _hog,
    "lbp": _lbp,
    "patches-kmeans": _patches,
}
