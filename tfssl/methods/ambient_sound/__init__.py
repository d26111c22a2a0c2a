"""Ambient Sound Provides Supervision for Visual Learning (Owens et al., ECCV 2016): tell from a frame how it sounds."""

import logging
import math
import os
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.ambient_sound import data
from tfssl.methods.backbone import Backbone
from tfssl.methods.base import Method, Paper, check_resize
from tfssl.ops.sound_texture import BANDS, SHORTEST, STATISTICS

log = logging.getLogger("tfssl")

_SMALLEST = {"alexnet": 39, "small": 15}  # pixels that the last map needs, of others 8
_STEPS = 320_000
_BUILTIN = {"builtin": {"count": 2000, "seed": 0}, "builtin:test": {"count": 400, "seed": 1}}
"""Rendered scenes by the name of the data; those of another seed are others."""


class AmbientSound(Method):
    """Tell from one frame of a clip the texture of the sound around it, 502 statistics that do not depend on timing.

    The texture becomes a class or a code: the nearest of the ``clusters`` that textures of the training clips form; or
    bits, the signs of their principal components. All textures are standardized first, so that means, variations,
    correlations, modulations and loudness weigh the same. All of that is learned by :meth:`adapt`; without it the
    targets are arbitrary. Sounds are digested by :mod:`tfssl.ops.sound_texture`.

    Defaults are the paper's, as far as they are known: window, number of clusters, weights of the groups, frames and
    crops are recalled, not confirmed. Ten frames lie evenly spread over each clip (the paper draws them).

    Args:
        targets: ``"clusters"``; ``"binary"``, bits of the whole texture; ``"spectrum"``, bits of the means of the 32
            bands alone, as the paper's comparison with the spectrum has it.
        clusters: of k-means (30).
        drop: frames that do not train the network, those whose sounds are farther from the center of their cluster than
            the median distance: of ``"all"`` frames, or of their ``"cluster"`` (the paper does not say which); or
            ``"none"``.
        bits: of ``"binary"`` and ``"spectrum"`` (30).
        threshold: of each principal component, its ``"mean"`` over the training data or its ``"median"``.
        seconds: of sound around each frame (3.75).
        frames: of each clip (10).
        cache: folder that keeps the textures of the clips' sounds for other runs; null for none.
        resize: frames are scaled so that their shorter side has this many pixels (256); null keeps them.
        crop_size: of what the network sees, in pixels (227).
        backbone: ``"alexnet"`` (CaffeNet with batch normalization) or ``"small"`` (five convolutions likewise).
        fc: units of fully connected layers (4096, 4096); where empty, the last map is averaged.
        dropout: fraction of them dropped in training, in [0, 1) (0.5).

    Reference:
        J. McDermott, E. Simoncelli: Sound texture perception via statistics of the auditory periphery. Neuron 71, 2011.
    """

    paper: ClassVar[Paper] = Paper(
        "Ambient Sound Provides Supervision for Visual Learning",
        "Owens, Wu, McDermott, Freeman, Torralba",
        "ECCV",
        2016,
    )
    inputs: ClassVar[str] = "frames of clips with their sound"
    kind: ClassVar[str] = "sounding clips"
    output_layers: ClassVar[tuple[str, ...]] = ("sound",)

    targets: Literal["clusters", "binary", "spectrum"] = "clusters"
    clusters: int = Field(30, ge=2)
    drop: Literal["all", "cluster", "none"] = "all"
    bits: int = Field(30, ge=1, le=STATISTICS)
    threshold: Literal["mean", "median"] = "mean"
    seconds: float = Field(3.75, ge=SHORTEST)
    frames: int = Field(10, ge=1)
    cache: str | None = None
    resize: int | None = Field(256, ge=8)
    crop_size: int = Field(227, ge=8)
    backbone: Annotated[Any, Backbone("alexnet", "small")] = "alexnet"
    fc: tuple[Annotated[int, Field(ge=1)], ...] = (4096, 4096)
    dropout: float = Field(0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self):
        check_resize(self.resize, self.crop_size)
        smallest = _SMALLEST.get(str(self.backbone), 8)
        if self.crop_size < smallest:
            raise ValueError(
                f"`crop_size` must be at least {smallest} for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        if self.targets == "spectrum" and self.bits > BANDS:
            raise ValueError(f"`bits` must be at most {BANDS} for the spectrum. Received: bits={self.bits}")
        return self

    @property
    def outputs(self):
        """Numbers that the network gives: one for each cluster, or each bit."""
        return self.clusters if self.targets == "clusters" else self.bits

    @property
    def min_size(self):
        return self.crop.min_size

    def open(self, data):
        """Frames of clips with their sound; or rendered scenes, ``"builtin"`` and others (``"builtin:test"``).

        See :func:`tfssl.data.sounding_source`, and :func:`tfssl.data.sounding_scenes`.
        """
        from tfssl.data.rendered_sounds import sounding_scenes
        from tfssl.data.sounding import sounding_source
        from tfssl.data.source import Source

        if isinstance(data, Source):
            return data
        if isinstance(data, (str, os.PathLike)) and os.fspath(data) in _BUILTIN:
            size = self.resize or self.crop_size
            return sounding_scenes(image_size=size, seconds=self.seconds, **_BUILTIN[os.fspath(data)])
        return sounding_source(data, frames=self.frames, seconds=self.seconds, min_size=self.min_size)

    def sample(self, example, rng, training):
        """The crop, uint8 (s, s, 3), and its target: int32 (), the number of the cluster, or uint8 (bits,)."""
        (crop,) = self.crop.sample(example, rng, training)
        return crop, data.target(self, example["sound"], known=training)

    def prepare(self, crops, targets):
        return data.to_inputs(crops), targets

    def adapt(self, source):
        """What makes targets of textures.

        ``mean`` and ``scale`` (502,), see :func:`tfssl.ops.sound_texture.group_scaling`.
        Of clusters ``centers`` (clusters, 502) and ``radii`` (clusters,), the distances within which frames train the
        network; of bits ``directions`` (bits, 502 or 32) and ``thresholds`` (bits,); and what was found of the frames:
        ``keys``, a number made of the name of each, sorted, their ``found`` targets, and which are ``near``. Sounds
        that cannot be read, or are silent, count nowhere; they are named where the run comes upon them.
        """
        return data.statistics_of(self, source)

    def dataset(self, data, *, batch_size, training=True, **options):
        from tfssl.methods.ambient_sound.data import without_far

        source = self.open(data)
        source = without_far(self, source) if training else source
        return super().dataset(source, batch_size=batch_size, training=training, **options)

    def model(self, optimizer=None):
        from tfssl.methods.ambient_sound import loss
        from tfssl.methods.ambient_sound.network import build_network

        if not self.statistics:
            log.warning("sounds have no targets yet: give the method its statistics, method.adapted(method.adapt(x))")
        network = build_network(
            self.backbone, size=self.crop_size, outputs=self.outputs, fc=self.fc, dropout=self.dropout
        )
        objective, metric = loss.of_targets(self.targets)
        # XLA fails under MirroredStrategy on CPU devices.
        network.compile(optimizer or recalled_optimizer(), objective, metrics=[metric], jit_compile=False)
        return network

    def encoder(self, model):
        """The convolutions on whole images, RGB in [0, 1]; they share variables with the model."""
        from tfssl.methods.ambient_sound.network import build_encoder

        return build_encoder(model)

    @property
    def baseline(self):
        """Loss of guessing: ln(clusters), or ln 2 for each bit."""
        return math.log(self.clusters) if self.targets == "clusters" else self.bits * math.log(2)

    def evaluate(self, model, data, *, out=None, limit=None, labels=None, batch_size=64, progress=None):
        """What the network tells of how frames sound; or, with ``labels``, what textures of recordings know of them.

        Args:
            model, data, out, limit, batch_size, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
            labels: CSV of labeled recordings, which ``data`` are then, see :func:`tfssl.data.sound_source`.
        """
        from tfssl.methods.ambient_sound.evaluate import evaluate, evaluate_sounds

        if labels is not None:
            return evaluate_sounds(self, data, labels, out=out, limit=limit, progress=progress)
        return evaluate(self, model, data, out=out, limit=limit, batch_size=batch_size, progress=progress)


def recalled_optimizer():
    """SGD with momentum 0.9, 0.01 divided by 10 after each third of 320,000 steps (recalled; the steps assumed)."""
    import keras

    from tfssl.optimizers import SGD

    thirds = [_STEPS // 3 - 1, 2 * _STEPS // 3 - 1]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(thirds, [0.01, 0.001, 0.0001])
    return SGD(schedule, momentum=0.9)
