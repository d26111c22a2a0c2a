"""Clips beside a few labeled images: in which company they come, broken ones, kept frames, rendered objects."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfssl.data.examples import Examples, Skipped
from tfssl.data.part_labeled import KeptClips, PartLabeledClips, part_labeled_clips, write_part_labeled
from tfssl.data.rendered import FrameClip
from tfssl.data.source import check_source
from tfssl.data.turntables import turned_object, turned_views, turning_clips, view_of
from tfssl.errors import ConfigError, SourceError


class Numbers(list):
    """Clips and images that are numbers."""

    labels, classes, noun = (0, 1), ("a", "b"), "numbers"

    def example(self, index):
        if self[index] is None:
            raise ValueError("it is broken")
        return {"clip": self[index], "image": self[index], "label": 0}

    def name(self, index):
        return f"{index} of {len(self)}"

    def check(self, index):
        self.example(index)


@pytest.fixture
def folder(tiny_data, tmp_path):
    return Path(shutil.copytree(tiny_data("part-labeled clips"), tmp_path / "data"))


@pytest.mark.parametrize("clips, images", [(2, 3), (3, 3), (4, 6), (1, 5), (5, 1)])
def test_every_clip_comes_with_every_image(clips, images):
    source = PartLabeledClips(Numbers(range(clips)), Numbers(range(images)))
    items = [source.example(index) for index in range(len(source))]
    assert {(item["clip"], item["image"]) for item in items} == {(c, i) for c in range(clips) for i in range(images)}
    assert len(source) == clips * images


def test_there_is_an_end_to_combinations():
    source = PartLabeledClips(Numbers(range(10_000)), Numbers(range(1000)))
    assert len(source) == 2**22 and source.example(2**22 - 1)["clip"] == (2**22 - 1) % 10_000


def test_broken_files_are_named_once_and_cost_nothing_else():
    source = PartLabeledClips(Numbers([0, None, 2, 3, 4]), Numbers([0, None, 2]))
    skipped = Skipped()
    examples = Examples(source, lambda example, rng, training: (example["clip"], example["image"]), training=True)
    clips, images = examples.load(0, 150, skipped)
    assert skipped.reasons == {"1 of 5": "it is broken", "1 of 3": "it is broken"}
    assert set(clips.tolist()) == {0, 2, 3, 4} and set(images.tolist()) == {0, 2}
    with pytest.raises(SourceError, match=r"the last one '. of .': it is broken"):
        Examples(PartLabeledClips(Numbers([0]), Numbers([None])), lambda *_: (), training=True).load(0, 1, Skipped())


def test_a_folder_holds_what_was_written(folder):
    source = part_labeled_clips(folder)
    assert len(source.clips) == 6 and len(source.labeled) == 6 and source.labeled.classes[2] == "object02"
    rendered = turning_clips(objects=3, count=2, frames=12).example(1)["clip"]
    clip = source.clips.example(1)["clip"]
    np.testing.assert_array_equal(clip.frames(np.arange(12)), rendered.frames(np.arange(12)))
    np.testing.assert_allclose(clip.times, rendered.times, atol=1e-3)
    image = turned_views(objects=3).example(3)["image"]
    np.testing.assert_array_equal(source.labeled.example(3)["image"], image)
    assert source.labeled.example(3)["label"] == 1
    assert part_labeled_clips(folder, classes=("x", "object00", "object01", "object02")).labeled.labels[0] == 1


def test_other_folders_are_refused(folder):
    shutil.move(folder / "labeled", folder / "labels")
    with pytest.raises(
        SourceError, match="`data` has no folder labeled/; give a folder that holds clips/ with clips and"
    ):
        part_labeled_clips(folder)
    with pytest.raises(SourceError, match="Received: data=7"):
        part_labeled_clips(7)


def test_clips_are_kept_while_there_is_room(folder):
    source = part_labeled_clips(folder, min_size=16)
    assert isinstance(source.clips, KeptClips) and isinstance(source.clips.example(0)["clip"], FrameClip)
    clips = source.clips.source
    bytes_of_one = 12 * 16 * 16 * 3
    kept = KeptClips(clips, 2 * bytes_of_one + 1)
    found = [kept.example(index)["clip"] for index in (0, 1, 2, 0)]
    assert [isinstance(clip, FrameClip) for clip in found] == [True, True, False, True]
    assert found[3] is found[0]
    np.testing.assert_array_equal(found[2].frames([3]), clips.example(2)["clip"].frames([3]))
    np.testing.assert_array_equal(found[0].frames([3]), clips.example(0)["clip"].frames([3]))
    np.testing.assert_array_equal(found[0].times, clips.example(0)["clip"].times)
    assert isinstance(pickle.loads(pickle.dumps(kept)).example(2)["clip"], FrameClip), (
        "with the room of its own process"
    )


def test_a_clip_with_a_broken_frame_is_not_kept():
    class Broken(FrameClip):
        def frames(self, indices):
            if 3 in np.asarray(indices):
                raise ValueError("frame 3 cannot be decoded")
            return super().frames(indices)

    pixels = np.zeros((5, 8, 8, 3), np.uint8)
    kept = KeptClips(Numbers([Broken(pixels), FrameClip(pixels)]), 5 * 8 * 8 * 3)
    assert isinstance(kept.example(0)["clip"], Broken)
    assert kept.example(1)["clip"] is kept.example(1)["clip"] is not kept.source[1], "its room is free again"


def test_a_broken_clip_is_named(folder):
    broken = sorted((folder / "clips").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:200])
    source = part_labeled_clips(folder)
    with pytest.raises(ValueError) as caught:
        source.example(0)
    assert caught.value.name == str(broken) == source.name(0)
    source.example(1)


def test_a_source_of_broken_images_is_refused():
    with pytest.raises(SourceError, match=r"mostly unreadable: 6 of 6 pairs .* \(0 of 2: it is broken; 1 of 2: it is"):
        check_source(PartLabeledClips(Numbers(range(3)), Numbers([None, None])))


def test_builtin_objects_turn():
    source = part_labeled_clips("builtin")
    assert len(source.labeled) == 20 and len(source.labeled.classes) == 10 and len(source.clips) == 100
    clip = source.clips.example(0)["clip"]
    assert len(clip) == 24 and clip.times[12] == 1.0 and clip.frames([0]).shape == (1, 32, 32, 3)


class TestTurntables:
    def test_a_sphere_by_hand(self):
        """Lit from the camera: brightest in the middle, ambient light alone at the rim, background beyond it."""
        sphere = np.zeros((1, 3)), np.eye(3)[None] / 0.5, np.array([0.8])
        view = view_of(sphere, 30.0, 20.0, np.array([0, 0, 1.0]), 100.0, 64)
        assert view[0, 0] == 100 and view.max() == pytest.approx(255 * 0.8, rel=0.01)
        assert np.unravel_index(view.argmax(), view.shape) in [(31, 31), (31, 32), (32, 31), (32, 32)]
        inside = (view != 100).sum() / view.size
        assert inside == pytest.approx(np.pi * 0.5**2 / 2.3**2, rel=0.05)
        np.testing.assert_allclose(view, view[::-1, ::-1])

    def test_what_is_nearer_hides_the_rest(self):
        things = np.array([[0, 0, 0.5], [0, 0, -0.5]]), np.stack([np.eye(3) / 0.3] * 2), np.array([1.0, 0.1])
        light = np.array([0, 0, 1.0])
        front, behind = (view_of(things, azimuth, 0.0, light, 0.0, 32)[16, 16] for azimuth in (0, 180))
        assert front > 240 and behind < 30

    def test_a_whole_turn_leads_back(self):
        thing, light = turned_object(4), np.array([0.2, 0.3, 1])
        np.testing.assert_allclose(
            view_of(thing, 17, 40, light, 120, 32), view_of(thing, 377, 40, light, 120, 32), atol=1e-6
        )

    def test_everything_follows_from_the_seed(self):
        one, again, other = (turned_views(objects=2, seed=seed).example(1)["image"] for seed in (3, 3, 4))
        np.testing.assert_array_equal(one, again)
        assert (np.asarray(one) != np.asarray(other)).any()

    @pytest.mark.parametrize("options", [{"objects": 1}, {"count": 0}, {"frames": 1}, {"size": 8}, {"step": 0}])
    def test_what_cannot_be_rendered_is_refused(self, options):
        with pytest.raises(ConfigError, match=f"`{next(iter(options))}` must be"):
            turning_clips(**options)


def test_rates_are_kept(tmp_path):
    clips = Numbers([FrameClip(np.zeros((6, 16, 16, 3), np.uint8), np.arange(6) / 29.97)])
    write_part_labeled(PartLabeledClips(clips, turned_views(objects=2)), tmp_path)
    assert part_labeled_clips(tmp_path).clips.example(0)["clip"].times[5] == pytest.approx(5 / 29.97, abs=2e-3)
