"""Gated autoencoders (Memisevic 2011; trained by analogies, gae-analogy): units for what relates two images."""

import logging
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.data.moved import window_size
from tfssl.methods.base import Method, Paper
from tfssl.methods.gated_autoencoder import data

log = logging.getLogger("tfssl")


class GatedAutoencoder(Method):
    """Tell how one patch became another, without saying what is in them.

    Filters of both patches meet in factors, products of their responses. Mapping units pool the factors and describe
    the transformation; fed back to the factors they reconstruct each patch from the other one:
    ``m = sigmoid(Hin (Wx'x * Wy'y) + b)``, ``y^ = Wy (Wx'x * H m) + by``, ``x^ = Wx (Wy'y * H m) + bx``. Hin and H are
    separate. After every update filters are centered and scaled to one size; of whitened patches, whose numbers are no
    pixels, only scaled.

    Defaults are those of the released code for shifts, on images instead of noise. Patches lose their mean, may be
    whitened, and are divided by ``sqrt(s^2 + (0.1 S)^2)``, s their own standard deviation and S that of all (the
    code: ``s + 0.1 S``). S and the whitening matrix are learned by :meth:`adapt`; without it nothing is whitened.

    Args:
        pairs: ``"shifts"``: by whole pixels along both axes; ``"rotations"``: about the patch's center, angles from a
            von Mises distribution of concentration 1; ``"frames"``: the same place in two frames of a clip.
        content: ``"image"``, or ``"noise"`` in the place of an image's own pixels, as in the released demonstrations.
        largest: shift along an axis in pixels (3).
        gap: frames between the two of a pair.
        analogies: the mapping of one pair reconstructs another pair of the same transformation, so that it cannot hold
            content. Not for ``"frames"``, whose transformations are unknown.
        factors: pairs of filters (200 for shifts, 500 for rotations).
        mappings: units that describe the transformation (50).
        corruption: fraction of the components of each patch that is set to 0 in training (0).
        whiten: fraction of the variance that is kept and made equal in all directions; null leaves patches as they are.
        crop_size: of the patches in pixels (13).
        resize: images are scaled so that their shorter side has this many pixels; null keeps their size.
        patches: pairs, or analogies, taken of each image or clip.

    Reference:
        R. Memisevic: Gradient-based learning of higher-order image features. ICCV 2011.
    """

    paper: ClassVar[Paper] = Paper(
        "Gradient-Based Learning of Higher-Order Image Features", "Memisevic", "ICCV", 2011
    )  # fmt: skip
    inputs: ClassVar[str] = "pairs of patches of photographs, or of frames"
    prepares_in_graph: ClassVar[bool] = False

    pairs: Literal["shifts", "rotations", "frames"] = "shifts"
    content: Literal["image", "noise"] = "image"
    largest: int = Field(3, ge=1, le=64)
    gap: int = Field(1, ge=1)
    analogies: bool = True
    factors: int = Field(200, ge=1)
    mappings: int = Field(50, ge=1)
    corruption: float = Field(0.0, ge=0, lt=1)
    whiten: float | None = Field(None, gt=0, le=1)
    crop_size: int = Field(13, ge=4, le=128)
    resize: int | None = Field(None, ge=4)
    patches: int = Field(50, ge=1, le=4096)

    @model_validator(mode="after")
    def _check(self):
        if self.pairs == "frames" and self.analogies:
            raise ValueError("`analogies` must be false with pairs='frames', whose transformations are unknown")
        if self.pairs == "frames" and self.content == "noise":
            raise ValueError("`content` must be image with pairs='frames'. Received: content='noise'")
        if self.resize is not None and self.resize < self.window:
            raise ValueError(f"`resize` must be at least {self.window} pixels, or null. Received: resize={self.resize}")
        return self

    @property
    def window(self):
        """Size of the squares that are cut from images, in pixels."""
        return self.crop_size if self.pairs == "frames" else window_size(self.crop_size, self.pairs, self.largest)

    @property
    def components(self):
        """Numbers of a prepared patch: pixels, or directions that whitening keeps."""
        return self.statistics["whitening"].shape[1] if "whitening" in self.statistics else self.crop_size**2

    @property
    def min_size(self):
        return self.resize

    @property
    def examples_per_item(self):
        return self.patches

    def open(self, data):
        if self.pairs != "frames":
            return super().open(data)
        from tfssl.data.clips import clip_source

        return clip_source(data, min_size=self.resize)

    def sample(self, example, rng, training):
        """uint8 (patches, 4 or 2, s, s, 1), a : b :: c : d or a, b; of known transformations also their moves."""
        return data.related_patches(self, example, rng, training)

    def adapt(self, source):
        return data.patch_statistics(self, source)

    def prepare(self, patches, *_):
        patches = data.prepared(patches if self.analogies else patches[:, :2], self.statistics)
        return patches, patches[:, -2:]

    def model(self, optimizer=None):
        import keras

        from tfssl.methods.gated_autoencoder.loss import PairReconstruction
        from tfssl.methods.gated_autoencoder.network import build_network

        if self.whiten is not None and not self.statistics:
            log.warning(
                "patches are not whitened: give the method its statistics, method.adapted(method.adapt(source))"
            )
        options = {"analogies": self.analogies, "corruption": self.corruption}
        whitened = "whitening" in self.statistics
        model = build_network(self.components, self.factors, self.mappings, whitened=whitened, **options)
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9) if optimizer is None else optimizer
        model.compile(optimizer, PairReconstruction(), jit_compile=False)  # XLA fails under MirroredStrategy on CPUs
        return model

    @property
    def baseline(self):
        """Loss of the constant 0, the mean of prepared patches."""
        return self.components * float(data.statistic(self.statistics, "power"))

    def encoder(self, model):
        """Of pairs, RGB in [0, 1], (B, 2, s, s, 3) -> ``{"factors": (B, factors), "mapping": (B, mappings)}``."""
        from tfssl.methods.gated_autoencoder.network import build_encoder

        deviation = float(data.statistic(self.statistics, "deviation"))
        return build_encoder(
            model, self.crop_size, epsilon=data.FLAT * deviation, whitening=self.statistics.get("whitening")
        )

    def evaluate(self, model, data, *, out=None, limit=None, seed=0, repeats=1, batch_size=500, progress=None):
        from tfssl.methods.gated_autoencoder.evaluate import evaluate

        options = {"limit": limit, "seed": seed, "repeats": repeats, "batch_size": batch_size}
        return evaluate(self, model, data, out=out, progress=progress, **options)
