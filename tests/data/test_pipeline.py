"""Position p of the training stream is always the same crop, and unreadable files cost nothing but themselves."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped, _Order
from tfssl.data.images import ArraySource, image_source
from tfssl.data.normals import read_normals
from tfssl.data.pipeline import batches
from tfssl.data.voc import read_indices
from tfssl.errors import SourceError, reason_of

CROP = Crop(16, area=(0.3, 1.0))
FLAT = Crop(8, flip=False)  # of images in one color: tells which image it was


def crop_dataset(data, crop, *, training, **options):
    """Crops one by one."""
    source = data if isinstance(data, tf.data.Dataset) else image_source(data, min_size=crop.min_size)
    return batches(source, crop.sample, 1, training=training, **options).map(lambda crops: crops[0])


def crop_batches(data, crop, batch_size, *, training, convert=None, **options):
    source = data if isinstance(data, tf.data.Dataset) else image_source(data, min_size=crop.min_size)
    made = batches(source, crop.sample, batch_size, training=training, prepare=convert, in_graph=False, **options)
    return made.map(lambda crops: crops) if convert is None else made


def collect(dataset):
    return np.array(list(dataset.as_numpy_iterator()))


def flat(count):
    """Pictures of one color each: image i is (i, i, i)."""
    return [np.full((9 + i % 3, 10, 3), i, np.uint8) for i in range(count)]


def which(dataset):
    """Numbers of the images in a dataset of :func:`flat`."""
    crops = collect(dataset)
    assert (crops == crops[:, :1, :1, :1]).all()
    return crops[:, 0, 0, 0].tolist()


def threads(dataset, number):
    options = tf.data.Options()
    options.threading.private_threadpool_size = number
    options.autotune.enabled = number > 1
    return dataset.with_options(options)


def write_files(folder, broken=(), count=12):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        path = folder / f"{i:03d}.png"
        if i in broken:
            path.write_bytes(b"" if i % 2 else b"text")
        else:
            Image.new("RGB", (10, 9), (i, i, i)).save(path)
    return str(folder)


# --- batches ---------------------------------------------------------------------------------------------------


def sum_and_half(crops):
    return crops.sum(axis=(1, 2, 3), dtype=np.int64), crops[:, :8]


@pytest.mark.parametrize("options", [{"start": 0, "count": 5}, {"start": 3, "count": 2}, {"start": 2}, {}])
def test_batches_of_training_are_those_of_single_crops(options):
    made = crop_batches("builtin", CROP, 4, training=True, seed=1, **options)
    in_images = {name: number * 4 for name, number in options.items()}
    single = crop_dataset("builtin", CROP, training=True, seed=1, **in_images)
    for _ in range(2):  # without a start the second iteration is the next epoch
        expected = collect(single)
        expected = expected[: len(expected) // 4 * 4].reshape(-1, 4, 16, 16, 3)
        np.testing.assert_array_equal(collect(made), expected)
    assert int(made.cardinality()) == len(expected)
    assert made.element_spec.shape == (4, 16, 16, 3)


@pytest.mark.parametrize("as_dataset", [False, True], ids=["source", "tf.data"])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_batches_are_converted_as_arrays(training, as_dataset):
    images = np.random.default_rng(0).integers(0, 256, (10, 20, 20, 3)).astype(np.uint8)
    source = tf.data.Dataset.from_tensor_slices(images) if as_dataset else images
    options = {"training": training, "seed": 2, **({"start": 0, "count": 2} if training else {})}
    plain = list(crop_batches(source, CROP, 4, **options).as_numpy_iterator())
    made = list(crop_batches(source, CROP, 4, convert=sum_and_half, **options).as_numpy_iterator())
    assert [len(crops) for crops in plain] == ([4, 4] if training else [4, 4, 2])
    for crops, (total, half) in zip(plain, made, strict=True):
        np.testing.assert_array_equal(total, crops.reshape(len(crops), -1).sum(axis=1, dtype=np.int64))
        np.testing.assert_array_equal(half, crops[:, :8])


def test_batches_of_evaluation_close_the_gaps_of_unreadable_files(tmp_path):
    folder = write_files(tmp_path, broken=(1, 2, 7))
    made = crop_batches(folder, FLAT, 4, training=False, limit=7, skipped=(skipped := Skipped()))
    assert [batch[:, 0, 0, 0].tolist() for batch in made.as_numpy_iterator()] == [[0, 3, 4, 5], [6, 8, 9]]
    assert len(skipped.reasons) == 3


# --- determinism -----------------------------------------------------------------------------------------------


def test_same_crops_whatever_the_parallelism():
    runs = [
        collect(threads(crop_dataset("builtin", CROP, training=True, seed=3, start=0, count=20), number))
        for number in (1, 2, 7)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    assert len(np.unique(runs[0].reshape(20, -1), axis=0)) == 20


def test_start_is_the_same_as_skipping():
    whole = collect(crop_dataset("builtin", CROP, training=True, seed=1, start=0, count=24))
    for start in (1, 8, 13, 23):
        part = collect(crop_dataset("builtin", CROP, training=True, seed=1, start=start, count=24 - start))
        np.testing.assert_array_equal(part, whole[start:])


def test_other_seed_other_stream():
    one, two = (collect(crop_dataset("builtin", CROP, training=True, seed=seed, start=0, count=8)) for seed in (0, 1))
    assert (one != two).any()


def test_global_seeds_do_not_matter():
    streams = []
    for seed in (None, 5):
        if seed is not None:
            tf.keras.utils.set_random_seed(seed)
        images = tf.data.Dataset.from_tensor_slices(np.stack([np.full((9, 9, 3), i, np.uint8) for i in range(30)]))
        for source in (flat(30), images):
            streams.append(which(crop_dataset(source, FLAT, training=True, seed=2, start=0, count=60)))
    assert streams[0] == streams[2]
    assert streams[1] == streams[3]


# --- epochs ----------------------------------------------------------------------------------------------------


def test_epochs_are_permutations():
    order = which(crop_dataset(flat(11), FLAT, training=True, start=0, count=44))
    epochs = [order[i : i + 11] for i in range(0, 44, 11)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_iterating_again_is_the_next_epoch():
    dataset = crop_dataset(flat(11), FLAT, training=True, seed=4)
    assert int(dataset.cardinality()) == 11
    again = [which(dataset) for _ in range(3)]
    assert again[0] + again[1] + again[2] == which(
        crop_dataset(flat(11), FLAT, training=True, seed=4, start=0, count=33)
    )


def test_count_and_its_default():
    def length(**options):
        return len(collect(crop_dataset(flat(5), FLAT, training=True, **options)))

    assert length(start=3) == 5
    assert length(start=3, count=7) == 7
    assert length(start=3, count=0) == 0
    assert length(count=13) == 13


def test_order_holds_two_epochs_at_most_and_serves_any():
    order = _Order(1000, seed=0)
    there = [order(p) for p in range(0, 9000, 250)]
    assert len(order._permutations) <= 2
    assert [order(p) for p in range(0, 9000, 250)] == there


def test_evaluation_is_one_pass_of_center_crops_in_order():
    images = [np.random.default_rng(i).integers(0, 256, (20, 30, 3), dtype=np.uint8) for i in range(6)]
    dataset = crop_dataset(images, Crop(16), training=False)
    for _ in range(2):
        np.testing.assert_array_equal(collect(dataset), [p[2:18, 7:23] for p in images])


# --- unreadable images -----------------------------------------------------------------------------------------


def test_unreadable_images_are_substituted_in_training(tmp_path):
    whole = collect(crop_dataset(write_files(tmp_path / "a"), FLAT, training=True, seed=2, start=0, count=36))
    calls = []
    skipped = Skipped(lambda name, reason: calls.append((name, reason)))
    folder = write_files(tmp_path / "b", broken=(3, 8))
    part = collect(crop_dataset(folder, FLAT, training=True, seed=2, start=0, count=36, skipped=skipped))
    lost = np.isin(whole[:, 0, 0, 0], (3, 8))
    assert lost.sum() == 6
    np.testing.assert_array_equal(part[~lost], whole[~lost])
    assert not np.isin(part[lost], (3, 8)).any()
    assert [name[-7:] for name, _ in sorted(calls)] == ["003.png", "008.png"]
    assert skipped.reasons == dict(calls)
    assert "empty" in skipped.reasons[f"{folder}/003.png"]
    assert "not a JPEG" in skipped.reasons[f"{folder}/008.png"]


def test_unreadable_images_are_left_out_in_evaluation(tmp_path):
    skipped = Skipped()
    folder = write_files(tmp_path / "a", broken=(0, 5, 11))
    dataset = crop_dataset(folder, FLAT, training=False, skipped=skipped)
    assert which(dataset) == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert which(dataset) == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert len(skipped.reasons) == 3


def test_a_file_that_vanishes_while_training(tmp_path):
    folder = write_files(tmp_path / "a")
    dataset = crop_dataset(folder, FLAT, training=True, start=0, count=12, skipped=(skipped := Skipped()))
    (tmp_path / "a" / "004.png").unlink()
    counts = collections.Counter(which(dataset))
    assert counts[4] == 0
    assert sum(counts.values()) == 12
    assert list(skipped.reasons.values()) == ["No such file or directory"]


@pytest.mark.parametrize("count", [3, 200])
def test_mostly_unreadable_stops(tmp_path, count):
    folder = write_files(tmp_path / "a", broken=range(count), count=count)
    with pytest.raises(SourceError, match=r"no readable images among the first \d+ of \d+ .*(not a JPEG|is empty)"):
        crop_dataset(folder, FLAT, training=True, start=0)
    folder = write_files(tmp_path / "b", broken=range(1, count), count=count)
    dataset = crop_dataset(folder, FLAT, training=True, start=0)
    (tmp_path / "b" / "000.png").unlink()
    with pytest.raises(
        tf.errors.OpError, match=r"SourceError: `data` is mostly unreadable: .*(not a JPEG|is empty|No such)"
    ):
        collect(dataset)
    with pytest.raises(SourceError, match="holds no images"):
        crop_dataset([], FLAT, training=True)


def test_gray_and_odd_images_in_one_folder(tmp_path):
    Image.new("L", (30, 20), 100).save(tmp_path / "gray.png")
    Image.new("LA", (1, 1), (100, 255)).save(tmp_path / "dot.png")
    Image.new("P", (300, 2)).save(tmp_path / "line.gif")
    Image.fromarray(np.full((30, 20), 100 * 257, np.uint16)).save(tmp_path / "deep.png")
    crops = collect(crop_dataset(tmp_path, Crop(16, resize=20), training=True, start=0))
    assert sorted(crops[:, 0, 0, 0].tolist()) == [0, 100, 100, 100]
    assert (crops == crops[..., :1]).all()


def test_images_are_not_kept():
    class Counted(ArraySource):
        alive = most = 0

        def example(self, index):
            image = super().example(index)["image"]
            Counted.alive += 1
            Counted.most = max(Counted.most, Counted.alive)
            return {"image": Watched(image)}

    class Watched:
        def __init__(self, image):
            self.image = image

        def __getattr__(self, name):
            return getattr(self.image, name)

        def __del__(self):
            Counted.alive -= 1

    source = Counted(np.zeros((200, 32, 32, 3), np.uint8))
    assert len(collect(threads(crop_dataset(source, FLAT, training=True), 4))) == 200
    assert Counted.alive == 0
    assert Counted.most <= 8


def test_sources_of_every_kind_give_the_same_stream(tmp_path):
    folder = write_files(tmp_path / "a")
    arrays = np.stack([np.asarray(example["image"]) for example in image_source(folder)])
    expected = collect(crop_dataset(folder, FLAT, training=True, seed=9, start=0))
    for source in (f"{folder}/*.png", arrays, list(arrays / 255.0), image_source(folder)):
        np.testing.assert_array_equal(collect(crop_dataset(source, FLAT, training=True, seed=9, start=0)), expected)


def test_fewer_images_than_a_batch_are_refused():
    """Keras would say that the input ran out of data, and learn nothing."""
    with pytest.raises(SourceError, match="holds 7 examples, fewer than batch_size 32; lower batch_size"):
        batches(image_source(np.zeros((7, 8, 8, 3), np.uint8)), Crop(8).sample, 32, training=True)
    stream = tf.data.Dataset.from_tensor_slices(np.zeros((7, 8, 8, 3), np.uint8))
    with pytest.raises(SourceError, match="holds 7 examples"):
        batches(stream, Crop(8).sample, 32, training=True)


class _Spoils:
    """A sampler with a fault, for one image."""

    def __call__(self, example, rng, training):
        if example["image"].width == 13:
            raise KeyError("no such\nfield")
        return (np.zeros(3, np.float32),)


@pytest.mark.parametrize("training", [True, False])
def test_an_error_of_the_program_names_the_file_in_one_line(tmp_path, training):
    for name, width in (("a", 12), ("b", 13)):
        Image.new("RGB", (width, 12)).save(tmp_path / f"{name}.png")
    with pytest.raises(tf.errors.OpError) as raised:
        list(batches(image_source(tmp_path), _Spoils(), 2, training=training))
    reason = reason_of(raised.value)
    assert reason == f"`data`: '{tmp_path / 'b.png'}' cannot be used (KeyError: 'no such\\nfield')"


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\x93NUMPY\1\0\xff\xff{", b"PK\3\4" + b"x" * 40]
)
def test_damaged_annotations_are_reasons(tmp_path, content):
    for name in ("normals.npy", "normals.png", "mask.png"):
        (tmp_path / name).write_bytes(content)
        read = read_indices if name == "mask.png" else read_normals
        with pytest.raises(SourceError, match=name.partition(".")[0]) as raised:
            read(str(tmp_path / name))
        assert name in str(raised.value)
