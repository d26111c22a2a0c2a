"""How far a few known colors help: photographs colorized with 0, 1, 5 and 10 hints that tell the truth.

python benchmarks/hints.py HELD_OUT [MORE ...] [--model colorizer] [--limit 100]

Hints lie at random pixels and have their true colors: someone who places them where the coloring is wrong needs fewer.
Beside it the same hints spread without the network, over the gray photograph by place and lightness alone. Writes
results/hints.json: AuC, RMSE in ab, the mean error at the hints' own pixels, and the fraction of pixels that hints made
worse by more than 5 ab units. Colors are those of the finished 8-bit images, clipped to the gamut.
"""

import argparse
from pathlib import Path

import numpy as np
from machine import save
from PIL import Image

COUNTS = (0, 1, 5, 10)
WORSE = 5.0  # ab units


def measure(photographs, painting, seed):
    """``{number of hints: metrics}`` of one way to color."""
    from skimage.color import rgb2lab

    from tfssl.color.colorize import colorize_image
    from tfssl.color.hints import Hint
    from tfssl.color.metrics import ab_error, auc, rmse

    errors, held, worse = ({count: [] for count in COUNTS} for _ in range(3))
    for photograph in photographs:
        image, true = Image.fromarray(photograph.rgb), photograph.lab[..., 1:]
        random = np.random.default_rng([seed, photograph.index])
        places = [random.integers(0, length, max(COUNTS)) for length in true.shape[:2]]
        for count in COUNTS:
            hints = [Hint(int(x), int(y), tuple(true[y, x])) for y, x in zip(*places, strict=True)][:count]
            colored = rgb2lab(np.asarray(colorize_image(image=image, hints=hints, **painting)))[..., 1:]
            error = ab_error(true, colored)
            errors[count].append(error.ravel())
            held[count] += [error[hint.y, hint.x] for hint in hints]
            worse[count].append(error.ravel() > errors[0][-1] + WORSE)
    return {
        count: {
            "auc": auc(np.concatenate(errors[count])),
            "rmse_ab": rmse(np.concatenate(errors[count])),
            "error_at_hints": float(np.mean(held[count])) if count else None,
            "made_worse": float(np.concatenate(worse[count]).mean()),
        }
        for count in COUNTS
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, help="folders of held-out photographs, told by their names")
    parser.add_argument("--model", default="colorizer")
    parser.add_argument("--limit", type=int, default=100, help="photographs of each folder, evenly spread")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    import tfssl
    from tfssl.color.photographs import read_photographs
    from tfssl.color.predict import compiled_predictor, compiled_scores
    from tfssl.data.images import image_source
    from tfssl.ops.ab_bins import NUM_BINS

    method, model = tfssl.load(arguments.model)
    sizes = {"image_size": method.image_size, "stride": method.output_stride, "temperature": method.temperature}

    def no_scores(lightness):
        cells = [-(-length // method.output_stride) for length in lightness.shape[1:3]]
        return np.zeros((len(lightness), *cells, NUM_BINS), np.float32)

    ways = {
        "model": {**sizes, "predict": compiled_predictor(method, model), "scores": compiled_scores(method, model)},
        "gray": {**sizes, "predict": lambda light, temperature: no_scores(light)[..., :2], "scores": no_scores},
    }
    metrics = {}
    for folder in arguments.data:
        source = image_source(str(folder))
        indices = np.unique(np.linspace(0, len(source) - 1, arguments.limit).astype(int)).tolist()
        photographs = list(read_photographs(source, indices))
        metrics[folder.name] = {way: measure(photographs, painting, arguments.seed) for way, painting in ways.items()}
        for way, found in metrics[folder.name].items():
            for count, values in found.items():
                print(folder.name, way, count, *(f"{name} {value}" for name, value in values.items()))
    save(
        "hints",
        config={"model": arguments.model, "limit": arguments.limit, "seed": arguments.seed, "worse": WORSE},
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        metrics=metrics,
    )


if __name__ == "__main__":
    main()
