"""From a trained model to a server or a phone: SavedModel, LiteRT, and the check of what was written."""

import importlib

# Imported when first used: `python -m tfssl.export.check` must not find its module loaded already.
_EXPORTS = {
    "check_export": "tfssl.export.check",
    "export_run": "tfssl.export.run",
    "export_savedmodel": "tfssl.export.savedmodel",
    "export_tflite": "tfssl.export.tflite",
    "load_savedmodel": "tfssl.export.savedmodel",
}

__all__ = list(_EXPORTS)


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
