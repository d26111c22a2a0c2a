"""Colorizing files at full size: what joining, and working on many files at once, cost or save.

Four figures. One 12-megapixel JPEG from file to file, against the sum of its decoding, network and encoding, each
timed alone. Many 1-megapixel JPEGs in one call, against the same steps for one file after the other. Peak memory of
`tfssl colorize` on the 12-megapixel JPEG, as the system counts it for the whole process. And how far the colors of a
large image, which are rounded to steps, are from the exact ones. The photographs are the built-in ones, enlarged, with
the noise of a sensor; gray ones and color ones are timed apart.

    python benchmarks/colorize.py [--model RUN]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from machine import Comparison, alternate, ratio, save
from PIL import Image

from tfssl.api import load
from tfssl.color.colorize import colorize_image, colorize_paths, network_lightness
from tfssl.color.join import Join, _Palette
from tfssl.color.predict import compiled_predictor
from tfssl.data.builtin import builtin_photographs
from tfssl.data.photo import QUALITY, decode_photo
from tfssl.ops.bytes_lab import ab, lightness

LARGE, SMALL = (4000, 3000), (1155, 866)  # 12 and 1 megapixels
NOISE = 6.0  # levels: gives files of the size that a camera writes, 3 to 5 MB for 12 megapixels
KINDS = ("gray", "color")


def write_photograph(path, size, kind, seed):
    """A JPEG of about the weight of a real one: a built-in photograph, enlarged, with noise in its lightness."""
    rng = np.random.default_rng(seed)
    photographs = builtin_photographs()
    with Image.open(photographs[seed % len(photographs)]) as image:
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC), np.float32)
    noisy = pixels + rng.normal(0, NOISE, (size[1], size[0], 1)).astype(np.float32)
    image = Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    image.convert("L" if kind == "gray" else "RGB").save(path, quality=92)


class Steps:
    """The steps of colorizing a file, to be timed apart or one after the other."""

    def __init__(self, method, model):
        self.predict = compiled_predictor(method, model)
        self.image_size, self.stride = method.image_size, method.output_stride

    def network(self, lightness):
        return self.predict(lightness[None, ..., None])[0]

    def one_by_one(self, paths, out):
        """A script that decodes, calls :func:`colorize_image` and saves, each file after the one before."""
        Path(out).mkdir(exist_ok=True)
        for path in paths:
            image, metadata = decode_photo(path)
            colorized = colorize_image(self.predict, image, image_size=self.image_size, stride=self.stride)
            save_alone(colorized, Path(out, path.name), metadata)

    def together(self, paths, out):
        """The same by the job that `tfssl colorize` runs."""
        report = colorize_paths(
            paths, out, self.predict, image_size=self.image_size, stride=self.stride, overwrite=True
        )
        if report.failed or len(report.done) != len(paths):
            raise AssertionError(f"not all colorized: {report.failed}")

    def apart(self, path, out):
        """The three steps that cannot be done without, as functions without arguments."""
        image, metadata = decode_photo(path, keep_gray=True)
        seen = network_lightness(image, self.image_size)
        joined = Join(image, self.network(seen), seen.shape[::-1], self.stride).whole().convert("RGB")
        return {
            "decode": lambda: decode_photo(path, keep_gray=True),
            "network": lambda: self.network(seen),
            "encode": lambda: save_alone(joined, Path(out, f"alone_{path.name}"), metadata),
        }


def rounding(steps, paths):
    """Differences from the exact join over files, every fifth row: ``{"mean_ab": ..., "max_L": ...}``."""
    differences = {"L": [], "ab": []}
    for path in paths:
        image = decode_photo(path, keep_gray=True)[0]
        seen = network_lightness(image, steps.image_size)
        given = image, steps.network(seen), seen.shape[::-1], steps.stride
        rounded = Join(*given)
        with mock.patch.object(_Palette, "of", lambda cells, image: None):
            exact = Join(*given)
        ours, theirs = (
            np.concatenate([np.asarray(join.rows(top, top + 1))[..., :3] for top in range(0, image.height, 5)])
            for join in (rounded, exact)
        )
        differences["L"].append(np.abs(lightness(ours) - lightness(theirs)))
        differences["ab"].append(np.linalg.norm(ab(ours) - ab(theirs), axis=-1))
    found = {name: np.concatenate([part.ravel() for part in parts]) for name, parts in differences.items()}
    means = {f"mean_{name}": float(values.mean()) for name, values in found.items()}
    return means | {f"max_{name}": float(values.max()) for name, values in found.items()}


def save_alone(image, path, metadata):
    """Pillow's own writing of a JPEG, with the settings of the library."""
    image.save(path, quality=QUALITY, subsampling=0, **metadata)


