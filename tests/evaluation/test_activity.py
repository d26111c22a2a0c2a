"""Activities in clips, with filters made by hand: a patch in one frame and the same patch moved in the next."""

import keras
import numpy as np
import pytest

from tfssl.data.acted import acted_clips
from tfssl.data.clip_classes import labeled_clips
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.tasks.activity import evaluate
from tfssl.evaluation.words import (
    BlockCodes,
    Vocabulary,
    cameras_and_frames,
    chi_square,
    clips_of,
    kernel_scores,
    super_blocks,
)
from tfssl.methods import Synchrony
from tfssl.methods.synchrony.data import whitening_of

SIZE, EACH = 9, 20
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))  # (x, y), of what is seen from the first side to the second one
OPTIONS = {"space_step": 5, "time_step": 3, "words": 40, "components": 20, "samples": 2000, "seeds": 1}


def detector(**fields):
    """An encoder of pairs of random filters of 5 pixels squared, the second of a pair moved against the first."""
    method = Synchrony(patch_size=SIZE, units=len(MOVES) * EACH, components=70, **fields)
    model, rng = method.model(), np.random.default_rng(0)
    sides = np.zeros((2, len(MOVES), EACH, SIZE, SIZE))
    for place, (x, y) in enumerate(MOVES):
        filters = rng.normal(size=(EACH, 5, 5))
        sides[0, place, :, 2:7, 2:7] = filters
        sides[1, place, :, 2 + y : 7 + y, 2 + x : 7 + x] = filters
    back = np.linalg.pinv(whitening_of(method)[1])
    product = model.get_layer("product")
    for kernel, filters in zip((product.kernel_x, product.kernel_y), sides, strict=True):
        kernel.assign(back @ filters.reshape(-1, SIZE * SIZE).T / 10)
    return method.encoder(model)


@pytest.fixture(scope="module")
def motion():
    return detector(form="motion", frames=2)


@pytest.fixture(scope="module")
def depth():
    return detector()


@pytest.fixture(scope="module")
def sets():
    options = {"motions": ("left", "right", "up", "down"), "count": 8, "frames": 8, "size": (32, 32), "noise": 1.0}
    photographs = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    photographs = photographs.repeat(3, axis=1).repeat(3, axis=2)
    return [acted_clips(list(photographs), speed=(0.8, 1.2), seed=seed, **options) for seed in range(2)]


@pytest.mark.slow
def test_directions_are_told_by_motion_and_not_by_depth(motion, depth, sets, tmp_path):
    told = []
    record = evaluate(
        motion, sets[0], test=sets[1], compare={"depth": depth}, fuse=["encoder", "depth"], out=tmp_path,
        progress=lambda *units: told.append(units), **OPTIONS,
    )  # fmt: skip
    found = record["map"]
    assert found.value > max(found.baselines["untrained"], found.baselines["depth"]) + 0.1
    assert set(found.baselines) == {"untrained", "depth", "average", "concatenate", "chance"}
    assert found.baselines["chance"] == 0.25 and record["accuracy"].baselines["chance"] == 0.25
    assert {f"ap_{name}" for name in sets[0].classes} < set(record)
    assert float(record["clips_train"]) == float(record["clips_test"]) == 32 and not record.skipped
    assert told[0][:2] == (0, told[-1][1]) and told[-1][0] == told[-1][1], "all work was announced"
    assert (tmp_path / "confusion.png").stat().st_size > 1000 and (tmp_path / "runs.csv").is_file()
    assert record.details["frames"] == {"encoder": [1, 2], "untrained": [1, 2], "depth": [2, 1]}


def test_super_blocks_hold_their_blocks_in_space_and_time():
    codes = np.arange(3 * 4 * 5 * 2, dtype=np.float32).reshape(3, 4, 5, 2)
    found = super_blocks(codes, 2)
    assert found.shape == (2 * 3 * 4, 8 * 2)
    np.testing.assert_array_equal(found[0].reshape(2, 2, 2, 2), codes[:2, :2, :2])
    np.testing.assert_array_equal(found[-1].reshape(2, 2, 2, 2), codes[-2:, -2:, -2:])
    with pytest.raises(ValueError, match=r"3x4x5 blocks .* hold no super-block of 4 along each axis"):
        super_blocks(codes, 4)


def test_blocks_are_the_frames_that_the_encoder_takes(motion, depth, sets):
    example = sets[0].example(0)
    clips = clips_of(example, 2)
    codes = BlockCodes(motion, "products", space_step=5, time_step=3)(clips)
    assert codes.shape == (3, 5, 5, 100), "starts 0, 3, 6 of 8 frames; 24 positions"
    frames = clips[0].frames([3, 4]).astype(np.float32)[None] / 255
    np.testing.assert_allclose(codes[1], np.asarray(motion(frames)["products"])[0, ::5, ::5], atol=1e-4)
    pairs = BlockCodes(depth, "products", space_step=5, time_step=3)(clips)
    frames = np.stack([clip.frames([6])[0] for clip in clips]).astype(np.float32)[None] / 255
    np.testing.assert_allclose(pairs[2], np.asarray(depth(frames)["products"])[0, ::5, ::5], atol=1e-4)
    assert BlockCodes(depth, "products", space_step=5, time_step=3, resize=16)(clips).shape[1:3] == (2, 2)


