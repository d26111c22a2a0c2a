"""Video prediction: the card's counts and hand-worked numbers, the sequence of steps, data, and what it learns."""

import keras
import numpy as np
import pytest
from keras import ops

import tfssl
from tfssl.data.pushed import pushed_source
from tfssl.data.rendered import FrameClip
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.methods.video_prediction import VideoPrediction
from tfssl.methods.video_prediction.evaluate import predicted, write_sheet
from tfssl.methods.video_prediction.network import STRIDES, WIDTHS, build_step, unrolled

TINY = {"crop_size": 16, "frames": 5, "masks": 3, "actions": 2, "states": 2, "widths": (4,) * 7, "lstm_size": 3}
PUBLISHED = {"masks": 10, "kernel_size": 5, "widths": WIDTHS, "lstm_size": 5, "rectified": True}


def weights_of(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


@pytest.fixture(scope="module")
def published():
    return build_step(64, motion="cdna", actions=5, states=5, **PUBLISHED)


@pytest.fixture(scope="module")
def tiny():
    keras.utils.set_random_seed(0)
    return VideoPrediction(**TINY).model()


def batch(seed=0, count=2, frames=5, actions=2):
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.uniform(0, 1, (count, frames, 16, 16, 3)).astype(np.float32),
        "actions": rng.normal(size=(count, frames, actions)).astype(np.float32),
        "states": rng.normal(size=(count, frames, 2)).astype(np.float32),
    }


def test_published_parameter_counts(published):
    """The card's: 8,311,967 in all."""
    assert weights_of(published) == 8_311_967
    counts = {"lstm5": 2_458_112, "kernels": 2_048_250, "lstm6": 1_229_056, "lstm4": 819_456}
    assert {name: published.get_layer(name).count_params() for name in counts} == counts


