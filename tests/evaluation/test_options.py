"""Options that all tasks share, and what `tfssl evaluate --help` says of those of every task and method."""

import inspect
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl import methods
from tfssl.cli import main
from tfssl.data.images import FileSource
from tfssl.data.labeled import LabeledImages
from tfssl.data.normals import NormalsImages, write_normals
from tfssl.data.voc import BoxedImages, MaskedImages
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation import get_task, task_meanings, task_names, task_options
from tfssl.evaluation.runner import limited
from tfssl.evaluation.tasks import knn

IMAGES, SIZE = 6, 32  # of each split, or of each of its two classes


def printed(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("task", task_names())
def test_help_lists_the_options_of_a_task(task, capsys):
    text = printed(capsys, "evaluate", "--task", task, "--help")
    for name, default in task_options(task).items():
        shown = "none" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        assert f"\n  {name}={shown}\n      " in text, "each with its default, and a meaning on the next line"
        assert len(task_meanings(task)[name]) > 8
    assert task_options(task).keys().isdisjoint({"encoder", "data", "out", "progress", "trained", "pretext"})
    assert "limit" in task_options(task) and not re.search(r":\w+:`", text)


@pytest.mark.parametrize("method", methods.names())
def test_help_lists_the_options_of_a_methods_metrics(method, capsys):
    text = printed(capsys, "evaluate", method, "--help")
    given = {"out", "progress"}
    for name, option in inspect.signature(methods.get(method).evaluate).parameters.items():
        if option.kind == option.KEYWORD_ONLY and name not in given:
            assert re.search(rf"\n  {name}=[\w.]+\n      \w", text), name


def test_help_of_a_model_and_of_nothing(capsys):
    assert "Options of the metrics of colorization" in printed(capsys, "evaluate", "colorizer", "--help")
    assert "tfssl evaluate --task TASK --help" in printed(capsys, "evaluate", "--help")


def test_defaults_that_are_named_constants_are_shown():
    assert task_options("few_shot")["strength"] == 100.0


def paths(count):
    return FileSource(tuple(f"{number}.png" for number in range(count)))


def test_a_limit_spreads_over_the_split_class_after_class():
    mixed = LabeledImages("", paths(12), (0, 1, 2) * 4, ("a", "b", "c"))
    assert limited(mixed, None) is mixed and limited(mixed, 12) is mixed
    few = limited(mixed, 6)
    assert sorted(few.labels) == [0, 0, 1, 1, 2, 2]
    assert [few.name(i) for i in range(6)] == sorted((few.name(i) for i in range(6)), key=lambda n: int(n[:-4]))
    assert limited(mixed, 6).positions == few.positions, "the same each time"
    with pytest.raises(ConfigError, match="`limit` must be a positive integer"):
        limited(mixed, 0)


@pytest.mark.parametrize(
    ("source", "beside"),
    [
        (BoxedImages("", "val", paths(9), ("a", "b"), tuple(range(9))), "objects"),
        (MaskedImages("", "val", paths(9), ("a", "b"), tuple(range(9)), frozenset()), "masks"),
        (NormalsImages("", "val", paths(9), tuple(range(9))), "files"),
    ],
)
def test_a_limit_keeps_images_and_what_stands_beside_them_together(source, beside):
    few = limited(source, 4)
    assert few.images.paths == tuple(f"{number}.png" for number in getattr(few, beside))
    assert len(few) == 4 and getattr(few, beside)[0] == 0 and getattr(few, beside)[-1] == 8


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Squares of noise with a colored field, as class folders, a VOC directory with masks, and normals."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    classes, voc, normals = (folder / name for name in ("classes", "voc", "normals"))
    for place in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (voc / place).mkdir(parents=True)
    (voc / "classes.txt").write_text("background\nblue\ngreen\n")
    for part in ("train", "val"):
        for kind in ("Main", "Segmentation"):
            (voc / "ImageSets" / kind / f"{part}.txt").write_text("".join(f"{part}{i}\n" for i in range(2 * IMAGES)))
        split = {"train": "train", "val": "test"}[part]
        (normals / f"{split}normals").mkdir(parents=True)
        (normals / split).mkdir()
        for i in range(2 * IMAGES):
            name, channel = ("blue", 2) if i % 2 else ("green", 1)
            pixels, mask = random.integers(0, 120, (SIZE, SIZE, 3)), np.zeros((SIZE, SIZE), np.uint8)
            pixels[4:20, 4:20, channel] += 130
            mask[4:20, 4:20] = channel
            image = Image.fromarray(pixels.astype(np.uint8))
            (classes / split / name).mkdir(parents=True, exist_ok=True)
            for file in (classes / split / name / f"{i}.png", normals / split / f"{i}.png"):
                image.save(file)
            image.save(voc / "JPEGImages" / f"{part}{i}.png")
            Image.fromarray(mask).save(voc / "SegmentationClass" / f"{part}{i}.png")
            edges = "".join(
                f"<{edge}>{v}</{edge}>"
                for edge, v in zip(("xmin", "ymin", "xmax", "ymax"), (5, 5, 20, 20), strict=True)
            )
            box = f"<object><name>{name}</name><bndbox>{edges}</bndbox></object>"
            (voc / "Annotations" / f"{part}{i}.xml").write_text(f"<annotation>{box}</annotation>")
            toward = random.normal(0, 0.2, (SIZE, SIZE, 3)) - (0, 0, 1)
            write_normals(normals / f"{split}normals" / f"{i}.png", toward / np.linalg.norm(toward, axis=-1)[..., None])
    return SimpleNamespace(classes=classes, voc=voc, normals=normals)


SMALL = {
    "steps": 1, "batch_size": 2, "image_size": 16, "crop_size": 16, "short_size": 32, "long_size": 32, "regions": 8,
    "units": 4, "codewords": 2, "proposals": "sliding_windows", "seeds": 1, "draws": 1, "pool": 1, "trained": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "task", [task for task in task_names() if task not in ("activity", "stereo")]
)  # not of images: their own tests
def test_every_task_takes_a_limit(task, data):
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    encoder = keras.Model(rgb, {"conv1": keras.layers.Conv2D(4, 3, strides=4, padding="same")(rgb)})
    known = inspect.signature(get_task(task)).parameters
    kind = "normals" if task == "surface_normals" else "voc" if "train_split" in known else "classes"
    options = {name: value for name, value in SMALL.items() if name in known}
    record = get_task(task)(encoder, getattr(data, kind), limit=4, **options)
    assert (float(record["images_train"]), float(record["images_test"])) == (4, 4)
    assert record.protocol["limit"] == 4


def test_a_limit_that_leaves_a_class_without_images_says_so(encoder, data):
    with pytest.raises(ConfigError, match="`limit` leaves no training image of class 'green'"):
        knn.evaluate(encoder, data.classes, limit=1)
    with pytest.raises(SourceError, match="in none or in all training images that limit=1 leaves"):
        get_task("voc_classification")(encoder, data.voc, limit=1)
