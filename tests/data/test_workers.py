"""Worker processes give the batches that threads give, and end when they should, however their owner ended."""

import functools
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.work import Unloadable, means_and_red, ones, process_number, refuse, shout
from tfssl.data import workers
from tfssl.data.crop import Crop
from tfssl.data.examples import Examples, Skipped
from tfssl.data.images import FileSource, image_source
from tfssl.data.pipeline import batches
from tfssl.data.workers import ParallelSource, _portable
from tfssl.errors import SourceError, TrainingError

CROP = Crop(16, area=(0.3, 1.0))


def crop_dataset(data, crop, *, training, **options):
    """Crops one by one."""
    source = data if isinstance(data, tf.data.Dataset) else image_source(data, min_size=crop.min_size)
    return batches(source, crop.sample, 1, training=training, **options).map(lambda crops: crops[0])


def crop_batches(data, crop, batch_size, *, training, convert=None, **options):
    source = data if isinstance(data, tf.data.Dataset) else image_source(data, min_size=crop.min_size)
    made = batches(source, crop.sample, batch_size, training=training, prepare=convert, in_graph=False, **options)
    return made.map(lambda crops: crops) if convert is None else made


class Unportable(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eleven images, and one file that is none."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(12):
        path = folder / f"{i:02d}.png"
        if i == 4:
            path.write_bytes(b"no photograph")
        else:
            Image.fromarray(rng.integers(0, 256, (20 + i, 24, 3), np.uint8)).save(path)
    return str(folder)


@pytest.fixture(scope="module")
def parallel(folder):
    with ParallelSource(folder, 2) as source:
        yield source


def arrays(dataset):
    return [tf.nest.flatten(batch) for batch in dataset.as_numpy_iterator()]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for ours, theirs in zip(first, second, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "options",
    [{}, {"start": 2, "count": 5}, {"convert": means_and_red}],
    ids=["an epoch", "from a position", "converted"],
)
def test_training_batches_are_those_of_threads(folder, parallel, options):
    expected = arrays(crop_batches(folder, CROP, 4, training=True, seed=3, **options))
    assert_same(arrays(crop_batches(parallel, CROP, 4, training=True, seed=3, **options)), expected)


@pytest.mark.parametrize("training", [True, False])
def test_single_crops_are_those_of_threads(folder, parallel, training):
    expected = arrays(crop_dataset(folder, CROP, training=training, seed=3))
    assert_same(arrays(crop_dataset(parallel, CROP, training=training, seed=3)), expected)


def test_next_epochs_are_those_of_threads(folder, parallel):
    ours, theirs = (crop_batches(source, CROP, 4, training=True, seed=1) for source in (parallel, folder))
    for _ in range(3):
        assert_same(arrays(ours), arrays(theirs))


def test_unreadable_files_are_reported(parallel):
    skipped = Skipped()
    arrays(crop_dataset(parallel, CROP, training=False, skipped=skipped))
    assert [os.path.basename(name) for name in skipped.reasons] == ["04.png"]
    assert "not a JPEG" in next(iter(skipped.reasons.values()))


def test_is_the_source_it_reads(folder, parallel):
    source = image_source(folder)
    assert len(parallel) == len(source) and parallel.name(3) == source.name(3)
    assert image_source(parallel) is parallel
    np.testing.assert_array_equal(parallel.example(3)["image"], source.example(3)["image"])
    with pytest.raises(ValueError, match="not a JPEG"):
        parallel.check(4)


def test_a_worker_imports_no_tensorflow(folder):
    with ParallelSource(folder, 1) as source:
        assert len(arrays(crop_batches(source, CROP, 4, training=True))) == 3
        loaded = source.in_workers(functools.partial(eval, "([], sorted(__import__('sys').modules))"))()[1]
    assert "tfssl.data.examples" in loaded
    assert not {"tensorflow", "keras", "jax"} & set(loaded)


def test_errors_come_back(parallel, tmp_path):
    dataset = crop_batches(parallel, CROP, 4, training=True, convert=refuse)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a batch of 4 will not do"):
        arrays(dataset)
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    Image.new("RGB", (20, 20)).save(tmp_path / "5.png")
    with ParallelSource(str(tmp_path), 1) as broken:
        dataset = crop_batches(broken, CROP, 2, training=True)
        (tmp_path / "5.png").unlink()
        with pytest.raises(tf.errors.OpError, match="mostly unreadable"):
            arrays(dataset)


def test_a_job_that_failed_fails_in_the_same_way_again(parallel):
    call = parallel.in_workers(Unloadable())
    for _ in range(3):
        with pytest.raises(ImportError, match="not here"):
            call()


def test_an_error_that_cannot_be_pickled_says_the_same():
    error = Unportable("this", "that")
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(error))
    assert str(_portable(error)) == "Unportable: this and that"


def test_prints_do_not_come_among_the_arrays(folder):
    with ParallelSource(folder, 1) as source:
        arrays_back, note = source.in_workers(shout)(np.arange(3))
    np.testing.assert_array_equal(arrays_back[0], [0, 2, 4])
    assert note == "said"


