"""What mapping units of gated autoencoders know of transformations, and whether they move other patches: several seeds.

    python benchmarks/gated.py --train PHOTOS --data HELD_OUT [--picture gated_autoencoder.png]

Writes results/gated.json: the metrics of `tfssl evaluate` on the held-out photographs, for shifts and rotations, of
photographs and of noise, for each seed. Resumable.
"""

import argparse
import functools
from math import isfinite
from pathlib import Path

from machine import kept, save

VARIANTS = {
    "shifts, photographs": (),
    "shifts, noise": ("content=noise", "whiten=null"),
    "rotations, photographs": ("pairs=rotations",),
    "rotations, noise": ("pairs=rotations", "content=noise", "whiten=null"),
}
PAIRS = 20_000
"""Pairs that each model is measured on, half of them to learn the read-out: about."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", default="builtin", help="photographs to learn from")
    parser.add_argument("--data", required=True, help="other photographs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), help="which of them")
    parser.add_argument("--runs", type=Path, default=Path("runs/gated"), help="folder of the run directories")
    parser.add_argument("--picture", help="PNG to draw filters and analogies of the first seed's first variant into")
    arguments = parser.parse_args()

    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    rows = []
    for variant in arguments.variants:
        for seed in arguments.seeds:
            run = arguments.runs / f"{variant.replace(', ', '_')}-{seed}"
            overrides = [f"data={arguments.train}", f"seed={seed}", *VARIANTS[variant]]
            config = load_config("gated_autoencoder/cpu", overrides)
            fit(config, run)
            rows.append(kept(run.with_suffix(".json"), functools.partial(measure, run, variant, seed, arguments.data)))
            print(rows[-1], flush=True)
            if arguments.picture and len(rows) == 1:
                draw(*load_run(run), "builtin", arguments.picture)
    save(
        "gated",
        config=load_config("gated_autoencoder/cpu").to_dict()
        | {"data": "training photographs"}
        | {"variants": {name: VARIANTS[name] for name in arguments.variants}, "seeds": arguments.seeds},
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        rows=rows,
    )


def measure(run, variant, seed, data):
    """The metrics of a run on other photographs."""
    from tfssl.training.runs import load_run

    method, model = load_run(run)
    numbers = method.evaluate(model, data, limit=max(2, PAIRS // method.patches)).flat()
    return {"variant": variant, "seed": seed} | {
        name: value for name, value in numbers.items() if isinstance(value, float) and isfinite(value)
    }


def draw(method, model, data, path):
    """Filters of both patches, those of the same factor at the same place, and analogies."""
    import tempfile

    from PIL import Image

    from tfssl.methods.gated_autoencoder.evaluate import filter_fields, write_sheet
    from tfssl.visualization.filters import filter_sheet
    from tfssl.visualization.sheet import picture_sheet

    with tempfile.TemporaryDirectory() as folder:
        sheets = [filter_sheet(f[:64], Path(folder) / "filters.png") for f in filter_fields(method, model).values()]
        write_sheet(method, model, data, Path(folder) / "analogies.png")
        with Image.open(Path(folder) / "analogies.png") as opened:
            analogies = opened.convert("RGB")
    side = (analogies.width - 24) // 2
    above = picture_sheet([sheets], path, titles=["filters of a", "filters of the same factors of b"], cell=side)
    both = Image.new("RGB", (max(above.width, analogies.width), above.height + analogies.height), "white")
    both.paste(above, (0, 0))
    both.paste(analogies, (0, above.height))
    both.save(path)


if __name__ == "__main__":
    main()
