"""Learning to See by Moving (Agrawal, Carreira and Malik, ICCV 2015): tell from two images how the camera moved."""

import logging
import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.backbone import Backbone
from tfssl.methods.base import Method, Paper
from tfssl.methods.egomotion import data

log = logging.getLogger("tfssl")

_SMALLEST = {"alexnet": 39, "small": 16}  # pixels that the last map needs, of others 8


class Egomotion(Method):
    """Tell the motion of the camera between two images, as one class for each of its components.

    One base network, shared by both images, makes maps of them; further layers see both maps and end in a softmax for
    each component. The base network is the encoder. As its baseline stands slowness: maps of images that are near in
    time shall be near each other, by the contrastive loss of Hadsell et al.

    Defaults are those of the paper on KITTI, as the released code has them where it does. Sizes of the layers that see
    both maps, dropout, and everything of ``"mnist"`` are recalled, not confirmed.

    Args:
        pairs: ``"posed"``: two frames of a sequence with poses, KITTI's layout, see
            :func:`tfssl.data.posed_clip_source`; ``"moved"``: a crop of a photograph, and the same shifted and rotated.
        objective: ``"egomotion"``, or ``"slowness"``. Its far pairs are frames ``max_gap`` apart or more, or crops of
            two photographs.
        axes: of posed frames, the shift in the axes of the first ``"camera"``, or in those of the ``"world"``, which is
            what the released code does; see :func:`tfssl.ops.poses.planar_motion`.
        max_gap: largest distance of two posed frames (7).
        edges: between classes of posed frames, evenly from -10 to 10 standard deviations (20). There are two more
            classes than edges, of which no label reaches the last one, as in the released code.
        largest: shift of moved crops along an axis in pixels (3): 2 ``largest`` + 1 classes.
        degrees: largest angle of moved crops (30); 0 for shifts alone.
        angles: classes of equal width of that angle (20).
        resize: photographs and frames are scaled so that their shorter side has this many pixels; null keeps them.
        crop_size: of what the network sees, in pixels (227). Posed frames are cut alike, anywhere.
        backbone: base network: ``"alexnet"`` (grouped, up to pool5), ``"mnist"`` (C96-P-C256-P), ``"shallow"``
            (C32-P-C64-P) or ``"small"`` (five convolutions with batch normalization, for CPUs).
        merge: channels of 3x3 convolutions that see both maps (256, 128); may be empty.
        fc: units of the layer before the softmaxes (500).
        dropout: fraction of them dropped in training, in [0, 1) (0.5).
        margin: distance that slowness asks of far pairs, of maps by the root of the mean squared difference (1).
    """

    paper: ClassVar[Paper] = Paper("Learning to See by Moving", "Agrawal, Carreira, Malik", "ICCV", 2015)
    inputs: ClassVar[str] = "photographs, or frames with the poses of the camera"
    output_layers: ClassVar[tuple[str, ...]] = ("motion",)

    pairs: Literal["posed", "moved"] = "posed"
    objective: Literal["egomotion", "slowness"] = "egomotion"
    axes: Literal["camera", "world"] = "camera"
    max_gap: int = Field(7, ge=1)
    edges: int = Field(20, ge=2)
    largest: int = Field(3, ge=1, le=64)
    degrees: float = Field(30.0, ge=0, le=180)
    angles: int = Field(20, ge=2)
    resize: int | None = Field(None, ge=8)
    crop_size: int = Field(227, ge=8)
    backbone: Annotated[Any, Backbone("alexnet", "mnist", "shallow", "small")] = "alexnet"
    merge: tuple[Annotated[int, Field(ge=1)], ...] = (256, 128)
    fc: int = Field(500, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    margin: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _check(self):
        if self.resize is not None and self.resize < self.crop_size:
            raise ValueError(f"`resize` must be at least crop_size ({self.crop_size}). Received: resize={self.resize}")
        smallest = _SMALLEST.get(str(self.backbone), 8)
        if self.crop_size < smallest:
            raise ValueError(
                f"`crop_size` must be at least {smallest} for backbone {self.backbone!r}. "
                f"Received: crop_size={self.crop_size}"
            )
        return self

    @property
    def heads(self):
        """``{component: classes}``: x, z and yaw of posed frames; x, y and angle of moved crops."""
        if self.pairs == "posed":
            return dict.fromkeys(("x", "z", "yaw"), self.edges + 2)
        shifts = dict.fromkeys(("x", "y"), 2 * self.largest + 1)
        return shifts | ({"angle": self.angles} if self.degrees else {})

    @property
    def min_size(self):
        return self.resize

    def open(self, data):
        if self.pairs == "moved":
            return super().open(data)
        from tfssl.data.posed_clips import posed_clip_source

        return posed_clip_source(data)

    def adapt(self, source):
        """Of posed frames ``mean`` and ``deviation`` of the components of neighboring frames, float32 (3,)."""
        return data.motion_statistics(self, source) if self.pairs == "posed" else {}

    def sample(self, example, rng, training):
        """Pair uint8 (2, s, s, 3), classes int32 (components,) or for slowness nearness (1,), motion float32 (n,)."""
        return data.draw_pair(self, example, rng)

    def prepare(self, pairs, labels, motions):
        return data.to_inputs(self, pairs, labels)

    def model(self, optimizer=None):
        from tfssl.methods.egomotion import loss
        from tfssl.methods.egomotion.network import build_network

        if self.pairs == "posed" and self.objective == "egomotion" and not self.statistics:
            log.warning("motions are not standardized: give the method its statistics, method.adapted(method.adapt(x))")
        heads = tuple(self.heads.values()) if self.objective == "egomotion" else None
        network = build_network(
            self.backbone, size=self.crop_size, heads=heads, merge=self.merge, fc=self.fc, dropout=self.dropout
        )
        objective, metrics = loss.Contrastive(self.margin), []
        if heads:
            objective, metrics = loss.MotionCrossEntropy(heads), [loss.MotionAccuracy(heads)]
        # XLA fails under MirroredStrategy on CPU devices.
        network.compile(optimizer or released_optimizer(), objective, metrics=metrics, jit_compile=False)
        return network

    def encoder(self, model):
        """The base network on whole images, RGB in [0, 1]; it shares variables with the model."""
        from tfssl.methods.egomotion.network import build_encoder

        return build_encoder(model)

    @property
    def baseline(self):
        """Sum of ln(classes), the loss of guessing; of slowness margin^2 / 2, that of equal maps of all images."""
        if self.objective == "slowness":
            return self.margin**2 / 2
        return sum(math.log(classes) for classes in self.heads.values())

    def evaluate(self, model, data, *, out=None, limit=None, repeats=1, seed=0, batch_size=64, progress=None):
        from tfssl.methods.egomotion.evaluate import evaluate

        options = {"limit": limit, "repeats": repeats, "seed": seed, "batch_size": batch_size, "progress": progress}
        return evaluate(self, model, data, out=out, **options)


def released_optimizer():
    """The released solver: SGD, momentum 0.9 (recalled), 0.001 halved every 20,000 steps; weights decay by 5e-4."""
    import keras

    from tfssl.optimizers import SGD

    # Keras keeps a rate up to and including its boundary.
    steps = range(1, 12)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [20_000 * i - 1 for i in steps], [0.001 * 0.5**i for i in (0, *steps)]
    )
    return SGD(schedule, momentum=0.9, weight_decay=5e-4, weight_decay_form="coupled")
