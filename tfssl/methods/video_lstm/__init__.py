"""Video LSTMs (Srivastava, Mansimov and Salakhutdinov, ICML 2015): read a clip, tell it backwards, tell its future."""

import math
import os
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tfssl.methods.base import Method, Paper
from tfssl.methods.video_lstm import data

BUILTIN_CLIPS = {"builtin": 100_000, "builtin:test": 1000}
"""Rendered clips of each of the builtin data; those of the test have other digits and another seed."""


class VideoLstm(Method):
    """Read a clip with an LSTM; from its last state decoders reconstruct the clip in reverse and predict its future.

    An LSTM with peepholes sees flattened frames. Each decoder is another one, which begins with the encoder's last
    hidden and cell states and without input, and a layer that makes a frame of each hidden state. A reconstruction
    begins with the last frame, which is nearest. A conditional decoder sees the frame of the step before: in training
    the true one, afterwards its own. The state after a clip is its encoding.

    Defaults are those of the paper on Moving MNIST, as the released code has them.

    Args:
        objective: ``"composite"``, both decoders; ``"reconstruction"`` or ``"future"``, one of them.
        loss: ``"cross_entropy"`` of pixels in [0, 1], taken for probabilities; or ``"squared_error"``, half of it, for
            patches of videos. Both are summed over the pixels of a frame and averaged over the frames.
        condition_reconstruction: whether the decoder of the reconstruction sees the frame before.
        condition_future: whether that of the future does.
        input_frames: that the encoder reads (10).
        future_frames: that are predicted (10).
        stride: frames of the video from one to the next (1).
        units: of each LSTM of a stack, the first one next to the frames; the released ones have one or two of 2048.
        crop_size: of a frame in pixels (64; 32 for patches of videos).
        resize: videos are scaled so that their shorter side has this many pixels, and a patch of ``crop_size`` is cut
            at a place that is drawn for each clip; null takes the central square, scaled to ``crop_size``.
        channels: 1 for gray (1), 3 for RGB.
        percepts: numbers that a frame has where clips are percepts, see :func:`tfssl.data.percepts.percept_source`
            (4096 of VGG's fc6); null for pixels. They need ``loss: squared_error``, and what is said of pixels is not
            asked.
        digits: of moving digits, in a clip (2).
        digit_size: pixels of a moving digit (28).
    """

    paper: ClassVar[Paper] = Paper(
        "Unsupervised Learning of Video Representations using LSTMs",
        "Srivastava, Mansimov, Salakhutdinov",
        "ICML",
        2015,
    )
    inputs: ClassVar[str] = "clips, or rendered moving digits"
    kind: ClassVar[str] = "clips"

    objective: Literal["composite", "reconstruction", "future"] = "composite"
    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    condition_reconstruction: bool = True
    condition_future: bool = True
    input_frames: int = Field(10, ge=1)
    future_frames: int = Field(10, ge=1)
    stride: int = Field(1, ge=1)
    units: tuple[Annotated[int, Field(ge=1)], ...] = Field((2048,), min_length=1)
    crop_size: int = Field(64, ge=8)
    resize: int | None = Field(None, ge=8)
    channels: Literal[1, 3] = 1
    percepts: int | None = Field(None, ge=1)
    digits: int = Field(2, ge=1)
    digit_size: int = Field(28, ge=4)

    @model_validator(mode="after")
    def _check(self):
        if self.percepts is not None and self.loss != "squared_error":
            raise ValueError(f"`loss` must be 'squared_error' for percepts. Received: loss={self.loss!r}")
        if self.digit_size > self.crop_size:
            raise ValueError(
                f"`digit_size` must be at most crop_size ({self.crop_size}). Received: digit_size={self.digit_size}"
            )
        if self.resize is not None and self.resize < self.crop_size:
            raise ValueError(f"`resize` must be at least crop_size ({self.crop_size}). Received: resize={self.resize}")
        return self

    @property
    def decoders(self):
        """``{name: whether it is conditional}`` of the decoders that the objective asks for."""
        known = {"reconstruction": self.condition_reconstruction, "future": self.condition_future}
        return known if self.objective == "composite" else {self.objective: known[self.objective]}

    @property
    def frame_shape(self):
        """(H, W, C) of a frame; percepts are frames of a single pixel."""
        return (self.crop_size, self.crop_size, self.channels) if self.percepts is None else (1, 1, self.percepts)

    @property
    def frames(self):
        """Of an example: those that are read, and those that are predicted."""
        return self.input_frames + (self.future_frames if "future" in self.decoders else 0)

    @property
    def min_size(self):
        return self.crop_size if self.resize is None else self.resize

    def open(self, data):
        """Clips, or percepts; or moving digits: ``"builtin"``, others, ``"builtin:test"``, or those of a file."""
        from tfssl.data.clips import clip_source
        from tfssl.data.digits import is_digits, moving_digits
        from tfssl.data.percepts import percept_source
        from tfssl.data.source import Source

        if isinstance(data, Source):
            return data.sized(self.min_size)
        if self.percepts is not None:
            return percept_source(data)
        if isinstance(data, (str, os.PathLike)) and is_digits(data):
            count = BUILTIN_CLIPS.get(os.fspath(data), BUILTIN_CLIPS["builtin"])
            options = {"frames": self.frames, "size": self.crop_size, "digit_size": self.digit_size}
            options |= {"objects": self.digits, "seed": int(os.fspath(data) == "builtin:test")}
            return moving_digits(data, count=count, **options)
        return clip_source(data, min_size=self.min_size)

    def sample(self, example, rng, training):
        """Consecutive frames of a clip, uint8 (frames, H, W, C), percepts float32."""
        return (data.cut_clip(self, example["clip"], rng),)

    def prepare(self, clips):
        """Clips float32 in [0, 1], and of each decoder the frames in the order in which it decodes them."""
        return data.to_inputs(self, clips)

    def blank(self, clips):
        return super().blank(clips) if self.percepts is None else None if clips.any() else "all numbers are 0"

    def model(self, optimizer=None):
        """Clips (B, frames, H, W, C) -> ``{decoder: (B, steps, H, W, C)}``, logits for ``loss: cross_entropy``."""
        from tfssl.methods.video_lstm.loss import LOSSES
        from tfssl.methods.video_lstm.network import build_network

        network = build_network(
            self.frame_shape,
            self.decoders,
            input_frames=self.input_frames,
            future_frames=self.future_frames,
            units=self.units,
            binary=self.loss == "cross_entropy",
        )
        losses = {name: LOSSES[self.loss]() for name in self.decoders}
        network.compile(optimizer or released_optimizer(self.input_frames), losses, jit_compile=False)
        return network

    def encoder(self, model):
        """The states of the LSTM after a clip, (B, input_frames, H, W, 3), RGB in [0, 1]: ``cell`` and ``hidden``.

        Of percepts a clip is (B, input_frames, percepts). Of a stack there are ``cell1``, ``hidden1``, ``cell2`` and so
        on. The encoder shares variables with the model.
        """
        from tfssl.methods.video_lstm.network import build_encoder

        return build_encoder(model, self.frame_shape, self.input_frames, len(self.units))

    @property
    def baseline(self):
        """Loss of the answer 0.5 for each decoder: ln 2 a pixel, or at most 1/8.

        Of percepts that of the answer 0, if their numbers have variance 1.
        """
        pixel = math.log(2) if self.loss == "cross_entropy" else 1 / 8 if self.percepts is None else 1 / 2
        return len(self.decoders) * pixel * math.prod(self.frame_shape)

    def evaluate(self, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
        from tfssl.methods.video_lstm.evaluate import evaluate

        return evaluate(self, model, data, out=out, limit=limit, seed=seed, batch_size=batch_size, progress=progress)


def released_optimizer(frames=10, batch_size=80):
    """The released rule: momentum 0.9, each number of a step at most 1e-4, 1e-4 times 0.9 every 10,000 steps, L2 1e-4.

    There gradients are summed over ``frames`` and the batch, here the loss is their mean: the learning rate makes up
    for it, and the decay is that much smaller. Biases do not decay.
    """
    import keras

    from tfssl.optimizers import SGD

    scale = frames * batch_size
    steps = range(1, 20)
    # Keras keeps a rate up to and including its boundary.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [10_000 * i - 1 for i in steps], [1e-4 * scale * 0.9**i for i in (0, *steps)]
    )
    return SGD(schedule, momentum=0.9, weight_decay=1e-4 / scale, weight_decay_form="coupled", step_clip=1e-4)
