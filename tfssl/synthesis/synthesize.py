"""Images synthesized from statistics of features: textures, styles, symmetric ones, holes filled."""

import dataclasses
import math
import time

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.synthesis.features import Features, choose_taps
from tfssl.synthesis.minimize import minimize
from tfssl.synthesis.objective import Objective, content_term, default_shifts, flip_term, gram_term, shift_term
from tfssl.synthesis.recipe import CONTENT_TAP, LEAST_SIZE, Recipe

BAND = 0.1
"""Fraction of a side that is known at each border where no mask is given; Berger's figures show 8 to 10 %."""


@dataclasses.dataclass(frozen=True, eq=False)
class Synthesis:
    """An image, and how it came about.

    Args:
        image: ``PIL.Image``, RGB.
        reference: what its statistics were taken from, as it was seen: ``PIL.Image``.
        content: the second image, at the size of the result; None without one.
        history: values of the terms, not weighted: a dict ``{"KIND TAP": value}`` for each iteration.
        recipe: the settings.
        seed: of the noise.
        seconds: that it took.
    """

    image: Image.Image
    reference: Image.Image
    content: Image.Image | None
    history: list[dict[str, float]]
    recipe: Recipe
    seed: int
    seconds: float

    @property
    def terms(self):
        """``{kind: value}`` at the end: of each kind of term the mean over its maps, not weighted."""
        return by_kind(self.history[-1])


def by_kind(values):
    """``{kind: mean over its maps}`` of ``{"KIND TAP": value}``."""
    kinds = dict.fromkeys(name.split()[0] for name in values)
    return {kind: float(np.mean([v for name, v in values.items() if name.split()[0] == kind])) for kind in kinds}


class Synthesizer:
    """Makes images by one recipe with the features of one encoder.

    Args:
        encoder: ``keras.Model``: RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, C)}``.
        recipe: :class:`~tfssl.synthesis.recipe.Recipe`.
    """

    def __init__(self, encoder, recipe):
        self.recipe, kinds = recipe, recipe.of_task.kinds
        self.taps = recipe.taps or choose_taps(encoder, recipe.of_task.taps)
        chosen = choose_taps(encoder, (CONTENT_TAP,))
        self.content_tap = recipe.content_tap or chosen[max(0, len(chosen) - 2)]
        self.features = Features(encoder, [*self.taps, *([self.content_tap] if "content" in kinds else [])])

    def __call__(self, reference, *, content=None, mask=None, seed=0, progress=None):
        """Synthesize an image.

        Args:
            reference: ``PIL.Image`` whose statistics are matched.
            content: ``PIL.Image`` to start from (style, season) or to fill a hole of (inpaint).
            mask: bool (H, W) of the content, True in the hole; None leaves a band of :data:`BAND` around it.
            seed: of the noise that it starts from.
            progress: called after each iteration with (iterations done, in all, ``{kind: value}``).

        Returns:
            :class:`Synthesis`.

        Raises:
            ConfigError: if an image or an octave is too small, or the mask leaves nothing to be known.
        """
        recipe, started = self.recipe, time.perf_counter()
        recipe.check_inputs(content, mask)
        rng, image, history = np.random.default_rng(seed), None, []
        for octave in reversed(range(recipe.octaves)):
            canvas = _Canvas(recipe, reference, content, mask, octave)
            start = canvas.noise(rng) if image is None else canvas.enlarged(image)
            terms = self._terms(*(self._maps(one) for one in (canvas.reference, canvas.content, start)))
            objective = Objective(self.features, terms, start.shape)

            def count(number, values):
                if progress is not None:
                    done = len(history) + number
                    progress(done, recipe.iterations * recipe.octaves, by_kind(values))

            image, found = minimize(
                objective,
                start,
                *canvas.bounds(),
                optimizer=recipe.optimizer,
                iterations=recipe.iterations,
                progress=count,
            )
            history += found
        shown = (None if one is None else _to_image(one) for one in (image, canvas.reference, canvas.content))
        return Synthesis(*shown, history, recipe, seed, time.perf_counter() - started)

    def _maps(self, image):
        return None if image is None else self.features(np.broadcast_to(image, (1, *image.shape[:2], 3)))

    def _terms(self, reference, content, found):
        """The terms of the task: statistics of ``reference``, for an image whose maps are as large as ``found``."""
        recipe, terms = self.recipe, []
        each = 1 / len(self.taps)
        # Berger's shifts are those of pooled maps: on the finest they would cost more than all others together.
        finest = max(found[tap].shape[1] for tap in self.taps)
        coarse = [tap for tap in self.taps if found[tap].shape[1] < finest] or self.taps
        for tap in self.taps:
            sizes = [min(maps[tap].shape[1:3]) for maps in (reference, found)]
            longest = min(sizes)
            shifts = default_shifts(longest) if recipe.shifts is None else recipe.shifts
            shifts = tuple(shift for shift in shifts if 2 * shift <= longest)
            for kind in recipe.of_task.kinds:
                if kind == "gram":
                    terms.append(gram_term(tap, reference, each))
                elif kind == "shift" and shifts and tap in coarse:
                    terms.append(shift_term(tap, reference, recipe.shift_weight * each, shifts))
                elif kind == "flip":
                    terms.append(flip_term(tap, reference, recipe.flip_weight * each, recipe.symmetry))
        if "content" in recipe.of_task.kinds:
            terms.append(content_term(self.content_tap, content, recipe.content_weight))
        return terms


