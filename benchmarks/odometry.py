"""Paths that odometry/cpu drives by sight, on rendered drives whose textures and turns it has not seen: several seeds.

    python benchmarks/odometry.py [--kitti SEQUENCE] [--picture odometry.png]

Trains on drives rendered from the builtin color photographs, with filters learned by synchrony and with random ones,
and measures on drives rendered from the builtin gray photographs; beside the same network untrained, constant velocity
and the true classes. Writes results/odometry.json with all that was measured of the runs in --runs.
Resumable.
"""

import argparse
from pathlib import Path

from machine import kept, save

VARIANTS = {"synchrony": (), "random": ("initialize=random",)}
DRIVES, FRAMES = range(1000, 1006), 200
"""Seeds of the drives that are measured on, and their length in frames; those of training are 0 to 79."""

KITTI_SEGMENT = 10.0  # meters; the excerpt is 60 m long


def held_out():
    """Drives through textures that are in no training drive."""
    from tfssl.data.builtin import builtin_gray_photographs
    from tfssl.data.corridors import corridor_source

    textures = [str(path) for path in builtin_gray_photographs()]
    return [corridor_source(textures, frames=FRAMES, seed=seed) for seed in DRIVES]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), help="which of them")
    parser.add_argument("--kitti", help="a real sequence in KITTI's layout, measured too")
    parser.add_argument("--runs", type=Path, default=Path("runs/odometry"), help="folder of the run directories")
    parser.add_argument("--picture", help="PNG to draw the paths of the first run into")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    import keras

    from tfssl.config import load_config
    from tfssl.files import read_json
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    drives, measured = held_out(), arguments.runs / "measured"

    def measure(method, model, variant, seed):
        def compute():
            out = measured / f"{variant}-{seed}"
            found = {"rendered": method.evaluate(model, drives, out=out)}
            if arguments.kitti:
                found["kitti"] = method.evaluate(model, arguments.kitti, segment=KITTI_SEGMENT, out=f"{out}-kitti")
            flat = {data: record.flat().items() for data, record in found.items()}
            return [
                {"variant": variant, "seed": seed, "data": data, **{k: v for k, v in items if isinstance(v, float)}}
                for data, items in flat.items()
            ]

        for row in kept(measured / f"{variant}-{seed}.json", compute):
            print(row, flush=True)

    for seed in arguments.seeds:
        for variant in arguments.variants:
            run = arguments.runs / f"{variant}-{seed}"
            fit(load_config("odometry/cpu", [f"seed={seed}", *VARIANTS[variant]]), run)
            method, model = load_run(run)
            measure(method, model, variant, seed)
        keras.utils.set_random_seed(seed)
        measure(method, method.model(), "untrained", seed)
    if arguments.picture:
        first = measured / f"{arguments.variants[0]}-{arguments.seeds[0]}"
        Path(arguments.picture).write_bytes((first / "paths.png").read_bytes())
    order = [*VARIANTS, "untrained"]
    rows = [row for path in measured.glob("*.json") for row in read_json(path)]
    rows.sort(key=lambda row: (order.index(row["variant"]), row["seed"]))
    save(
        "odometry",
        config=load_config("odometry/cpu").to_dict()
        | {"variants": VARIANTS}
        | {"test_drives": list(DRIVES), "test_frames": FRAMES, "kitti_segment": KITTI_SEGMENT},
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        rows=rows,
    )


if __name__ == "__main__":
    main()
