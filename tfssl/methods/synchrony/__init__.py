"""Depth and motion by synchrony of two views (Konda and Memisevic 2013; Konda, Memisevic and Michalski, ICLR 2014)."""

import os
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.base import Method, Paper
from tfssl.methods.synchrony import data

_ADAPT_PATCHES = 20_000  # whose covariance is whitened


class Synchrony(Method):
    """Learn pairs of filters whose responses to two views agree: what the views differ by is what the pair detects.

    Views are gray patches at one place, each freed of its mean, divided by its contrast and whitened by directions
    that the data give (``adapt``). The defaults are sizes for a CPU; those of the Hollywood 3D work are in paper.yaml.
    (What the papers say is recalled, unconfirmed.)

    Args:
        form: ``"depth"``: left against right; ``"motion"``: consecutive frames of a clip against each other;
            ``"both"``: several frames of the left camera against the same of the right one.
        learner: ``"autoencoder"``: sigmoid codes of the products reconstruct each view from the other by gradient
            descent; ``"kmeans"``: the pair of the largest product moves towards the views it won, by the rule of
            :func:`tfssl.layers.synchrony.synchrony_updates`, without gradients.
        units: pairs of filters.
        patch_size: of the square patches in pixels.
        frames: that an example of ``"motion"`` (at least 2) or ``"both"`` spans; 1 for ``"depth"``. In motion the first
            ``frames - 1`` stand against the last ``frames - 1``.
        tied: of ``"motion"``: one set of filters on all frames together, whose responses are squared.
        components: directions that patches are whitened to, below the number of pixels in a view.
        contraction: of the autoencoder: weight of the squared derivatives of the codes.
        eta: of k-means: step towards what a pair won.
        restart_steps: of k-means: after so many steps pairs that never won since start anew from examples; 0 never.
        offset: pixels that the right patch lies further left than the left one, so that disparities around ``offset``
            look like those around 0.
        resize: images and frames are scaled so that their shorter side has this many pixels; null keeps their size.
        patches: of each pair or clip that follow each other in the stream of examples.

    Reference:
        K. Konda, R. Memisevic: Unsupervised Learning of Depth and Motion. arXiv:1312.3429, 2013.
        K. Konda, R. Memisevic, V. Michalski: The role of spatio-temporal synchrony in the encoding of motion. ICLR
        2014.
    """

    paper: ClassVar[Paper] = Paper(
        "Unsupervised Learning of Depth and Motion", "Konda, Memisevic", "arXiv", 2013,
    )  # fmt: skip
    inputs: ClassVar[str] = "stereo pairs, clips or stereo clips"
    kind: ClassVar[str] = "pairs"
    prepares_in_graph: ClassVar[bool] = False

    form: Literal["depth", "motion", "both"] = "depth"
    learner: Literal["autoencoder", "kmeans"] = "autoencoder"
    units: int = Field(128, ge=1)
    patch_size: int = Field(11, ge=3, le=64)
    frames: int = Field(1, ge=1, le=32)
    tied: bool = False
    components: int = Field(80, ge=1)
    contraction: float = Field(0.0, ge=0)
    eta: float = Field(0.05, gt=0)
    restart_steps: int = Field(100, ge=0)
    offset: int = Field(0, ge=0)
    resize: int | None = Field(None, ge=8)
    patches: int = Field(16, ge=1, le=4096)

    @model_validator(mode="after")
    def _check(self):
        if (self.form == "depth") != (self.frames == 1):
            wanted = "1 for form: depth" if self.form == "depth" else f"at least 2 for form: {self.form}"
            raise ValueError(f"`frames` must be {wanted}. Received: frames={self.frames}")
        if self.tied and self.form != "motion":
            raise ValueError(f"`tied` is for form: motion. Received: form={self.form!r}")
        if self.offset and self.form == "motion":
            raise ValueError(f"`offset` is for two cameras. Received: form='motion', offset={self.offset}")
        size, _, frames = self.view_shape
        if self.components >= size * size * frames:
            raise ValueError(
                f"`components` must be below the {size * size * frames} pixels of a view. "
                f"Received: components={self.components}"
            )
        return self

    @property
    def views(self):
        """Gray images that an example consists of: left and right, or frames, or those of the left, then the right."""
        return {"depth": 2, "motion": self.frames, "both": 2 * self.frames}[self.form]

    @property
    def halves(self):
        """Which of the views stand against which, two slices."""
        if self.form == "motion":
            return (slice(None), slice(None)) if self.tied else (slice(0, -1), slice(1, None))
        return slice(0, self.frames), slice(self.frames, None)

    @property
    def view_shape(self):
        """(size, size, frames) of each side."""
        return self.patch_size, self.patch_size, len(range(self.views)[self.halves[0]])

    @property
    def min_size(self):
        return self.resize

    @property
    def examples_per_item(self):
        return self.patches

    def open(self, data):
        """Stereo pairs, clips or stereo clips; ``"builtin"``: rendered from the builtin photographs."""
        from tfssl.data.clips import clip_source
        from tfssl.data.rendered import moving_source, stereogram_source
        from tfssl.data.source import Source
        from tfssl.data.stereo import stereo_source
        from tfssl.data.stereo_clips import stereo_clip_source

        if isinstance(data, Source):
            return data
        if isinstance(data, (str, os.PathLike)) and os.fspath(data) == "builtin":
            if self.form == "depth":
                return stereogram_source("builtin", noise=2.0)
            return moving_source(frames=self.frames, disparities=(-4, 4) if self.form == "both" else None)
        if self.form == "motion":
            return clip_source(data, min_size=self.resize)
        if self.form == "depth":
            return stereo_source(data, disparity=False)
        return stereo_clip_source(data, frames=self.frames)

    def sample(self, example, rng, training):
        return (data.cut_views(self, example, rng),)

    def prepare(self, views):
        x, y = data.whitened(self, views)
        return (x, y), data.targets(x, y)

    def blank(self, views):
        flat = (views == views[..., :1, :1]).all()
        return "all pixels are equal" if flat else None

    def adapt(self, source):
        """Mean and whitening directions of patches, of both sides together: ``mean`` (d,), ``matrix`` (d, components).

        ``kept`` is the fraction of the variance that the directions hold.
        """
        return data.statistics_of(self, source, _ADAPT_PATCHES)

    @property
    def baseline(self):
        """Loss of answering zero: whitened coordinates have variance 1."""
        return 2.0 * self.components

    def model(self, optimizer=None):
        import keras

        from tfssl.backbones.synchrony import build_autoencoder
        from tfssl.methods.synchrony.loss import SumOfSquares
        from tfssl.methods.synchrony.network import build_kmeans

        if self.learner == "kmeans":
            model = build_kmeans(self.components, self.units, self.tied, self.eta, self.restart_steps)
            # Its steps are short: most of the time went to starting one operation after the other.
            model.compile(optimizer=None, jit_compile=True)
            return model
        model = build_autoencoder(self.components, self.units, self.tied, self.contraction)
        optimizer = keras.optimizers.SGD(0.005, momentum=0.9) if optimizer is None else optimizer
        model.compile(optimizer, SumOfSquares(), jit_compile=False)
        return model

    def encoder(self, model):
        """Products and codes of the patches around every position, (B, h, w, units) each.

        Its input are the views, RGB in [0, 1], (B, views, H, W, 3): a map is ``patch_size - 1`` smaller than they are.
        Its modality is ``"pair"``, frames of the left camera before those of the right; of ``form: motion`` ``"clip"``.
        """
        from tfssl.methods.synchrony.network import build_encoder

        return build_encoder(self, model, *data.whitening_of(self))

    def evaluate(self, model, data, *, out=None, limit=None, seed=0, batch_size=512, progress=None):
        from tfssl.methods.synchrony.evaluate import evaluate

        return evaluate(self, model, data, out=out, limit=limit, seed=seed, batch_size=batch_size, progress=progress)