class _Canvas:
    """The images of one octave, float32 (H, W, 3) in [0, 1], and what is known of the result.

    Where the images are gray they have one channel, and so does the result: three would first have to be made equal.
    """

    def __init__(self, recipe, reference, content, mask, octave):
        whole = reference if content is None else content
        scale = recipe.size / max(whole.size)
        size = tuple(round(scale * n / 2**octave) for n in whole.size)
        if recipe.task == "symmetric" and recipe.symmetry == "quarter-turn":
            size = (max(size), max(size))
        if recipe.reference_size is not None or recipe.of_task.content != "hole":
            scale = min(1.0, (recipe.reference_size or recipe.size) / max(reference.size))
        seen = tuple(round(scale * n / 2**octave) for n in reference.size)
        gray = all(_is_gray(image) for image in (reference, content) if image is not None)
        for name, (width, height) in (("size", size), ("reference", seen)):
            if min(width, height) < LEAST_SIZE:
                raise ConfigError(
                    f"`{name}` is too small: {LEAST_SIZE} pixels a side are needed at each octave; give a larger image "
                    f"or size, or fewer octaves. Received: {width}x{height} pixels at the smallest"
                )
        self.size = size
        self.reference = _to_array(reference, seen, gray)
        self.content = None if content is None else _to_array(content, size, gray)
        self.hole = None
        if recipe.of_task.content == "hole":
            self.hole = _band_mask(size) if mask is None else _scaled_mask(mask, size)
            if self.hole.all() or not self.hole.any():
                raise ConfigError("`mask` must leave something known, and something to fill")

    def noise(self, rng):
        """What the first octave starts from.

        White noise with the mean and deviation of each channel of the reference, within its range; in the hole only,
        where something is known; the content itself, where that is to be kept, as in the released code.
        """
        if self.content is not None and self.hole is None:
            return self.content
        mean, deviation = (of(self.reference, axis=(0, 1)) for of in (np.mean, np.std))
        drawn = rng.normal(mean, deviation, (*self.size[::-1], len(mean))).astype(np.float32)
        return self._within(np.clip(drawn, self.reference.min(axis=(0, 1)), self.reference.max(axis=(0, 1))))

    def enlarged(self, image):
        """What a further octave starts from."""
        return self._within(_to_array(_to_image(image), self.size, image.shape[-1] == 1))

    def bounds(self):
        """Least and largest values of the result: those of the reference; the known ones; [0, 1] for a content."""
        if self.content is not None and self.hole is None:
            return 0.0, 1.0
        low, high = self.reference.min(axis=(0, 1)), self.reference.max(axis=(0, 1))
        if self.hole is None:
            return low, high
        return tuple(np.where(self.hole[..., None], bound, self.content) for bound in (low, high))

    def _within(self, image):
        return image if self.hole is None else np.where(self.hole[..., None], image, self.content)


def _band_mask(size):
    width, height = size
    across, down = (max(1, math.ceil(BAND * n)) for n in size)
    hole = np.zeros((height, width), bool)
    hole[down : height - down, across : width - across] = True
    return hole


def _scaled_mask(mask, size):
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _is_gray(image):
    pixels = np.asarray(image)
    return pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all())


def _to_array(image, size, gray):
    image = image.convert("L") if gray else image
    image = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32).reshape(*size[::-1], -1) / 255.0


def _to_image(image):
    levels = np.rint(image * 255.0).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(levels, (*levels.shape[:2], 3)).copy())
