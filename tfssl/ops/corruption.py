"""Corruption of pictures and codes: what a denoising autoencoder has to undo.

The random numbers come from the caller, so that the same rules serve an input pipeline with stateless numbers and a
layer with a generator of its own.
"""

import dataclasses
import math

from keras import ops

from tfssl.errors import ConfigError

KINDS = ("none", "masking", "salt_and_pepper", "gaussian", "pixel", "block")
"""What :class:`Corruption` can do."""


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One corruption process q(x~ | x); components that are left alone keep their value exactly, nothing is rescaled.

    - ``"none"``: x~ = x, the ordinary autoencoder;
    - ``"masking"``: a share of the components becomes ``fill``;
    - ``"salt_and_pepper"``: a share of the components becomes ``low`` or ``high``, each with probability 1/2;
    - ``"gaussian"``: x~ = x + N(0, amount^2), every component counts as corrupted;
    - ``"pixel"``: a share of the pixels becomes ``fill``, all their channels together;
    - ``"block"``: a share of the squares of ``block`` pixels, laid out from the upper left corner, becomes ``fill``.

    Args:
        kind: one of :data:`KINDS`.
        amount: the share nu in [0, 1], or the standard deviation in units of x for ``"gaussian"``.
        exact: whether exactly round(nu n) of the n components (pixels, squares) of each example are hit (2008), or each
            one with probability nu (the tutorial's code).
        fill: value of masked components, in units of x.
        low: value of pepper.
        high: value of salt.
        clip: whether Gaussian noise is clipped to [low, high].
        block: side of the squares in pixels.

    Raises:
        ConfigError: in one line, if a value is out of range.

    Reference:
        P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol: Extracting and Composing Robust Features with Denoising
        Autoencoders. ICML 2008. The kinds from "pixel" on are for pictures and not the paper's.
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
                f"`noise` must be a share in [0, 1], or not negative for gaussian. Received: noise={self.amount!r}"
            )
        if self.block < 1:
            raise ConfigError(f"`block` must be at least 1 pixel. Received: block={self.block!r}")

    @property
    def share(self):
        """Share of components that count as corrupted, in [0, 1]."""
        return {"none": 0.0, "gaussian": 1.0}.get(self.kind, self.amount)

    def apply(self, x, uniform, normal):
        """Corrupt a batch.

        Args:
            x: float tensor (B, ...); (B, H, W, C) for ``"pixel"`` and ``"block"``.
            uniform: function (shape) -> float32 tensor of new numbers, uniform in [0, 1).
            normal: function (shape) -> float32 tensor of new numbers from N(0, 1).

        Returns:
            ``(x~, J)``, both of the shape and type of x; J is 1 where a component is corrupted and 0 elsewhere.
        """
        if self.kind == "none":
            return x, ops.zeros_like(x)
        if self.kind == "gaussian":
            noisy = x + self.amount * ops.cast(normal(ops.shape(x)), x.dtype)
            return (ops.clip(noisy, self.low, self.high) if self.clip else noisy), ops.ones_like(x)
        hit = self._hit(x, uniform)
        if self.kind == "salt_and_pepper":
            value = ops.where(uniform(ops.shape(x)) < 0.5, self.low, self.high)
        else:
            value = self.fill
        return ops.where(hit, ops.cast(value, x.dtype), x), ops.cast(hit, x.dtype)

    def _hit(self, x, uniform):
        """Which components to replace, bool of the shape of x."""
        shape = ops.shape(x)
        if self.kind == "pixel":
            places = (shape[0], *x.shape[1:3], 1)
        elif self.kind == "block":
            places = (shape[0], *(-(-side // self.block) for side in x.shape[1:3]), 1)
        else:
            places = (shape[0], *x.shape[1:])
        hit = ops.reshape(self._chosen(uniform((places[0], math.prod(places[1:])))), places)
        if self.kind == "block":
            hit = ops.repeat(ops.repeat(hit, self.block, axis=1), self.block, axis=2)
            hit = hit[:, : x.shape[1], : x.shape[2]]
        return ops.broadcast_to(hit, shape)

    def _chosen(self, draws):
        """Which of n places are hit, from uniform numbers (B, n)."""
        if not self.exact:
            return draws < self.amount
        ranks = ops.argsort(ops.argsort(draws, axis=-1), axis=-1)
        return ranks < round(self.amount * draws.shape[-1])
