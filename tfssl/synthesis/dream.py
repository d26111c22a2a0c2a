"""What every layer of a network sees in noise, or in a photograph, made visible by amplifying it."""

from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.images import decode_image
from tfssl.errors import ConfigError, SourceError
from tfssl.synthesis.amplify import LEAST_SIDE, Amplifier, amplify
from tfssl.visualization.gallery import file_stem, write_gallery
from tfssl.visualization.maps import pick_tap
from tfssl.visualization.sheet import picture_sheet, save_png

NOISE = (0.35, 0.65)
"""Noise to start from: uniform between these. The released notebook has 100 to 101 of 255 levels; encoders that
standardize the picture would bring so little to full contrast, and the ascent would feed on a few pixels."""

_TEXT = (
    "Each picture began as {start}. Steps of gradient ascent on the picture raise half the squared norm of a layer's "
    "whole map, over several octaves from coarse to fine, each step on the picture shifted in a circle by chance. Taps "
    "are as the encoder gives them, mostly after a ReLU: there, silent units get no gradient. The untrained network "
    "shows which textures come with the architecture alone.\n\n"
    "Gain: the objective after the last octave's steps, divided by that before them; 1 where a layer gives no "
    "gradient. Change: mean absolute change of a value from the start, of a range of 1."
)


def start_image(photo=None, *, side=224, seed=0):
    """What a dream starts from.

    Args:
        photo: path, encoded bytes or ``PIL.Image``, reduced so that its longer side has at most ``side`` pixels; None
            for noise.
        side: in pixels.
        seed: of the noise.

    Returns:
        float32 (H, W, 3) in [0, 1].

    Raises:
        SourceError: if the photograph cannot be read.
        ConfigError: if side is under :data:`~tfssl.synthesis.amplify.LEAST_SIDE`.
    """
    if side < LEAST_SIDE:
        raise ConfigError(f"`side` must be at least {LEAST_SIDE} pixels. Received: side={side}")
    if photo is None:
        return np.random.default_rng(seed).uniform(*NOISE, size=(side, side, 3)).astype(np.float32)
    try:
        image = photo if isinstance(photo, Image.Image) else decode_image(photo)
    except (ValueError, OSError) as error:
        raise SourceError(f"`photo` cannot be read ({error}). Received: photo={str(photo)!r}") from None
    image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32) / 255.0


def dream(networks, *, out, tap=None, photo=None, side=224, octaves=4, iterations=10, seed=0, progress=None):
    """Amplify what each tap of each network sees.

    Args:
        networks: ``{name: keras.Model}``, encoders; all start from the same picture with the same shifts.
        out: folder for ``dream-NAME-TAP.png``, the contact sheet ``dream.png``, ``index.html``, ``numbers.json``.
        tap: names of the taps, or one of them; None for all that the first network has.
        photo: see :func:`start_image`; None for noise.
        side: of the noise, or longer side of the photograph, in pixels.
        octaves, iterations: see :func:`tfssl.synthesis.amplify.amplify`.
        seed: of noise and shifts.
        progress: called with (steps done, in all).

    Returns:
        ``{name: {"TAP_gain": objective after / before the last octave's steps, "TAP_change": mean absolute change of
        a value from the start, in [0, 1]}}``.

    Raises:
        ConfigError: for a tap that no network has, or a value outside its range.
        SourceError: if the photograph cannot be read.
    """
    image = start_image(photo, side=side, seed=seed)
    taps = _taps(networks, tap)
    steps = _Steps(octaves * iterations * sum(t in net.output for net in networks.values() for t in taps), progress)
    shown, files, numbers = {}, {}, {name: {} for name in networks}
    for name, network in networks.items():
        for layer in (t for t in taps if t in network.output):
            found, gains = amplify(
                Amplifier(network, layer),
                image,
                octaves=octaves,
                iterations=iterations,
                seed=seed,
                progress=steps.count,
            )
            picture = Image.fromarray(np.rint(found * 255.0).astype(np.uint8))
            files.setdefault(layer, {})[name] = Path(out) / f"{file_stem('dream', name, layer)}.png"
            save_png(picture, files[layer][name])
            shown[name, layer] = picture
            before, after = gains[-1]
            numbers[name][f"{layer}_gain"] = after / before if before > 0 else float("nan")
            numbers[name][f"{layer}_change"] = float(np.abs(found - image).mean())
    _write_sheet(networks, taps, shown, image, Path(out) / "dream.png")
    protocol = {
        "start": f"noise, uniform in {NOISE[0]} ... {NOISE[1]}"
        if photo is None
        else str(getattr(photo, "filename", photo)),
        "size": f"{image.shape[1]}x{image.shape[0]}",
        "octaves": octaves,
        "octave_scale": 1.4,
        "iterations": iterations,
        "step": "1.5/255, mean absolute change",
        "jitter": "32 pixels, circular, undone",
        "seed": seed,
    }
    text = _TEXT.format(start="the same noise" if photo is None else "the same photograph")
    return write_gallery(out, "Dreams", text=text, pictures=files, numbers=numbers, protocol=protocol)


class _Steps:
    def __init__(self, total, progress):
        self.done, self.total, self.progress = 0, total, progress

    def count(self):
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _taps(networks, wanted):
    if wanted is None:
        return list(next(iter(networks.values())).output)
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    known = {tap for network in networks.values() for tap in network.output}
    for tap in set(wanted) - known:
        pick_tap(next(iter(networks.values())), tap, next(iter(networks)))
    return wanted


def _write_sheet(networks, taps, shown, image, path):
    rows = [[shown.get((name, tap)) for tap in taps] for name in networks]
    picture_sheet([[image, *row] for row in rows], path, titles=["start", *taps], labels=list(networks))
