"""Group the pixels of an image, or the frames of a clip."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard, overload

import numpy as np
from PIL import Image

from tfssl import runtime
from tfssl.errors import ConfigError, ModelError
from tfssl.options import as_path
from tfssl.resources import find_model, method_of

if TYPE_CHECKING:
    from tfssl.grouping.group import Grouping
    from tfssl.grouping.scenes import Scenes

    Pathlike = str | os.PathLike[str]


@overload
def group(
    image: Pathlike | bytes | Image.Image | np.ndarray,
    *,
    model: None = None,
    progress: Callable | None = None,
    **options: Any,
) -> Grouping:
    """Of a photograph, by its own pixels."""


@overload
def group(
    image: Pathlike | bytes | Image.Image | np.ndarray,
    *,
    model: Pathlike,
    progress: Callable | None = None,
    **options: Any,
) -> Grouping | Scenes:
    """Of a photograph or a clip, by a network."""


def group(
    image: Pathlike | bytes | Image.Image | np.ndarray,
    *,
    model: Pathlike | None = None,
    progress: Callable | None = None,
    **options: Any,
) -> Grouping | Scenes:
    """Find what belongs together in a photograph, or which frames of a clip do.

    Args:
        image: as ``image`` of :func:`tfssl.colorize`; or the path of a clip.
        model: None for a photograph whose own pixels say what belongs together; or a run of ``co_occurrence``, for a
            photograph one that learned from patches, for a clip one that learned from frames or photographs.
        progress: called with (steps done, in all), of a photograph.
        **options: of :class:`tfssl.grouping.group.Grouper`: ``groups``, ``size``, ...; of a clip those of
            :class:`tfssl.grouping.scenes.SceneGrouper`.

    Returns:
        :class:`~tfssl.grouping.group.Grouping`: ``boundaries``, ``groups``, ``proposals``; of a clip
        :class:`~tfssl.grouping.scenes.Scenes`: ``times``, ``labels``, ``shots``.

    Raises:
        SourceError, ArgumentError: if the image cannot be read, or is none.
        ConfigError: for an option that there cannot be, an image that is too small or of one color.
        ModelError: if the model is of another method or learned from something else, or cannot be loaded.
    """
    if is_clip(image):
        if model is None:
            raise ConfigError(f"`model` is missing: {os.fspath(image)!r} is a clip; give a run of co_occurrence")
        from tfssl.data.clips import Clip, clip_source
        from tfssl.grouping.scenes import read_scene_grouper

        scenes = read_scene_grouper(options)
        (path,) = clip_source([os.fspath(as_path("image", image))]).paths
        with runtime.measuring():
            return scenes(Clip(path), frame_affinities(model))
    from tfssl.data.images import any_image
    from tfssl.grouping.group import read_grouper

    grouper = read_grouper(options, learned=model is not None)
    if model is None:
        return grouper(any_image(image), progress)
    with runtime.measuring():
        return grouper(any_image(image), progress, pixel_affinities(model))


def is_clip(image: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether something is the path of a clip, by its ending."""
    from tfssl.data.clips import EXTENSIONS

    return isinstance(image, (str, os.PathLike)) and os.fspath(image).lower().endswith(EXTENSIONS)


def frame_affinities(model: Pathlike) -> Callable:
    """What tells, of a list of ``PIL.Image``, the affinity of each two: float (n, n).

    Args:
        model: a run of ``co_occurrence`` that did not learn from patches, see :func:`tfssl.load`.

    Raises:
        ModelError: if it is of another method, learned from patches, or cannot be loaded.
    """
    method, network = _of_context(model, ("frames", "photographs"), "clips")

    def affinities(images):
        return method.affinities(network, images)

    return affinities


def pixel_affinities(model: Pathlike) -> Callable:
    """What gives, of the pixels of an image, :class:`tfssl.methods.co_occurrence.affinity.PixelAffinity`.

    Args:
        model: a run of ``co_occurrence`` that learned from patches, see :func:`tfssl.load`.

    Raises:
        ModelError: if it is of another method, did not learn from patches, or cannot be loaded.
    """
    method, network = _of_context(model, ("patches",), "photographs")

    def affinity(pixels):
        return method.pixel_affinity(network, pixels)

    return affinity


def _of_context(model, contexts, what):
    find_model(as_path("model", model))
    found = method_of(model)
    if found not in (None, "co_occurrence"):
        raise ModelError(f"`model` {str(model)!r} is a {found} model; give one of co_occurrence")
    from tfssl.api import load

    method, network = load(model)
    if method.context not in contexts:
        raise ModelError(
            f"`model` {str(model)!r} learned from {method.context}; {what} need one that learned from "
            f"{' or '.join(contexts)}"
        )
    return method, network
