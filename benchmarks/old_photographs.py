"""What damage does to a colorizer: kept-out photographs as they are, and as old prints and bad scans show them.

python benchmarks/old_photographs.py PHOTOS [--model colorizer --model OTHER] [--limit 200]

Only the lightness that the network sees is damaged; its colors are measured against the photograph's own. Writes
results/old_photographs.json.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
from machine import RESULTS, save
from PIL import Image, ImageFilter, ImageOps


def clean(gray, rng):
    """As it is."""
    return gray


def faded(gray, rng):
    """A quarter of the contrast and all the black lost."""
    return gray * 0.45 + 0.3


def dark(gray, rng):
    """Three stops of underexposure."""
    return gray**1.8 * 0.5


def blurred(gray, rng):
    """A soft lens: a blur of 1.2 % of the shorter side."""
    image = Image.fromarray(np.rint(gray * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(0.012 * min(gray.shape))), np.float32) / 255


def grainy(gray, rng):
    """Grain with a deviation of 6 % of white."""
    return gray + 0.06 * rng.standard_normal(gray.shape, dtype=np.float32)


def stretched_faded(gray, rng):
    """``faded``, its contrast stretched by the user first (1 % cut off)."""
    image = Image.fromarray(np.rint(np.clip(faded(gray, rng), 0, 1) * 255).astype(np.uint8))
    return np.asarray(ImageOps.autocontrast(image, cutoff=1), np.float32) / 255


def aged(gray, rng):
    """Every effect of :func:`tfssl.color.aging.age` by chance, as in training."""
    from tfssl.color.aging import age
    from tfssl.ops.bytes_lab import lightness

    levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=-1)
    old = age(np.rint(gray * 255).astype(np.uint8)[..., None].repeat(3, axis=-1), rng)
    return np.interp(old, lightness(levels)[0], np.linspace(0, 1, 256))


DAMAGE = (clean, faded, stretched_faded, dark, blurred, grainy, aged)


def measure(colorizer, photograph, damage):
    """Figures of one photograph, and its predicted ab at every fourth pixel."""
    import dataclasses

    from skimage.color import lab2rgb

    from tfssl.color.metrics import FALSE_RED_SHARE, false_reds

    rng = np.random.default_rng(zlib.crc32(photograph.name.encode()))
    gray = lab2rgb(photograph.lab * [1, 0, 0])[..., 0].astype(np.float32)
    seen = np.rint(np.clip(damage(gray, rng), 0, 1) * 255).astype(np.uint8)[..., None].repeat(3, axis=-1)
    ab = colorizer(dataclasses.replace(photograph, rgb=seen))[""][::4, ::4]
    true = photograph.lab[::4, ::4, 1:]
    neutral = np.linalg.norm(true, axis=-1) < 5
    return {
        "squares": np.sum((ab - true) ** 2),
        "pixels": ab[..., 0].size,
        "gray_squares": np.sum(true**2),
        "false_reds": float(false_reds(true, ab) > FALSE_RED_SHARE),
        "cast": ab[neutral].sum(axis=0),
        "neutral": neutral.sum(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder of photographs in color that trained nothing")
    parser.add_argument("--model", action="append", help="default colorizer; several: each measured")
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()

    from tfssl.api import load
    from tfssl.color.photographs import read_photographs
    from tfssl.color.predict import Colorizer
    from tfssl.data.images import image_source
    from tfssl.resources import model_digest

    models = arguments.model or ["colorizer"]
    source = image_source(arguments.photos)
    count = min(len(source), arguments.limit or len(source))
    photographs = [p for p in read_photographs(source, range(count)) if p.reason is None]
    found = {}
    for model in models:
        colorizer = Colorizer(*load(model), {"": None})
        name = Path(model).name
        found[name] = {"digest": model_digest(model)}
        for damage in DAMAGE:
            rows = [measure(colorizer, photograph, damage) for photograph in photographs]
            total = {key: np.sum([row[key] for row in rows], axis=0) for key in rows[0]}
            found[name][damage.__name__] = {
                "rmse_ab": round(float(np.sqrt(total["squares"] / total["pixels"])), 2),
                "images_with_false_reds": round(float(total["false_reds"] / len(rows)), 3),
                "cast_of_neutral_pixels": [round(float(x), 2) for x in total["cast"] / max(1, total["neutral"])],
            }
            print(name, damage.__name__, found[name][damage.__name__], flush=True)
    gray = round(float(np.sqrt(total["gray_squares"] / total["pixels"])), 2)
    print(f"left gray: {gray}")
    save(
        "old_photographs",
        config={"models": list(found), "images": len(photographs)},
        packages=("tensorflow", "keras", "numpy", "pillow", "scikit-image"),
        seconds={},
        comparisons=[],
        left_gray_rmse_ab=gray,
        models=found,
    )
    print(RESULTS / "old_photographs.json")


if __name__ == "__main__":
    main()
