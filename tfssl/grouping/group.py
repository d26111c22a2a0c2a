"""Group the pixels of one image by how often their colors and textures occur beside each other."""

import dataclasses

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.grouping.pairs import Affinity
from tfssl.grouping.regions import Proposal, Regions
from tfssl.grouping.spectral import ORIENTATIONS, affinity_matrix, boundary_energy, image_eigenvectors
from tfssl.ops.arguments import check_integers
from tfssl.ops.boundaries import suppress_non_maxima
from tfssl.options import check

LEAST_SIZE = 16
"""Shorter side of the smallest image that is grouped, in pixels."""

LEARNED = {"size": 144, "radius": 8, "halvings": 1, "vectors": 40}
"""Settings of :class:`Grouper` for an affinity of patches, which are larger than pixels: about the size of training."""

_OWN = {"kernels", "trees"}  # settings that a learned affinity has no use for
_BORDER = 0.03  # of the height: boundaries along the image's border are faded out there (code: border_suppress)
_BRIGHTEST = 99.5  # percentile of the strength that becomes 1


@dataclasses.dataclass(frozen=True)
class Grouper:
    """Settings of a grouping, and the function that groups an image by them.

    Args:
        size: longer side in pixels that affinities are computed at, images of less stay as they are; 240 is half of a
            BSDS photograph, as in the released code's variant ``accurate_low_res``.
        scales: sizes whose boundary strengths are averaged, each half of the one before, 1 to 3 (code: 1 or 3, which it
            solves together).
        radius: of the pairs that get an affinity, in pixels (code: 5).
        vectors: eigenvectors (code: 100).
        halvings: see :func:`tfssl.grouping.spectral.image_eigenvectors`; 0 is exact.
        kernels: of the density (code: 10,000; 5,000 in ``accurate_low_res``).
        trees: of the forest that repeats PMI (code: 4).
        groups: into which the image is divided.
        proposals: most object proposals.
        seed: of all that is drawn.

    Raises:
        ConfigError: for a value that there cannot be.
    """

    size: int = 240
    scales: int = 1
    radius: int = 5
    vectors: int = 100
    halvings: int = 2
    kernels: int = 5000
    trees: int = 4
    groups: int = 6
    proposals: int = 12
    seed: int = 0

    def __post_init__(self):
        check_integers(LEAST_SIZE, size=self.size)
        check_integers(1, 3, scales=self.scales)
        check_integers(1, radius=self.radius, vectors=self.vectors, trees=self.trees)
        check_integers(1, groups=self.groups, proposals=self.proposals)
        check_integers(100, kernels=self.kernels)
        check_integers(0, 4, halvings=self.halvings)
        check_integers(0, 2**32 - 1, seed=self.seed)

    def __call__(self, image, progress=None, learned=None):
        """Group an image.

        Args:
            image: ``PIL.Image``, RGB, at least :data:`LEAST_SIZE` pixels wide and high.
            progress: called with (steps done, in all).
            learned: function of pixels, uint8 (h, w, 3), that gives what :class:`~tfssl.grouping.pairs.Affinity` is: a
                function of the numbers of pixels. None: the image's own statistics.

        Returns:
            :class:`Grouping`.

        Raises:
            ConfigError: if the image is too small, or has one color only.
        """
        if min(image.size) < LEAST_SIZE:
            size = "x".join(map(str, image.size))
            raise ConfigError(f"`image` must be at least {LEAST_SIZE}x{LEAST_SIZE} pixels. Received: {size}")
        if all(low == high for low, high in image.getextrema()):
            raise ConfigError("`image` has one color only: there is nothing to group")
        energy, steps = 0, 3 * self.scales

        def done(count):
            if progress is not None:
                progress(count, steps)

        for scale in range(self.scales):
            shrunk = _fitted(image, self.size / 2**scale)
            pixels = np.asarray(shrunk)
            if learned is None:
                affinity = Affinity(pixels, kernels=self.kernels, trees=self.trees, seed=self.seed)
            else:
                affinity = learned(pixels)
            done(3 * scale + 1)
            shape = pixels.shape[:2]
            matrix = affinity_matrix(affinity, shape, self.radius)
            values, vectors = image_eigenvectors(matrix, shape, self.vectors, self.halvings, self.seed)
            done(3 * scale + 2)
            found = boundary_energy(values, vectors, shape)
            if scale == 0:
                grid = found.max(axis=-1), values, vectors
            found = found / max(np.percentile(found, _BRIGHTEST), 1e-12)
            planes = (_resized(plane, grid[0].shape[::-1]) for plane in np.moveaxis(found, -1, 0))
            energy = energy + np.stack(list(planes), axis=-1) / self.scales
            done(3 * scale + 3)
        return Grouping(image, _faded(energy), Regions(*grid), self, affinity.bandwidths if learned is None else {})


