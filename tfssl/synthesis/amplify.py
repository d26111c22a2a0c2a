"""Gradient ascent on an image: more of what a layer already sees in it."""

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError
from tfssl.ops.arguments import check_floating, check_shapes, check_values
from tfssl.visualization.maps import answer

LEAST_SIZE = 16
"""Shorter side of the smallest octave, in pixels."""


class Amplifier:
    """Steps of gradient ascent on ``1/2 ||phi(x)||^2`` of a tap's map phi.

    The signal that enters the layer backwards is then the activation itself. Where the tap comes after a ReLU, units
    that are silent get no gradient. The network maps RGB in [0, 1], (B, H, W, 3), to ``{tap: (B, h, w, c)}``.
    """

    def __init__(self, network, tap):
        @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.float32)], autograph=False)
        def compute(image):
            with tf.GradientTape() as tape:
                tape.watch(image)
                objective = 0.5 * tf.reduce_sum(tf.square(answer(network, tap, image[None])))
            gradient = tape.gradient(objective, image)
            if gradient is None:
                raise ModelError(f"no gradient reaches the image from tap {tap!r} of {network.name!r}")
            return objective, gradient

        self._compute = compute.get_concrete_function()

    def objective(self, image):
        """``1/2 ||phi(image)||^2`` over all cells and units alike, a float."""
        return float(self._compute(_checked(image))[0])

    def step(self, image, step, shift=(0, 0)):
        """One step ``image + step * g / mean|g|`` of float32 (H, W, 3) in [0, 1]; not clipped.

        g is the gradient at the image shifted in a circle by ``shift`` rows and columns, shifted back; where it is zero
        the image stays.
        """
        image = _checked(image)
        gradient = self._compute(np.roll(image, shift, (0, 1)))[1].numpy()
        mean = np.abs(gradient, dtype=np.float64).mean()
        if not mean > 0:
            return image
        return image + np.roll((step / mean * gradient).astype(np.float32), (-shift[0], -shift[1]), (0, 1))


def _checked(image):
    check_shapes(image=(image, "H W 3"))
    check_floating(image=image)
    return np.asarray(image, np.float32)


def octave_sizes(height, width, octaves=4, scale=1.4):
    """Sizes of an image zoomed out by ``scale``, the largest first: 300x400, 214x286, 153x204, 109x146."""
    sizes = [(int(height), int(width))]
    for _ in range(octaves - 1):
        sizes.append(tuple(max(1, round(length / scale)) for length in sizes[-1]))
    return sizes


def amplify(amplifier, image, *, octaves=4, scale=1.4, iterations=10, step=1.5 / 255, jitter=32, seed=0, progress=None):
    """Amplify in an image what a layer responds to, from coarse to fine.

    The image is zoomed out ``octaves - 1`` times. From the smallest size on, the detail found so far is enlarged,
    added to the image of that size, and refined by ``iterations`` steps, each on the image shifted in a circle by
    up to ``jitter`` pixels, and clipped to [0, 1]. Defaults are the released notebook's (google/deepdream).

    Args:
        amplifier: :class:`Amplifier` of a network's tap.
        image: float (H, W, 3) in [0, 1].
        step: mean absolute change of a value in a step.
        seed: of the shifts.
        progress: called after each step.

    Returns:
        ``(image, gains)``: float32 (H, W, 3) in [0, 1]; for each octave, the smallest first, the objective before
        and after its steps.

    Raises:
        ConfigError: if an argument is outside its range, or the smallest octave is shorter than :data:`LEAST_SIZE`.
    """
    image = _checked(image)
    check_values(0, 1, "RGB", "divide levels of 0 to 255 by 255", image=image)
    leasts = {"octaves": 1, "scale": 1, "iterations": 1, "step": 0, "jitter": 0}
    values = (octaves, scale, iterations, step, jitter)
    for (name, least), value in zip(leasts.items(), values, strict=True):
        if not value >= least:
            raise ConfigError(f"`{name}` must be at least {least}. Received: {name}={value!r}")
    sizes = octave_sizes(*image.shape[:2], octaves, scale)
    if min(sizes[-1]) < LEAST_SIZE:
        raise ConfigError(
            f"`octaves`: the smallest has {sizes[-1][0]}x{sizes[-1][1]} pixels, {LEAST_SIZE} are needed; give a "
            f"larger image or fewer octaves. Received: octaves={octaves}"
        )
    bases = [image]
    for size in sizes[1:]:
        bases.append(_zoom(bases[-1], size))
    rng, detail, gains = np.random.default_rng(seed), np.zeros_like(bases[-1]), []
    for base in reversed(bases):
        start = np.clip(base + _zoom(detail, base.shape[:2]), 0.0, 1.0)
        found = start
        for _ in range(iterations):
            shift = tuple(rng.integers(-jitter, jitter + 1, size=2).tolist())
            found = np.clip(amplifier.step(found, step, shift), 0.0, 1.0)
            if progress is not None:
                progress()
        gains.append((amplifier.objective(start), amplifier.objective(found)))
        detail = found - base
    return found, gains


def _zoom(image, size):
    return image if image.shape[:2] == tuple(size) else tf.image.resize(image, size, method="bilinear").numpy()
