"""What every layer of a network sees in noise, or in a photograph, made visible by amplifying it."""

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.synthesis.amplify import LEAST_SIZE, Amplifier, amplify
from tfssl.visualization.maps import pick_tap
from tfssl.visualization.neighbors import read_photo
from tfssl.visualization.page import file_stem, write_gallery
from tfssl.visualization.sheet import picture_sheet, save_png

NOISE = (0.35, 0.65)
"""Noise to start from: uniform between these. The released notebook has 100 to 101 of 255 levels; encoders that
standardize the image would bring so little to full contrast, and the ascent would feed on a few pixels."""

_TEXT = (
    "Each image began as {start}. Steps of gradient ascent on the image raise half the squared norm of a layer's "
    "whole map, over several octaves from coarse to fine, each step on the image shifted in a circle by chance. Taps "
    "are as the encoder gives them, mostly after a ReLU: there, silent units get no gradient. The untrained network "
    "shows which textures come with the architecture alone.\n\n"
    "Gain: the objective after the last octave's steps, divided by that before them; 1 where a layer gives no "
    "gradient. Change: mean absolute change of a value from the start, of a range of 1."
)


def start_image(photo=None, *, image_size=224, seed=0):
    """What a dream starts from, float32 (H, W, 3) in [0, 1]: noise, or a photograph.

    That is a path, encoded bytes or a ``PIL.Image``, its longer side reduced to at most ``image_size`` pixels. Raises
    SourceError if it cannot be read, ConfigError if ``image_size`` is under
    :data:`~tfssl.synthesis.amplify.LEAST_SIZE`.
    """
    if image_size < LEAST_SIZE:
        raise ConfigError(f"`image_size` must be at least {LEAST_SIZE} pixels. Received: image_size={image_size}")
    if photo is None:
        return np.random.default_rng(seed).uniform(*NOISE, size=(image_size, image_size, 3)).astype(np.float32)
    image = read_photo(photo, photo)
    image.thumbnail((image_size, image_size), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32) / 255.0


def dream(networks, *, out, tap=None, photo=None, image_size=224, octaves=4, iterations=10, seed=0, progress=None):
    """Amplify what each tap of each network sees.

    Args:
        networks: ``{name: keras.Model}``, encoders; all start from the same image with the same shifts.
        out: folder for ``dream-NAME-TAP.png``, the contact sheet ``dream.png``, ``index.html``, ``numbers.json``.
        tap: names of the taps, or one of them; None for all maps that the first network has.
        photo, image_size: see :func:`start_image`; None for noise.
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
    image = start_image(photo, image_size=image_size, seed=seed)
    taps = _taps(networks, tap)
    jobs = [(name, layer) for name, network in networks.items() for layer in taps if layer in network.output]
    steps = itertools.count(1)

    def count():
        if progress is not None:
            progress(next(steps), octaves * iterations * len(jobs))

    shown, files, numbers = {}, {}, {name: {} for name in networks}
    for name, layer in jobs:
        amplifier, options = Amplifier(networks[name], layer), {"octaves": octaves, "iterations": iterations}
        found, gains = amplify(amplifier, image, seed=seed, progress=count, **options)
        shown[name, layer] = Image.fromarray(np.rint(found * 255.0).astype(np.uint8))
        files.setdefault(layer, {})[name] = Path(out) / f"{file_stem('dream', name, layer)}.png"
        save_png(shown[name, layer], files[layer][name])
        before, after = gains[-1]
        numbers[name][f"{layer}_gain"] = after / before if before > 0 else float("nan")
        numbers[name][f"{layer}_change"] = float(np.abs(found - image).mean())
    rows = [[image, *(shown.get((name, layer)) for layer in taps)] for name in networks]
    picture_sheet(rows, Path(out) / "dream.png", titles=["start", *taps], labels=list(networks))
    noise = f"noise, uniform in {NOISE[0]} ... {NOISE[1]}"
    protocol = {
        "start": noise if photo is None else str(getattr(photo, "filename", photo)),
        "size": f"{image.shape[1]}x{image.shape[0]}",
        "octaves": octaves,
        "octave_scale": 1.4,
        "iterations": iterations,
        "step": "1.5/255, mean absolute change",
        "jitter": "32 pixels, circular, undone",
        "seed": seed,
    }
    text = _TEXT.format(start="the same noise" if photo is None else "the same photograph")
    return write_gallery(out, "Dreams", text=text, images=files, numbers=numbers, protocol=protocol)


def _taps(networks, wanted):
    if wanted is None:
        return [tap for tap, tensor in next(iter(networks.values())).output.items() if len(tensor.shape) == 4]
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    known = {tap for network in networks.values() for tap in network.output}
    for tap in set(wanted) - known:
        pick_tap(next(iter(networks.values())), tap, next(iter(networks)))
    return wanted
