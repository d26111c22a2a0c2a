"""Set-up of all tests: quiet TensorFlow, two logical CPU devices, the shared data, slow tests on request."""

import gc
import os
import signal
from pathlib import Path

import pytest

# Before TensorFlow is imported: its C++ side and Matplotlib read these once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers that each start a thread for every core get in each other's way.
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in background jobs; tests send it, children inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)

import keras
import tensorflow as tf

# What was imported lives to the end: without it a collection takes a tenth of the time, and there are thousands.
gc.collect()
gc.freeze()

ROOT = Path(__file__).resolve().parent.parent


def _two_logical_cpus():
    # Tests of MirroredStrategy need two devices, and TensorFlow can only be told before it first runs.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


_two_logical_cpus()


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture(scope="session")
def _kept():
    """Bytes that this process may hold before it is worth a second to look for what can be freed."""
    return {"most": 2**31}


@pytest.fixture(scope="module", autouse=True)
def _free_memory(_kept):
    """Graphs and networks of one file are not needed by the next; left alone they grow to gigabytes."""
    yield
    if _resident() > _kept["most"]:
        keras.backend.clear_session()
        gc.collect()
        _kept["most"] = _resident() + 2**30


def _resident():
    """Bytes of memory that this process holds; where the system does not say so, as much as can be."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def root():
    """Folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the shared data: TFSSL_SHARED_DATA, or shared/data beside the checkout. Skips where it is absent."""
    folder = Path(os.environ.get("TFSSL_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set TFSSL_SHARED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Function from what a method learns from (``Method.kind``) to a few real examples of it, made once."""
    made = {}

    def of(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            writers = {
                "images": _write_images,
                "clips": _write_clips,
                "pairs": _write_pairs,
                "tracks": _write_tracks,
                "actions": _write_pushes,
                "crops": _write_crops,
                "captions": _write_captions,
                "sounding clips": _write_sounding_clips,
                "part-labeled clips": _write_part_labeled,
            }
            writers[kind](folder)
            made[kind] = str(folder)
        return made[kind]

    return of


def _write_images(folder):
    """The builtin photographs, small: decoding them takes no time."""
    from PIL import Image

    from tfssl.data.builtin import builtin_photographs

    for path in builtin_photographs():
        with Image.open(path) as image:
            image.convert("RGB").resize((160, 120)).save(folder / f"{path.stem}.jpg", quality=95, subsampling=0)


def _write_clips(folder):
    """Six clips of a second: a window that moves over a photograph, each in a direction of its own."""
    import av
    import numpy as np
    from PIL import Image

    from tfssl.data.builtin import builtin_photographs

    for number, path in enumerate(builtin_photographs()[:6]):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((160, 120)))
        with av.open(str(folder / f"{path.stem}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=12)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for step in range(12):
                x, y = (2 * step, 3 * step)[:: 1 if number % 2 else -1]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[y : y + 64, x : x + 96]), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def _write_pushes(folder):
    """Six rendered clips of a finger that pushes things, with its actions."""
    from tfssl.data.action_clips import write_clip
    from tfssl.data.pushed import pushed_source

    source = pushed_source("builtin", count=6, frames=8)
    for number in range(len(source)):
        write_clip(source.example(number), str(folder / f"push{number}"))


def _write_sounding_clips(folder):
    """Six clips of a second and a half: a photograph, and a rendered sound."""
    import numpy as np
    from PIL import Image

    from tests.data.test_sounding import write_clip
    from tfssl.data.builtin import builtin_photographs
    from tfssl.data.rendered_sounds import sounding_scenes

    scenes = sounding_scenes(count=6, seconds=1.5)
    for number, path in enumerate(builtin_photographs()[:6]):
        with Image.open(path) as image:
            frame = np.asarray(image.convert("RGB").resize((96, 64)))
        write_clip(folder / f"{path.stem}.mp4", [frame] * 18, scenes.sound(number).read())


def _write_part_labeled(folder):
    """Three rendered objects that turn, two clips and two labeled views of each."""
    from tfssl.data.part_labeled import PartLabeledClips, write_part_labeled
    from tfssl.data.turntables import turned_views, turning_clips

    clips = turning_clips(objects=3, count=2, frames=12)
    write_part_labeled(PartLabeledClips(clips, turned_views(objects=3)), folder)


def _write_pairs(folder):
    """Six stereo pairs, rendered from the builtin photographs."""
    from tfssl.data.rendered import stereogram_source

    source = stereogram_source("builtin", count=6, size=(64, 96))
    for number in range(len(source)):
        for side in ("left", "right"):
            (folder / side).mkdir(exist_ok=True)
            source.example(number)[side].save(folder / side / f"{number}.png")


def _write_tracks(folder):
    """Two rendered drives of eight frames."""
    from tfssl.data.corridors import corridor_source
    from tfssl.data.posed import write_sequence

    for seed in (0, 1):
        write_sequence(corridor_source(frames=8, seed=seed), folder / f"drive{seed}")


def _write_captions(folder):
    """Twelve rendered shapes with their captions."""
    from tfssl.data.rendered_captions import captioned_shapes

    source = captioned_shapes(count=12)
    lines = []
    for number, captions in enumerate(source.captions):
        source.example(number)["image"].save(folder / f"{number}.png")
        lines += [f"{number}.png\t{caption}\n" for caption in captions]
    (folder / "captions.tsv").write_text("".join(lines), encoding="utf-8")


def _write_crops(folder):
    """Ends of the tracks of six rendered scenes."""
    from tfssl.data.scenes import scene_clips
    from tfssl.data.track_crops import SceneCropSource, write_crops, write_table

    source = SceneCropSource(scene_clips("builtin", count=6, frames=6, size=(64, 80)))
    rows = []
    for number in range(len(source)):
        first, last = write_crops(folder, f"scene{number}", source.example(number)["clip"].pixels)
        rows.append({"clip": f"scene{number}", "first": first, "last": last})
    write_table(folder, rows)
