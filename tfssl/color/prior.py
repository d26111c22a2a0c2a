"""How often each ab bin occurs in photographs, and the rebalancing weights that follow (paper, section 2.2)."""

from pathlib import Path

import numpy as np

from tfssl.color.photographs import map_ahead
from tfssl.data.examples import Skipped
from tfssl.data.images import image_source
from tfssl.errors import ConfigError, SourceError
from tfssl.ops.ab_bins import CENTERS, GRAY_THRESHOLD, NUM_BINS, SIGMA, nearest_bin

_FOLDER = Path(__file__).parent

SHIPPED = {
    "varied": (_FOLDER / "prior_varied.npy", SIGMA),
    "photographs": (_FOLDER / "prior_photographs.npy", SIGMA),
    "imagenet": (_FOLDER / "prior_imagenet.npy", 0.0),
}
"""Priors that ship: name -> (file, width of the smoothing that it still needs).

``"varied"``: counts of the shipped colorizer's training photographs. ``"photographs"``: of those of
configs/colorization/small.yaml, mostly landscapes. ``"imagenet"``: the numbers of Zhang, Isola and Efros for 1.3
million ImageNet photographs, as published with their code (prior_probs.npy), which are smoothed.
"""


def estimate_prior(source, *, size=64, skipped=None, progress=None):
    """Histogram of the 313 bins over a source, float64 (313,), summing to 1; in one pass and constant memory.

    Each image counts equally; images without color are left out, as in training.

    Args:
        source: see :func:`tfssl.data.images.image_source`; SourceError if no image is readable and in color.
        size: pixels of the shorter side at which colors are counted.
        skipped: a :class:`~tfssl.data.pipeline.Skipped` that collects unreadable images.
        progress: called with the number of images done, after each.
    """
    source = image_source(source, min_size=size)
    skipped = skipped if skipped is not None else Skipped()

    def count(index):
        from skimage.color import rgb2lab  # on the host NumPy is faster than a graph for single images

        try:
            image = source.example(index)["image"]
        except (ValueError, OSError) as error:
            skipped.add(source.name(index), str(error))
            return None
        scale = size / min(image.size)
        image = image.resize([max(1, round(n * scale)) for n in image.size])
        ab = rgb2lab(np.asarray(image))[..., 1:]
        if np.abs(ab).max() <= GRAY_THRESHOLD:
            return None
        return np.bincount(nearest_bin(ab).ravel(), minlength=NUM_BINS) / (ab.size / 2)

    total, used = np.zeros(NUM_BINS), 0
    for done, histogram in enumerate(map_ahead(count, range(len(source))), start=1):
        if histogram is not None:
            total += histogram
            used += 1
        if progress is not None:
            progress(done)
    if used == 0:
        raise SourceError(f"`data` has no readable color image among {len(source)}; give photographs in color")
    return total / total.sum()


def smooth_prior(prior, sigma=SIGMA):
    """A prior (313,), smoothed with a Gaussian of ``sigma`` ab units (paper: 5; 0 for none) and summing to 1."""
    prior = np.asarray(prior, dtype=np.float64)
    if sigma > 0:
        squared = np.sum(np.square(CENTERS[:, None].astype(np.float64) - CENTERS[None]), axis=-1)
        kernel = np.exp(-squared / (2 * sigma**2))
        prior = prior @ (kernel / kernel.sum(axis=1, keepdims=True))
    return prior / prior.sum()


def class_weights(prior, mix=0.5):
    """Rebalancing weights ``w ~ 1 / ((1 - mix) p + mix / Q)``, scaled so that ``sum(p w) = 1``.

    Equation 4 of the paper. As in the released code the uniform part is spread over the Q bins that occur at
    all; bins that never occur get the weight of the rarest one that does.

    ``mix`` is the fraction of the uniform distribution, lambda of the paper (1/2); 1 turns rebalancing off.
    """
    prior = np.asarray(prior, dtype=np.float64)
    if not 0 <= mix <= 1:
        raise ConfigError(f"`mix` must lie in [0, 1]. Received: mix={mix}")
    occurs = prior > 0
    mixed = (1 - mix) * prior[occurs] + mix / occurs.sum()
    weights = np.full(prior.shape, (1 / mixed).max())
    weights[occurs] = 1 / mixed
    return weights / np.sum(prior * weights)


def load_prior(path, sigma=None):
    """A prior as it is used, float64 (313,), summing to 1.

    Args:
        path: ``"photographs"`` or ``"imagenet"``, which ship (:data:`SHIPPED`), or a .npy file written by
            ``tfssl prior`` or published by others (``prior_probs.npy``).
        sigma: width of a smoothing in ab units; None for what the prior needs: nothing, for files hold smoothed ones.
    """
    file, needed = SHIPPED.get(str(path), (Path(path).expanduser(), 0.0))
    try:
        prior = np.load(file, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"`prior` must be {', '.join(map(repr, SHIPPED))} or a .npy file written by `tfssl prior`. Received: "
            f"prior={str(path)!r} ({type(error).__name__})"
        ) from None
    if prior.shape != (NUM_BINS,) or not np.isfinite(prior).all() or (prior < 0).any() or not prior.sum() > 0:
        raise ConfigError(
            f"`prior` must hold {NUM_BINS} probabilities. Received: prior={str(path)!r}, shape {prior.shape}"
        )
    return smooth_prior(prior / prior.sum(), needed if sigma is None else sigma)
