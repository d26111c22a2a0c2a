"""Images synthesized from statistics of features: textures, styles, symmetric ones, holes filled."""

import dataclasses
import time

import numpy as np
from PIL import Image

from tfssl.synthesis.canvas import Canvas, to_image
from tfssl.synthesis.features import Features, choose_taps
from tfssl.synthesis.minimize import minimize
from tfssl.synthesis.objective import Objective, content_term, default_shifts, flip_term, gram_term, shift_term
from tfssl.synthesis.recipe import CONTENT_TAP, Recipe, check_inputs


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
            mask: bool (H, W) of the content, True in the hole; None leaves a band of
                :data:`~tfssl.synthesis.canvas.BAND` around it.
            seed: of the noise that it starts from.
            progress: called after each iteration with (iterations done, in all, ``{kind: value}``).

        Returns:
            :class:`Synthesis`.

        Raises:
            ConfigError: if an image or an octave is too small, or the mask leaves nothing to be known.
        """
        recipe, started = self.recipe, time.perf_counter()
        check_inputs([recipe], content, mask)
        rng, image, history = np.random.default_rng(seed), None, []
        for octave in reversed(range(recipe.octaves)):
            canvas = Canvas(recipe, reference, content, mask, octave)
            start = canvas.noise(rng) if image is None else canvas.enlarged(image)
            terms = self._terms(*(self._maps(one) for one in (canvas.reference, canvas.content, start)))
            objective, before = Objective(self.features, terms, start.shape), len(history)

            def count(number, values, before=before):
                if progress is not None:
                    progress(before + number, recipe.iterations * recipe.octaves, by_kind(values))

            image, found = minimize(
                objective,
                start,
                *canvas.bounds(),
                optimizer=recipe.optimizer,
                iterations=recipe.iterations,
                progress=count,
            )
            history += found
        shown = (None if one is None else to_image(one) for one in (image, canvas.reference, canvas.content))
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
