"""Whether synthesized images have the structure that was asked for, and how long an evaluation of the loss takes.

    python benchmarks/textures.py [--photographs imagenet_sample] [--only bricks ...] [--runs runs/textures]

bricks: walls of 32 pixels and 12 random filters, without and with shifted Gram matrices, five seeds. textures: brick,
grass and gravel of scikit-image and crops of photographs of fences and such, with VGG-16: autocorrelation at the
period, without and with shifts, seeds 123 and 123456. symmetric: mirror errors, without and with flipped Gram
matrices. changed: a style, a season, a hole. speed: one evaluation beside PyTorch's. whole: a texture of 256 pixels.
Writes results/textures.json of all that was measured so far. Resumable: what is in --runs is not made again.
"""

import argparse
import functools
import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from machine import Comparison, alternate, kept, ratio, save
from PIL import Image

PACKAGES = ("tensorflow", "keras", "numpy", "scipy")
SEEDS = (123, 123456)  # those of the paper's figures
BRICK_SEEDS = range(5)
BUILTIN = {"brick": ("brick.png", (150, 100, 300, 250)), "grass": ("grass.png", (0, 0, 256, 256))}
BUILTIN["gravel"] = ("gravel.png", (0, 0, 256, 256))
IRREGULAR = ("grass", "gravel")  # drawn only: they have no period
PHOTOGRAPHS = {
    "pickets": ("n04604644_worm_fence.jpg", (60, 58, 188, 186)),
    "radiator": ("n04040759_radiator.jpg", (38, 188, 122, 272)),
}
"""Name -> file and the part of it that is taken: left, top, right, bottom."""
TEXTURE = {"size": 128, "iterations": 150, "taps": ("conv1_1", "pool1", "pool2")}
"""Taps whose fields, of up to 16 pixels, are no larger than a period: of 128 pixels pool4 sees nearly all."""
SYMMETRIC = {"size": 64, "iterations": 150}
CHANGED = {
    "style": (
        ("hubble_deep_field.jpg", (200, 100, 700, 600)),
        ("astronaut.png", (70, 0, 370, 300)),
        {"iterations": 100},
    ),
    "season": (("flower.jpg", (120, 0, 547, 427)), ("china.jpg", (0, 0, 640, 427)), {"iterations": 100}),
    "inpaint": (("brick.png", (128, 0, 320, 192)), ("brick.png", (192, 192, 384, 384)), {"iterations": 150}),
}
"""Task -> reference, content, settings."""
SPEED_SIZE = 256
PARTS = ("bricks", "textures", "symmetric", "changed", "speed", "whole")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="folder with the files of PHOTOGRAPHS; none without")
    parser.add_argument("--runs", type=Path, default=Path("runs/textures"), help="folder of what was made")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these now")
    parser.add_argument("--pictures", type=Path, help="folder for sheets of what was made of scikit-image's pictures")
    parser.add_argument("--repeats", type=int, default=5, help="of each timing")
    arguments = parser.parse_args()
    for name, measure in jobs(arguments).items():
        if name.split("-")[0] in arguments.only:
            print(name, kept(arguments.runs / f"{name}.json", measure), flush=True)
    found = {part: [] for part in PARTS}
    for file in sorted(arguments.runs.glob("*.json")):
        found[file.stem.split("-")[0]].append(json.loads(file.read_text(encoding="utf-8")))
    seconds, rows = {}, []
    for part in found["whole"]:
        what = f"Texture of {SPEED_SIZE} px with VGG-16, {part['iterations']} iterations, computing on two cores"
        rows.append(Comparison(what, "a limit", part["core_seconds"] / 120, 3, at_most=True, unit=" minutes"))
    for part in found.pop("speed"):
        seconds = part["seconds"]
        one = f"Loss and gradient of a texture of {SPEED_SIZE} px, VGG-16"
        rows.append(Comparison(one, "the same in PyTorch", ratio(seconds, "PyTorch", "tfssl"), 1))
    config = {"texture": TEXTURE, "symmetric": SYMMETRIC, "seeds": SEEDS, "crops": BUILTIN | PHOTOGRAPHS}
    if arguments.pictures is not None:
        draw(arguments)
    save("textures", config=config, packages=PACKAGES, seconds=seconds, comparisons=rows, **found)


