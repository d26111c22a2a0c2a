"""Where images come from, and how they become reproducible batches of crops."""

from typing import TYPE_CHECKING

from tfssl.imports import lazy

if TYPE_CHECKING:
    from tfssl.data.builtin import builtin_gray_photographs as builtin_gray_photographs
    from tfssl.data.builtin import builtin_photographs as builtin_photographs
    from tfssl.data.crop import Crop as Crop
    from tfssl.data.decode import array_to_image as array_to_image
    from tfssl.data.decode import decode_image as decode_image
    from tfssl.data.examples import Skipped as Skipped
    from tfssl.data.images import ArraySource as ArraySource
    from tfssl.data.images import FileSource as FileSource
    from tfssl.data.images import ImageSource as ImageSource
    from tfssl.data.images import image_source as image_source
    from tfssl.data.pipeline import batches as batches
    from tfssl.data.shards import write_shards as write_shards
    from tfssl.data.source import Source as Source
    from tfssl.data.source import check_source as check_source
    from tfssl.data.tfds import tfds_source as tfds_source
    from tfssl.data.tfrecord import TFRecordSource as TFRecordSource
    from tfssl.data.workers import ParallelSource as ParallelSource

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "builtin": "builtin_gray_photographs builtin_photographs",
        "crop": "Crop",
        "decode": "array_to_image decode_image",
        "examples": "Skipped",
        "images": "ArraySource FileSource ImageSource image_source",
        "pipeline": "batches",
        "shards": "write_shards",
        "source": "Source check_source",
        "tfds": "tfds_source",
        "tfrecord": "TFRecordSource",
        "workers": "ParallelSource",
    },
)