@pytest.mark.parametrize("shape", [(0, 3), (), (5,), (7, 1, 3)])
def test_arrays_of_any_shape(parallel, shape):
    back, _ = parallel.in_workers(ones)(shape)
    assert [array.shape for array in back] == [shape, shape]
    assert [array.dtype for array in back] == [np.float32, np.bool_]
    assert all((array == 1).all() for array in back)


def test_a_killed_worker_is_an_error_with_a_mend(folder):
    with ParallelSource(folder, 1) as source:
        call = source.in_workers(process_number)
        (number,), _ = call()
        os.kill(int(number), signal.SIGKILL)
        with pytest.raises(TrainingError, match=rf"worker process {number} ended \(exit status -9\).*lower `workers`"):
            call()


def test_a_stopped_worker_is_named(folder, monkeypatch):
    with ParallelSource(folder, 1) as source:
        call = source.in_workers(process_number)
        (number,), _ = call()
        monkeypatch.setattr(workers, "_TICK", 0.02)
        monkeypatch.setattr(workers, "_PATIENCE", 0.2)
        os.kill(int(number), signal.SIGSTOP)
        with pytest.raises(TrainingError, match=rf"worker process {number} gave no sign of life for .*checkpoint"):
            call()


def test_a_slow_batch_is_not_a_stopped_worker(monkeypatch):
    """Each item that is read is a sign of life; a worker without work needs none."""
    process = mock.Mock(stdout=io.BytesIO(), stdin=io.BytesIO())
    monkeypatch.setattr(workers.subprocess, "Popen", lambda *arguments, **options: process)
    worker, looks = workers._Worker(), iter([*[False] * 100, True])
    monkeypatch.setattr(workers, "_PATIENCE", 2)

    def load(replies):
        worker.look()
        return ((None, "done", [])) if next(looks) else None

    monkeypatch.setattr(workers.pickle, "load", load)
    assert worker.call(workers._Job(process_number), ()) == ([], "done")
    for _ in range(100):
        worker.look()
    process.kill.assert_not_called()


def test_each_example_is_a_sign_of_life(folder):
    replies, examples = io.BytesIO(), Examples(image_source(folder), CROP.sample, training=False)
    requests = io.BytesIO(pickle.dumps((pickle.dumps(examples), pickle.dumps((0, 3)))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_TICK", 0)
        workers._serve(requests, replies)
    replies.seek(0)
    assert [pickle.load(replies) for _ in range(4)] == [None] * 4  # the job, and three images
    assert pickle.load(replies)[0] is None


@pytest.mark.slow
def test_closing_ends_the_processes_and_reading_starts_new_ones(folder):
    source = ParallelSource(folder, 1)
    call = source.in_workers(process_number)
    (first,), _ = call()
    assert int(first) != os.getpid()
    source.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)
    (second,), _ = call()
    assert second != first
    source.close()
    source.close()


def test_no_process_outlives_a_killed_owner(folder, root):
    """The script has no main guard either: a worker does not run it again."""
    script = (
        "import time\n"
        "from tests.data.work import process_number\n"
        "from tfssl.data.workers import ParallelSource\n"
        f"source = ParallelSource({folder!r}, 1)\n"
        "print(int(source.in_workers(process_number)()[0][0]), flush=True)\n"
        "time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True)
    worker = int(owner.stdout.readline())
    assert _runs(worker)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.time() + 20
    while _runs(worker) and time.time() < deadline:
        time.sleep(0.1)
    assert not _runs(worker)


def _runs(number):
    """Whether there is such a process, other than a dead one that nobody has asked about."""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_bad_arguments(folder):
    with pytest.raises(ValueError, match=r"`workers` must be at least 1\. Received: workers=0"):
        ParallelSource(folder, 0)
    with pytest.raises(SourceError, match="in memory"):
        ParallelSource(np.zeros((3, 8, 8, 3), np.uint8), 2)


def test_what_cannot_be_sent_is_refused_before_a_process_starts(folder):
    source = ParallelSource(folder, 1)
    with pytest.raises(SourceError, match="set workers to 0"):
        crop_batches(source, CROP, 2, training=True, convert=lambda crops: (crops,))
    assert source._pool.workers == []


def test_a_class_of_the_main_script_is_refused_with_the_fix(folder):
    script = (
        "from tfssl.data.crop import Crop\n"
        "from tfssl.data.workers import ParallelSource\n"
        "class Mine(Crop): pass\n"
        f"ParallelSource({folder!r}, 1).in_workers(Mine(16).sample)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert "Mine is defined in the main script" in done.stderr and "set workers to 0" in done.stderr


def test_a_folder_may_be_called_main(folder, tmp_path):
    (tmp_path / "__main__").symlink_to(folder)
    source = ParallelSource(str(tmp_path / "__main__"), 1)
    assert len(source) == 12
    crop_batches(source, CROP, 2, training=True)


def test_files_are_sent_by_name(folder):
    source = ParallelSource(FileSource(tuple(image_source(folder).paths[:3])), 1)
    assert len(source) == 3