def test_words_are_counted_as_fractions():
    rng = np.random.default_rng(0)
    centers = 10 * np.eye(3, 6)
    vocabulary = Vocabulary.fit(np.repeat(centers, 20, axis=0) + rng.normal(0, 0.1, (60, 6)), 3, 2, 0)
    found = vocabulary.histogram(centers[[0, 0, 0, 2]])
    assert sorted(found) == [0.0, 0.25, 0.75]
    with pytest.raises(SourceError, match="`words` must be at most the 2 super-blocks"):
        Vocabulary.fit(centers[:2], 3, 2, 0)


def test_kernel_by_hand():
    # Distances sum (a - b)^2 / (a + b): 0 to itself, 2 of disjoint ones, 1/3 + 1/3 of (1/2, 1/2) to (1, 0)... by hand:
    # (1/2)^2 / (3/2) + (1/2)^2 / (1/2) = 1/6 + 1/2 = 2/3. Their mean over all pairs of training rows is 1.
    train = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(chi_square(train, train), [[1, np.exp(-2)], [np.exp(-2), 1]])
    np.testing.assert_allclose(chi_square(train, np.array([[0.5, 0.5]])), np.exp([[-2 / 3, -2 / 3]]))


def test_a_class_without_training_clips_is_ranked_last():
    kernel = np.eye(4)
    scores = kernel_scores(kernel, np.array([0, 0, 2, 2]), kernel[:1], 3, 10.0)
    assert scores.shape == (1, 3) and scores[0, 0] > scores[0, 2] and scores[0, 1] == -np.inf


def write(path, frames):
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def folder(sets, tmp_path):
    for part, source in zip(("train", "test"), sets, strict=True):
        for index in [label * 8 + number for label in range(2) for number in range(3)]:
            example = source.example(index)
            for role in ("left", "right"):
                frames = example[role].frames(np.arange(8))
                write(tmp_path / part / source.classes[example["label"]] / role / f"{index}.mp4", frames)
    return tmp_path


def test_clips_that_cannot_be_used_are_named_and_the_rest_goes_on(depth, motion, folder, sets):
    (folder / "train" / "left" / "right" / "0.mp4").unlink()
    short = folder / "train" / "right" / "right" / "8.mp4"
    whole = sets[0].example(8)["right"].frames(np.arange(8))
    write(short, whole[:5])
    for role in ("left", "right"):
        write(folder / "test" / "left" / role / "0.mp4", whole[:1])
    options = OPTIONS | {"words": 10}
    record = evaluate(depth, str(folder), compare={"motion": motion}, trained=False, **options)
    assert float(record["clips_train"]) == 4 and float(record["clips_test"]) == 5
    reasons = {name.split(folder.name)[1].strip("/\\"): reason for name, reason in record.skipped.items()}
    assert reasons == {
        "train/left/left/0.mp4": "the right of '0.mp4' (left) is missing",
        "train/right/left/8.mp4": "the left clip has 8 frames, the right one 5; cut them alike",
        "test/left/left/0.mp4": "a clip of 1 frame is shorter than a block of 2",
    }
    for role in ("left", "right"):
        for path in (folder / "train" / "left" / role).glob("*.mp4"):
            path.unlink(missing_ok=True)
            write(path, whole[:1])
    with pytest.raises(SourceError, match=r"`data`: fewer than two clips of class 'left' can be used \(.*0\.mp4"):
        evaluate(depth, str(folder), trained=False, **options)


def test_one_camera_is_enough_for_motion(motion, depth, folder, tmp_path):
    single = tmp_path / "single"
    for path in sorted(folder.glob("t*/*/left/*.mp4")):
        target = single / path.relative_to(folder).parts[0] / path.parent.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    options = OPTIONS | {"words": 10}
    record = evaluate(motion, str(single), trained=False, **options)
    assert float(record["clips_train"]) == 6 and np.isfinite(float(record["map"]))
    with pytest.raises(SourceError, match="has one camera, an encoder under comparison needs two"):
        evaluate(depth, str(single), trained=False, **options)
    assert len(labeled_clips(single / "train").take([0, 5])) == 2


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cells": 0}, "`cells` must be a positive integer"),
        ({"tap": "conv1"}, "`tap` must be one of products, codes"),
        ({"fuse": "encoder"}, "`fuse` must name two or more of encoder, untrained"),
        ({"fuse": ["encoder", "other"]}, "`fuse` must name two or more"),
    ],
)
def test_wrong_options_are_refused(motion, sets, options, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(motion, sets[0], test=sets[1], **OPTIONS | options)


def test_a_limit_is_that_of_clips(motion, sets):
    record = evaluate(motion, sets[0], test=sets[1], trained=False, limit=8, **OPTIONS)
    assert (float(record["clips_train"]), float(record["clips_test"])) == (8, 8)


def test_what_is_no_encoder_of_frames_is_refused(motion, sets):
    rgb = keras.Input((None, None, 3))
    with pytest.raises(ConfigError, match="modality='clip' or 'pair'"):
        evaluate(keras.Model(rgb, {"a": keras.layers.ReLU()(rgb)}), sets[0], test=sets[1])
    with pytest.raises(ConfigError, match="`compare`: the name 'average' is taken"):
        evaluate(motion, sets[0], test=sets[1], compare={"average": motion})
    with pytest.raises(SourceError, match="`test` must be LabeledClips"):
        evaluate(motion, sets[0])
    assert cameras_and_frames(motion) == (1, 2)
