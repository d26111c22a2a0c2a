"""Video prediction by moving pixels (Finn, Goodfellow and Levine, NIPS 2016): DNA, CDNA, STP, with actions."""

import os
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.base import Method, Paper
from tfssl.methods.video_prediction import data

_Width = Annotated[int, Field(ge=1)]


class VideoPrediction(Method):
    """Predict the frames of a clip from the first ones, by moving the pixels of the last one.

    A network of convolutional LSTMs tells at each step how pixels move: in several ways at once, and masks say which
    way holds where. So appearance needs no memory, and masks come to cover what moves together. What a robot does, and
    where it is, can be given along: then the network answers what happens if it does something else. Three forms:

    - ``"cdna"``: ``masks`` kernels, each for the whole frame, and new pixels;
    - ``"dna"``: a kernel for each pixel;
    - ``"stp"``: ``masks`` - 1 affine maps of the whole frame, and new pixels.

    Defaults are those of the released code; the paper has no layer normalization.

    Args:
        motion: the form.
        masks: besides that of the background, which is the last frame as it is (10); with ``"dna"`` 1.
        kernel_size: of the kernels that move pixels, odd (5): between frames an object moves by half of it at most.
        frames: of a window (10).
        context: how many of them are seen (2); the others are predicted.
        step: of each so many frames of a clip one is taken (1); more than 1 only without actions.
        crop_size: frames are cut to their central square and scaled to so many pixels, a multiple of 8 (64).
        actions: numbers a frame that say what is done until the next one (5); 0 without.
        states: numbers a frame that say where the robot is (5); those of the first frame are given, later ones
            predicted; 0 without. Both should be of the order of 1.
        widths: channels of the seven convolutional LSTMs.
        lstm_size: of their kernels, odd (5).
        rectified: the released library ends every layer in a ReLU unless told not to: the last maps, masks, and new
            pixels, which so are never darker than middle gray. False: these three do not, as in later code of the
            authors.
        scheduled_sampling: k of the schedule by which the network sees ever fewer true frames after the context, see
            :class:`tfssl.layers.recurrent.ScheduledSampling` (900); null: its own predictions from the beginning.
        state_weight: of the squared error of states (1e-4).
    """

    paper: ClassVar[Paper] = Paper(
        "Unsupervised Learning for Physical Interaction through Video Prediction",
        "Finn, Goodfellow, Levine", "NIPS", 2016,
    )  # fmt: skip
    inputs: ClassVar[str] = "clips, perhaps with actions"
    kind: ClassVar[str] = "actions"
    prepares_in_graph: ClassVar[bool] = False

    motion: Literal["cdna", "dna", "stp"] = "cdna"
    masks: int = Field(10, ge=1, le=64)
    kernel_size: int = Field(5, ge=3, le=31)
    frames: int = Field(10, ge=2, le=256)
    context: int = Field(2, ge=1)
    step: int = Field(1, ge=1)
    crop_size: int = Field(64, ge=16, multiple_of=8)
    actions: int = Field(5, ge=0)
    states: int = Field(5, ge=0)
    widths: tuple[_Width, _Width, _Width, _Width, _Width, _Width, _Width] = (32, 32, 64, 64, 128, 64, 32)
    lstm_size: int = Field(5, ge=1, le=15)
    rectified: bool = True
    scheduled_sampling: float | None = Field(900.0, gt=0)
    state_weight: float = Field(1e-4, ge=0)

    @model_validator(mode="after")
    def _check(self):
        for name in ("kernel_size", "lstm_size"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"`{name}` must be odd. Received: {name}={getattr(self, name)}")
        if self.context >= self.frames:
            raise ValueError(
                f"`context` must leave frames to predict, of {self.frames}. Received: context={self.context}"
            )
        if (self.motion == "dna") != (self.masks == 1):
            fix = "1 with motion: dna" if self.motion == "dna" else f"2 or more with motion: {self.motion}"
            raise ValueError(f"`masks` must be {fix}. Received: masks={self.masks}")
        if self.step > 1 and self.actions:
            raise ValueError(f"`step` must be 1 with actions: each belongs to a frame. Received: step={self.step}")
        return self

    @property
    def steps(self):
        """Number of frames that are predicted."""
        return self.frames - self.context

    @property
    def min_size(self):
        return self.crop_size

    def open(self, data):
        from tfssl.data.action_clips import action_clip_source
        from tfssl.data.pushed import builtin_pushes

        if isinstance(data, (str, os.PathLike)) and os.fspath(data) == "builtin":
            return builtin_pushes(self.crop_size, self.frames)
        return action_clip_source(data, self.min_size)

    def adapt(self, source):
        """``copying``: MSE of repeating the last frame that is seen, beside which the loss is shown, float32 ()."""
        return data.statistics_of(self, source)

    def sample(self, example, rng, training):
        """Frames uint8 (frames, s, s, 3); actions float32 (frames, A) and states (frames, S), those that there are."""
        return data.window(self, example, rng)

    def prepare(self, frames, *tables):
        return data.to_batch(self, frames, *tables)

    def model(self, optimizer=None):
        import keras

        from tfssl.methods.video_prediction.loss import future_losses
        from tfssl.methods.video_prediction.network import build_network

        model = build_network(
            self.crop_size, context=self.context, steps=self.steps, decay=self.scheduled_sampling, motion=self.motion,
            masks=self.masks, kernel_size=self.kernel_size, widths=self.widths, lstm_size=self.lstm_size,
            actions=self.actions, states=self.states, rectified=self.rectified,
        )  # fmt: skip
        losses, weights = future_losses(self.states > 0, self.state_weight)
        model.compile(
            keras.optimizers.Adam(1e-3) if optimizer is None else optimizer,
            losses,
            loss_weights=weights,
            jit_compile=False,  # XLA fails under MirroredStrategy on CPU devices
        )
        return model

    def encoder(self, model):
        """The network's way down on a single image, RGB in [0, 1], with an empty memory; it shares variables."""
        from tfssl.methods.video_prediction.network import build_encoder

        return build_encoder(model)

    @property
    def baseline(self):
        """MSE of repeating the last frame that is seen."""
        return float(self.statistics.get("copying", data.TYPICAL_ERROR))

    def evaluate(self, model, data, *, out=None, limit=None, steps=None, seed=0, batch_size=16, progress=None):
        from tfssl.methods.video_prediction.evaluate import evaluate

        options = {"limit": limit, "steps": steps, "seed": seed, "batch_size": batch_size, "progress": progress}
        return evaluate(self, model, data, out=out, **options)