def check_same(folders, names):
    """Both ways must write the same pictures: equal but for the reduced decoding that the network is shown."""
    for name in names:
        ours, theirs = (np.asarray(Image.open(Path(folder, name)), np.int16) for folder in folders)
        if ours.shape != theirs.shape or np.abs(ours - theirs).mean() > 1.5:
            raise AssertionError(f"{name} differs between the two ways")


_LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_memory(path, out, model):
    """Peak resident memory in GB of `tfssl colorize` on one file, in a process of its own."""
    command = ["-m", "tfssl", "colorize", str(path), "--out", str(out), "--model", model, "--overwrite"]
    # Started by a small process: the peak of a child begins with the size of the process that forked it.
    launcher = [sys.executable, "-c", _LAUNCHER, sys.executable, *command]
    peak = int(subprocess.run(launcher, stdout=subprocess.PIPE, check=True).stdout)
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9  # in bytes there, in KiB elsewhere


def measure_large(steps, folder, arguments):
    """Seconds of the whole and of its steps alone for each kind, and the comparisons."""
    seconds, rows = {}, []
    for kind in KINDS:
        path = Path(folder, f"large_{kind}.jpg")
        write_photograph(path, LARGE, kind, arguments.seed)
        parts = steps.apart(path, folder)
        whole = {"whole": lambda path=path: steps.together([path], Path(folder, "out"))}
        timed = alternate({**whole, **parts}, arguments.repeats)
        alone = sum(statistics.median(timed[name]) for name in parts)
        seconds |= {f"12mp/{kind}/{name}": values for name, values in timed.items()}
        measured = statistics.median(timed["whole"]) / alone
        what = f"`tfssl colorize` of a 12-megapixel {kind} JPEG, end to end"
        rows.append(Comparison(what, "decode + network + encode alone", measured, 1.3, at_most=True))
    return seconds, rows


def measure_many(steps, folder, arguments):
    """Seconds of both ways over the small photographs, and the comparison."""
    paths = [Path(folder, f"small_{i:03d}.jpg") for i in range(arguments.photos)]
    for i, path in enumerate(paths):
        write_photograph(path, SMALL, KINDS[i % 2], arguments.seed + i)
    outs = {"one by one": Path(folder, "serial"), "together": Path(folder, "together")}
    timed = alternate(
        {
            "one by one": lambda: steps.one_by_one(paths, outs["one by one"]),
            "together": lambda: steps.together(paths, outs["together"]),
        },
        arguments.rounds,
    )
    check_same(outs.values(), [path.name for path in paths])
    what = f"`tfssl colorize` of {len(paths)} photographs of 1 megapixel"
    row = Comparison(what, "one call after the other", ratio(timed, "one by one", "together"), 1.4)
    return {f"1mp/{name}": values for name, values in timed.items()}, row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="colorizer", help="a run directory, an export, or a shipped model's name")
    parser.add_argument("--photos", type=int, default=100, help="number of 1-megapixel photographs")
    parser.add_argument("--repeats", type=int, default=15, help="rounds over the 12-megapixel photograph")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over the 1-megapixel photographs")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    method, model = load(arguments.model)
    steps = Steps(method, model)
    with tempfile.TemporaryDirectory() as folder:
        seconds, rows = measure_large(steps, folder, arguments)
        many_seconds, row = measure_many(steps, folder, arguments)
        large = {kind: Path(folder, f"large_{kind}.jpg") for kind in KINDS}
        memory = {kind: peak_memory(path, Path(folder, "out"), arguments.model) for kind, path in large.items()}
        errors = {kind: rounding(steps, [path]) for kind, path in large.items()}
        sizes = {path.name: path.stat().st_size for path in sorted(Path(folder).glob("large_*.jpg"))}
    what = "Peak memory of `tfssl colorize`, 12-megapixel photograph, whole process"
    limit = Comparison(what, "a limit", max(memory.values()), 1.2, at_most=True, unit=" GB")
    save(
        "colorize",
        config={**vars(arguments), "image_size": method.image_size, "backbone": method.backbone},
        packages=("tensorflow", "keras", "numpy", "pillow"),
        seconds=seconds | many_seconds,
        comparisons=[*rows, row, limit],
        out=arguments.out,
        peak_memory_gb=memory,
        difference_from_exact_join=errors,
        large_file_bytes=sizes,
    )


if __name__ == "__main__":
    main()