def jobs(arguments):
    """``{name: function that measures it}``; the name begins with its part."""
    found = {f"bricks-{seed}": functools.partial(bricks, seed) for seed in BRICK_SEEDS}
    crops = {name: builtin(*crop) for name, crop in BUILTIN.items()}
    if arguments.photographs is not None:
        crops |= {name: (arguments.photographs / file, box) for name, (file, box) in PHOTOGRAPHS.items()}
    for name, crop in crops.items():
        for task in ("texture", "long-range"):
            for seed in SEEDS if task == "long-range" or name not in IRREGULAR else SEEDS[:1]:
                found[f"textures-{name}-{task}-{seed}"] = functools.partial(texture, name, crop, task, seed, arguments)
    for symmetry in (None, "left-right", "up-down", "both", "quarter-turn"):
        job = functools.partial(symmetric, "gravel", crops["gravel"], symmetry, arguments)
        found[f"symmetric-gravel-{symmetry or 'none'}"] = job
    for task in CHANGED:
        found[f"changed-{task}"] = functools.partial(changed, task, arguments)
    found["speed"] = functools.partial(speed, crops["gravel"], arguments)
    found["whole"] = functools.partial(whole, crops["gravel"], arguments)
    return found


def draw(arguments):
    """Sheets of the builtin references: with and without structure; symmetric; style, season and hole."""
    from tfssl.visualization.sheet import picture_sheet

    runs = arguments.runs
    titles = ["reference", "texture", *(f"long-range, seed {seed}" for seed in SEEDS)]
    rows = [
        [f"textures-{name}-{end}" for end in ("reference", f"texture-{SEEDS[0]}", *(f"long-range-{s}" for s in SEEDS))]
        for name in BUILTIN
    ]
    symmetries = ("None", "left-right", "up-down", "both", "quarter-turn")
    symmetric_rows = [[f"symmetric-gravel-{symmetry}" for symmetry in symmetries]]
    changed_rows = [[f"changed-{task}-reference", f"changed-{task}-content", f"changed-{task}"] for task in CHANGED]
    sheets = {
        "synthesis": (rows, titles, list(BUILTIN)),
        "synthesis_symmetric": (symmetric_rows, ["texture", *symmetries[1:]], ["gravel"]),
        "synthesis_changed": (changed_rows, ["reference", "content", "result"], list(CHANGED)),
    }
    for name, (files, heads, labels) in sheets.items():
        paths = [[runs / f"{file}.png" for file in row] for row in files]
        if not all(path.is_file() for row in paths for path in row):
            continue  # not made yet
        images = [[Image.open(path) for path in row] for row in paths]
        picture_sheet(images, arguments.pictures / f"{name}.png", titles=heads, labels=labels)


def builtin(file, box):
    """Path of a photograph inside scikit-image or scikit-learn, and its crop."""
    folders = (Path(find_spec("skimage").origin).parent / "data", Path(find_spec("sklearn").origin).parent)
    return next(path for path in (folders[0] / file, folders[1] / "datasets" / "images" / file) if path.is_file()), box


def wall():
    """The card's bricks: mortar rows and joints every 8 pixels, set off by 4 in every other row: (32, 32, 1)."""
    image = np.ones((32, 32, 1), np.float32)
    image[::8] = 0
    for row in range(4):
        image[8 * row : 8 * row + 8, 4 * (row % 2) :: 8] = 0
    return image


def random_filters(seed):
    """The card's network: 12 random filters of 5x5, zero mean and unit norm, circular convolution, ReLU."""
    import tensorflow as tf

    kernel = np.random.default_rng(seed).normal(size=(5, 5, 1, 12))
    kernel -= kernel.mean(axis=(0, 1, 2))
    kernel = (kernel / np.sqrt(np.square(kernel).sum(axis=(0, 1, 2)))).astype(np.float32)

    def features(images):
        gray = images[..., :1]
        gray = tf.concat([gray[:, -2:], gray, gray[:, :2]], axis=1)
        gray = tf.concat([gray[:, :, -2:], gray, gray[:, :, :2]], axis=2)
        return {"conv1": tf.nn.relu(tf.nn.conv2d(gray, kernel, 1, "VALID"))}

    return features


def bricks(seed):
    """Autocorrelation at the period of 8, right and down, of the wall and of what was made of it."""
    from tfssl.synthesis.minimize import minimize
    from tfssl.synthesis.objective import Objective, gram_term, shift_term
    from tfssl.synthesis.structure import autocorrelation

    image, features = wall(), random_filters(seed)
    reference = features(image[None])
    gram, shifts = gram_term("conv1", reference, 1e4), shift_term("conv1", reference, 6e4, (2, 4, 8))
    start = np.random.default_rng(seed + 1).uniform(size=image.shape)
    made = {"reference": image}
    for name, terms in {"gram": [gram], "shifts": [gram, shifts]}.items():
        made[name], _ = minimize(Objective(features, terms, image.shape), start, 0, 1, iterations=500)
    found = {name: {axis: autocorrelation(one, axis)[8] for axis in ("right", "down")} for name, one in made.items()}
    return {"seed": seed, **{name: {axis: float(v) for axis, v in one.items()} for name, one in found.items()}}