def test_published_sizes_of_maps(published):
    """The table of the card, for 64 pixels."""
    shapes = {name: tuple(published.get_layer(name).output.shape[1:]) for name in ("enc0", "enc3", "enc5", "enc6")}
    assert shapes == {"enc0": (32, 32, 32), "enc3": (8, 8, 64), "enc5": (32, 32, 96), "enc6": (64, 64, 64)}
    sizes = [(64 // stride, width) for stride, width in zip(STRIDES, WIDTHS, strict=True)]
    assert sizes == [(32, 32), (32, 32), (16, 64), (16, 64), (8, 128), (16, 64), (32, 32)]
    for number, (size, width) in enumerate(sizes, start=1):
        assert tuple(published.output[f"h{number}"].shape[1:]) == (size, size, width)
    assert tuple(published.get_layer("enc3").input.shape[1:]) == (8, 8, 74)
    assert tuple(published.output["masks"].shape[1:]) == (64, 64, 11)


def test_normalization_comes_before_the_relu(published):
    """As the released library applies them; later code of the authors leaves the second ReLU out."""
    assert published.get_layer("enc0_relu").input is published.get_layer("enc0_norm").output
    assert published.get_layer("enc6_relu").input is published.get_layer("enc6_norm").output
    linear = VideoPrediction(**TINY | {"rectified": False}).model().get_layer("step")
    assert linear.get_layer("mask_logits").input is linear.get_layer("enc6_norm").output


def test_smaller_frames():
    step = VideoPrediction(**TINY | {"crop_size": 32}).model().get_layer("step")
    assert tuple(step.input["h5"].shape[1:]) == (4, 4, 4)
    with pytest.raises(ConfigError, match=r"crop_size.*multiple of 8"):
        VideoPrediction(crop_size=36)


@pytest.mark.parametrize(("motion", "masks", "images"), [("cdna", 4, 5), ("stp", 4, 5), ("dna", 1, 2)])
def test_as_many_images_as_masks(motion, masks, images):
    """The last frame, new pixels and moved ones; of CDNA the last kernel goes unused, as in the released code."""
    step = VideoPrediction(**TINY | {"motion": motion, "masks": masks}).model().get_layer("step")
    assert step.output["masks"].shape[-1] == step.get_layer("blend").input[0].shape[1] == images


def test_masks_sum_to_one(tiny):
    masks = predicted(VideoPrediction(**TINY), tiny, batch())["masks"]
    assert masks.shape == (2, 3, 16, 16, 4) and masks.min() >= 0
    np.testing.assert_allclose(masks.sum(axis=-1), 1, atol=1e-5)


def test_frames_are_mixtures(tiny):
    """Of pixels of the last frame, of new ones in (0, 1), and of black beyond the border."""
    frames = predicted(VideoPrediction(**TINY), tiny, batch())["frames"]
    assert frames.min() >= 0 and frames.max() <= 1


def test_new_pixels_of_the_released_code_are_bright():
    """A sigmoid after a ReLU: at least one half."""
    step = VideoPrediction(**TINY | {"rectified": True}).model().get_layer("step")
    new = keras.Model(step.input, step.get_layer("new").output)
    inputs = {name: np.random.default_rng(0).normal(size=(2, *t.shape[1:])) for name, t in step.input.items()}
    assert float(ops.min(new(inputs))) >= 0.5


class Counting:
    """In place of the network a step that adds 0.1 to its frame, and counts in h1 how often it was called."""

    def __init__(self):
        self.input = {"frame": keras.Input((16, 16, 3)), "h1": keras.Input((8, 8, 4))}
        self.seen, self.memory = [], []

    def __call__(self, inputs):
        self.seen.append(ops.convert_to_numpy(inputs["frame"])[:, 0, 0, 0])
        self.memory.append(float(inputs["h1"][0, 0, 0, 0]))
        frame, state = inputs["frame"], inputs["state"] + inputs["action"]
        return {"frame": frame + 0.1, "masks": frame[..., :1], "state": state, "h1": inputs["h1"] + 1}


def test_steps_follow_each_other():
    """By hand: two true frames 1 and 2, then own ones; states add up actions from the first true one on."""
    step = Counting()
    frames = np.ones((1, 5, 16, 16, 3), np.float32) * np.arange(1, 6, dtype=np.float32)[None, :, None, None, None]
    actions, states = np.ones((1, 5, 2), np.float32), np.full((1, 5, 2), 7, np.float32)
    options = {"context": 2, "steps": 3, "actions": ops.convert_to_tensor(actions), "states": states}
    found = unrolled(step, ops.convert_to_tensor(frames), **options)
    np.testing.assert_allclose(np.concatenate(step.seen), [1, 2, 2.1, 2.2], rtol=1e-6)
    assert step.memory == [0, 1, 2, 3]
    np.testing.assert_allclose(found["frames"][0, :, 0, 0, 0], [2.1, 2.2, 2.3], rtol=1e-6)
    np.testing.assert_allclose(found["states"][0, :, 0], [9, 10, 11])


def test_true_frames_where_the_schedule_says_so():
    step = Counting()
    frames = np.ones((2, 5, 16, 16, 3), np.float32) * np.arange(1, 6, dtype=np.float32)[None, :, None, None, None]
    tables = {name: ops.zeros((2, 5, 2)) for name in ("actions", "states")}
    true = ops.convert_to_tensor([[1.0, 0.0], [0.0, 0.0]])
    unrolled(step, ops.convert_to_tensor(frames), context=2, steps=3, true=true, **tables)
    np.testing.assert_allclose(np.array(step.seen).T, [[1, 2, 3, 3.1], [1, 2, 2.1, 2.2]], rtol=1e-6)


def test_frames_after_the_context_are_targets_only(tiny):
    """In inference nothing of them is seen; and what is asked for are those after the context alone."""
    inputs, method = batch(), VideoPrediction(**TINY)
    other = {**inputs, "frames": np.concatenate([inputs["frames"][:, :2], inputs["frames"][:, 2:] * 0], axis=1)}
    ours, theirs = (tiny(part, training=False)["frames"] for part in (inputs, other))
    np.testing.assert_array_equal(ours, theirs)
    _, targets = method.prepare(np.uint8(inputs["frames"] * 255), inputs["actions"], inputs["states"])
    assert targets["frames"].shape[1] == targets["states"].shape[1] == 3


@pytest.mark.slow
def test_the_loss_is_that_of_frames_and_a_little_of_states(tiny):
    inputs = batch()
    targets = {name: inputs[name][:, 2:] for name in ("frames", "states")}
    found = tiny(inputs, training=False)
    frames, states = (np.square(np.asarray(found[name]) - targets[name]).mean() for name in ("frames", "states"))
    expected = frames + 1e-4 * states
    assert tiny.test_on_batch(inputs, targets, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-4)


def test_longer_futures_than_trained(tiny):
    method = VideoPrediction(**TINY).model_copy(update={"frames": 9})
    found = predicted(method, tiny, batch(frames=9))
    assert found["frames"].shape[1] == 7
    short = predicted(VideoPrediction(**TINY), tiny, {k: v[:, :5] for k, v in batch(frames=9).items()})
    np.testing.assert_allclose(found["frames"][:, :3], short["frames"], atol=1e-6)


def test_without_actions():
    method = VideoPrediction(**TINY | {"actions": 0, "states": 0, "step": 2})
    source = pushed_source(count=2, frames=10, size=16, speed=1.0)
    inputs, targets = next(iter(method.dataset(source, batch_size=2)))
    assert set(inputs) == set(targets) == {"frames"}
    record = method.evaluate(method.model(), source)
    assert "negated" not in record["mse"].baselines and "state_mse" not in record.metrics


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_size": 4}, "`kernel_size` must be odd"),
        ({"context": 10}, "`context` must leave frames"),
        ({"motion": "dna"}, "`masks` must be 1 with motion: dna"),
        ({"masks": 1}, "`masks` must be 2 or more with motion: cdna"),
        ({"step": 2}, "`step` must be 1 with actions"),
    ],
)
def test_rules_between_fields(fields, message):
    with pytest.raises(ConfigError, match=message):
        VideoPrediction(**fields)


