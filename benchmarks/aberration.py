"""Where in its image was this patch? Chromatic aberration as it is, and after color projection and dropping.

A small network learns the position of single patches from images at their own size; the paper reports the root mean
square error over the tenth of the images that it locates best: 0.255, always answering the center 0.371, after
projection 0.321. Photographs that were scaled down have little aberration left, so the same is measured again on
photographs whose green is magnified, which shows that the probe would find it.

    python benchmarks/aberration.py --data FOLDER
"""

import argparse
import time

from machine import save

from tfssl.methods.context_prediction.aberration import cut_patches, locate

COLORS = ("none", "projection", "dropping")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="builtin", help="photographs, at least 20")
    parser.add_argument("--images", type=int, default=2000, help="most photographs to use; a fifth of them tests")
    parser.add_argument("--patch", type=int, default=24, help="side in pixels")
    parser.add_argument("--magnification", type=float, default=0.02, help="of green, in the second measurement")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    seconds, rows = {}, []
    for magnification in (0.0, arguments.magnification):
        patches = cut_patches(arguments.data, arguments.patch, images=arguments.images, magnification=magnification)
        for color in COLORS:
            for seed in range(arguments.seeds):
                start = time.perf_counter()
                found = locate(patches, color=color, steps=arguments.steps, seed=seed)
                seconds.setdefault(f"{color}/{magnification:g}", []).append(round(time.perf_counter() - start, 3))
                rows.append({"color": color, "magnification": magnification, "seed": seed, **found})
                print({key: round(value, 4) if isinstance(value, float) else value for key, value in rows[-1].items()})
    save(
        "aberration",
        config=vars(arguments) | {"data": "builtin" if arguments.data == "builtin" else "photographs", "out": None},
        packages=("tensorflow", "keras", "numpy", "pillow"),
        seconds=seconds,
        comparisons=[],
        out=arguments.out,
        paper={"rmse_best": {"none": 0.255, "projection": 0.321}, "center": 0.371},
        results=rows,
    )


if __name__ == "__main__":
    main()
