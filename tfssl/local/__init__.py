"""Local features before 2012: dense descriptors, a vocabulary, one vector of an image. A baseline of every task.

>>> encoder = tfssl.load_encoder("local:sift-bow")
>>> encoder.adapt(images)                          # its vocabulary, of training images: tasks do that themselves
>>> encoder(images)["pyramid"].shape
"""

import importlib.util

from tfssl.errors import ConfigError, ModelError, suggest

PREFIX = "local:"

NAMES = ("sift-bow", "sift-vlad", "sift-fisher", "hog", "lbp", "patches-kmeans")
"""Names of the encoders, see :func:`tfssl.local.encoders.local_encoder`."""


def is_local(source) -> bool:
    """Whether a source of :func:`tfssl.load_encoder` names local features."""
    return str(source).startswith(PREFIX)


def find_local(name: str) -> str:
    """The name of an encoder without its prefix, if it can be made here; TensorFlow is not needed to know that.

    Raises:
        ConfigError: for an unknown name.
        ModelError: if OpenCV, which computes SIFT, is not installed.
    """
    name = str(name).removeprefix(PREFIX)
    if name not in NAMES:
        known = ", ".join(PREFIX + one for one in NAMES)
        raise ConfigError(f"no local features are called {name!r}; {suggest(name, NAMES)} ({known})")
    if name.startswith("sift") and importlib.util.find_spec("cv2") is None:
        raise ModelError(f"{PREFIX}{name} needs OpenCV: pip install 'tfssl[detection]'")
    return name