def test_clips_that_do_not_fit_say_why():
    example = pushed_source(count=1, frames=8, size=16, speed=1.0).example(0)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="has 2 actions a frame; set actions: 2, not 5"):
        VideoPrediction(**TINY | {"actions": 5}).sample(example, rng, True)
    with pytest.raises(ValueError, match=r"has no actions; give actions.csv"):
        VideoPrediction(**TINY).sample({"clip": example["clip"]}, rng, True)
    with pytest.raises(ValueError, match="has 8 frames, too few for a window of 9"):
        VideoPrediction(**TINY | {"frames": 9}).sample(example, rng, True)


def test_actions_belong_to_their_frames():
    """A window's tables are cut where its frames are: from a state and an action follows the next state."""
    method, source = VideoPrediction(**TINY), pushed_source(count=1, frames=12, size=16, speed=1.0, noise=0)
    frames, actions, states = method.sample(source.example(0), np.random.default_rng(3), True)
    whole = source.example(0)
    first = int(np.flatnonzero((whole["clip"].pixels == frames[0]).all(axis=(1, 2, 3)))[0])
    np.testing.assert_array_equal(states, whole["states"][first : first + 5])
    np.testing.assert_array_equal(actions, whole["actions"][first : first + 5])


def test_copying_is_measured():
    """Frames 0, 1 and 4: after two frames of context 3 levels are missing, over 255."""

    class Steps(Source):
        def __len__(self):
            return 1

        def example(self, index):
            return {"clip": FrameClip(np.full((3, 16, 16, 3), 1, np.uint8) * np.uint8([0, 1, 4])[:, None, None, None])}

    method = VideoPrediction(**TINY | {"actions": 0, "states": 0, "frames": 3})
    assert method.adapted(method.adapt(Steps())).baseline == pytest.approx((3 / 255) ** 2)


