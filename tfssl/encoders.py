"""Encoders by name: of runs, exports, files, shipped models, and those that no data taught anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tfssl import runtime
from tfssl.errors import ModelError
from tfssl.local import find_local, is_local
from tfssl.options import as_path
from tfssl.resources import find_model

if TYPE_CHECKING:
    import keras

    Pathlike = str | os.PathLike[str]

PRETRAINED = ("vgg16", "efficientnet_lite0")
"""Encoders whose weights come with the extra ``pretrained``, see :data:`tfssl.backbones.imagenet.PRETRAINED`."""


@runtime.precision()
def load_encoder(source: Pathlike) -> keras.Model:
    """Load an encoder: what evaluations and transfer take.

    Args:
        source: as :func:`tfssl.load`; or the folder of an exported encoder, a .keras file of one,
            ``"random:BACKBONE"`` (a name of :data:`tfssl.backbones.BACKBONES`, untrained; RGB is shifted and scaled
            by (x - 0.5) / 0.25), ``"local:NAME"`` (local features, a name of :data:`tfssl.local.NAMES`; their
            vocabulary is not learned yet: ``encoder.adapt(images)``), ``"pixels"``, or ``"vgg16"`` or
            ``"efficientnet_lite0"``, trunks trained on ImageNet's labels, of the extra ``pretrained``.

    Returns:
        :class:`~tfssl.backbones.encoder.Encoder`: of images, RGB in [0, 1] or uint8, (B, H, W, 3) ->
        ``{tap: (B, h, w, c)}``; other values are a ConfigError when it is called.

    Raises:
        ModelError: if there is no such model, it is incomplete or no encoder, or a weight is missing.
        ConfigError: for an unknown backbone or unknown local features, and with the fix, where the extra is not
            installed.
    """
    from tfssl.backbones.encoder import Encoder, as_encoder
    from tfssl.backbones.registry import random_encoder
    from tfssl.evaluation.baselines import pixel_encoder
    from tfssl.export.run import load_source
    from tfssl.training.runs import read_network

    find_encoder(source)
    source = os.fspath(source)
    if source == "pixels":
        return as_encoder(pixel_encoder())
    if is_random(source):
        return random_encoder(source.removeprefix("random:"))
    if source in PRETRAINED:
        return _pretrained(source)
    if is_local(source):
        from tfssl.local.encoders import local_encoder

        return local_encoder(source)
    if source.endswith(".keras"):
        return as_encoder(read_network(as_path("source", source)), f"{source!r}")
    method, model = load_source(source)
    return model if isinstance(model, Encoder) else as_encoder(method.encoder(model))


def load_trunk(model: Pathlike = "vgg16") -> keras.Model:
    """Load an encoder for synthesis.

    Args:
        model: ``"vgg16"``, the trunk trained on ImageNet of the extra ``pretrained``, with average pooling; or as
            :func:`load_encoder`.

    Raises:
        ConfigError, ModelError: as :func:`load_encoder`, for an encoder of something else than images, and with the
            fix, where the extra is not installed.
    """
    if is_local(as_path("model", model)):
        raise ModelError(f"no gradients flow through {os.fspath(model)}, which synthesis needs; give a network")
    if os.fspath(model) != "vgg16":
        encoder = load_encoder(model)
        modality = getattr(encoder, "modality", "image")
        if modality != "image":
            raise ModelError(f"{os.fspath(model)} is an encoder of modality {modality!r}; give one of images")
        return encoder
    runtime.check_backend()
    with runtime.precision():
        return _pretrained("vgg16", pooling="average")


def _pretrained(name, **options):
    from tfssl.backbones import imagenet

    return imagenet.PRETRAINED[name](**options)


def is_random(source: Pathlike) -> bool:
    """Whether a source of :func:`load_encoder` names random weights."""
    return os.fspath(source).startswith("random:")


def find_encoder(source):
    """Refuse what is not there, before TensorFlow is imported."""
    path = as_path("source", source)
    if path.suffix == ".keras":
        if not path.is_file():
            raise ModelError(f"no such file: {str(path)!r}")
    elif is_local(path):
        find_local(str(path))
    elif str(path) not in ("pixels", *PRETRAINED) and not is_random(path):
        find_model(path)
