"""Where images, clips, sounds and captions come from, and how they become reproducible batches."""

from typing import TYPE_CHECKING

from tfssl.imports import lazy

if TYPE_CHECKING:
    from tfssl.data.acted import ActedSource as ActedSource, acted_clips as acted_clips
    from tfssl.data.action_clips import (
        ActionClipSource as ActionClipSource,
        action_clip_source as action_clip_source,
        write_clip as write_clip,
    )
    from tfssl.data.builtin import (
        builtin_gray_photographs as builtin_gray_photographs,
        builtin_photographs as builtin_photographs,
    )
    from tfssl.data.captions import CaptionedSource as CaptionedSource, captioned_source as captioned_source
    from tfssl.data.clip_classes import LabeledClips as LabeledClips, labeled_clips as labeled_clips
    from tfssl.data.clips import (
        Clip as Clip,
        ClipSource as ClipSource,
        ImageClip as ImageClip,
        clip_source as clip_source,
    )
    from tfssl.data.corridors import CorridorSource as CorridorSource, corridor_source as corridor_source
    from tfssl.data.crop import Crop as Crop
    from tfssl.data.decode import array_to_image as array_to_image, decode_image as decode_image
    from tfssl.data.digits import MovingDigits as MovingDigits, moving_digits as moving_digits
    from tfssl.data.examples import Skipped as Skipped, spread_examples as spread_examples
    from tfssl.data.images import (
        ArraySource as ArraySource,
        FileSource as FileSource,
        ImageSource as ImageSource,
        image_source as image_source,
        tfds_source as tfds_source,
    )
    from tfssl.data.moved import motion_pairs as motion_pairs, moved_pairs as moved_pairs
    from tfssl.data.moving import Miner as Miner
    from tfssl.data.part_labeled import (
        PartLabeledClips as PartLabeledClips,
        part_labeled_clips as part_labeled_clips,
        write_part_labeled as write_part_labeled,
    )
    from tfssl.data.percepts import PerceptSource as PerceptSource, percept_source as percept_source
    from tfssl.data.pipeline import batches as batches
    from tfssl.data.posed import (
        PosedSource as PosedSource,
        posed_source as posed_source,
        write_sequence as write_sequence,
    )
    from tfssl.data.posed_clips import PosedClipSource as PosedClipSource, posed_clip_source as posed_clip_source
    from tfssl.data.pushed import PushedSource as PushedSource, pushed_source as pushed_source
    from tfssl.data.rendered import (
        FrameClip as FrameClip,
        MovingSource as MovingSource,
        StereogramSource as StereogramSource,
        moving_source as moving_source,
        random_dots as random_dots,
        right_view as right_view,
        shifted_pairs as shifted_pairs,
        stereogram_source as stereogram_source,
    )
    from tfssl.data.rendered_captions import CaptionedShapes as CaptionedShapes, captioned_shapes as captioned_shapes
    from tfssl.data.rendered_shapes import labeled_shapes as labeled_shapes
    from tfssl.data.rendered_sounds import (
        SoundingSceneSource as SoundingSceneSource,
        sounding_scenes as sounding_scenes,
    )
    from tfssl.data.rgbd import (
        HHASource as HHASource,
        RGBDSource as RGBDSource,
        hha_source as hha_source,
        rgbd_source as rgbd_source,
        write_hha as write_hha,
    )
    from tfssl.data.scenes import SceneSource as SceneSource, scene_clips as scene_clips
    from tfssl.data.shards import write_shards as write_shards
    from tfssl.data.sounding import SoundingSource as SoundingSource, sounding_source as sounding_source
    from tfssl.data.sounds import Sound as Sound, SoundSource as SoundSource, sound_source as sound_source
    from tfssl.data.source import Source as Source, check_source as check_source
    from tfssl.data.splits import read_splits as read_splits, split_images as split_images, write_splits as write_splits
    from tfssl.data.stereo import StereoSource as StereoSource, stereo_source as stereo_source
    from tfssl.data.stereo_clips import (
        StereoClipSource as StereoClipSource,
        StereoFrameSource as StereoFrameSource,
        stereo_clip_source as stereo_clip_source,
    )
    from tfssl.data.styles import StyleRenderings as StyleRenderings, rendered_styles as rendered_styles
    from tfssl.data.tagged import TaggedImages as TaggedImages, tagged_images as tagged_images
    from tfssl.data.tfrecord import TFRecordSource as TFRecordSource
    from tfssl.data.track_crops import TrackCropSource as TrackCropSource, track_crop_source as track_crop_source
    from tfssl.data.track_mining import mine_tracks as mine_tracks
    from tfssl.data.tracks import TrackSource as TrackSource, track_source as track_source
    from tfssl.data.turntables import turned_views as turned_views, turning_clips as turning_clips
    from tfssl.data.windows import draw_window as draw_window, square_frames as square_frames
    from tfssl.data.workers import ParallelSource as ParallelSource
else:
    # The sources work without TensorFlow, which takes seconds to import.
    __getattr__, __dir__, __all__ = lazy(__name__, __file__)
