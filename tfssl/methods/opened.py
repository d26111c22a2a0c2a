"""What methods and their portable networks say about a field ``backbone``: no pydantic, no Pillow, no Keras."""

OPEN_STRIDE = 8
"""Pixels per grid cell of predictions that are decoded from a network of others."""


def is_open(backbone):
    """Whether a value of a field ``backbone`` is a network of others, see :mod:`tfssl.methods.backbone`."""
    return not isinstance(backbone, str) or ":" in backbone