def texture(name, crop, task, seed, arguments):
    """Autocorrelation of a texture along each axis at the reference's period."""
    from tfssl.synthesis.structure import AXES, autocorrelation, period

    result = synthesized(crop, seed, f"textures-{name}-{task}-{seed}", arguments, task=task, **TEXTURE)
    found = {"name": name, "task": task, "seed": seed, "seconds": result.seconds, "terms": result.terms, "axes": {}}
    for axis in AXES:
        profile = autocorrelation(result.reference, axis)
        lag = period(profile)
        if lag is not None:
            value = float(autocorrelation(result.image, axis)[lag])
            found["axes"][axis] = {"lag": int(lag), "reference": float(profile[lag]), "value": value}
    return found


def symmetric(name, crop, symmetry, arguments):
    """Mirror errors of a texture that was made symmetric, or, for None, not."""
    from tfssl.ops.gram import FLIPS
    from tfssl.synthesis.structure import mirror_error

    options = {"task": "texture"} if symmetry is None else {"task": "symmetric", "symmetry": symmetry}
    result = synthesized(crop, SEEDS[0], f"symmetric-{name}-{symmetry}", arguments, **options, **SYMMETRIC)
    image = np.asarray(result.image) / 255
    errors = {flip: mirror_error(image, flip) for flip in FLIPS}
    return {"name": name, "symmetry": symmetry, "seconds": result.seconds, "terms": result.terms, "errors": errors}


def changed(task, arguments):
    """An image that was given a style or a season, or whose hole was filled: its terms at the start and the end."""
    reference, content, options = CHANGED[task]
    options = {"task": task, "size": 128} | options
    result = synthesized(builtin(*reference), SEEDS[0], f"changed-{task}", arguments, builtin(*content), **options)
    return {"task": task, "seconds": result.seconds, "terms": result.terms, "first": result.history[0]}


def synthesized(crop, seed, name, arguments, content=None, **options):
    """One synthesis, whose images are kept beside its numbers."""
    from tfssl.synthesis.recipe import Recipe
    from tfssl.synthesis.synthesize import Synthesizer

    content = None if content is None else opened(content)
    result = Synthesizer(trunk(), Recipe(**options))(opened(crop), content=content, seed=seed)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    result.image.save(arguments.runs / f"{name}.png")
    kept_as = "-".join(name.split("-")[:2])
    result.reference.save(arguments.runs / f"{kept_as}-reference.png")
    if content is not None:
        result.content.save(arguments.runs / f"{kept_as}-content.png")
    return result


def opened(crop):
    """A part of an image file."""
    file, box = crop
    with Image.open(file) as image:
        return image.convert("RGB").crop(box)


@functools.cache
def trunk():
    """VGG-16 with average pooling, opened once."""
    from tfssl.encoders import load_trunk

    return load_trunk("vgg16")


def speed(crop, arguments):
    """One evaluation beside PyTorch's, which must agree."""
    from torch_textures import Textures, objective

    from tfssl.backbones.lpips import DEVIATION, MEAN, trunk_arrays
    from tfssl.synthesis.features import Features
    from tfssl.synthesis.objective import Objective, gram_term
    from tfssl.synthesis.recipe import TEXTURE_TAPS

    reference = opened(crop).resize((SPEED_SIZE, SPEED_SIZE), Image.Resampling.LANCZOS)
    pixels, features = np.asarray(reference, np.float32) / 255, Features(trunk(), TEXTURE_TAPS)
    wanted = features(pixels[None])
    own = Objective(features, [gram_term(tap, wanted, 1 / len(TEXTURE_TAPS)) for tap in TEXTURE_TAPS], pixels.shape)
    units = [features.units[tap] for tap in TEXTURE_TAPS]
    other = objective(Textures(trunk_arrays("vgg"), MEAN, DEVIATION, units), pixels)
    image = np.random.default_rng(0).random(pixels.shape).astype(np.float32)
    for ours, theirs in zip(own(image)[:2], other(image), strict=True):
        # As a whole: where a unit is all but silent, rounding decides whether it has a gradient.
        if not np.linalg.norm(np.subtract(ours, theirs)) <= 1e-2 * np.linalg.norm(theirs):
            raise AssertionError("the two losses differ")
    seconds = alternate({"tfssl": lambda: own(image), "PyTorch": lambda: other(image)}, arguments.repeats)
    return {"seconds": seconds}


def whole(crop, arguments):
    """A texture as the command makes it unless told otherwise: how long the processor computes, on all cores."""
    from tfssl.synthesis.recipe import Recipe

    computed = time.process_time()
    result = synthesized(crop, SEEDS[0], "whole-gravel", arguments, size=SPEED_SIZE)
    core_seconds = time.process_time() - computed
    return {"seconds": result.seconds, "core_seconds": core_seconds, "iterations": Recipe().iterations}


if __name__ == "__main__":
    main()