def read_grouper(options, learned=False):
    """A :class:`Grouper` of ``{name: value}``; for a learned affinity :data:`LEARNED` stands for what is not given.

    Raises:
        ConfigError: for an unknown name, which suggests a known one, a value that there cannot be, or a setting of the
            photograph's own statistics where the affinity is learned.
    """
    check(options, {field.name: field.default for field in dataclasses.fields(Grouper)}, "group")
    if learned and (own := sorted(_OWN & options.keys())):
        raise ConfigError(f"`{own[0]}` is of a photograph's own statistics; leave it out, or the model")
    return Grouper(**(LEARNED if learned else {}) | options)


@dataclasses.dataclass(frozen=True)
class Grouping:
    """What belongs together in an image.

    Args:
        image: ``PIL.Image``, RGB.
        energy: strength of a boundary at each place and orientation, float (h, w, 8), about 1 at the strongest; at the
            size that was computed at.
        regions: :class:`~tfssl.grouping.regions.Regions`, at that size.
        settings: the :class:`Grouper`.
        bandwidths: of the densities, ``{feature set: width}``.
    """

    image: Image.Image
    energy: np.ndarray
    regions: Regions
    settings: Grouper
    bandwidths: dict

    @property
    def strength(self):
        """Boundary map, float32 (H, W) in [0, 1], the strongest orientation of each pixel."""
        return np.clip(self._strongest()[0], 0, 1)

    @property
    def boundaries(self):
        """The boundary map in thin lines, float32 (H, W) in [0, 1]."""
        strength, number = self._strongest()
        return np.clip(suppress_non_maxima(strength, number * np.float32(np.pi / ORIENTATIONS)), 0, 1)

    def _strongest(self):
        """Strength and number of the strongest orientation; a photograph of 12 megapixels has no room for all eight."""
        strength, number = np.full(self.image.size[::-1], -1, np.float32), np.zeros(self.image.size[::-1], np.uint8)
        for orientation in range(ORIENTATIONS):
            plane = _resized(self.energy[..., orientation], self.image.size)
            better = plane > strength
            strength[better], number[better] = plane[better], orientation
        return strength, number

    @property
    def groups(self):
        """Number of the group of each pixel, int (H, W) from 0 on; each is connected."""
        return self._enlarged(self.regions.groups(self.settings.groups))

    @property
    def proposals(self):
        """Regions that may be objects, the likeliest first: list of :class:`~tfssl.grouping.regions.Proposal`."""
        found = self.regions.proposals(self.settings.proposals)
        return [Proposal(self._enlarged(one.mask), one.score) for one in found]

    def _enlarged(self, labels):
        return np.asarray(
            Image.fromarray(labels.astype(np.int32)).resize(self.image.size, Image.Resampling.NEAREST)
        ).astype(labels.dtype)


def _fitted(image, size):
    scale = min(1, size / max(image.size))
    return image.resize([max(LEAST_SIZE, round(length * scale)) for length in image.size], Image.Resampling.LANCZOS)


def _resized(plane, size):
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def _faded(energy):
    """Less of what runs along the border of the image and is close to it."""
    width = max(1, round(_BORDER * energy.shape[0]))
    near = [1 - np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / width, 0, 1) ** 2 for n in energy.shape[:2]]
    angles = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    along = near[0][:, None, None] * np.abs(np.sin(angles)), near[1][None, :, None] * np.abs(np.cos(angles))
    return energy * (1 - np.maximum(*along))
