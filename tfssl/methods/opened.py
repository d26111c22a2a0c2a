"""What methods and their portable networks say about a field ``backbone``: no pydantic, no Pillow, no Keras."""

OPEN_STRIDE = 8
"""Pixels per grid cell of predictions that are decoded from a network of others."""


def is_open(backbone):
    """Whether a value of a field ``backbone`` is a network of others, see :mod:`tfssl.methods.backbone`."""
    return not isinstance(backbone, str) or ":" in backbone


def check_batch_norm(method, backbone, without=()):
    """Refuse constants of batch normalization for a network that has none, or that brings its own.

    Raises:
        ValueError: if a field ``batch_norm_...`` is set for a network of others, or one of the names in ``without``.
    """
    given = {name: getattr(method, name) for name in ("batch_norm_epsilon", "batch_norm_momentum")}
    for name, value in given.items():
        if value is not None and (is_open(backbone) or backbone in without):
            reason = "brings its own" if is_open(backbone) else "has no batch normalization"
            raise ValueError(f"`{name}`: the network {backbone!r} {reason}; leave it out. Received: {name}={value}")
