"""Synthesize an image."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tfssl import runtime
from tfssl.encoders import load_trunk
from tfssl.errors import ConfigError
from tfssl.synthesis.recipe import check_inputs, read_recipe

if TYPE_CHECKING:
    from tfssl.synthesis.synthesize import Synthesis

    Pathlike = str | os.PathLike[str]


def synthesize(
    reference: Pathlike | bytes | Image.Image | np.ndarray,
    *,
    content: Pathlike | bytes | Image.Image | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    model: Pathlike = "vgg16",
    seed: int = 0,
    progress: Callable | None = None,
    **options: Any,
) -> Synthesis:
    """Synthesize an image whose features have the statistics of a reference.

    Args:
        reference: the texture, the style, or what a hole is filled with; as ``image`` of :func:`tfssl.colorize`.
        content: the image that is changed, of the tasks style, season and inpaint.
        mask: bool (H, W) of the content, True where it is filled; None leaves a band of a tenth around it.
        model: see :func:`tfssl.encoders.load_trunk`.
        seed: of the noise to start from.
        progress: called after each iteration with (iterations done, in all, ``{kind of term: value}``).
        **options: of :class:`tfssl.synthesis.recipe.Recipe`: ``task``, ``size``, ``iterations``, ...

    Returns:
        :class:`~tfssl.synthesis.synthesize.Synthesis`: the ``image``, the ``terms`` at the end, their ``history``.

    Raises:
        SourceError, ArgumentError: if an image cannot be read, or is none.
        ConfigError: for an option that there cannot be, and inputs that the task does not have.
        ModelError: if the model cannot be loaded.
    """
    from tfssl.data.images import any_image

    recipe = read_recipe(options)
    check_inputs([recipe], content, mask)
    read = any_image(reference)
    changed = None if content is None else any_image(content)
    if mask is not None and changed is not None:
        wanted = changed.size[::-1]
        if mask.dtype != bool or mask.shape != wanted:
            raise ConfigError(f"`mask` must be bool {wanted}, as the content. Received: {mask.dtype} {mask.shape}")
    encoder = load_trunk(model)
    from tfssl.synthesis.synthesize import Synthesizer

    with runtime.measuring():
        return Synthesizer(encoder, recipe)(read, content=changed, mask=mask, seed=seed, progress=progress)
