"""Where images, clips, sounds and captions come from, and how they become reproducible batches."""

from typing import TYPE_CHECKING

from tfssl.imports import lazy

if TYPE_CHECKING:
    from tfssl.data.builtin import builtin_gray_photographs as builtin_gray_photographs
    from tfssl.data.builtin import builtin_photographs as builtin_photographs
    from tfssl.data.captions import CaptionedSource as CaptionedSource
    from tfssl.data.captions import captioned_source as captioned_source
    from tfssl.data.clips import Clip as Clip
    from tfssl.data.clips import ClipSource as ClipSource
    from tfssl.data.clips import clip_source as clip_source
    from tfssl.data.crop import Crop as Crop
    from tfssl.data.decode import array_to_image as array_to_image
    from tfssl.data.decode import decode_image as decode_image
    from tfssl.data.examples import Skipped as Skipped
    from tfssl.data.images import ArraySource as ArraySource
    from tfssl.data.images import FileSource as FileSource
    from tfssl.data.images import ImageSource as ImageSource
    from tfssl.data.images import image_source as image_source
    from tfssl.data.pipeline import batches as batches
    from tfssl.data.posed import PosedSource as PosedSource
    from tfssl.data.posed import posed_source as posed_source
    from tfssl.data.rgbd import RGBDSource as RGBDSource
    from tfssl.data.rgbd import rgbd_source as rgbd_source
    from tfssl.data.shards import write_shards as write_shards
    from tfssl.data.sounds import Sound as Sound
    from tfssl.data.sounds import SoundSource as SoundSource
    from tfssl.data.sounds import sound_source as sound_source
    from tfssl.data.source import Source as Source
    from tfssl.data.source import check_source as check_source
    from tfssl.data.spread import spread_examples as spread_examples
    from tfssl.data.stereo import StereoSource as StereoSource
    from tfssl.data.stereo import stereo_source as stereo_source
    from tfssl.data.tfds import tfds_source as tfds_source
    from tfssl.data.tfrecord import TFRecordSource as TFRecordSource
    from tfssl.data.workers import ParallelSource as ParallelSource
else:
    # The sources work without TensorFlow, which takes seconds to import.
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "builtin": "builtin_gray_photographs builtin_photographs",
            "captions": "CaptionedSource captioned_source",
            "clips": "Clip ClipSource clip_source",
            "crop": "Crop",
            "decode": "array_to_image decode_image",
            "examples": "Skipped",
            "images": "ArraySource FileSource ImageSource image_source",
            "pipeline": "batches",
            "posed": "PosedSource posed_source",
            "rgbd": "RGBDSource rgbd_source",
            "shards": "write_shards",
            "sounds": "Sound SoundSource sound_source",
            "source": "Source check_source",
            "spread": "spread_examples",
            "stereo": "StereoSource stereo_source",
            "tfds": "tfds_source",
            "tfrecord": "TFRecordSource",
            "workers": "ParallelSource",
        },
    )
