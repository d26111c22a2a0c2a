"""Small encoders."""

from ..visualization.conftest import networks  # noqa: F401
