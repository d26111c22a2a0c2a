"""Corruption of images and codes: what a denoising autoencoder has to undo."""

import dataclasses
import math

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_floating, check_integers, check_shapes

KINDS = ("none", "masking", "salt_and_pepper", "gaussian", "pixel", "block")
"""What :class:`Corruption` can do."""


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One corruption process q(x~ | x); components that are left alone keep their value (Vincent et al. 2008).

    - ``"none"``: x~ = x, the ordinary autoencoder;
    - ``"masking"``: a fraction of the components becomes ``fill``;
    - ``"salt_and_pepper"``: a fraction of the components becomes ``low`` or ``high``, each with probability 1/2;
    - ``"gaussian"``: x~ = x + N(0, amount^2), every component counts as corrupted;
    - ``"pixel"``: a fraction of the pixels becomes ``fill``, all their channels together;
    - ``"block"``: a fraction of the squares of ``block`` pixels, laid out from the upper left corner, becomes ``fill``.

    Args:
        kind: one of :data:`KINDS`; those from "pixel" on are not the paper's.
        amount: the fraction nu in [0, 1], or the standard deviation in units of x for ``"gaussian"``.
        exact: whether exactly round(nu n) of the n components (pixels, squares) of each example are hit (2008), or each
            one with probability nu (the tutorial's code).
        fill, low, high: values of masked components, of pepper and of salt, in units of x.
        clip: whether Gaussian noise is clipped to [low, high].
        block: size of the squares in pixels.
    """

    kind: str = "masking"
    amount: float = 0.3
    exact: bool = True
    fill: float = 0.0
    low: float = 0.0
    high: float = 1.0
    clip: bool = False
    block: int = 8

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ConfigError(f"`corruption` must be one of {', '.join(KINDS)}. Received: corruption={self.kind!r}")
        largest = math.inf if self.kind == "gaussian" else 1.0
        if not 0 <= self.amount <= largest:
            raise ConfigError(
                f"`noise` must be a fraction in [0, 1], or not negative for gaussian. Received: noise={self.amount!r}"
            )
        check_integers(1, block=self.block)

    @property
    def fraction(self):
        """Fraction of components that count as corrupted, in [0, 1]."""
        return {"none": 0.0, "gaussian": 1.0}.get(self.kind, self.amount)

    def apply(self, x, uniform, normal, xp):
        """Corrupt a batch; random numbers and array functions come from the caller, in NumPy or of any Keras backend.

        Args:
            x: float array (B, ...); (B, H, W, C) for ``"pixel"`` and ``"block"``.
            uniform: function (shape) -> new numbers, uniform in [0, 1).
            normal: function (shape) -> new numbers from N(0, 1), of the type of x.
            xp: ``numpy`` or ``keras.ops``.

        Returns:
            ``(x~, J)``, both of the shape and type of x; J is 1 where a component is corrupted and 0 elsewhere.
        """
        check_shapes(x=(x, "B H W C" if self.kind in ("pixel", "block") else "... n"))
        check_floating(x=x)
        if self.kind == "none":
            return x, xp.zeros_like(x)
        if self.kind == "gaussian":
            noisy = x + self.amount * normal(xp.shape(x))
            return (xp.clip(noisy, self.low, self.high) if self.clip else noisy), xp.ones_like(x)
        hit = self._hit(x, uniform, xp)
        if self.kind == "salt_and_pepper":
            pepper = uniform(xp.shape(x)) < 0.5
            value = xp.where(pepper, xp.full_like(x, self.low), xp.full_like(x, self.high))
        else:
            value = xp.full_like(x, self.fill)
        return xp.where(hit, value, x), xp.where(hit, xp.ones_like(x), xp.zeros_like(x))

    def _hit(self, x, uniform, xp):
        shape = xp.shape(x)
        if self.kind == "pixel":
            units = (shape[0], *x.shape[1:3], 1)
        elif self.kind == "block":
            units = (shape[0], *(-(-size // self.block) for size in x.shape[1:3]), 1)
        else:
            units = (shape[0], *x.shape[1:])
        hit = xp.reshape(self._chosen(uniform((units[0], math.prod(units[1:]))), xp), units)
        if self.kind == "block":
            hit = xp.repeat(xp.repeat(hit, self.block, axis=1), self.block, axis=2)
            hit = hit[:, : x.shape[1], : x.shape[2]]
        return xp.broadcast_to(hit, shape)

    def _chosen(self, draws, xp):
        if not self.exact:
            return draws < self.amount
        ranks = xp.argsort(xp.argsort(draws, axis=-1), axis=-1)
        return ranks < round(self.amount * draws.shape[-1])
