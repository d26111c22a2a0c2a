"""Learning to see without labels, with Keras: pretext tasks, their evaluation, and automatic colorization.

>>> import tfssl
>>> picture = tfssl.colorize("grandmother.jpg")            # PIL.Image, with the model that ships
>>> method = tfssl.methods.Colorization(backbone="small", crop_size=96, resize=128)
>>> model = method.model()
>>> model.fit(method.dataset("photos/", batch_size=32), epochs=10)
"""

import importlib

__version__ = "0.1.0"

# Public names and the modules they live in. Importing tfssl imports none of them: TensorFlow takes seconds.
_EXPORTS = {
    "colorize": "tfssl.api",
    "evaluate": "tfssl.api",
    "fit": "tfssl.training.fit",
    "load": "tfssl.api",
    "load_encoder": "tfssl.api",
    "load_config": "tfssl.config",
    "train": "tfssl.training.fit",
}
_MODULES = ("methods", "ops", "layers", "backbones", "data", "evaluation", "export", "training", "visualization")

__all__ = ["__version__", *_EXPORTS, *_MODULES]


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"tfssl.{name}")
    raise AttributeError(f"module 'tfssl' has no attribute {name!r}")


def __dir__():
    return __all__