@pytest.mark.slow
def test_evaluation_and_sheets(tiny, tmp_path):
    method, source = VideoPrediction(**TINY), pushed_source(count=5, frames=9, size=16, speed=1.0)
    record = method.evaluate(tiny, source, out=tmp_path, steps=4, batch_size=2)
    assert list(record)[:3] == ["mse", "psnr", "ssim"] and "mse_4" in record and "mse_5" not in record
    assert set(record["mse"].baselines) == {"copying", "negated"}
    assert record["mask_entropy"].baselines["even"] == pytest.approx(np.log(4))
    again = method.evaluate(tiny, source, steps=4, batch_size=5)
    assert float(again["mse"]) == pytest.approx(float(record["mse"]), rel=1e-5), "whatever the batch"
    for name in ("metrics.json", "sheet.png", "masks.png"):
        assert (tmp_path / name).stat().st_size > 1000
    write_sheet(method, tiny, source, tmp_path / "samples.png")


def test_builtin_data():
    method = tfssl.methods.VideoPrediction(**TINY | {"crop_size": 32})
    assert method.open("builtin") is method.open("builtin") and len(method.open("builtin")) == 500


def test_negated_actions_negate_the_rendered_motion():
    """The truth that predictions with negated actions are compared with."""
    source = pushed_source(count=1, frames=3, size=64, things=0, speed=2.0)
    actions = np.float32([[0.5, 0.25]] * 3)
    there, back = (source.acted(0, sign * actions)["states"] for sign in (1, -1))
    np.testing.assert_allclose(there - there[0], -(back - back[0]), atol=1e-6)
    np.testing.assert_allclose(64 * (there[1] - there[0]), [1.0, 0.5], atol=1e-4)


class MovingSquares(Source):
    """A bright square on a dark gray; its velocity, up to two pixels a frame along both axes, is the action."""

    def __init__(self, count, seed):
        self._rng = [np.random.default_rng([seed, number]) for number in range(count)]
        self._starts = [rng.uniform(10, 16, 2) for rng in self._rng]
        self.actions = [rng.uniform(-1, 1, (6, 2)).round(1).astype(np.float32) for rng in self._rng]

    def __len__(self):
        return len(self.actions)

    def example(self, index):
        places = self._starts[index] + 2 * np.cumsum([[0, 0], *self.actions[index][:-1]], axis=0)
        frames = np.full((6, 32, 32, 3), 64, np.uint8)
        for frame, (x, y) in zip(frames, places.round().astype(int), strict=True):
            frame[y : y + 6, x : x + 6] = 220
        return {"clip": FrameClip(frames), "actions": self.actions[index]}


@pytest.mark.slow
def test_learns_to_move_squares_by_their_actions():
    """The card's: after 500 steps below half of the error of copying; an action negated is the motion negated."""
    keras.utils.set_random_seed(0)
    widths = (8, 8, 16, 16, 16, 8, 8)
    method = VideoPrediction(
        **{**TINY, "crop_size": 32, "frames": 6, "states": 0, "widths": widths},
        rectified=False,
        scheduled_sampling=50,
    )
    model, test = method.model(keras.optimizers.Adam(4e-3)), MovingSquares(32, seed=1)
    model.fit(method.dataset(MovingSquares(200, seed=0), batch_size=8, start=0, count=500), verbose=0)
    record = method.evaluate(model, test)
    assert float(record["mse"]) < 0.5 * record["mse"].baselines["copying"]

    def centers(frames):
        light = np.maximum(frames.mean(axis=-1) - 0.4, 0)
        y, x = np.mgrid[:32, :32]
        return np.stack([(light * axis).sum(axis=(-2, -1)) / light.sum(axis=(-2, -1)) for axis in (x, y)], axis=-1)

    inputs, _ = next(iter(method.dataset(test, batch_size=32, training=False)))
    inputs = {name: np.asarray(value) for name, value in inputs.items()}
    start, asked = centers(inputs["frames"][:, 1]), inputs["actions"][:, 1:5].sum(axis=1)
    for sign in (1, -1):
        found = predicted(method, model, {**inputs, "actions": sign * inputs["actions"]})["frames"][:, -1]
        moved = centers(found) - start
        far = np.abs(asked) > 0.5
        assert (np.sign(moved) == sign * np.sign(asked))[far].mean() > 0.9
