"""Where images come from, and how they become reproducible batches of crops."""

import importlib

# Names and the modules they live in: the sources work without TensorFlow, which takes seconds to import.
_EXPORTS = {
    "ArraySource": "images",
    "Crop": "crop",
    "FileSource": "images",
    "ImageSource": "images",
    "ParallelSource": "workers",
    "Skipped": "examples",
    "TFRecordSource": "tfrecord",
    "Source": "source",
    "array_to_image": "decode",
    "batches": "pipeline",
    "builtin_gray_photographs": "builtin",
    "builtin_photographs": "builtin",
    "check_source": "source",
    "decode_image": "decode",
    "image_source": "images",
    "spread_examples": "spread",
    "tfds_source": "tfds",
    "CaptionedSource": "captions",
    "Clip": "clips",
    "ClipSource": "clips",
    "PosedSource": "posed",
    "RGBDSource": "rgbd",
    "Sound": "sounds",
    "SoundSource": "sounds",
    "StereoSource": "stereo",
    "captioned_source": "captions",
    "clip_source": "clips",
    "posed_source": "posed",
    "rgbd_source": "rgbd",
    "sound_source": "sounds",
    "stereo_source": "stereo",
}

__all__ = list(_EXPORTS)


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"tfssl.data.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'tfssl.data' has no attribute {name!r}")


def __dir__():
    return __all__
