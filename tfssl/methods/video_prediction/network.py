"""The networks of video prediction: one step from a frame to the next, the sequence of such steps, the encoder."""

import keras
from keras import layers, ops

from tfssl.backbones.encoder import Encoder
from tfssl.layers.moving import AffineMotion, Blend, ConvolutionalMotion, PixelMotion
from tfssl.layers.normalization import MapNormalization
from tfssl.layers.recurrent import ConvLSTMCell, ScheduledSampling

STRIDES = (2, 2, 4, 4, 8, 4, 2)
"""Pixels of a frame that a cell of the maps of each convolutional LSTM is wide."""

WIDTHS = (32, 32, 64, 64, 128, 64, 32)
"""Channels of the convolutional LSTMs, as published."""


def build_step(size, *, motion, masks, kernel_size, widths, lstm_size, actions, states, rectified):
    """One step of the network: the next frame, its masks, the next state and the next memory.

    Args:
        size: of the frames in pixels, a multiple of 8.
        motion: ``"cdna"``, ``"dna"`` or ``"stp"``.
        masks: number of masks of what is not background, M.
        kernel_size: of the motion, in pixels.
        widths: channels of the seven convolutional LSTMs.
        lstm_size: of their kernels.
        actions, states: numbers of each that a frame comes with, may be 0.
        rectified: whether the last maps, and the layers of masks and of new pixels, end in a ReLU.

    Returns:
        ``keras.Model``: ``{"frame": (B, size, size, 3), "h1": ..., "c1": ..., "action": (B, actions), "state": (B,
        states)}`` -> ``{"frame", "masks": (B, size, size, M + 1), "h1": ..., "c1": ..., "state"}``.
    """
    frame = layers.Input((size, size, 3), name="frame")
    inputs, memory = {"frame": frame}, {}
    for number, (width, stride) in enumerate(zip(widths, STRIDES, strict=True), start=1):
        for name in (f"h{number}", f"c{number}"):
            inputs[name] = layers.Input((size // stride, size // stride, width), name=name)
    for name, count in (("action", actions), ("state", states)):
        if count:
            inputs[name] = layers.Input((count,), name=name)

    def lstm(x, number):
        cell = ConvLSTMCell(widths[number - 1], lstm_size, name=f"lstm{number}")
        memory[f"h{number}"], memory[f"c{number}"] = cell([x, inputs[f"h{number}"], inputs[f"c{number}"]])
        return MapNormalization(name=f"lstm{number}_norm")(memory[f"h{number}"])

    def down(x, channels, kernel, name, **options):
        return layers.Conv2D(channels, kernel, 2, padding="same", name=name, **{"activation": "relu", **options})(x)

    def up(x, name, **options):
        options = {"activation": "relu", **options}
        return layers.Conv2DTranspose(x.shape[-1], 3, 2, padding="same", name=name, **options)(x)

    # Normalized before the ReLU, and what a normalization follows needs no bias.
    enc0 = down(frame, widths[0], 5, "enc0", use_bias=False, activation=None)
    enc0 = layers.ReLU(name="enc0_relu")(MapNormalization(name="enc0_norm")(enc0))
    enc1 = down(lstm(lstm(enc0, 1), 2), widths[1], 3, "enc1")
    enc2 = down(lstm(lstm(enc1, 3), 4), widths[3], 3, "enc2")
    given = [inputs[name] for name in ("action", "state") if name in inputs]
    given = ops.concatenate(given, axis=-1) if len(given) > 1 else given[0] if given else None
    if given is not None:
        tiled = ops.tile(given[:, None, None], (1, *enc2.shape[1:3], 1))
        enc2 = layers.Concatenate(name="given")([enc2, tiled])
    enc3 = layers.Conv2D(widths[3], 1, activation="relu", name="enc3")(enc2)
    h5 = lstm(enc3, 5)
    h6 = lstm(up(h5, "enc4"), 6)
    h7 = lstm(up(layers.Concatenate(name="skip1")([h6, enc1]), "enc5"), 7)
    enc6 = up(layers.Concatenate(name="skip0")([h7, enc0]), "enc6", use_bias=False, activation=None)
    enc6 = MapNormalization(name="enc6_norm")(enc6)
    head = {"kernel_size": 1, "activation": None}
    if rectified:
        enc6 = layers.ReLU(name="enc6_relu")(enc6)
        head["activation"] = "relu"

    logits = layers.Conv2D(masks + 1, name="mask_logits", **head)(enc6)
    weights = layers.Softmax(dtype="float32", name="masks")(logits)
    if motion == "dna":
        kernels = layers.Conv2D(kernel_size**2, 1, name="kernels")(enc6)
        images = PixelMotion(kernel_size, name="moved")([frame, kernels])
    else:
        new = layers.Conv2D(3, name="new_pixels", **head)(enc6)
        new = layers.Activation("sigmoid", name="new")(new)
        flat = layers.Flatten(name="flat")(h5)
        if motion == "cdna":
            kernels = layers.Dense(masks * kernel_size**2, name="kernels")(flat)
            moved = ConvolutionalMotion(kernel_size, name="moved")(
                [frame, ops.reshape(kernels, (-1, masks, kernel_size**2))]
            )
            # New pixels and M moved images share M masks: as in the released code the last kernel goes unused.
            moved = moved[:, :-1]
        else:
            hidden = layers.Dense(100, "relu", name="stp")(flat)
            maps = layers.Dense(6 * (masks - 1), name="maps")(hidden)
            maps = ops.reshape(maps, (-1, masks - 1, 6)) + ops.convert_to_tensor([1.0, 0, 0, 0, 1, 0])
            moved = AffineMotion(name="moved")([frame, maps])
        images = ops.concatenate([new[:, None], moved], axis=1)
    images = ops.concatenate([frame[:, None], images], axis=1)
    outputs = {"frame": Blend(dtype="float32", name="blend")([images, weights]), "masks": weights, **memory}
    if states:
        outputs["state"] = layers.Dense(states, dtype="float32", name="next_state")(given)
    return keras.Model(inputs, outputs, name="step")


def unrolled(step, frames, *, context, steps, actions=None, states=None, true=None):
    """Predict frames one after the other.

    Args:
        step: model of :func:`build_step`.
        frames: float (B, T, H, W, 3) in [0, 1]: the ``context`` ones that are seen, and, where ``true`` is given, those
            that follow.
        context: number of frames that are seen.
        steps: number of frames that are predicted.
        actions: float (B, context + steps - 1 or more, A): what is done between a frame and the next; or None.
        states: float (B, 1 or more, S), of which the first is used: later ones are the network's own; or None.
        true: float (B, steps - 1), 1 where the step after the first predicted frame and so on sees the true frame
            instead of the predicted one; None for never.

    Returns:
        ``{"frames": (B, steps, H, W, 3), "masks": (B, steps, H, W, M + 1), "states": (B, steps, S)}``.
    """
    memory = _empty(step, frames)
    state = None if states is None else states[:, 0]
    found, last = {"frames": [], "masks": [], "states": []}, None
    for number in range(context + steps - 1):
        own = number - context
        if own < 0:
            frame = frames[:, number]
        elif true is None:
            frame = last
        else:
            frame = ops.where(true[:, own, None, None, None] > 0, frames[:, number], last)
        inputs = {"frame": frame, **memory}
        if actions is not None:
            inputs["action"] = actions[:, number]
        if state is not None:
            inputs["state"] = state
        outputs = step(inputs)
        memory = {name: outputs[name] for name in memory}
        last, state = outputs["frame"], outputs.get("state")
        if own >= -1:
            for name, value in (("frames", last), ("masks", outputs["masks"]), ("states", state)):
                found[name].append(value)
    return {name: ops.stack(values, axis=1) for name, values in found.items() if values[0] is not None}


def build_network(size, *, context, steps, decay, actions, states, **options):
    """The sequence of steps with scheduled sampling, as it is trained.

    The reference configuration, CDNA with 10 masks, 64 pixels, 5 actions and 5 states, has 8,311,967 parameters.

    Args:
        size, actions, states: see :func:`build_step`.
        context: number of frames that are seen.
        steps: number of frames that are predicted.
        decay: of :class:`~tfssl.layers.recurrent.ScheduledSampling`.
        **options: further ones of :func:`build_step`.

    Returns:
        ``keras.Model``: ``{"frames": (B, context + steps, size, size, 3), "actions": (B, ..., A), "states": (B, ...,
        S)}``, those that there are -> ``{"frames": (B, steps, size, size, 3), "states": (B, steps, S)}``.
    """
    step = build_step(size, actions=actions, states=states, **options)
    inputs = {"frames": layers.Input((context + steps, size, size, 3), name="frames")}
    for name, count in (("actions", actions), ("states", states)):
        if count:
            inputs[name] = layers.Input((context + steps, count), name=name)
    true = None
    if decay is not None and steps > 1:
        true = ScheduledSampling(steps - 1, decay, name="scheduled_sampling")(inputs["frames"])
    given = {name: inputs[name] for name in inputs if name != "frames"}
    found = unrolled(step, inputs["frames"], context=context, steps=steps, true=true, **given)
    outputs = {name: found[name] for name in ("frames", "states") if name in found}
    return keras.Model(inputs, outputs, name="video_prediction")


def build_encoder(model):
    """The way down of one step on a single image, with an empty memory and nothing done; of any size.

    It shares variables with a model of :func:`build_network`.
    """
    step = model.get_layer("step")
    rgb = layers.Input((None, None, 3), name="rgb")

    def lstm(x, number):
        cell = step.get_layer(f"lstm{number}")
        zeros = ops.repeat(ops.zeros_like(x[..., :1]), cell.filters, axis=-1)
        return step.get_layer(f"lstm{number}_norm")(cell([x, zeros, zeros])[0])

    x = rgb
    for name in ("enc0", "enc0_norm", "enc0_relu"):
        x = step.get_layer(name)(x)
    taps = {"enc0": x}
    for first, second, following in ((1, 2, "enc1"), (3, 4, "enc2")):
        x = taps[f"lstm{second}"] = lstm(lstm(x, first), second)
        x = taps[following] = step.get_layer(following)(x)
    missing = step.get_layer("enc3").kernel.shape[2] - x.shape[-1]
    if missing:
        x = ops.concatenate([x, ops.repeat(ops.zeros_like(x[..., :1]), missing, axis=-1)], axis=-1)
    taps["lstm5"] = lstm(step.get_layer("enc3")(x), 5)
    outputs = {name: layers.Identity(name=f"tap_{name}")(tensor) for name, tensor in taps.items()}
    return Encoder(rgb, outputs, name="encoder")


def _empty(step, frames):
    """Memory of zeros, for as many examples as there are frames."""
    zeros = {}
    for name, tensor in step.input.items():
        if name[0] in "hc" and name[1:].isdigit():
            _, height, width, channels = tensor.shape
            blank = ops.zeros_like(frames[:, 0, :height, :width, :1])
            zeros[name] = ops.repeat(blank, channels, axis=-1)
    return zeros
