"""Synthesize an image."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tfssl import runtime
from tfssl.api import load_encoder
from tfssl.errors import ConfigError, ModelError
from tfssl.options import as_path
from tfssl.synthesis.recipe import check_inputs, read_recipe

if TYPE_CHECKING:
    import keras

    from tfssl.synthesis.synthesize import Synthesis

    Pathlike = str | os.PathLike[str]


def load_trunk(model: Pathlike = "vgg16") -> keras.Model:
    """Load an encoder for synthesis.

    Args:
        model: ``"vgg16"``, the trunk trained on ImageNet of the extra ``pretrained``, with average pooling; or as
            :func:`load_encoder`.

    Raises:
        ConfigError, ModelError: as :func:`load_encoder`, for an encoder of something else than images, and with the
            fix, where the extra is not installed.
    """
    if os.fspath(as_path("model", model)) != "vgg16":
        encoder = load_encoder(model)
        modality = getattr(encoder, "modality", "image")
        if modality != "image":
            raise ModelError(f"{os.fspath(model)} is an encoder of modality {modality!r}; give one of images")
        return encoder
    runtime.check_backend()
    from tfssl.backbones.imagenet import imagenet_vgg16

    with runtime.precision():
        return imagenet_vgg16("average")


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
        reference: the texture, the style, or what a hole is filled with; as ``image`` of :func:`colorize`.
        content: the image that is changed, of the tasks style, season and inpaint.
        mask: bool (H, W) of the content, True where it is filled; None leaves a band of a tenth around it.
        model: see :func:`load_trunk`.
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
